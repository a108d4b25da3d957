//! Public keys over plain HTTP.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tidings::proto::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    create,
    support::{Api, soon},
};

/// What the server answers to one HTTP/1.1 request: the head and the body.
async fn ask(api: &Api, method: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    let host = api.address();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn keys(api: &Api, endpoint: &str) -> Vec<Value> {
    let (head, body) = ask(api, "GET", &format!("/endpoints/{endpoint}/jwks.json"), "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/jwk-set+json"), "{head}");
    assert!(head.contains("cache-control: public, max-age=300"), "{head}");
    let set: Value = serde_json::from_str(&body).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// A key as the set should have it.
fn expected(secret: &EndpointSecret) -> Value {
    let key = STANDARD.decode(secret.public_key.strip_prefix("whpk_").unwrap()).unwrap();
    serde_json::json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": secret.id, "x": URL_SAFE_NO_PAD.encode(key),
    })
}

#[tokio::test]
async fn key_set_has_every_live_public_key_newest_first_and_no_secret() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let mut request = create("");
    let preset = StylePreset::StandardEd25519 as i32;
    request.endpoint.as_mut().unwrap().style = Some(EndpointStyle { preset, ..Default::default() });
    let endpoint_id = client.create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id;
    let rotate = RotateEndpointSecretRequest { endpoint_id: endpoint_id.clone(), ..Default::default() };
    let rotated = client.rotate_endpoint_secret(rotate).await.unwrap().into_inner();
    assert!(rotated.secret.is_empty());
    assert_eq!(rotated.issued_secret.unwrap().public_key, rotated.secrets[0].public_key);
    let both: Vec<Value> = rotated.secrets.iter().map(expected).collect();
    assert_eq!(keys(&api, &endpoint_id).await, both);

    let old = rotated.secrets[1].id.clone();
    let revoke = RevokeEndpointSecretRequest { endpoint_id: endpoint_id.clone(), secret_id: old, ..Default::default() };
    client.revoke_endpoint_secret(revoke).await.unwrap();
    assert_eq!(keys(&api, &endpoint_id).await, both[..1]);

    let path = format!("/endpoints/{endpoint_id}/jwks.json");
    let (head, body) = ask(&api, "HEAD", &path, "").await;
    assert!(head.starts_with("http/1.1 200") && body.is_empty(), "{head} {body}");
    let (head, _) = ask(&api, "POST", &path, "content-length: 0\r\n").await;
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head"), "{head}");

    client.delete_endpoint(DeleteEndpointRequest { endpoint_id, ..Default::default() }).await.unwrap();
    assert!(ask(&api, "GET", &path, "").await.0.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn symmetric_secrets_are_in_no_key_set() {
    let api = Api::start().await;
    let endpoint = api.client.clone().create_endpoint(create("")).await.unwrap().into_inner().endpoint.unwrap();
    assert_eq!(keys(&api, &endpoint.id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn other_paths_callers_and_calls_over_http_1_are_refused() {
    let api = Api::start().await;
    for path in
        ["/endpoints/ep_00000000000000000000000000/jwks.json", "/endpoints/x/jwks.json", "/endpoints//jwks.json"]
    {
        assert!(ask(&api, "GET", path, "").await.0.starts_with("http/1.1 404"), "{path}");
    }
    assert!(ask(&api, "GET", "/", "").await.0.starts_with("http/1.1 405"));
    let from_a_page = ask(&api, "GET", "/endpoints/x/jwks.json", "origin: https://example.com\r\n").await.0;
    assert!(from_a_page.contains("grpc-status: 7"), "{from_a_page}");
    let call = "content-type: application/grpc\r\ncontent-length: 0\r\n";
    let over_http_1 = ask(&api, "POST", "/tidings.v1.WebhookService/ListEndpoints", call).await.0;
    assert!(over_http_1.starts_with("http/1.1 505"), "{over_http_1}");
}
