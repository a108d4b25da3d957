//! Credentials by which the server is known to endpoints: what is taken and refused, and that nothing of it is shown.

use prost_types::FieldMask;
use tidings::{
    proto::{endpoint_http_credentials::Kind, *},
    receiver::Certificate,
};
use tonic::Code;

use crate::{
    create, created,
    support::{Api, shown},
};

fn http(kind: Kind) -> EndpointHttpCredentials {
    EndpointHttpCredentials { kind: Some(kind) }
}

fn basic(username: &str, password: &str) -> Kind {
    Kind::Basic(BasicCredentials { username: username.to_owned(), password: password.to_owned() })
}

fn bearer(token: &str) -> Kind {
    Kind::Bearer(BearerCredentials { token: token.to_owned() })
}

fn oauth2(change: impl FnOnce(&mut OAuth2ClientCredentials)) -> Kind {
    let mut client = OAuth2ClientCredentials {
        token_url: "https://auth.example.com/token".to_owned(),
        client_id: "id".to_owned(),
        client_secret: "canary-secret".to_owned(),
        scopes: vec!["a:b".to_owned()],
        ..Default::default()
    };
    change(&mut client);
    Kind::Oauth2(client)
}

fn certificate(name: &str) -> EndpointClientCertificate {
    let certificate = Certificate::self_signed([name]).unwrap();
    EndpointClientCertificate { certificate_pem: certificate.pem(), private_key_pem: certificate.key_pem().to_string() }
}

fn only(kind: Kind) -> EndpointCredentials {
    EndpointCredentials { http: Some(http(kind)), client_certificate: None }
}

fn with(credentials: EndpointCredentials) -> CreateEndpointRequest {
    let mut request = create("");
    request.endpoint.as_mut().unwrap().credentials = Some(credentials);
    request
}

fn update(id: &str, credentials: Option<EndpointCredentials>, paths: &[&str]) -> UpdateEndpointRequest {
    UpdateEndpointRequest {
        endpoint: Some(Endpoint { id: id.to_owned(), credentials, ..Default::default() }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        ..Default::default()
    }
}

fn kind_of(endpoint: &Endpoint) -> HttpCredentialsKind {
    endpoint.credentials_summary.as_ref().map_or(HttpCredentialsKind::Unspecified, |summary| summary.http_kind())
}

fn fingerprint(endpoint: &Endpoint) -> String {
    endpoint.credentials_summary.clone().unwrap_or_default().client_certificate_sha256
}

#[tokio::test]
async fn credentials_are_kept_sealed_and_only_their_kinds_are_shown() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for (kind, expected) in [
        (basic("canary-name", "canary-word"), HttpCredentialsKind::Basic),
        (bearer("canary-token"), HttpCredentialsKind::Bearer),
        (oauth2(|_| {}), HttpCredentialsKind::Oauth2),
    ] {
        let own = certificate("sender.example");
        let key = own.private_key_pem.lines().nth(1).unwrap().to_owned();
        let given = EndpointCredentials { http: Some(http(kind)), client_certificate: Some(own) };
        let made = client.create_endpoint(with(given)).await.unwrap().into_inner().endpoint.unwrap();
        assert_eq!((made.credentials.clone(), kind_of(&made), fingerprint(&made).len()), (None, expected, 64));
        let get = GetEndpointRequest { endpoint_id: made.id.clone(), ..Default::default() };
        assert_eq!(client.get_endpoint(get).await.unwrap().into_inner().endpoint.as_ref(), Some(&made));
        assert!(!api.database_holds(&key).await, "the private key stands in a plain file");
    }
    assert!(!api.database_holds("canary").await, "a credential stands in a plain file");
    assert_eq!(created(&api, "").await.credentials_summary, None);
}

#[tokio::test]
async fn parts_of_credentials_are_changed_by_themselves() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let given = EndpointCredentials { client_certificate: Some(certificate("a.example")), ..only(bearer("one")) };
    let made = client.create_endpoint(with(given)).await.unwrap().into_inner().endpoint.unwrap();
    let mut change = async |credentials: Option<EndpointCredentials>, paths: &[&str]| {
        client.update_endpoint(update(&made.id, credentials, paths)).await.unwrap().into_inner().endpoint.unwrap()
    };

    let unnamed = change(Some(only(basic("", "\n"))), &["description"]).await;
    assert_eq!(unnamed.credentials_summary, made.credentials_summary, "what is not named is not looked at");

    let other = change(Some(only(basic("name", ""))), &["credentials.http"]).await;
    assert_eq!((kind_of(&other), fingerprint(&other)), (HttpCredentialsKind::Basic, fingerprint(&made)));
    assert_ne!(other.etag, unnamed.etag);

    let renewed = EndpointCredentials { http: None, client_certificate: Some(certificate("a.example")) };
    let renewed = change(Some(renewed), &["credentials.client_certificate"]).await;
    assert_eq!(kind_of(&renewed), HttpCredentialsKind::Basic);
    assert_ne!(fingerprint(&renewed), fingerprint(&made));

    let without = change(None, &["credentials.client_certificate"]).await;
    assert_eq!((kind_of(&without), fingerprint(&without)), (HttpCredentialsKind::Basic, String::new()));
    let none = change(None, &["credentials"]).await;
    assert_eq!(none.credentials_summary, None);
}

