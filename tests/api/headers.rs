//! Headers of endpoints' own: what is taken and refused, and that no value is ever shown.

use tidings::proto::*;
use tonic::Code;

use crate::{
    create, endpoint,
    endpoint_edges::tried,
    mask,
    support::{Api, shown},
};

fn header(name: &str, value: Option<&str>) -> EndpointHeader {
    EndpointHeader { name: name.to_owned(), value: value.map(str::to_owned) }
}

fn github() -> EndpointStyle {
    EndpointStyle { preset: StylePreset::Github as i32, ..Default::default() }
}

#[tokio::test]
async fn headers_are_taken_and_their_values_never_shown() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut request = create("");
    request.endpoint.as_mut().unwrap().headers = vec![header("Authorization", Some("Bearer canary"))];
    let endpoint = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(endpoint.headers, [header("Authorization", None)]);
    assert!(!api.database_holds("canary").await, "a header's value stands in a plain file");

    let update = |headers| UpdateEndpointRequest {
        endpoint: Some(Endpoint { headers, ..endpoint.clone() }),
        update_mask: mask(&["headers"]),
        ..Default::default()
    };
    let more = update(vec![header("authorization", None), header("X-A", Some(""))]);
    let answer = client.update_endpoint(more).await.unwrap().into_inner().endpoint.unwrap();
    let etag = answer.etag;
    assert_eq!(answer.headers, [header("authorization", None), header("X-A", None)]);

    let many = (0..21).map(|index| header(&format!("x-{index}"), Some("v"))).collect();
    let name = "endpoint.headers[0].name";
    let value = "endpoint.headers[0].value";
    let cases: Vec<(Vec<EndpointHeader>, Vec<&str>)> = vec![
        (vec![header("", Some("v"))], vec![name]),
        (vec![header("a b", Some("v"))], vec![name]),
        (vec![header(":path", Some("v"))], vec![name]),
        (vec![header("é", Some("v"))], vec![name]),
        (vec![header(&"x".repeat(65), Some("v"))], vec![name]),
        (vec![header("x", Some("canary\r\nInjected: 1"))], vec![value]),
        (vec![header("x", Some("canary\0"))], vec![value]),
        (vec![header("x", Some("canary é"))], vec![value]),
        (vec![header("x", Some("canary "))], vec![value]),
        (vec![header("x", Some("canary")), header("X", Some("canary"))], vec!["endpoint.headers[1].name"]),
        (vec![header("x", Some(&"canary".repeat(1_000)))], vec!["endpoint.headers"]),
        (vec![header("a b", Some("\n")), header("c", Some("\n"))], vec![name, value, "endpoint.headers[1].value"]),
        (many, vec!["endpoint.headers"]),
    ];
    let reserved = [
        "host",
        "Content-Type",
        "content-length",
        "connection",
        "TE",
        "transfer-encoding",
        "upgrade",
        "expect",
        "keep-alive",
        "trailer",
        "accept-encoding",
        "proxy-authorization",
        "user-agent",
        "webhook-id",
        "webhook-x",
        "tidings-attempt-id",
        "ce-id",
    ];
    let reserved = reserved.map(|reserved| (vec![header(reserved, Some("canary"))], vec![name]));
    for (headers, fields) in cases.into_iter().chain(reserved) {
        let case = format!("{} …", headers[0].name.escape_debug());
        for request in [true, false] {
            let mut client = api.client.clone();
            let status = if request {
                let mut create = create("");
                create.endpoint.as_mut().unwrap().headers = headers.clone();
                let call = client.create_endpoint(create);
                api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await
            } else {
                let mut update = update(headers.clone());
                update.endpoint.as_mut().unwrap().etag = etag.clone();
                let call = client.update_endpoint(update);
                api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await
            };
            assert!(!shown(&status).contains("canary"), "{}", shown(&status));
        }
    }
    let mut client = api.client.clone();
    let mut own = create("");
    let given = own.endpoint.as_mut().unwrap();
    given.style = Some(github());
    given.headers = vec![header("x-hub-signature-256", Some("v"))];
    let call = client.create_endpoint(own);
    api.refuses("own", call, Code::InvalidArgument, "INVALID_REQUEST", &[name]).await;
}

