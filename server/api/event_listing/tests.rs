use std::collections::BTreeMap;

use super::*;
use crate::{
    fixture::{Fixture, OTHER_TENANT, TENANT, twins},
    model::{Timestamp, TypeFilter},
    store::{EventInsert, name::Names},
};

/// Writes an event of each of these tenants and times of publication, in this order.
async fn write(fixture: &Fixture, events: Vec<(TenantKey, Timestamp, BTreeMap<String, String>)>) {
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            let names = Names::default();
            let content_type = names.key(tx, &"text/plain".into()).await?;
            let types = [names.key(tx, &"user.created".into()).await?, names.key(tx, &"user.deleted".into()).await?];
            let last = store::meta::last_key(tx.conn(), "event").await?;
            let mut inserts = Vec::new();
            for (key, (tenant, created, labels)) in (last + 1..).zip(events) {
                inserts.push(EventInsert {
                    key: EventKey(key),
                    tenant,
                    id: format!("e{key}").into(),
                    event_type: types[usize::try_from(key % 2).unwrap()],
                    time: created,
                    created,
                    cfg: 1,
                    content_type,
                    ping_of: None,
                    fanout: 0,
                    labels: store::event::write_labels(&labels)?,
                    fingerprint: [0; 16],
                    payload: "payload".into(),
                });
            }
            store::hot::insert_own_events(tx, &inserts).await?;
            let last = EventKey(last + inserts.len() as i64);
            let end = store::TurnEnd { last_event: Some(last), ..store::TurnEnd::default() };
            store::hot::commit(tx, Timestamp::from_micros(1), &end).await.map(drop)
        })
    });
    unit.await.unwrap();
}

async fn page(fixture: &Fixture, filter: EventFilter, below: EventKey, size: usize) -> Page {
    let query = Query { tenant: TENANT, filter, below, size };
    fixture.shared.db.read(move |conn| Box::pin(async move { query.run(conn).await })).await.unwrap()
}

