//! Paging through very many deliveries, with filters that select all, few, or nothing for long: nothing is missing, nothing
//! comes twice, and no page costs more than it may.
//!
//! There are 40,000, or as many as `TIDINGS_TEST_DELIVERIES` says; `make pages` takes a million.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    fixture::{Fixture, TENANT, twins},
    model::{FailureKind, ShownState, Timestamp, TypeFilter},
};

/// Deliveries of each event.
const FANOUT: i64 = 4;

/// Events that one statement writes.
const EVENTS_PER_WRITE: i64 = 25_000;

/// The largest page that may be asked for.
const SIZE: usize = 1_000;

async fn run(fixture: &Fixture, sql: String) {
    let unit = fixture.shared.db.write(move |tx| {
        Box::pin(async move {
            store::execute!(tx.conn(), sqlx::AssertSqlSafe(sql))?;
            tx.commit().await
        })
    });
    unit.await.unwrap();
}

/// Events of a second each, half of them after the clock was set back, every tenth another tenant's. They go to four of the
/// endpoints 1 to 10, the oldest and the newest 50 to endpoint 11 too. The oldest hundredth is dead.
async fn fill(fixture: &Fixture, events: i64) {
    for _ in 0..11 {
        fixture.endpoint(false).await;
    }
    run(fixture, "INSERT INTO name (key, text) VALUES (1, 'common.type'), (2, 'rare.type')".to_owned()).await;
    let half = events / 2;
    run(fixture, format!("INSERT INTO event_era VALUES ({half} + 1)")).await;
    for first in (1..=events).step_by(usize::try_from(EVENTS_PER_WRITE).unwrap()) {
        let last = events.min(first + EVENTS_PER_WRITE - 1);
        let numbers = format!(
            "WITH RECURSIVE n (n) AS \
             (SELECT CAST({first} AS BIGINT) UNION ALL SELECT n + 1 FROM n WHERE n < {last})"
        );
        let insert = format!(
            "INSERT INTO event {numbers} SELECT n, CASE WHEN n % 10 = 0 THEN 2 ELSE 1 END, 'e' || n, \
             CASE WHEN n % 5000 = 1 THEN 2 ELSE 1 END, n, \
             (CASE WHEN n > {half} THEN n - {half} / 2 ELSE n END) * 1000000, 1, 1, 0, 4, '', '', '{{}}' FROM n"
        );
        run(fixture, insert).await;
        let insert = format!(
            "INSERT INTO delivery (event, endpoint, state, owner, attempt, base, updated, kind) \
             {numbers}, k (k) AS (VALUES (0), (3), (6), (9)) SELECT n, \
             CASE WHEN k = 0 AND (n <= 50 OR n > {events} - 50) THEN 11 ELSE 1 + (n + k) % 10 END, \
             CASE WHEN n <= {events} / 100 THEN 4 WHEN n % 1000 = 1 THEN 1 ELSE 3 END, 0, 1, 0, n, \
             CASE WHEN n <= {events} / 100 THEN 1 + n % 10 ELSE 0 END FROM n CROSS JOIN k"
        );
        run(fixture, insert).await;
    }
    run(fixture, "ANALYZE".to_owned()).await;
}

/// How many deliveries there are of the tenant's for which `condition` holds.
async fn count(fixture: &Fixture, condition: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM delivery d CROSS JOIN event e WHERE e.key = d.event AND e.tenant = 1 AND {condition}"
    );
    let read = fixture.shared.db.read(move |conn| {
        Box::pin(async move {
            let row: Option<(i64,)> = store::fetch_optional!(conn, sqlx::AssertSqlSafe(sql))?;
            Ok(row.unwrap().0)
        })
    });
    usize::try_from(read.await.unwrap()).unwrap()
}