#[tokio::test]
async fn headers_have_limits_together_in_both_calls() {
    let api = Api::start().await;
    let both = tried(&api).await;
    let given = |headers| Endpoint { headers, ..endpoint() };
    // The first names are one byte, the rest is filled by one value.
    let of_bytes = |bytes: usize| given(vec![header("a", Some("")), header("b", Some(&"v".repeat(bytes - 2)))]);
    both.refuses("4,097 bytes", "headers", of_bytes(4_097), &["endpoint.headers"], &["vvv"]).await;
    both.takes("4,096 bytes", "headers", of_bytes(4_096)).await;
    let many = |count: usize| given((0..count).map(|number| header(&format!("x-{number}"), Some("v"))).collect());
    both.refuses("21 headers", "headers", many(21), &["endpoint.headers"], &[]).await;
    both.takes("20 headers", "headers", many(20)).await;
    both.takes("the longest name", "headers", given(vec![header(&"x".repeat(64), Some("a\tb c"))])).await;
    let names =
        ["a:b", "a\r\nb", "a\0", "ä", "(a)", "Proxy-Connection", "CE-Source", "Tidings-X", "WEBHOOK-ID", "Host"];
    for name in names {
        let given = given(vec![header("fine", Some("")), header(name, Some("canary-value"))]);
        both.refuses(name, "headers", given, &["endpoint.headers[1].name"], &["canary-value"]).await;
    }
    for value in
        ["canary\n", "canary\r", "canary\0", "canary\u{7f}", "canary\u{1b}[0m", " canary", "canary\t", "canaryé"]
    {
        let given = given(vec![header("fine", Some("")), header("b", Some(value))]);
        both.refuses(&value.escape_debug().to_string(), "headers", given, &["endpoint.headers[1].value"], &["canary"])
            .await;
    }

    // Values that are kept count with the new ones, and one that is not there cannot be kept.
    let mut client = api.client.clone();
    let update = |headers| UpdateEndpointRequest {
        endpoint: Some(Endpoint { id: both.id.clone(), headers, ..Default::default() }),
        update_mask: mask(&["headers"]),
        ..Default::default()
    };
    client.update_endpoint(update(vec![header("a", Some(&"canary".repeat(500)))])).await.unwrap();
    let call = client.update_endpoint(update(vec![header("A", None), header("b", Some(&"v".repeat(1_100)))]));
    let status = api.refuses("kept", call, Code::InvalidArgument, "INVALID_REQUEST", &["endpoint.headers"]).await;
    assert!(!shown(&status).contains("canary"));
    client.update_endpoint(update(vec![header("A", None), header("b", Some(&"v".repeat(1_000)))])).await.unwrap();
    let call = client.update_endpoint(update(vec![header("A", None), header("c", None)]));
    let fields = ["endpoint.headers[1].value"];
    api.refuses("not there", call, Code::InvalidArgument, "INVALID_REQUEST", &fields).await;
}

#[tokio::test]
async fn header_of_ones_own_and_a_scheme_with_the_same_exclude_each_other() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let own = EndpointHeader { name: "X-Hub-Signature-256".to_owned(), value: Some("canary".to_owned()) };
    let mut headed = create("");
    headed.endpoint.as_mut().unwrap().headers = vec![own.clone()];
    let headed = client.create_endpoint(headed).await.unwrap().into_inner().endpoint.unwrap();
    let mut in_githubs_style = create("");
    in_githubs_style.endpoint.as_mut().unwrap().style = Some(github());
    let styled = client.create_endpoint(in_githubs_style).await.unwrap().into_inner().endpoint.unwrap();
    let update = |id: &str, paths: &[&str]| {
        let (id, headers) = (id.to_owned(), vec![own.clone()]);
        let endpoint = Endpoint { id, headers, style: Some(github()), ..Default::default() };
        UpdateEndpointRequest { endpoint: Some(endpoint), update_mask: mask(paths), ..Default::default() }
    };
    // Whichever comes second is at fault; if both come, the header is.
    let cases: [(&str, &[&str], &str); 3] = [
        (&headed.id, &["style"], "endpoint.style"),
        (&styled.id, &["headers"], "endpoint.headers[0].name"),
        (&headed.id, &["style", "headers"], "endpoint.headers[0].name"),
    ];
    for (id, paths, field) in cases {
        let call = client.update_endpoint(update(id, paths));
        let case = format!("{paths:?}");
        let status = api.refuses(&case, call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
        assert!(!shown(&status).contains("canary"));
    }
}
