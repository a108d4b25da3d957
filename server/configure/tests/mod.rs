mod catalogue;
mod credentials;
mod secrets;
mod styles;

use std::time::Duration;

use super::*;
use crate::{
    fixture::{DAY, Fixture, OTHER_TENANT, TENANT, settings, twins},
    model::{EndpointSettings, SecretKey, TypeFilter},
    signing,
    store::Health,
};

impl Fixture {
    async fn kinds(&self) -> Vec<TransitionKind> {
        let entries = self.log().await.into_iter().flat_map(|row| row.body.entries);
        entries.map(|entry| TransitionKind::from_i32(entry.kind).unwrap()).collect()
    }

    async fn stored(&self, key: EndpointKey) -> Endpoint {
        let read = self.shared.db.read(move |conn| Box::pin(store::endpoint::get(conn, TENANT, key)));
        read.await.unwrap().unwrap()
    }

    async fn stored_secrets(&self, key: EndpointKey) -> Vec<Secret> {
        let read = self.shared.db.read(move |conn| Box::pin(store::secret::load(conn, key, key)));
        read.await.unwrap().into_iter().map(|secret| secret.open(&self.shared.keyring).unwrap()).collect()
    }

    async fn versions(&self) -> usize {
        let cfg = self.shared.routes.cfg();
        let mut different = Vec::new();
        for cfg in 1..=cfg {
            let read = self
                .shared
                .db
                .read(move |conn| Box::pin(store::endpoint::versions_at(conn, TENANT, cfg, EndpointKey(0), 10)));
            different.push(read.await.unwrap());
        }
        different.dedup();
        different.len() - 1
    }
}

/// A rotation of Standard Webhooks to a new secret.
fn rotation(overlap: Duration) -> Rotation {
    let value = Arc::new(signing::Secret::generate(signing::KeyForm::Base64));
    Rotation { scheme: "standard".into(), value, takeover: Takeover::Overlap(overlap) }
}

fn texts(secrets: &[Secret]) -> Vec<&str> {
    secrets.iter().map(|secret| secret.value.expose()).collect()
}

#[tokio::test]
async fn created_endpoint_is_stored_routed_and_logged() {
    let fixture = Fixture::new().await;
    let mut head = fixture.shared.head.subscribe();
    let endpoint = fixture.endpoint(false).await;
    assert_eq!(fixture.stored(endpoint.key).await, endpoint);
    assert_eq!(fixture.shared.routes.wanting(TENANT, "any"), (vec![endpoint.key], endpoint.version));
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated]);
    assert!(head.has_changed().unwrap());
    assert_eq!(*head.borrow_and_update(), fixture.log().await.last().unwrap().seq);
}

#[tokio::test]
async fn endpoint_created_disabled_gets_nothing() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(true).await;
    assert_eq!(endpoint.status, disabled_on_request(fixture.shared.clock.now()));
    assert_eq!(fixture.shared.routes.wanting(TENANT, "any").0, []);
}

#[tokio::test]
async fn what_another_tenant_owns_is_not_found() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let configurator = &fixture.configurator;
    let refusals = [
        configurator.update_endpoint(OTHER_TENANT, key, None, EndpointPatch::default()).await.map(drop),
        configurator.delete_endpoint(OTHER_TENANT, key, None).await,
        configurator.pause_endpoint(OTHER_TENANT, key, None).await.map(drop),
        configurator.disable_endpoint(OTHER_TENANT, key, None).await.map(drop),
        configurator.activate_endpoint(OTHER_TENANT, key, None, None).await.map(drop),
        configurator.rotate_secret(OTHER_TENANT, key, None, rotation(DAY)).await.map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(Error::NotFound)), "{refusal:?}");
    }
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated]);
}

#[tokio::test]
async fn update_changes_what_it_names_under_the_right_etag_only() {
    let fixture = Fixture::new().await;
    let before = fixture.endpoint(false).await;
    let patch = EndpointPatch { description: Some("new".to_owned()), ..EndpointPatch::default() };
    let fresh = Some(etag(&fixture.shared.keys, &before));
    let updated = fixture.configurator.update_endpoint(TENANT, before.key, fresh.clone(), patch.clone()).await;
    let (after, issued) = updated.unwrap();
    assert!(issued.is_empty());
    assert_eq!(after.settings, EndpointSettings { description: "new".to_owned(), ..before.settings.clone() });
    assert_eq!(fixture.stored(before.key).await, after);
    assert_eq!(fixture.shared.routes.endpoint(before.key).unwrap().endpoint, after);

    let stale = fixture.configurator.update_endpoint(TENANT, before.key, fresh.clone(), patch).await;
    assert!(matches!(stale, Err(Error::Conflict)), "{stale:?}");
    let stale = fixture.configurator.delete_endpoint(TENANT, before.key, fresh).await;
    assert!(matches!(stale, Err(Error::Conflict)), "{stale:?}");
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated, TransitionKind::EndpointUpdated]);
}

#[tokio::test]
async fn only_changes_that_routing_reads_write_a_version() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let name = EndpointPatch { display_name: Some("other".to_owned()), ..EndpointPatch::default() };
    fixture.configurator.update_endpoint(TENANT, key, None, name).await.unwrap();
    fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    assert_eq!(fixture.versions().await, 1);
    let filter = TypeFilter::parse(&["user.*".to_owned()]).unwrap();
    let filter = EndpointPatch { filter: Some(filter), ..EndpointPatch::default() };
    fixture.configurator.update_endpoint(TENANT, key, None, filter).await.unwrap();
    assert_eq!(fixture.versions().await, 2);
    fixture.configurator.disable_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!(fixture.versions().await, 3);
}

