use super::*;
use crate::{
    fixture::{Fixture, OTHER_TENANT, TENANT, twins},
    model::{DeliveryState, OnBacklog, ShownState, TypeFilter},
};

/// Reads page after page of `size` and returns the deliveries in the order in which they came.
async fn list(fixture: &Fixture, filter: DeliveryFilter, size: usize) -> Vec<DeliveryKey> {
    let mut keys = Vec::new();
    let mut after = Position::START;
    loop {
        let query = Query { tenant: TENANT, filter: filter.clone(), after, size };
        let shared = fixture.shared.clone();
        let read = fixture.shared.db.read(move |conn| Box::pin(async move { query.run(conn, &shared.routes).await }));
        let Page { rows, next } = read.await.unwrap();
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
    let neither = DeliveryFilter { endpoints: vec![first], event_types: types("*.deleted"), states: vec![] };
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
        an_endpoint_without_deliveries_has_an_empty_list,
    ]
);
