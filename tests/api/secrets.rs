//! Secrets: at creation and in rotation.

use tidings::proto::*;
use tokio::task::JoinSet;
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

fn in_style(preset: StylePreset) -> CreateEndpointRequest {
    let mut request = create("");
    request.endpoint.as_mut().unwrap().style = Some(EndpointStyle { preset: preset as i32, ..Default::default() });
    request
}

fn listing(endpoint: &Endpoint) -> ListEndpointSecretsRequest {
    ListEndpointSecretsRequest { endpoint_id: endpoint.id.clone(), ..Default::default() }
}

#[tokio::test]
async fn staged_rotation_is_announced_activated_and_revoked() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = client.create_endpoint(in_style(StylePreset::Github)).await.unwrap().into_inner().endpoint.unwrap();
    let staged = client.rotate_endpoint_secret(rotate(&endpoint, None)).await.unwrap().into_inner();
    let [new, old] = staged.secrets.as_slice() else { panic!("{:?}", staged.secrets) };
    assert_eq!((new.state(), old.state()), (SecretState::Staged, SecretState::Active));
    assert_eq!((new.activate_time, old.expire_time), (None, None));
    let issued = staged.issued_secret.unwrap();
    assert_eq!((issued.secret_id.as_str(), issued.secret.as_str()), (new.id.as_str(), staged.secret.as_str()));
    assert_eq!(issued.scheme, "github");

    let mut refusing = api.client.clone();
    let again = refusing.rotate_endpoint_secret(rotate(&endpoint, None));
    api.refuses("staged", again, Code::FailedPrecondition, "SECRET_STAGED", &[]).await;
    let revoke = |id: &str| RevokeEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret_id: id.to_owned(),
        ..Default::default()
    };
    let mut refusing = api.client.clone();
    let last = refusing.revoke_endpoint_secret(revoke(&old.id));
    api.refuses("last", last, Code::FailedPrecondition, "LAST_SECRET", &[]).await;

    let activate = ActivateEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret_id: new.id.clone(),
        ..Default::default()
    };
    let active = client.activate_endpoint_secret(activate.clone()).await.unwrap().into_inner().secrets;
    let [only] = active.as_slice() else { panic!("{active:?}") };
    assert_eq!((&only.id, only.state()), (&new.id, SecretState::Active));
    assert!(only.activate_time.is_some());
    assert_eq!(client.list_endpoint_secrets(listing(&endpoint)).await.unwrap().into_inner().secrets, active);
    let mut refusing = api.client.clone();
    let gone = refusing.revoke_endpoint_secret(revoke(&old.id));
    api.refuses("gone", gone, Code::NotFound, "NOT_FOUND", &[]).await;
    assert_eq!(client.activate_endpoint_secret(activate).await.unwrap().into_inner().secrets, active);

    let api = api.restart().await;
    let mut client = api.client.clone();
    assert_eq!(client.list_endpoint_secrets(listing(&endpoint)).await.unwrap().into_inner().secrets, active);
}

#[tokio::test]
async fn takeover_fits_the_scheme_or_is_refused() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let standard = created(&api, "").await;
    let github = client.create_endpoint(in_style(StylePreset::Github)).await.unwrap().into_inner().endpoint.unwrap();
    let now = github.create_time.unwrap().seconds;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let cases = [
        (&standard, None, at(now + 3_600), "activate_time"),
        (&github, Some(span(3_600, 0)), None, "overlap"),
        (&github, Some(span(3_600, 0)), at(now + 3_600), "overlap"),
        (&standard, Some(span(3_600, 0)), at(now + 3_600), "activate_time"),
        (&github, None, at(now - 3_600), "activate_time"),
        (&github, None, at(now + 91 * 86_400), "activate_time"),
        (&github, None, at(i64::MAX), "activate_time"),
    ];
    for (endpoint, overlap, activate_time, field) in cases {
        let request = RotateEndpointSecretRequest { overlap, activate_time, ..rotate(endpoint, None) };
        let mut refusing = api.client.clone();
        let call = refusing.rotate_endpoint_secret(request);
        api.refuses(field, call, Code::InvalidArgument, "INVALID_REQUEST", &[field]).await;
    }
    let request = RotateEndpointSecretRequest { scheme: "none".to_owned(), ..rotate(&standard, None) };
    let mut refusing = api.client.clone();
    let call = refusing.rotate_endpoint_secret(request);
    api.refuses("scheme", call, Code::InvalidArgument, "INVALID_REQUEST", &["scheme"]).await;

    let request = RotateEndpointSecretRequest { activate_time: at(now + 3_600), ..rotate(&github, None) };
    let secrets = client.rotate_endpoint_secret(request).await.unwrap().into_inner().secrets;
    assert_eq!((secrets[0].activate_time, secrets[1].expire_time), (at(now + 3_600), at(now + 3_600)));
    assert_eq!((secrets[0].state(), secrets[1].state()), (SecretState::Staged, SecretState::Active));
}

#[tokio::test]
async fn weak_secret_has_a_warning_and_no_fingerprint() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    for (secret, weak) in [("hunter2", true), ("fifteen bytes..", true), ("sixteen bytes...", false)] {
        let request = CreateEndpointRequest { secret: Some(secret.to_owned()), ..in_style(StylePreset::Slack) };
        let answer = client.create_endpoint(request).await.unwrap().into_inner();
        assert_eq!(!answer.issued_secrets[0].warning.is_empty(), weak, "{secret}");
        let list = listing(&answer.endpoint.unwrap());
        let secrets = client.list_endpoint_secrets(list).await.unwrap().into_inner().secrets;
        assert_eq!(secrets[0].fingerprint.is_empty(), weak, "{secret}");
    }
}

