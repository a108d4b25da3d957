//! Credentials: attempts have them at once and after a restart, other changes leave them, and deletion erases them.

use super::*;
use crate::{
    configure::CredentialsPatch,
    model::{ClientCertificate, Credentials, CustomHeader, HttpCredentials},
};

fn credentials() -> Credentials {
    let certificate =
        ClientCertificate { chain: "chain".to_owned(), key: "key".to_owned().into(), fingerprint: [0xa5; 32] };
    Credentials { http: Some(HttpCredentials::Bearer("token".to_owned().into())), certificate: Some(certificate) }
}

impl Fixture {
    async fn known(&self) -> Endpoint {
        let credentials = credentials();
        let settings = EndpointSettings { credentials: credentials.summary(), ..settings() };
        let new = NewEndpoint { settings, disabled: false, secrets: Vec::new(), headers: Vec::new(), credentials };
        self.configurator.create_endpoint(TENANT, new).await.unwrap().0
    }

    /// What attempts read.
    fn in_memory(&self, key: EndpointKey) -> Credentials {
        let entry = self.shared.routes.endpoint(key).unwrap();
        entry.credentials.as_deref().cloned().unwrap_or_default()
    }

    async fn rows(&self) -> usize {
        let keyring = self.shared.keyring.clone();
        let (first, last) = (EndpointKey(0), EndpointKey(i64::MAX));
        let read = self
            .shared
            .db
            .read(move |conn| Box::pin(async move { store::credentials::load(conn, &keyring, first, last).await }));
        read.await.unwrap().len()
    }
}

#[tokio::test]
async fn attempts_have_credentials_at_once_and_in_the_next_life() {
    let fixture = Fixture::new().await;
    let (made, other) = (fixture.known().await, fixture.endpoint(false).await);
    assert_eq!((fixture.in_memory(made.key), fixture.in_memory(other.key)), (credentials(), Credentials::default()));
    let paused = fixture.configurator.pause_endpoint(TENANT, made.key, None).await.unwrap();
    assert_eq!(paused.settings.credentials, credentials().summary());
    assert_eq!(fixture.in_memory(made.key), credentials());

    let fixture = fixture.reopened().await;
    assert_eq!((fixture.in_memory(made.key), fixture.in_memory(other.key)), (credentials(), Credentials::default()));
    assert_eq!(fixture.stored(made.key).await.settings.credentials, credentials().summary());
}

#[tokio::test]
async fn debug_shows_no_secret_of_an_endpoint() {
    let certificate =
        ClientCertificate { chain: "chain".to_owned(), key: "canary".to_owned().into(), fingerprint: [0xa5; 32] };
    let http = Some(HttpCredentials::Bearer("canary".to_owned().into()));
    let credentials = Credentials { http, certificate: Some(certificate) };
    let new = NewEndpoint {
        settings: EndpointSettings { credentials: credentials.summary(), ..settings() },
        disabled: false,
        secrets: Vec::new(),
        headers: vec![CustomHeader { name: "x-a".to_owned(), value: "canary".to_owned().into() }],
        credentials,
    };
    let given = format!("{new:?}");
    let fixture = Fixture::new().await;
    let (made, secrets) = fixture.configurator.create_endpoint(TENANT, new).await.unwrap();
    let entry = fixture.shared.routes.endpoint(made.key).unwrap();
    let shown = format!("{given} {made:?} {secrets:?} {entry:?} {:?}", fixture.shared);
    for secret in ["canary", secrets[0].value.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_part_is_taken_away_by_itself_and_deletion_erases_the_rest() {
    let fixture = Fixture::new().await;
    let key = fixture.known().await.key;
    let patch = CredentialsPatch { http: Some(None), certificate: None };
    let patch = EndpointPatch { credentials: patch, ..EndpointPatch::default() };
    let (changed, _) = fixture.configurator.update_endpoint(TENANT, key, None, patch).await.unwrap();
    let left = Credentials { http: None, ..credentials() };
    assert_eq!((changed.settings.credentials, fixture.in_memory(key)), (left.summary(), left));
    assert_eq!(fixture.rows().await, 1);
    fixture.configurator.delete_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!(fixture.rows().await, 0);
}

#[tokio::test]
async fn client_certificate_is_not_kept_for_plain_http() {
    let fixture = Fixture::new().await;
    let key = fixture.known().await.key;
    let plain = EndpointPatch { url: Some("http://example.com/".parse().unwrap()), ..EndpointPatch::default() };
    let refused = fixture.configurator.update_endpoint(TENANT, key, None, plain.clone()).await;
    let Err(Error::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.iter().map(|refusal| refusal.field.as_str()).collect::<Vec<_>>(), ["endpoint.url"]);
    let credentials = CredentialsPatch { http: None, certificate: Some(None) };
    let both = EndpointPatch { credentials, ..plain };
    fixture.configurator.update_endpoint(TENANT, key, None, both).await.unwrap();
}

twins!(
    "credentials.rs",
    [
        a_part_is_taken_away_by_itself_and_deletion_erases_the_rest,
        attempts_have_credentials_at_once_and_in_the_next_life,
        client_certificate_is_not_kept_for_plain_http,
        debug_shows_no_secret_of_an_endpoint,
    ]
);
