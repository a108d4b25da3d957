//! Turns that are one statement: what they write, what they take for granted, and what becomes of them when that is wrong.

use super::{
    wire::{COMMIT_MARKER, Cut, Wire},
    *,
};
use crate::{
    model::{DeliveryKey, DeliveryState, EventKey},
    store::{
        DeliveryInsert, EventInsert, Handoff, Settled, Settlement, TurnEnd, Writing, conformance::an_event, hot::Rows,
    },
};

const ENDPOINT: EndpointKey = EndpointKey(1);

/// An event by which the wire knows the commit of its turn.
fn event(number: i64) -> EventInsert {
    EventInsert { payload: COMMIT_MARKER.into(), ..an_event(number, &format!("e{number}")) }
}

fn delivery(number: i64) -> DeliveryKey {
    DeliveryKey { event: EventKey(number), endpoint: ENDPOINT }
}

/// That the first attempt of an event's delivery succeeded.
fn success(number: i64) -> (Settlement, bytes::Bytes) {
    let to = DeliveryState::Delivered;
    let shown = Some((200, std::time::Duration::from_millis(1), None));
    (Settlement { key: delivery(number), attempt: 1, to, ready_at: None, uncounted: false, shown }, "ok".into())
}

/// An event and its delivery, handed over, and what has succeeded.
fn rows(number: i64, delivered: &[i64]) -> Rows {
    Rows {
        events: vec![event(number)],
        deliveries: vec![DeliveryInsert { key: delivery(number), handed_over: true, due: None }],
        delivered: delivered.iter().copied().map(success).collect(),
    }
}

/// How such a turn ends; its row of the log names an endpoint of the event's number.
fn end(shared: &Shared, number: i64, finished: &[i64]) -> TurnEnd {
    let key = EventKey(number);
    let entries = vec![LogEntry { endpoint: number, ..LogEntry::default() }];
    TurnEnd {
        last_event: Some(key),
        handoff: Some(Handoff { owner: shared.incarnation, first: key, last: key }),
        finished: finished.to_vec(),
        body: Some(LogBody { events: Vec::new(), entries }),
    }
}

/// Writes such a turn, in which all that was delivered before is over, and returns what is settled.
async fn write(shared: &Arc<Shared>, writing: Writing, number: i64, delivered: &[i64]) -> Result<Vec<Settled>> {
    let (rows, end) = (rows(number, delivered), end(shared, number, delivered));
    let unit = shared.db.write_turn(shared.incarnation, writing, move |tx| {
        Box::pin(async move {
            let settled = tx.write(NOW, rows).await?;
            assert!(tx.commit(NOW, &end).await?.is_some());
            Ok(settled)
        })
    });
    unit.await
}

async fn number(shared: &Arc<Shared>, sql: &'static str) -> i64 {
    let read = shared.db.read(move |conn| {
        Box::pin(async move {
            let row: Option<(i64,)> = fetch_optional!(conn, sql)?;
            Ok(row.expect("one number").0)
        })
    });
    read.await.unwrap()
}

async fn events(shared: &Arc<Shared>) -> i64 {
    number(shared, "SELECT count(*) FROM event").await
}

#[tokio::test]
async fn what_nearly_every_turn_writes_is_one_round_trip() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    let before = wire.round_trips();
    let settled = write(&shared, Writing::AtOnce, 2, &[1]).await.unwrap();
    assert_eq!(wire.round_trips() - before, 1);
    let settled: Vec<_> = settled.iter().map(|one| (one.key, one.state)).collect();
    assert_eq!(settled, [(delivery(1), DeliveryState::Delivered)]);
    assert_eq!(events(&shared).await, 2);
    assert_eq!(number(&shared, "SELECT status FROM delivery WHERE event = 1 AND state = 3 AND owner = 0").await, 200);
    assert_eq!(number(&shared, "SELECT event FROM delivery WHERE state = 2 AND attempt = 1").await, 2);
    assert_eq!(number(&shared, "SELECT owner FROM delivery WHERE state = 2").await, shared.incarnation.0);
    assert_eq!(number(&shared, "SELECT value FROM counter WHERE name = 'event'").await, 2);
    assert_eq!(number(&shared, "SELECT batch FROM handoff WHERE first = 2 AND last = 2").await, 2);
    assert_eq!(number(&shared, "SELECT count(*) FROM handoff").await, 1);
    assert_eq!(appended(&shared.db).await, [1, 2]);
}

#[tokio::test]
async fn turn_that_has_nothing_to_tell_has_no_row_in_the_log() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let rows = Rows { events: vec![event(1)], ..Rows::default() };
    let unit = shared.db.write_turn(shared.incarnation, Writing::AtOnce, move |tx| {
        Box::pin(async move {
            tx.write(NOW, rows).await?;
            tx.commit(NOW, &TurnEnd::default()).await
        })
    });
    assert_eq!(unit.await.unwrap(), None);
    assert_eq!(events(&shared).await, 1);
    assert_eq!(appended(&shared.db).await, [0_i64; 0]);
}

