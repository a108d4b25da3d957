use std::{path::Path, sync::Arc};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    fixture::{Fixture, TENANT},
    model::{DeliveryKey, DeliveryState, EndpointKey, EventKey},
    redrive::expunge_event,
    shared::Shared,
    store::{self, DeliveryInsert, EventInsert, Settlement, name::Names},
};

const SEED: u64 = 0x5eed;
const EVENTS: i64 = 300;

/// What must not be found any more of an event, however it was stored.
fn canary(event: i64) -> String {
    format!("<canary-{event:06}>")
}

/// Writes events whose payloads and labels hold canaries: small ones that stand in a page together, and large ones that
/// overflow it.
async fn fill(shared: &Arc<Shared>, endpoint: EndpointKey) {
    let unit = shared.db.write(move |tx| {
        Box::pin(async move {
            let mut random = StdRng::seed_from_u64(SEED);
            let names = Names::default();
            let name = names.key(tx, &"text/plain".into()).await?;
            let events = (1..=EVENTS).map(|key| {
                let size = [0, 50, 300, 900, 3_000, 9_000, 40_000][random.random_range(0..7)];
                let payload = format!("{}{}{}", canary(key), "x".repeat(size), canary(key));
                let labels = [(canary(key), canary(key))].into_iter().collect();
                Ok(EventInsert {
                    key: EventKey(key),
                    tenant: TENANT,
                    id: format!("e{key}").into(),
                    event_type: name,
                    time: crate::model::Timestamp::from_micros(key),
                    created: crate::model::Timestamp::from_micros(key),
                    cfg: 1,
                    content_type: name,
                    ping_of: None,
                    fanout: 1,
                    labels: store::event::write_labels(&labels)?,
                    fingerprint: [0; 16],
                    payload: payload.into(),
                })
            });
            let events = events.collect::<store::Result<Vec<_>>>()?;
            store::hot::insert_own_events(tx, &events).await?;
            let key = |event| DeliveryKey { event: EventKey(event), endpoint };
            let inserts: Vec<_> =
                (1..=EVENTS).map(|event| DeliveryInsert { key: key(event), handed_over: true, due: None }).collect();
            let (owner, now) = (crate::model::Incarnation(1), crate::model::Timestamp::from_micros(1));
            store::hot::insert_deliveries(tx, owner, now, &inserts).await?;
            let delivered = (1..=EVENTS).map(|event| Settlement {
                key: key(event),
                attempt: 1,
                to: DeliveryState::Delivered,
                ready_at: None,
                uncounted: false,
                shown: Some((200, std::time::Duration::from_millis(1), None)),
            });
            let delivered: Vec<_> = delivered.map(|settlement| (settlement, "ok".into())).collect();
            store::hot::settle_delivered(tx, owner, now, &delivered).await?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

fn found(file: &Path, events: impl Iterator<Item = i64>) -> Vec<i64> {
    let content = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    events.filter(|event| text.contains(&canary(*event))).collect()
}

#[tokio::test]
async fn nothing_of_an_expunged_payload_is_left_in_the_files() {
    let fixture = Fixture::new().await;
    let store::Location::Sqlite(file) = fixture.database.config().location else { unreachable!("it is SQLite's") };
    let log = file.with_file_name(format!("{}-wal", file.file_name().unwrap().to_str().unwrap()));
    let endpoint = fixture.endpoint(false).await.key;
    fill(&fixture.shared, endpoint).await;
    assert!(fixture.shared.db.empty_log().await.unwrap());
    assert_eq!(found(&file, 1..=EVENTS).len(), usize::try_from(EVENTS).unwrap(), "it is looked for where it stands");
    for event in (1..=EVENTS).filter(|event| event % 3 != 0) {
        expunge_event(&fixture.shared, TENANT, &format!("e{event}"), None).await.unwrap();
    }
    assert!(fixture.shared.db.empty_log().await.unwrap());
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(found(&file, (1..=EVENTS).filter(|event| event % 3 != 0)), [0; 0]);
    assert_eq!(found(&file, (1..=EVENTS).filter(|event| event % 3 == 0)).len(), 100, "the others are there");
}

#[tokio::test]
async fn log_is_emptied_once_nobody_reads() {
    let fixture = Fixture::new().await;
    fixture.event(TENANT, "user.created", &[], DeliveryState::Pending).await;
    let (reading, read) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel();
    let db = fixture.shared.db.clone();
    let reader = async move {
        db.read(move |conn| {
            Box::pin(async move {
                store::execute!(&mut *conn, "BEGIN")?;
                let _: Option<(i64,)> = store::fetch_optional!(&mut *conn, "SELECT count(*) FROM event")?;
                reading.send(()).unwrap();
                ended.await.unwrap();
                store::execute!(&mut *conn, "COMMIT")?;
                Ok(())
            })
        })
        .await
    };
    let reader = tokio::spawn(reader);
    read.await.unwrap();
    fixture.event(TENANT, "user.created", &[], DeliveryState::Pending).await;
    assert!(!fixture.shared.db.empty_log().await.unwrap(), "it does not wait");
    end.send(()).unwrap();
    reader.await.unwrap().unwrap();
    assert!(fixture.shared.db.empty_log().await.unwrap());
}