#[tokio::test]
async fn disabling_again_keeps_the_first_time_and_writes_nothing() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let first = fixture.configurator.disable_endpoint(TENANT, key, None).await.unwrap();
    fixture.shared.clock.advance(DAY);
    assert_eq!(fixture.configurator.disable_endpoint(TENANT, key, None).await.unwrap(), first);
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated, TransitionKind::EndpointDisabled]);
    let reason = fixture.log().await.last().unwrap().body.entries[0].disable_reason;
    assert_eq!(reason, DisableReason::Requested as i32);
}

#[tokio::test]
async fn pausing_changes_routing_only_for_an_endpoint_that_was_disabled() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let routed = || fixture.shared.routes.wanting(TENANT, "any").0;
    fixture.configurator.pause_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!((fixture.versions().await, routed()), (1, vec![key]));
    fixture.configurator.disable_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!((fixture.versions().await, routed()), (2, vec![]));
    fixture.configurator.pause_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!((fixture.versions().await, routed()), (3, vec![key]));
    fixture.configurator.activate_endpoint(TENANT, key, None, None).await.unwrap();
    assert_eq!((fixture.versions().await, routed()), (3, vec![key]));
}

#[tokio::test]
async fn pausing_again_keeps_the_first_time_and_writes_nothing() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let first = fixture.configurator.pause_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!(first.status, EndpointStatus::Paused { since: fixture.shared.clock.now() });
    fixture.shared.clock.advance(DAY);
    assert_eq!(fixture.configurator.pause_endpoint(TENANT, key, None).await.unwrap(), first);
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated, TransitionKind::EndpointPaused]);
    assert_eq!(fixture.stored(key).await, first);
    let stale = Some("AAAAAAAAAAAA".to_owned());
    let refused = fixture.configurator.pause_endpoint(TENANT, key, stale.clone()).await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    let refused = fixture.configurator.activate_endpoint(TENANT, key, stale, None).await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
}

#[tokio::test]
async fn activation_begins_anew() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    fixture.configurator.activate_endpoint(TENANT, key, None, None).await.unwrap();
    assert_eq!(fixture.kinds().await, [TransitionKind::EndpointCreated]);

    let failing_since = Timestamp::from_micros(1);
    let health = Health { generation: 1, failing_since, dead_in_row: 3, warning: None };
    let write = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            store::health::set_failing(tx, key, health).await?;
            tx.commit().await
        })
    });
    write.await.unwrap();
    fixture.shared.routes.set_failing(key, Some(health));
    fixture.configurator.disable_endpoint(TENANT, key, None).await.unwrap();
    let active = fixture.configurator.activate_endpoint(TENANT, key, None, None).await.unwrap();
    assert_eq!((active.status, active.generation), (EndpointStatus::Enabled, 2));
    assert_eq!(fixture.shared.routes.failing(key), None);
    let all = fixture.shared.db.read(|conn| Box::pin(store::health::all(conn))).await.unwrap();
    assert_eq!(all, []);
}

#[tokio::test]
async fn deleted_endpoint_has_no_secrets_and_is_not_found() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    fixture.configurator.delete_endpoint(TENANT, key, None).await.unwrap();
    assert_eq!(fixture.stored(key).await.status, EndpointStatus::Deleted);
    assert!(fixture.stored_secrets(key).await.is_empty());
    assert_eq!(fixture.shared.routes.wanting(TENANT, "any").0, []);
    let again = fixture.configurator.delete_endpoint(TENANT, key, None).await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
}

#[tokio::test]
async fn the_next_life_knows_what_this_one_configured() {
    let fixture = Fixture::new().await;
    let kept = fixture.endpoint(false).await;
    let gone = fixture.endpoint(false).await;
    let secrets = fixture.configurator.rotate_secret(TENANT, kept.key, None, rotation(DAY)).await.unwrap();
    fixture.configurator.delete_endpoint(TENANT, gone.key, None).await.unwrap();
    let kept = fixture.stored(kept.key).await;
    let (cfg, incarnation) = (fixture.shared.routes.cfg(), fixture.shared.incarnation);

    let next = fixture.reopened().await;
    assert!(next.shared.incarnation > incarnation);
    assert_eq!(next.shared.routes.wanting(TENANT, "any"), (vec![kept.key], cfg));
    let entry = next.shared.routes.endpoint(kept.key).unwrap();
    assert_eq!(entry.endpoint, kept);
    assert_eq!(texts(&entry.secrets), texts(&secrets));
    assert!(next.shared.routes.endpoint(gone.key).is_none());
}

twins!(
    "mod.rs",
    [
        created_endpoint_is_stored_routed_and_logged,
        endpoint_created_disabled_gets_nothing,
        what_another_tenant_owns_is_not_found,
        update_changes_what_it_names_under_the_right_etag_only,
        only_changes_that_routing_reads_write_a_version,
        disabling_again_keeps_the_first_time_and_writes_nothing,
        pausing_changes_routing_only_for_an_endpoint_that_was_disabled,
        pausing_again_keeps_the_first_time_and_writes_nothing,
        activation_begins_anew,
        deleted_endpoint_has_no_secrets_and_is_not_found,
        the_next_life_knows_what_this_one_configured,
    ]
);