/// Which deliveries to list, in two languages.
fn cases(events: i64) -> Vec<(DeliveryFilter, String)> {
    let all = DeliveryFilter::default;
    let endpoints = |keys: &[i64]| keys.iter().map(|key| EndpointKey(*key)).collect::<Vec<_>>();
    let second = |n: i64| Some(Timestamp::from_micros(n * 1_000_000));
    let (start, end) = (events * 3 / 8, events * 3 / 8 + 100);
    let between = DeliveryFilter { start: second(start), end: second(end), ..all() };
    let is_between = format!("e.created >= {start}000000 AND e.created < {end}000000");
    let ids: Vec<String> = (0..100).map(|n| format!("e{}", 1 + n * (events / 100))).collect();
    let rare = TypeFilter::parse(&["rare.*".to_owned()]).unwrap();
    vec![
        (all(), "1 = 1".to_owned()),
        (DeliveryFilter { endpoints: endpoints(&[2, 5, 7]), ..all() }, "d.endpoint IN (2, 5, 7)".to_owned()),
        (DeliveryFilter { endpoints: endpoints(&[11]), ..all() }, "d.endpoint = 11".to_owned()),
        (
            DeliveryFilter { endpoints: (1..=100).map(EndpointKey).collect(), states: vec![ShownState::Dead], ..all() },
            "d.state = 4".to_owned(),
        ),
        (DeliveryFilter { event_types: rare, ..all() }, "e.type = 2".to_owned()),
        (
            DeliveryFilter { failures: vec![FailureKind::Tls], endpoints: endpoints(&[3]), ..all() },
            "d.kind = 3 AND d.endpoint = 3".to_owned(),
        ),
        (DeliveryFilter { states: vec![ShownState::Held], endpoints: endpoints(&[4]), ..all() }, "1 = 0".to_owned()),
        (between.clone(), is_between.clone()),
        (
            DeliveryFilter { endpoints: endpoints(&[1, 11]), ..between },
            format!("{is_between} AND d.endpoint IN (1, 11)"),
        ),
        (
            DeliveryFilter { event_ids: ids.clone(), ..all() },
            format!("e.id IN ({})", ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")),
        ),
    ]
}

/// Pages through what `filter` selects. Returns how much there was, in how many pages, and how long the slowest took.
async fn page_through(fixture: &Fixture, filter: &DeliveryFilter) -> (usize, usize, Duration) {
    let (mut found, mut pages, mut slowest) = (0, 0, Duration::ZERO);
    let mut after = Position::START;
    let mut last = Position::START.0;
    // What a page has begun when it has cost all it may.
    let begun = SEARCH_COST + STATEMENT_COST * filter.endpoints.len().max(1) + 1;
    loop {
        let query = Query { tenant: TENANT, filter: filter.clone(), after, size: SIZE };
        let shared = fixture.shared.clone();
        let began = Instant::now();
        let read = fixture.shared.db.read(move |conn| Box::pin(async move { query.run(conn, &shared.routes).await }));
        let Page { rows, next, cost } = read.await.unwrap();
        slowest = slowest.max(began.elapsed());
        pages += 1;
        assert!(rows.len() <= SIZE && cost <= COST_MAX + begun, "{filter:?}: {cost}");
        for row in &rows {
            assert!(row.key < last, "{filter:?}: {:?} after {last:?}", row.key);
            last = row.key;
        }
        found += rows.len();
        let Some(key) = next else { return (found, pages, slowest) };
        assert!(key < after.0 && (rows.is_empty() || key <= last), "{filter:?}");
        after = Position(key);
    }
}

#[tokio::test]
async fn very_many_deliveries_are_paged_through_without_a_dear_page() {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let wanted = std::env::var("TIDINGS_TEST_DELIVERIES");
    let deliveries = wanted.map_or(40_000, |number| number.parse().unwrap());
    let events = deliveries / FANOUT;
    let fixture = Fixture::new().await;
    fill(&fixture, events).await;
    for (filter, condition) in cases(events) {
        let (found, pages, slowest) = page_through(&fixture, &filter).await;
        eprintln!("{found} of {deliveries} in {pages} pages, the slowest in {slowest:.1?}: {:.60}", condition);
        assert_eq!(found, count(&fixture, &condition).await, "{condition}");
        // As few as what is read calls for.
        let read_max = if filter.endpoints.is_empty() { events * FANOUT } else { events * FANOUT.min(3) };
        assert!(pages <= 2 + usize::try_from(read_max).unwrap() / 800, "{condition}: {pages}");
    }
}

twins!("pages.rs", [very_many_deliveries_are_paged_through_without_a_dear_page]);
