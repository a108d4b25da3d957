use super::*;
use crate::fixture::{Fixture, TENANT, twins};

/// The numbers and results of the attempts of a new delivery in `state`, of which those in `rows` have a row, in pages of
/// `size`.
async fn listed(state: DeliveryState, rows: &[u32], size: usize) -> Vec<(u32, AttemptResult)> {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(false).await.key;
    let key = fixture.event(TENANT, "user.created", &[endpoint], state).await[0];
    for &number in rows {
        fixture.failed_attempt(key, number).await;
    }
    let mut listed = Vec::new();
    let mut after = 0;
    loop {
        let page = fixture.shared.db.read(move |conn| Box::pin(read(conn, TENANT, key, after, size)));
        let (attempts, more) = page.await.unwrap().unwrap();
        assert!(attempts.len() <= size);
        listed.extend(attempts.iter().map(|attempt| (attempt.number, attempt.result)));
        if !more {
            return listed;
        }
        after = attempts.last().unwrap().number;
    }
}

#[tokio::test]
async fn the_latest_attempt_may_live_in_the_delivery() {
    let cases = [
        (DeliveryState::Pending, vec![]),
        (DeliveryState::InFlight, vec![(1, AttemptResult::InFlight)]),
        (DeliveryState::Delivered, vec![(1, AttemptResult::Succeeded)]),
        // Lost before its request began.
        (DeliveryState::Cancelled, vec![]),
    ];
    for (state, expected) in cases {
        assert_eq!(listed(state, &[], 10).await, expected, "{state:?}");
    }
}

#[tokio::test]
async fn an_attempt_with_a_row_is_listed_once() {
    for state in [DeliveryState::Dead, DeliveryState::Delivered, DeliveryState::InFlight] {
        assert_eq!(listed(state, &[1], 10).await, [(1, AttemptResult::Failed)], "{state:?}");
    }
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let rows = [1, 2, 4, 5];
    for size in 1..=5 {
        let numbers: Vec<u32> = listed(DeliveryState::Dead, &rows, size).await.into_iter().map(|(n, _)| n).collect();
        assert_eq!(numbers, rows, "{size}");
    }
}

twins!(
    "tests.rs",
    [the_latest_attempt_may_live_in_the_delivery, an_attempt_with_a_row_is_listed_once, pages_join_to_the_whole_list,]
);