/// Reads page after page of `size` and returns the keys in the order in which they came.
async fn list(fixture: &Fixture, filter: &EventFilter, size: usize) -> Vec<i64> {
    let (mut keys, mut below) = (Vec::new(), EventKey(i64::MAX));
    loop {
        let Page { events, next } = page(fixture, filter.clone(), below, size).await;
        assert!(events.len() <= size);
        assert!(events.iter().all(|event| event.content.payload.is_empty() && event.payload_bytes == 7));
        keys.extend(events.iter().map(|event| event.content.key.0));
        match next {
            Some(next) => below = next,
            None => return keys,
        }
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn between(start: Option<i64>, end: Option<i64>) -> EventFilter {
    EventFilter { start: start.map(second), end: end.map(second), ..EventFilter::default() }
}

#[tokio::test]
async fn pages_join_to_the_whole_list_newest_first() {
    let fixture = Fixture::new().await;
    assert_eq!(list(&fixture, &EventFilter::default(), 5).await, [0; 0]);
    let events = (0..250).map(|n| (if n % 3 == 0 { OTHER_TENANT } else { TENANT }, second(n), BTreeMap::new()));
    write(&fixture, events.collect()).await;
    let own: Vec<i64> = (1..=250).rev().filter(|key| (key - 1) % 3 != 0).collect();
    for size in [1, 7, 99, 100, 166, 167, 1_000] {
        assert_eq!(list(&fixture, &EventFilter::default(), size).await, own, "{size}");
    }
}

#[tokio::test]
async fn type_and_labels_are_combined() {
    let fixture = Fixture::new().await;
    let labels = |n: i64| {
        let given = [("n".to_owned(), n.to_string()), ("third".to_owned(), (n % 3 == 0).to_string())];
        given.into_iter().collect::<BTreeMap<_, _>>()
    };
    write(&fixture, (1..=30).map(|n| (TENANT, second(n), labels(n))).collect()).await;
    let third = [("third".to_owned(), "true".to_owned())].into_iter().collect::<BTreeMap<_, _>>();
    let filter = EventFilter { labels: third.clone(), ..EventFilter::default() };
    assert_eq!(list(&fixture, &filter, 4).await, (1..=30).rev().filter(|n| n % 3 == 0).collect::<Vec<_>>());
    let filter = EventFilter { event_types: TypeFilter::parse(&["*.deleted".to_owned()]).unwrap(), ..filter };
    assert_eq!(list(&fixture, &filter, 4).await, [27, 21, 15, 9, 3]);
    let mut labels = third;
    labels.insert("n".to_owned(), "9".to_owned());
    assert_eq!(list(&fixture, &EventFilter { labels: labels.clone(), ..filter.clone() }, 4).await, [9]);
    labels.insert("N".to_owned(), "9".to_owned());
    assert_eq!(list(&fixture, &EventFilter { labels, ..filter }, 4).await, [0; 0]);
}

#[tokio::test]
async fn range_of_time_is_half_open_and_exact() {
    let fixture = Fixture::new().await;
    // Two events a second, one of which is another tenant's.
    let of = |n| [TENANT, OTHER_TENANT].map(|tenant| (tenant, second(n), BTreeMap::new()));
    write(&fixture, (1..=50).flat_map(of).collect()).await;
    let expected = |low: i64, high: i64| (low..high).rev().map(|n| 2 * n - 1).collect::<Vec<_>>();
    for (start, end) in [(0, 99), (1, 50), (1, 51), (10, 20), (10, 11), (50, 51), (10, 10), (51, 60), (-5, 1), (-5, 0)]
    {
        let all = expected(start.max(1), end.min(51));
        for size in [1, 3, 100] {
            assert_eq!(list(&fixture, &between(Some(start), Some(end)), size).await, all, "{start} {end} {size}");
        }
    }
    assert_eq!(list(&fixture, &between(Some(40), None), 7).await, expected(40, 51));
    assert_eq!(list(&fixture, &between(None, Some(40)), 7).await, expected(1, 40));
}

#[tokio::test]
async fn clock_that_was_set_back_hides_nothing() {
    let fixture = Fixture::new().await;
    let mut times = Vec::new();
    // Three eras: 100 to 199, 50 to 149, 120 to 219.
    for first in [100, 50, 120] {
        let era: Vec<i64> = (first..first + 100).collect();
        let last = i64::try_from(times.len()).unwrap();
        let unit = fixture.shared.db.write(move |tx| {
            Box::pin(async move {
                store::event_era::begin(tx, EventKey(last + 1), second(first)).await?;
                tx.commit().await
            })
        });
        unit.await.unwrap();
        write(&fixture, era.iter().map(|n| (TENANT, second(*n), BTreeMap::new())).collect()).await;
        times.extend(era);
    }
    for (start, end) in [(0, 300), (100, 150), (60, 61), (149, 150), (150, 160), (0, 100), (200, 220), (10, 20)] {
        let wanted = (1..).zip(&times).filter(|(_, time)| (start..end).contains(*time)).map(|(key, _)| key);
        let mut wanted: Vec<i64> = wanted.collect();
        wanted.reverse();
        for size in [1, 33, 1_000] {
            assert_eq!(list(&fixture, &between(Some(start), Some(end)), size).await, wanted, "{start} {end} {size}");
        }
    }
}

#[tokio::test]
async fn eras_of_events_from_before_there_were_any_are_found() {
    let fixture = Fixture::new().await;
    let times = [5, 5, 9, 3, 4, 4, 2, 1, 1, 8];
    write(&fixture, times.iter().map(|n| (TENANT, second(*n), BTreeMap::new())).collect()).await;
    let migration = include_str!("../../store/migrations/sqlite/0005_event_times.sql");
    let found = &migration[migration.find("INSERT INTO event_era").unwrap()..];
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            store::execute!(tx.conn(), found)?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
    let mut eras = Vec::new();
    for key in 1..=10 {
        let read = fixture.shared.db.read(move |conn| Box::pin(store::event_era::first_of(conn, EventKey(key))));
        eras.push(read.await.unwrap().0);
    }
    assert_eq!(eras, [0, 0, 0, 4, 4, 4, 7, 8, 8, 8]);
}

#[tokio::test]
async fn search_for_a_time_is_not_a_scan() {
    let fixture = Fixture::new().await;
    let count = 2 * i64::try_from(EVENTS_SCANNED_MAX).unwrap();
    write(&fixture, (1..=count).map(|n| (TENANT, second(n), BTreeMap::new())).collect()).await;
    // A page that scanned from the newest on would reach its bound long before.
    let Page { events, next } = page(&fixture, between(Some(5), Some(8)), EventKey(i64::MAX), 10).await;
    assert_eq!(events.iter().map(|event| event.content.key.0).collect::<Vec<_>>(), [7, 6, 5]);
    assert_eq!(next, None);
}

#[tokio::test]
async fn page_that_selects_nothing_is_bounded_and_goes_on() {
    let fixture = Fixture::new().await;
    let many = i64::try_from(EVENTS_SCANNED_MAX).unwrap();
    let wanted: BTreeMap<_, _> = [("a".to_owned(), "b".to_owned())].into();
    let events = (0..=many).map(|n| (TENANT, second(n), if n == 0 { wanted.clone() } else { BTreeMap::new() }));
    write(&fixture, events.collect()).await;
    let filter = EventFilter { labels: wanted, ..EventFilter::default() };
    let Page { events, next } = page(&fixture, filter.clone(), EventKey(i64::MAX), 10).await;
    assert_eq!((events.len(), next), (0, Some(EventKey(2))));
    let Page { events, next } = page(&fixture, filter, EventKey(2), 10).await;
    assert_eq!((events.len(), next), (1, None));
}

#[tokio::test]
async fn page_of_large_labels_is_cut_short() {
    let fixture = Fixture::new().await;
    let labels: BTreeMap<_, _> = (0..64).map(|n| (format!("{n:0128}"), "v".repeat(1_024))).collect();
    write(&fixture, (0..40).map(|n| (TENANT, second(n), labels.clone())).collect()).await;
    let Page { events, next } = page(&fixture, EventFilter::default(), EventKey(i64::MAX), 1_000).await;
    assert_eq!((events.len(), next), (15, Some(EventKey(26))));
    assert_eq!(list(&fixture, &EventFilter::default(), 1_000).await.len(), 40);
}

twins!(
    "tests.rs",
    [
        pages_join_to_the_whole_list_newest_first,
        type_and_labels_are_combined,
        range_of_time_is_half_open_and_exact,
        clock_that_was_set_back_hides_nothing,
        eras_of_events_from_before_there_were_any_are_found,
        search_for_a_time_is_not_a_scan,
        page_that_selects_nothing_is_bounded_and_goes_on,
        page_of_large_labels_is_cut_short,
    ]
);
