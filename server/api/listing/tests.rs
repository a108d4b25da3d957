use super::*;
use crate::{
    fixture::{Fixture, OTHER_TENANT, TENANT, twins},
    model::{DeliveryState, FailureKind, OnBacklog, ShownState, Timestamp, TypeFilter},
};

/// Reads page after page of `size` and returns the deliveries in the order in which they came.
async fn list(fixture: &Fixture, filter: DeliveryFilter, size: usize) -> Vec<DeliveryKey> {
    let mut keys = Vec::new();
    let mut after = Position::START;
    loop {
        let query = Query { tenant: TENANT, filter: filter.clone(), after, size };
        let shared = fixture.shared.clone();
        let read = fixture.shared.db.read(move |conn| Box::pin(async move { query.run(conn, &shared.routes).await }));
        let Page { rows, next, .. } = read.await.unwrap();
        assert!(rows.len() <= size);
        keys.extend(rows.iter().map(|row| row.key));
        match next {
            Some(key) => after = Position(key),
            None => return keys,
        }
    }
}

/// Three endpoints; events with a delivery to the first two, to the third, and another tenant's.
async fn filled() -> (Fixture, [EndpointKey; 3], Vec<DeliveryKey>) {
    let fixture = Fixture::new().await;
    let mut endpoints = [EndpointKey(0); 3];
    for endpoint in &mut endpoints {
        *endpoint = fixture.endpoint(false).await.key;
    }
    let mut all = Vec::new();
    for round in 0..7 {
        let state = if round % 2 == 0 { DeliveryState::Delivered } else { DeliveryState::Pending };
        all.extend(fixture.event(TENANT, "user.created", &endpoints[..2], state).await);
        all.extend(fixture.event(TENANT, "user.deleted", &endpoints[2..], DeliveryState::Dead).await);
        fixture.event(OTHER_TENANT, "user.created", &endpoints[..1], DeliveryState::Dead).await;
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    (fixture, endpoints, all)
}

fn only(all: &[DeliveryKey], endpoints: &[EndpointKey]) -> Vec<DeliveryKey> {
    all.iter().copied().filter(|key| endpoints.contains(&key.endpoint)).collect()
}

#[tokio::test]
async fn pages_join_to_the_whole_list_newest_first() {
    let (fixture, _, all) = filled().await;
    for size in [1, 2, 3, 5, 20, 21, 22, 1_000] {
        assert_eq!(list(&fixture, DeliveryFilter::default(), size).await, all, "{size}");
    }
}

#[tokio::test]
async fn deliveries_to_several_endpoints_are_merged_in_order() {
    let (fixture, [first, second, third], all) = filled().await;
    for endpoints in [vec![first], vec![first, second], vec![first, third], vec![first, second, third]] {
        let filter = DeliveryFilter { endpoints: endpoints.clone(), ..DeliveryFilter::default() };
        for size in [1, 2, 3, 7, 1_000] {
            assert_eq!(list(&fixture, filter.clone(), size).await, only(&all, &endpoints), "{endpoints:?} {size}");
        }
    }
}

#[tokio::test]
async fn conditions_are_combined() {
    let (fixture, [first, second, third], all) = filled().await;
    let types = |pattern: &str| TypeFilter::parse(&[pattern.to_owned()]).unwrap();
    let deleted = DeliveryFilter { event_types: types("*.deleted"), ..DeliveryFilter::default() };
    assert_eq!(list(&fixture, deleted, 4).await, only(&all, &[third]));
    let neither =
        DeliveryFilter { endpoints: vec![first], event_types: types("*.deleted"), ..DeliveryFilter::default() };
    assert_eq!(list(&fixture, neither, 4).await, []);
    let states = vec![ShownState::Dead, ShownState::Delivered];
    let ended = DeliveryFilter { endpoints: vec![second, third], states, ..DeliveryFilter::default() };
    assert_eq!(list(&fixture, ended, 2).await.len(), 4 + 7);
}

#[tokio::test]
async fn states_are_those_that_are_shown() {
    let (fixture, [first, second, _], all) = filled().await;
    fixture.configurator.disable_endpoint(TENANT, first, None).await.unwrap();
    fixture.configurator.delete_endpoint(TENANT, second, None).await.unwrap();
    let in_state = |state| DeliveryFilter { states: vec![state], ..DeliveryFilter::default() };
    assert_eq!(list(&fixture, in_state(ShownState::Pending), 9).await, []);
    for (state, endpoint) in [(ShownState::Held, first), (ShownState::Cancelled, second)] {
        let found = list(&fixture, in_state(state), 9).await;
        assert_eq!(found.len(), 3);
        assert_eq!(only(&found, &[endpoint]), found);
    }
    assert_eq!(list(&fixture, DeliveryFilter::default(), 9).await, all);
}

#[tokio::test]
async fn what_was_skipped_is_listed_as_cancelled_before_it_is_rewritten() {
    let (fixture, [first, second, _], _) = filled().await;
    let in_state = |state| DeliveryFilter { states: vec![state], ..DeliveryFilter::default() };
    fixture.configurator.pause_endpoint(TENANT, first, None).await.unwrap();
    assert_eq!(list(&fixture, in_state(ShownState::Held), 9).await.len(), 3);
    fixture.shared.clock.advance(std::time::Duration::from_micros(1));
    fixture.configurator.activate_endpoint(TENANT, first, None, Some(OnBacklog::Skip)).await.unwrap();
    assert_eq!(list(&fixture, in_state(ShownState::Held), 9).await, []);
    let cancelled = list(&fixture, in_state(ShownState::Cancelled), 9).await;
    assert_eq!((only(&cancelled, &[first]).len(), cancelled.len()), (3, 3));
    let pending = list(&fixture, in_state(ShownState::Pending), 9).await;
    assert_eq!((only(&pending, &[second]).len(), pending.len()), (3, 3));
}

#[tokio::test]
async fn deliveries_of_events_come_newest_first_and_of_the_tenant_alone() {
    let (fixture, [first, second, third], all) = filled().await;
    // Of each round's three events the last is another tenant's.
    let named = |keys: &[i64]| keys.iter().map(|key| format!("event-{key}")).collect::<Vec<_>>();
    let of = |keys: &[i64]| all.iter().copied().filter(|key| keys.contains(&key.event.0)).collect::<Vec<_>>();
    let with = |keys: &[i64]| DeliveryFilter { event_ids: named(keys), ..DeliveryFilter::default() };
    for keys in [vec![4], vec![1, 2, 19], vec![5, 3, 4, 3], (1..=21).collect()] {
        for size in [1, 2, 3, 1_000] {
            assert_eq!(list(&fixture, with(&keys), size).await, of(&keys), "{keys:?} {size}");
        }
    }
    assert_eq!(of(&[1, 2, 19]).len(), 2 + 1 + 2);
    assert_eq!(list(&fixture, with(&[3, 6]), 9).await, [], "another tenant's");
    assert_eq!(list(&fixture, with(&[22, 0]), 9).await, [], "nobody's");
    let narrower = |endpoints, states| DeliveryFilter { endpoints, states, ..with(&[1, 2, 4]) };
    assert_eq!(list(&fixture, narrower(vec![second, third], vec![]), 1).await, only(&of(&[1, 2, 4]), &[second, third]));
    let delivered = narrower(vec![first], vec![ShownState::Delivered]);
    assert_eq!(list(&fixture, delivered, 9).await, only(&of(&[1]), &[first]));
}

#[tokio::test]
async fn failures_are_those_that_are_shown() {
    let (fixture, [_, _, third], all) = filled().await;
    let failed = |failures: &[FailureKind]| DeliveryFilter { failures: failures.to_vec(), ..DeliveryFilter::default() };
    let http = [FailureKind::Dns, FailureKind::HttpStatus];
    assert_eq!(list(&fixture, failed(&http), 3).await, only(&all, &[third]));
    assert_eq!(list(&fixture, failed(&http[..1]), 3).await, []);
}

#[tokio::test]
async fn times_are_those_of_publication_whatever_the_clock_did() {
    let fixture = Fixture::new().await;
    let endpoints = [fixture.endpoint(false).await.key, fixture.endpoint(false).await.key];
    let mut times = Vec::new();
    // Three eras: 100 to 119, 110 to 129, 50 to 69.
    for first in [100, 110, 50] {
        let next = EventKey(1 + times.len() as i64);
        let unit = fixture.shared.db.write(move |tx| {
            Box::pin(async move {
                store::event_era::begin(tx, next, second(first)).await?;
                tx.commit().await
            })
        });
        unit.await.unwrap();
        for n in first..first + 20 {
            let written = fixture.event(TENANT, "user.created", &endpoints, DeliveryState::Delivered).await;
            let event = written[0].event;
            let unit = fixture.shared.db.write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE event SET created = $2 WHERE key = $1";
                    store::execute!(tx.conn(), sql, event.0, second(n).as_micros())?;
                    tx.commit().await
                })
            });
            unit.await.unwrap();
            times.extend([(n, written)]);
        }
    }
    let bounds = [(None, None), (Some(0), Some(200)), (Some(115), None), (None, Some(60)), (Some(110), Some(120))];
    let none = [(Some(70), Some(100)), (Some(60), Some(60)), (Some(130), None), (None, Some(50))];
    for (start, end) in bounds.into_iter().chain(none) {
        let within = |n: i64| start.is_none_or(|start| n >= start) && end.is_none_or(|end| n < end);
        let mut wanted: Vec<_> = times.iter().filter(|(n, _)| within(*n)).flat_map(|(_, keys)| keys.clone()).collect();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(wanted.is_empty(), none.contains(&(start, end)));
        let filter = DeliveryFilter { start: start.map(second), end: end.map(second), ..DeliveryFilter::default() };
        for size in [1, 7, 1_000] {
            assert_eq!(list(&fixture, filter.clone(), size).await, wanted, "{start:?} {end:?} {size}");
            let one = DeliveryFilter { endpoints: vec![endpoints[1]], ..filter.clone() };
            assert_eq!(list(&fixture, one, size).await, only(&wanted, &endpoints[1..]), "{start:?} {end:?} {size}");
        }
        let named = DeliveryFilter { event_ids: vec!["event-16".to_owned(), "event-50".to_owned()], ..filter };
        let of_these: Vec<_> = wanted.iter().copied().filter(|key| [16, 50].contains(&key.event.0)).collect();
        assert_eq!(list(&fixture, named, 1).await, of_these, "{start:?} {end:?}");
    }
}

fn second(n: i64) -> Timestamp {
    Timestamp::from_micros(n * 1_000_000)
}

#[tokio::test]
async fn an_endpoint_without_deliveries_has_an_empty_list() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(false).await.key;
    let filter = DeliveryFilter { endpoints: vec![endpoint], ..DeliveryFilter::default() };
    assert_eq!(list(&fixture, filter, 9).await, []);
    assert_eq!(list(&fixture, DeliveryFilter::default(), 9).await, []);
}

twins!(
    "tests.rs",
    [
        pages_join_to_the_whole_list_newest_first,
        deliveries_to_several_endpoints_are_merged_in_order,
        conditions_are_combined,
        states_are_those_that_are_shown,
        what_was_skipped_is_listed_as_cancelled_before_it_is_rewritten,
        deliveries_of_events_come_newest_first_and_of_the_tenant_alone,
        failures_are_those_that_are_shown,
        times_are_those_of_publication_whatever_the_clock_did,
        an_endpoint_without_deliveries_has_an_empty_list,
    ]
);