#[tokio::test]
async fn what_was_wrongly_taken_for_settled_undoes_the_turn() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    // There is no such delivery; and one whose event was expunged is settled otherwise than was thought.
    let refused = write(&shared, Writing::AtOnce, 2, &[1, 99]).await;
    assert!(matches!(refused, Err(Error::Unforeseen)), "{refused:?}");
    assert_eq!(number(&shared, "SELECT count(*) FROM delivery WHERE state = 3").await, 0);
    let unit = shared.db.write(|tx| {
        Box::pin(async move {
            store::execute!(tx.conn(), "UPDATE delivery SET cancel = 2")?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    assert!(matches!(write(&shared, Writing::AtOnce, 2, &[1]).await, Err(Error::Unforeseen)));
    assert_eq!(events(&shared).await, 1);
    assert_eq!(appended(&shared.db).await, [1]);

    let settled = write(&shared, Writing::InSteps, 2, &[1, 99]).await.unwrap();
    assert_eq!(settled.iter().map(|one| (one.key, one.expunged)).collect::<Vec<_>>(), [(delivery(1), true)]);
    assert_eq!(appended(&shared.db).await, [1, 2]);
}

#[tokio::test]
async fn chosen_id_that_was_wrongly_taken_for_new_undoes_the_turn() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let insert = async |writing, ids: [(i64, &'static str); 2]| {
        let events = ids.map(|(number, id)| EventInsert { id: id.into(), ..event(number) });
        let own = Rows { events: vec![event(ids[0].0 + 10)], ..Rows::default() };
        let unit = shared.db.write_turn(shared.incarnation, writing, move |tx| {
            Box::pin(async move {
                let inserted = tx.insert_chosen(events.to_vec()).await?;
                tx.write(NOW, own).await?;
                tx.commit(NOW, &TurnEnd::default()).await?;
                Ok(inserted)
            })
        });
        unit.await
    };
    let both = [EventKey(1), EventKey(2)];
    assert_eq!(insert(Writing::AtOnce, [(1, "a"), (2, "b")]).await.unwrap(), both);
    assert_eq!(events(&shared).await, 3);
    let refused = insert(Writing::AtOnce, [(3, "b"), (4, "c")]).await;
    assert!(matches!(refused, Err(Error::Unforeseen)), "{refused:?}");
    assert_eq!(events(&shared).await, 3);
    assert_eq!(insert(Writing::InSteps, [(3, "b"), (4, "c")]).await.unwrap(), [EventKey(4)]);
    assert_eq!(events(&shared).await, 5);
}

/// Writes a turn that looks for an event once its rows were given; whether it is there.
async fn write_and_look(shared: &Arc<Shared>, rows: Rows, id: &'static str) -> Result<bool> {
    let unit = shared.db.write_turn(shared.incarnation, Writing::AtOnce, move |tx| {
        Box::pin(async move {
            tx.write(NOW, rows).await?;
            let found = store::event::find_published(tx.begun().await?.conn(), TENANT, id).await?;
            tx.commit(NOW, &TurnEnd::default()).await?;
            Ok(found.is_some())
        })
    });
    unit.await
}

#[tokio::test]
async fn whatever_else_is_asked_comes_after_what_was_given() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    assert!(write_and_look(&shared, rows(1, &[]), "e1").await.unwrap());
    assert_eq!(events(&shared).await, 1);
    let refused = write_and_look(&shared, rows(2, &[99]), "e2").await;
    assert!(matches!(refused, Err(Error::Unforeseen)), "{refused:?}");
    assert_eq!(events(&shared).await, 1);
}

#[tokio::test]
async fn turn_does_not_become_part_of_what_was_left_open() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let left_open = shared.db.write(|tx| {
        Box::pin(async move { store::execute!(tx.conn(), "UPDATE counter SET value = 77 WHERE name = 'secret'") })
    });
    left_open.await.unwrap();
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    assert_eq!(events(&shared).await, 1);
    assert_eq!(number(&shared, "SELECT value FROM counter WHERE name = 'secret'").await, 0);
}

#[tokio::test]
async fn turn_passes_the_gate() {
    let database = PostgresDatabase::create().await;
    let (shared, other) = (server(database.url().as_str(), "one").await, server(database.url().as_str(), "two").await);
    create_endpoint(&other).await.unwrap();
    assert!(matches!(write(&shared, Writing::AtOnce, 1, &[]).await, Err(Error::Outdated)));
    shared.catch_up().await.unwrap();
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    let successor = server(database.url().as_str(), "one").await;
    assert!(matches!(write(&shared, Writing::AtOnce, 2, &[]).await, Err(Error::Fenced)));
    assert_eq!(events(&successor).await, 1);
}

#[tokio::test]
async fn turn_whose_answer_is_lost_is_known_by_its_mark() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    wire.cut(Cut::After);
    write(&shared, Writing::AtOnce, 2, &[1]).await.unwrap();
    write(&shared, Writing::AtOnce, 3, &[2]).await.unwrap();
    assert_eq!(appended(&shared.db).await, [1, 2, 3]);
}

#[tokio::test]
async fn turn_that_never_arrived_can_be_written_anew() {
    let database = PostgresDatabase::create().await;
    let wire = Wire::to(&database).await;
    let shared = server(&wire.url, "one").await;
    write(&shared, Writing::AtOnce, 1, &[]).await.unwrap();
    wire.cut(Cut::Before);
    let broken = write(&shared, Writing::AtOnce, 2, &[1]).await;
    assert!(matches!(broken, Err(Error::Contended(_))), "{broken:?}");
    assert_eq!(events(&shared).await, 1);
    write(&shared, Writing::AtOnce, 2, &[1]).await.unwrap();
    assert_eq!(appended(&shared.db).await, [1, 2]);
}
