//! Secrets: at creation and in rotation.

use tidings::proto::*;
use tonic::Code;

use crate::{
    create, created, span,
    support::{Api, shown},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn rotate(endpoint: &Endpoint, secret: Option<&str>) -> RotateEndpointSecretRequest {
    RotateEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret: secret.map(str::to_owned),
        ..Default::default()
    }
}

#[tokio::test]
async fn imported_secret_is_shown_once_and_rotates() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let request = CreateEndpointRequest { secret: Some(SECRET.to_owned()), ..create("") };
    let answer = client.create_endpoint(request).await.unwrap().into_inner();
    assert_eq!(answer.secret, SECRET);
    let endpoint = answer.endpoint.unwrap();

    let rotated = client.rotate_endpoint_secret(rotate(&endpoint, None)).await.unwrap().into_inner();
    assert_ne!(rotated.secret, SECRET);
    let [new, old] = rotated.secrets.as_slice() else { panic!("{:?}", rotated.secrets) };
    assert_eq!(new.expire_time, None);
    let lasts = old.expire_time.unwrap().seconds - new.create_time.unwrap().seconds;
    assert_eq!(lasts, 24 * 3600);
    // The first 16 hexadecimal digits of `printf %s SECRET | sha256sum`.
    assert_eq!(old.fingerprint, "96ad2ccd81462a76");

    let request = RotateEndpointSecretRequest { overlap: Some(span(0, 0)), ..rotate(&endpoint, None) };
    let alone = client.rotate_endpoint_secret(request).await.unwrap().into_inner();
    assert_eq!(alone.secrets.len(), 1);
}

#[tokio::test]
async fn bad_secrets_are_refused_and_never_echoed() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    let (short, long) = (format!("whsec_{}", "QUJD".repeat(7)), format!("whsec_{}", "QUJD".repeat(22)));
    let huge = "QUJD".repeat(65);
    let not_base64 = "whsec_QUJD*UJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD";
    let public = "whpk_QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD";
    for secret in ["", "whsec_", "QUJDQUJD", not_base64, short.as_str(), &long, &huge, public] {
        let request = CreateEndpointRequest { secret: Some(secret.to_owned()), ..create("") };
        let call = client.create_endpoint(request);
        let status = api.refuses(secret, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret"]).await;
        assert!(!shown(&status).contains("QUJD"), "{}", shown(&status));
        let call = client.rotate_endpoint_secret(rotate(&endpoint, Some(secret)));
        let status = api.refuses(secret, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret"]).await;
        assert!(!shown(&status).contains("QUJD"), "{}", shown(&status));
    }
}

#[tokio::test]
async fn overlaps_have_limits() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    for overlap in [span(-1, 0), span(0, -1), span(604_800, 1), span(604_801, 0), span(1, -1), span(0, i32::MAX)] {
        let request = RotateEndpointSecretRequest { overlap: Some(overlap), ..rotate(&endpoint, Some("")) };
        let call = client.rotate_endpoint_secret(request);
        api.refuses("overlap", call, Code::InvalidArgument, "INVALID_REQUEST", &["overlap", "secret"]).await;
    }
    let request = RotateEndpointSecretRequest { overlap: Some(span(604_800, 0)), ..rotate(&endpoint, None) };
    client.rotate_endpoint_secret(request).await.unwrap();
}

#[tokio::test]
async fn rotation_that_cannot_be_is_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    client.rotate_endpoint_secret(rotate(&endpoint, Some(SECRET))).await.unwrap();
    let call = client.rotate_endpoint_secret(rotate(&endpoint, Some(SECRET)));
    let status = api.refuses("in use", call, Code::InvalidArgument, "INVALID_REQUEST", &["secret"]).await;
    assert!(!shown(&status).contains(SECRET));
    for _ in 0..2 {
        client.rotate_endpoint_secret(rotate(&endpoint, None)).await.unwrap();
    }
    let call = client.rotate_endpoint_secret(rotate(&endpoint, None));
    api.refuses("too many", call, Code::FailedPrecondition, "TOO_MANY_SECRETS", &[]).await;
    let delete = DeleteEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    client.delete_endpoint(delete).await.unwrap();
    let call = client.rotate_endpoint_secret(rotate(&endpoint, None));
    api.refuses("deleted", call, Code::NotFound, "NOT_FOUND", &[]).await;
}