#[tokio::test]
async fn bad_credentials_are_refused_field_by_field_without_a_word_of_them() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let (own, other) = (certificate("canary.example"), certificate("other.example"));
    let shows = |certificate_pem: &str, private_key_pem: &str| EndpointCredentials {
        http: None,
        client_certificate: Some(EndpointClientCertificate {
            certificate_pem: certificate_pem.to_owned(),
            private_key_pem: private_key_pem.to_owned(),
        }),
    };
    let many = |client: &mut OAuth2ClientCredentials| client.scopes = vec!["canary".to_owned(); 51];
    let placed = |client: &mut OAuth2ClientCredentials| client.secret_placement = 999;
    let of = "endpoint.credentials";
    let cases: Vec<(EndpointCredentials, &str, &[&str])> = vec![
        (
            EndpointCredentials { http: Some(EndpointHttpCredentials { kind: None }), ..Default::default() },
            "INVALID_REQUEST",
            &["http"],
        ),
        (only(basic("", "")), "INVALID_REQUEST", &["http.basic.username"]),
        (only(basic("canary:", "canary\n")), "INVALID_REQUEST", &["http.basic.username", "http.basic.password"]),
        (only(bearer("Bearer canary")), "INVALID_REQUEST", &["http.bearer.token"]),
        (only(oauth2(|c| c.token_url.clear())), "INVALID_REQUEST", &["http.oauth2.token_url"]),
        (
            only(oauth2(|c| c.token_url = "http://auth.example.com/".to_owned())),
            "INVALID_REQUEST",
            &["http.oauth2.token_url"],
        ),
        (
            only(oauth2(|c| c.token_url = "https://canary:x@h.example/".to_owned())),
            "INVALID_REQUEST",
            &["http.oauth2.token_url"],
        ),
        (
            only(oauth2(|c| c.token_url = "https://[::ffff:a9fe:a9fe]/".to_owned())),
            "URL_BLOCKED_ADDRESS",
            &["http.oauth2.token_url"],
        ),
        (
            only(oauth2(|c| c.token_url = "https://localhost/".to_owned())),
            "URL_BLOCKED_ADDRESS",
            &["http.oauth2.token_url"],
        ),
        (
            only(oauth2(|c| c.token_url = "https://auth.example.com:22/".to_owned())),
            "URL_PORT",
            &["http.oauth2.token_url"],
        ),
        (
            only(oauth2(|c| {
                c.client_id.clear();
                c.client_secret = "canary\0".to_owned()
            })),
            "INVALID_REQUEST",
            &["http.oauth2.client_id", "http.oauth2.client_secret"],
        ),
        (
            only(oauth2(|c| c.scopes = vec!["a".to_owned(), "b c".to_owned(), String::new()])),
            "INVALID_REQUEST",
            &["http.oauth2.scopes[1]", "http.oauth2.scopes[2]"],
        ),
        (only(oauth2(many)), "INVALID_REQUEST", &["http.oauth2.scopes"]),
        (only(oauth2(placed)), "INVALID_REQUEST", &["http.oauth2.secret_placement"]),
        (
            shows("", ""),
            "INVALID_REQUEST",
            &["client_certificate.certificate_pem", "client_certificate.private_key_pem"],
        ),
        (
            shows("canary", "canary"),
            "INVALID_REQUEST",
            &["client_certificate.certificate_pem", "client_certificate.private_key_pem"],
        ),
        (
            shows(&own.certificate_pem, &other.private_key_pem),
            "INVALID_REQUEST",
            &["client_certificate.private_key_pem"],
        ),
        (shows(&own.private_key_pem, &own.private_key_pem), "INVALID_REQUEST", &["client_certificate.certificate_pem"]),
    ];
    let made = created(&api, "").await;
    for (index, (credentials, reason, parts)) in cases.into_iter().enumerate() {
        let fields: Vec<String> = parts.iter().map(|part| format!("{of}.{part}")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let call = client.create_endpoint(with(credentials.clone()));
        let status = api.refuses(&format!("create {index}"), call, Code::InvalidArgument, reason, &fields).await;
        assert!(!shown(&status).contains("canary"), "{}", shown(&status));
        let call = client.update_endpoint(update(&made.id, Some(credentials), &["credentials"]));
        api.refuses(&format!("update {index}"), call, Code::InvalidArgument, reason, &fields).await;
    }
    assert!(!api.database_holds("canary").await);
}

#[tokio::test]
async fn credentials_and_a_header_of_ones_own_exclude_each_other() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let own = EndpointHeader { name: "Authorization".to_owned(), value: Some("canary".to_owned()) };
    let field = "endpoint.credentials.http";
    let mut both = with(only(bearer("token")));
    both.endpoint.as_mut().unwrap().headers = vec![own.clone()];
    let call = client.create_endpoint(both);
    api.refuses("create", call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;

    // Whichever comes second is at fault, and a certificate alone excludes nothing.
    let mut headed = create("");
    headed.endpoint.as_mut().unwrap().headers = vec![own.clone()];
    let headed = client.create_endpoint(headed).await.unwrap().into_inner().endpoint.unwrap();
    let call = client.update_endpoint(update(&headed.id, Some(only(bearer("token"))), &["credentials.http"]));
    api.refuses("credentials", call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    let shows = EndpointCredentials { http: None, client_certificate: Some(certificate("a.example")) };
    client.update_endpoint(update(&headed.id, Some(shows), &["credentials"])).await.unwrap();

    let known = client.create_endpoint(with(only(bearer("token")))).await.unwrap().into_inner().endpoint.unwrap();
    let mut second = update(&known.id, None, &["headers"]);
    second.endpoint.as_mut().unwrap().headers = vec![own.clone()];
    let call = client.update_endpoint(second.clone());
    api.refuses("headers", call, Code::InvalidArgument, "INVALID_REQUEST", &["endpoint.headers[0].name"]).await;
    // Both at once: the one goes as the other comes.
    second.update_mask.as_mut().unwrap().paths.push("credentials".to_owned());
    let after = client.update_endpoint(second).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!((after.credentials_summary, after.headers.len()), (None, 1));
}
