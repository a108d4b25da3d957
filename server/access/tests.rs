use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use super::*;
use crate::{
    configure::{NewKey, NewTenant, TenantPatch},
    fixture::{Fixture, TENANT, twins},
    model::Tenant,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn scopes(of: &[Scope]) -> Scopes {
    of.iter().copied().collect()
}

impl Fixture {
    async fn key(&self, tenant: Option<TenantKey>, of: &[Scope], lasts: Option<Duration>) -> HeldKey {
        let expires = lasts.map(|lasts| self.shared.clock.now().plus(lasts));
        let new = NewKey { tenant, display_name: String::new(), scopes: scopes(of), expires };
        let (stored, held): (ApiKey, _) = self.configurator.create_key(TenantKey::OPERATORS, new).await.unwrap();
        assert_eq!((stored.id, stored.hash), (held.id, held.hash()));
        held
    }

    fn caller(&self, text: &str) -> Result<Caller, Invalid> {
        caller(&self.shared, text)
    }

    fn token(&self, maker: &HeldKey, lasts: Duration) -> String {
        let expires = self.shared.clock.now().plus(lasts);
        issue(&self.shared.keys, maker.id, TENANT, scopes(&[Scope::DeliveriesRead, Scope::EndpointsRead]), expires)
    }
}

#[tokio::test]
async fn key_lets_its_holder_in_until_it_expires_or_is_revoked() {
    let house = Fixture::new().await;
    let of_tenant = house.key(Some(TENANT), &[Scope::EventsPublish], Some(HOUR)).await;
    let of_operator = house.key(None, &[Scope::Admin], None).await;
    let caller = house.caller(&of_tenant.text()).unwrap();
    assert_eq!(caller.tenant, Some((TENANT, "default".into())));
    assert!(caller.scopes.allow(Scope::EventsPublish) && !caller.scopes.allow(Scope::EndpointsRead));
    let operator = house.caller(&of_operator.text()).unwrap();
    assert!(operator.tenant.is_none() && operator.scopes.allow(Scope::EndpointsRead));

    house.shared.clock.advance(HOUR - Duration::from_micros(1));
    assert!(house.caller(&of_tenant.text()).is_ok());
    house.shared.clock.advance(Duration::from_micros(1));
    assert_eq!(house.caller(&of_tenant.text()).unwrap_err(), Invalid);

    house.configurator.revoke_key(TenantKey::OPERATORS, of_operator.id).await.unwrap();
    assert_eq!(house.caller(&of_operator.text()).unwrap_err(), Invalid);
    assert!(operator.revoked.is_cancelled() && !caller.revoked.is_cancelled());
    let again = house.configurator.revoke_key(TenantKey::OPERATORS, of_operator.id).await;
    assert!(matches!(again, Err(crate::configure::Error::NoSuchKey)));
}

#[tokio::test]
async fn wrong_secret_unknown_id_and_nonsense_are_one_refusal() {
    let house = Fixture::new().await;
    let (first, second) = (house.key(None, &[Scope::Admin], None).await, house.key(None, &[Scope::Admin], None).await);
    let (first, second) = (first.text(), second.text());
    let mixed = format!("{}{}", &first[..31], &second[31..]);
    for text in [mixed.as_str(), &new_key().text(), "", "tdk_", "tdd_", "tdd_AAAA", &first[..82], &first.to_uppercase()]
    {
        assert_eq!(house.caller(text).unwrap_err(), Invalid, "{text}");
    }
}

#[tokio::test]
async fn keys_are_there_after_a_start_and_after_another_server_changed_them() {
    let house = Fixture::new().await;
    let (kept, gone) =
        (house.key(Some(TENANT), &[Scope::EventsPublish], None).await, house.key(None, &[Scope::Admin], None).await);
    let house = house.reopened().await;
    let (kept_caller, gone_caller) = (house.caller(&kept.text()).unwrap(), house.caller(&gone.text()).unwrap());
    assert_eq!(kept_caller.tenant, Some((TENANT, "default".into())));

    // As another server of the database would.
    let id = gone.id;
    let unit = house.shared.db.write(move |tx| {
        Box::pin(async move {
            crate::store::api_key::delete(tx, id).await?;
            crate::store::meta::raise_cfg(tx).await?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    house.shared.catch_up().await.unwrap();
    assert!(gone_caller.revoked.is_cancelled() && house.caller(&gone.text()).is_err());
    assert!(!kept_caller.revoked.is_cancelled() && house.caller(&kept.text()).is_ok());
    house.configurator.revoke_key(TenantKey::OPERATORS, kept.id).await.unwrap();
    assert!(kept_caller.revoked.is_cancelled(), "what was opened before the configuration was read anew ends too");
}

#[test]
fn every_byte_of_a_hash_is_compared() {
    let (held, access) = (new_key(), Access::default());
    let now = Timestamp::from_micros(0);
    let key = |hash| ApiKey {
        key: 1,
        id: held.id,
        tenant: None,
        display_name: String::new(),
        scopes: scopes(&[Scope::Admin]),
        hash,
        created: now,
        expires: None,
    };
    for place in 0..32 {
        let mut hash = held.hash();
        hash[place] ^= 1;
        access.apply(&key(hash), None);
        assert_eq!(access.holder(&held.text(), now).unwrap_err(), Invalid, "{place}");
    }
    access.apply(&key(held.hash()), None);
    assert!(access.holder(&held.text(), now).is_ok());
}

#[tokio::test]
async fn token_looks_at_one_tenant_until_it_or_its_makers_key_ends() {
    let house = Fixture::new().await;
    let maker = house.key(None, &[Scope::Admin], Some(2 * HOUR)).await;
    let narrow = house.key(Some(TENANT), &[Scope::DeliveriesRead], None).await;
    let (token, long) = (house.token(&maker, HOUR), house.token(&maker, 9 * HOUR));
    let caller = house.caller(&token).unwrap();
    assert_eq!(caller.tenant, Some((TENANT, "default".into())));
    assert!(caller.by_token && caller.scopes == scopes(&[Scope::DeliveriesRead, Scope::EndpointsRead]));
    assert_eq!(house.caller(&house.token(&narrow, HOUR)).unwrap().scopes, scopes(&[Scope::DeliveriesRead]));

    for place in 0..token.len() {
        let mut other = token.clone();
        other.replace_range(place..=place, if token.as_bytes()[place] == b'A' { "B" } else { "A" });
        assert_eq!(house.caller(&other).unwrap_err(), Invalid, "{place}");
    }
    house.shared.clock.advance(HOUR);
    assert_eq!(house.caller(&token).unwrap_err(), Invalid);
    assert_eq!(
        house.caller(&long).unwrap().expires,
        house.caller(&maker.text()).unwrap().expires,
        "streams end with it"
    );
    house.shared.clock.advance(HOUR);
    assert_eq!(house.caller(&long).unwrap_err(), Invalid, "its maker's key has expired");

    let of_narrow = house.token(&narrow, HOUR);
    let opened = house.caller(&of_narrow).unwrap();
    house.configurator.revoke_key(TenantKey::OPERATORS, narrow.id).await.unwrap();
    assert!(opened.revoked.is_cancelled() && house.caller(&of_narrow).is_err());
}

#[tokio::test]
async fn keys_and_tokens_of_a_tenant_go_with_it() {
    let house = Fixture::new().await;
    let new = NewTenant { id: "acme".to_owned(), settings: TenantPatch::default() };
    let tenant: Tenant = house.configurator.create_tenant(TenantKey::OPERATORS, new.clone()).await.unwrap();
    let (own, maker) = (
        house.key(Some(tenant.key), &[Scope::EventsPublish], None).await,
        house.key(None, &[Scope::Admin], None).await,
    );
    let expires = house.shared.clock.now().plus(HOUR);
    let token = issue(&house.shared.keys, maker.id, tenant.key, scopes(&[Scope::DeliveriesRead]), expires);
    let caller = house.caller(&own.text()).unwrap();
    assert!(house.caller(&token).is_ok());
    house.configurator.delete_tenant(TenantKey::OPERATORS, tenant.key, None).await.unwrap();
    assert!(caller.revoked.is_cancelled() && house.caller(&own.text()).is_err() && house.caller(&token).is_err());
    let again: Tenant = house.configurator.create_tenant(TenantKey::OPERATORS, new).await.unwrap();
    assert!(again.key != tenant.key && house.caller(&own.text()).is_err() && house.caller(&token).is_err());
    let house = house.reopened().await;
    assert!(house.caller(&own.text()).is_err() && house.caller(&maker.text()).is_ok());
}

#[tokio::test]
async fn first_start_writes_a_key_that_only_its_owner_can_read() {
    let house = Fixture::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.db.admin-key");
    let config = AdminConfig { given: None, file: Some(path.clone()) };
    assert!(matches!(ensure_admin(&house.shared, &AdminConfig::default()).await, Err(AdminKeyError::Unsaid)));
    // A draft that a crash left is replaced.
    fs::write(directory.path().join("t.db.admin-key.new"), "half").unwrap();
    assert_eq!(ensure_admin(&house.shared, &config).await.unwrap(), Some(path.clone()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(house.caller(text.trim()).unwrap().scopes.allow(Scope::Admin));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    let house = house.reopened().await;
    assert_eq!(ensure_admin(&house.shared, &config).await.unwrap(), None);
    assert!(house.caller(text.trim()).is_ok());
    // Once no operator can get in, the next start takes what the file holds, or makes another.
    let id = HeldKey::parse(text.trim()).unwrap().id;
    house.configurator.revoke_key(TenantKey::OPERATORS, id).await.unwrap();
    house.key(None, &[Scope::Admin], Some(HOUR)).await;
    house.shared.clock.advance(HOUR);
    house.key(None, &[Scope::EventsPublish], None).await;
    fs::remove_file(&path).unwrap();
    assert_eq!(ensure_admin(&house.shared, &config).await.unwrap(), Some(path.clone()));
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn key_file_that_is_there_is_taken_if_it_is_private_and_a_key() {
    let house = Fixture::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let config = AdminConfig { given: None, file: Some(path.clone()) };
    let key = new_key();
    for (content, mode) in [(key.text().to_string(), 0o640), ("canary".to_owned(), 0o600), (String::new(), 0o600)] {
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = ensure_admin(&house.shared, &config).await.unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && !error.contains("canary"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    fs::write(&path, format!("{}\n", *key.text())).unwrap();
    ensure_admin(&house.shared, &config).await.unwrap();
    assert!(house.caller(&key.text()).is_ok());
}

#[tokio::test]
async fn key_that_is_given_is_good_while_the_server_runs_with_it() {
    let house = Fixture::new().await;
    let key = new_key();
    let config = AdminConfig { given: Some(key.clone()), file: None };
    assert_eq!(ensure_admin(&house.shared, &config).await.unwrap(), None);
    assert!(house.caller(&key.text()).is_ok());
    let unit = house.shared.db.read(|conn| Box::pin(crate::store::api_key::count(conn, None)));
    assert_eq!(unit.await.unwrap(), 0, "it is not stored");
    let house = house.reopened().await;
    assert_eq!(house.caller(&key.text()).unwrap_err(), Invalid);
}

twins!(
    "tests.rs",
    [
        key_lets_its_holder_in_until_it_expires_or_is_revoked,
        wrong_secret_unknown_id_and_nonsense_are_one_refusal,
        keys_are_there_after_a_start_and_after_another_server_changed_them,
        token_looks_at_one_tenant_until_it_or_its_makers_key_ends,
        keys_and_tokens_of_a_tenant_go_with_it,
        first_start_writes_a_key_that_only_its_owner_can_read,
        key_file_that_is_there_is_taken_if_it_is_private_and_a_key,
        key_that_is_given_is_good_while_the_server_runs_with_it,
    ]
);