#[tokio::test]
async fn imported_secrets_stand_in_no_plain_file() {
    let api = Api::start().await;
    let request =
        CreateEndpointRequest { secret: Some("canary of a secret".to_owned()), ..in_style(StylePreset::Slack) };
    let answer = api.client.clone().create_endpoint(request).await.unwrap().into_inner();
    assert_eq!(answer.secret, "canary of a secret");
    assert!(api.database_holds("https://example.com/hook").await, "the endpoint itself is there");
    assert!(!api.database_holds("canary").await);
}

#[tokio::test]
async fn secrets_page_through() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    for _ in 0..3 {
        client.rotate_endpoint_secret(rotate(&endpoint, None)).await.unwrap();
    }
    let all = client.list_endpoint_secrets(listing(&endpoint)).await.unwrap().into_inner();
    assert_eq!((all.secrets.len(), all.next_page_token.as_str()), (4, ""));
    let mut paged = Vec::new();
    let mut request = ListEndpointSecretsRequest { page_size: 3, ..listing(&endpoint) };
    for size in [3, 1] {
        let page = client.list_endpoint_secrets(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.secrets.len(), size);
        paged.extend(page.secrets);
        assert_eq!(page.next_page_token.is_empty(), size == 1);
        if size == 3 {
            request.page_token = page.next_page_token;
        }
    }
    assert_eq!(paged, all.secrets);
    let other = created(&api, "").await;
    let stolen = ListEndpointSecretsRequest { endpoint_id: other.id, ..request };
    let mut refusing = api.client.clone();
    let call = refusing.list_endpoint_secrets(stolen);
    api.refuses("stolen", call, Code::InvalidArgument, "INVALID_PAGE_TOKEN", &["page_token"]).await;
}

#[tokio::test]
async fn secrets_change_only_under_the_right_etag_of_their_endpoint() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    let etag = async || {
        let request = GetEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
        api.client.clone().get_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().etag
    };
    let rotate = |etag: &str| RotateEndpointSecretRequest { etag: etag.to_owned(), ..rotate(&endpoint, None) };
    let rotated = client.rotate_endpoint_secret(rotate(&endpoint.etag)).await.unwrap().into_inner();
    let present = etag().await;
    assert_ne!(present, endpoint.etag);
    let activate = |etag: &str| ActivateEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret_id: rotated.secrets[0].id.clone(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let revoke = |etag: &str| RevokeEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret_id: rotated.secrets[1].id.clone(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    for stale in [endpoint.etag.as_str(), "x"] {
        let call = client.rotate_endpoint_secret(rotate(stale));
        api.refuses("rotate", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
        let call = client.activate_endpoint_secret(activate(stale));
        api.refuses("activate", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
        let call = client.revoke_endpoint_secret(revoke(stale));
        api.refuses("revoke", call, Code::Aborted, "ETAG_MISMATCH", &[]).await;
    }
    client.activate_endpoint_secret(activate(&present)).await.unwrap();
    assert_eq!(etag().await, present, "it signed already");
    client.revoke_endpoint_secret(revoke(&present)).await.unwrap();
    assert_ne!(etag().await, present);
}

#[tokio::test]
async fn of_rotations_at_once_under_one_etag_one_acts() {
    let api = Api::start().await;
    let endpoint = created(&api, "").await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let mut client = api.client.clone();
        let request = RotateEndpointSecretRequest { etag: endpoint.etag.clone(), ..rotate(&endpoint, None) };
        calls.spawn(async move { client.rotate_endpoint_secret(request).await });
    }
    let answers = calls.join_all().await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!((answers.len(), refused.len()), (8, 7));
    for status in refused {
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        assert!(shown(status).contains("ETAG_MISMATCH"), "{}", shown(status));
    }
    let secrets = api.client.clone().list_endpoint_secrets(listing(&endpoint)).await.unwrap().into_inner().secrets;
    assert_eq!(secrets.len(), 2);
}

#[tokio::test]
async fn malformed_ids_of_secrets_are_invalid() {
    let api = Api::start().await;
    let mut client = api.client.clone();
    let endpoint = created(&api, "").await;
    let other_kind = endpoint.id.replacen("ep_", "sec_", 1);
    let before = api.kept().await;
    for id in
        ["", "x", "sec_", "' OR 1=1", "sec_00000000000000000000000000", &endpoint.id, &other_kind, "SEC_x", "sec_é"]
    {
        let (endpoint_id, secret_id) = (endpoint.id.clone(), id.to_owned());
        let activate = ActivateEndpointSecretRequest { endpoint_id, secret_id, ..Default::default() };
        let (endpoint_id, secret_id) = (endpoint.id.clone(), id.to_owned());
        let revoke = RevokeEndpointSecretRequest { endpoint_id, secret_id, ..Default::default() };
        let call = client.activate_endpoint_secret(activate);
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret_id"]).await;
        let call = client.revoke_endpoint_secret(revoke);
        api.refuses(id, call, Code::InvalidArgument, "INVALID_REQUEST", &["secret_id"]).await;
    }
    assert_eq!(api.kept().await, before);
}
