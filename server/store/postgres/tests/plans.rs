//! The plans of what the writer has prepared: none reads a whole table, whether the tables are empty or large.

use sqlx::Row as _;

use super::*;
use crate::{
    model::{DeliveryKey, DeliveryState, EventKey, Incarnation},
    store::conformance::an_event,
};

/// Rows of each table that are loaded.
const ROWS: i64 = 20_000;

/// Runs the statements of a turn's parts once, so that they are prepared.
async fn run_hot_statements(shared: &Arc<Shared>, owner: Incarnation) {
    let shared_ = shared.clone();
    let unit = shared.db.write(move |tx| {
        Box::pin(async move {
            let key = |event| DeliveryKey { event: EventKey(event), endpoint: EndpointKey(1) };
            let settlement = store::Settlement {
                key: key(1),
                attempt: 1,
                to: DeliveryState::Delivered,
                ready_at: None,
                uncounted: false,
                shown: None,
            };
            store::hot::settle_delivered(tx, owner, NOW, &[(settlement, "ok".into())]).await?;
            let delivery = store::DeliveryInsert { key: key(ROWS + 1), handed_over: true, due: None };
            let rows = store::hot::Rows { deliveries: vec![delivery], ..Default::default() };
            store::hot::write(tx, owner, NOW, &rows).await?;
            // It is to be written once more.
            store::execute!(tx.conn(), "DELETE FROM delivery WHERE event = $1", ROWS + 1)?;
            let retried = store::Settlement { key: key(2), to: DeliveryState::Pending, ..settlement };
            store::hot::settle_others(tx, owner, NOW, &[retried]).await?;
            let ending = store::Ending::all(DeliveryState::Dead);
            store::hot::end_pending(tx, EndpointKey(1), &ending, NOW, 1).await?;
            store::endpoint::set_backlog(tx, EndpointKey(1), &Default::default()).await?;
            store::lane::adopt_due(tx, owner, NOW, 2).await?;
            store::lane::next_due(tx.conn()).await?;
            store::lane::earliest_work(tx.conn(), EndpointKey(1)).await?;
            store::lane::lower(tx, &[store::LaneRow { endpoint: EndpointKey(1), next_at: NOW }]).await?;
            store::lease::due(tx.conn(), EndpointKey(1), NOW, 8).await?;
            store::backlog::due_after(tx.conn(), EndpointKey(1), NOW, NOW, 8).await?;
            store::backlog::earliest_after(tx.conn(), EndpointKey(1), NOW).await?;
            store::lease::claim(tx, owner, NOW, NOW, &[key(3)]).await?;
            store::hot::end_overdue(tx, NOW, &[key(4)]).await?;
            let range = store::EndpointRange { event: EventKey(1), after: EndpointKey(0), last: EndpointKey(9) };
            store::event_delivery::next_range(tx.conn(), EventKey(1), EndpointKey(0), 9).await?;
            store::event_delivery::endpoints(tx.conn(), range).await?;
            store::event_delivery::cancel(tx, range, NOW).await?;
            store::event_delivery::erase_answers(tx, range).await?;
            store::event_time::expunge(tx, EventKey(5), NOW).await?;
            store::delivery::make_held_due(tx, EndpointKey(1), NOW, 9).await?;
            store::event::contents(tx, &[EventKey(1)]).await?;
            store::event::headings(tx, &[EventKey(1)]).await?;
            store::event::find_published(tx.conn(), TENANT, "x").await?;
            store::attempt::was_begun(tx.conn(), key(1), 1).await?;
            store::meta::next_key(tx, "event").await?;
            store::delivery::get(tx.conn(), TENANT, key(1)).await?;
            let request = store::RequestKey { tenant: TENANT, id: "x".to_owned() };
            store::request::claim(tx, &request, b"", NOW, NOW).await?;
            store::request::find(tx.conn(), &shared_.keyring, &request, NOW).await?;
            store::request::answer(tx, &shared_.keyring, &request, b"").await?;
            store::request::delete_expired(tx, NOW, 2).await?;
            Ok(())
        })
    });
    unit.await.unwrap();
}

/// Runs the statements of turns that are one.
async fn run_turns_at_once(shared: &Arc<Shared>) {
    // The first is in steps, for the statements before were left in an open transaction.
    for chosen in [false, false, true] {
        let unit = shared.db.write_turn(shared.incarnation, store::Writing::AtOnce, move |tx| {
            Box::pin(async move {
                let event = an_event(ROWS + 2, "at once");
                let events = vec![event];
                let rows = if chosen {
                    tx.insert_chosen(events).await?;
                    store::hot::Rows::default()
                } else {
                    store::hot::Rows { events, ..Default::default() }
                };
                tx.write(NOW, rows).await?;
                tx.commit(NOW, &store::TurnEnd::default()).await
            })
        });
        unit.await.unwrap();
        let unit = shared.db.write(|tx| {
            Box::pin(async move {
                store::execute!(tx.conn(), "DELETE FROM event WHERE key = $1", ROWS + 2)?;
                tx.commit().await
            })
        });
        unit.await.unwrap();
    }
}

/// Each statement that the writer has prepared and its plan, whatever its parameters.
async fn plans(shared: &Arc<Shared>) -> Vec<(String, String)> {
    let unit = shared.db.write(|tx| {
        Box::pin(async move {
            let conn = tx.conn();
            store::execute!(&mut *conn, "SET LOCAL plan_cache_mode = force_generic_plan")?;
            let sql = "SELECT name, statement, cardinality(parameter_types)::bigint FROM pg_prepared_statements \
                       WHERE statement ~ '^ *(SELECT|UPDATE|INSERT|DELETE|WITH)' AND statement !~ 'pg_|replica|database_key'";
            let prepared: Vec<(String, String, i64)> = fetch_all!(&mut *conn, sql)?;
            let mut plans = Vec::new();
            for (name, statement, parameters) in prepared {
                let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
                let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
                let Conn::Postgres(conn) = &mut *conn else { unreachable!("it was opened above") };
                let explain = sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE {name}{nulls}"));
                let lines = sqlx::raw_sql(explain).fetch_all(&mut **conn).await?;
                plans.push((statement, lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()));
            }
            Ok(plans)
        })
    });
    unit.await.unwrap()
}

fn assert_frugal(plans: &[(String, String)]) {
    assert!(plans.len() >= 15, "{}", plans.len());
    for (statement, plan) in plans {
        for dear in ["Seq Scan", "Hash Join", "Merge Join"] {
            assert!(!plan.contains(dear), "{statement}\n{plan}");
        }
    }
    let plan_of = |part: &str| {
        let found = plans.iter().find(|(statement, _)| statement.contains(part));
        &found.unwrap_or_else(|| panic!("{part} was not prepared")).1
    };
    assert!(plan_of("SKIP LOCKED").contains("Index Scan using lane_due"));
    for lane in ["d.ready_at <= $2", "d.ready_at > $2"] {
        assert!(plan_of(lane).contains(" Scan using delivery_ready"), "{}", plan_of(lane));
        assert!(!plan_of(lane).contains("Sort"), "{}", plan_of(lane));
    }
    // What is ended is sorted by key, but only as much of it as one turn ends.
    assert!(plan_of("updated < $7").contains("Index Scan using delivery_ready"), "{}", plan_of("updated < $7"));
    assert!(plan_of("DELETE FROM request").contains("request_created"), "{}", plan_of("DELETE FROM request"));
    for settling in ["uncounted", "WITH v (event, endpoint, attempt, status", "attempt = delivery.attempt + 1"] {
        assert!(plan_of(settling).contains("Index Scan using delivery_"), "{}", plan_of(settling));
    }
    // In steps, at once, and at once with ids that publishers chose.
    let turns: Vec<_> = plans.iter().filter(|(statement, _)| statement.starts_with("WITH events AS")).collect();
    assert_eq!(turns.len(), 3);
    for (_, plan) in turns {
        assert!(plan.contains("Index Scan using delivery_"), "{plan}");
    }
}

#[tokio::test]
async fn no_statement_of_a_turn_reads_a_whole_table() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    run_hot_statements(&shared, shared.incarnation).await;
    run_turns_at_once(&shared).await;
    assert_frugal(&plans(&shared).await);

    database
        .run(format!(
            "INSERT INTO name VALUES (1, 'a.b'); \
             INSERT INTO event_time SELECT n, n, n FROM generate_series(1, {ROWS}) n; \
             INSERT INTO event SELECT n, 1, 'e' || n, 1, n, n, 1, 1, 0, 1, '', '', '{{}}' FROM generate_series(1, {ROWS}) n; \
             INSERT INTO delivery (event, endpoint, state, owner, attempt, base, ready_at, updated) \
             SELECT n, n % 100, 1, 0, 0, 0, n, n FROM generate_series(1, {ROWS}) n; \
             INSERT INTO lane SELECT n, n FROM generate_series(1, {ROWS}) n; \
             INSERT INTO request SELECT 1, 'r' || n, '', n, '' FROM generate_series(1, {ROWS}) n; ANALYZE"
        ))
        .await;
    run_hot_statements(&shared, shared.incarnation).await;
    assert_frugal(&plans(&shared).await);
}

#[tokio::test]
async fn happy_path_updates_each_delivery_once_and_touches_no_index() {
    let database = PostgresDatabase::create().await;
    let shared = server(database.url().as_str(), "one").await;
    let owner = shared.incarnation;
    let unit = shared.db.write(move |tx| {
        Box::pin(async move {
            let key = |event| DeliveryKey { event: EventKey(event), endpoint: EndpointKey(1) };
            let inserts: Vec<_> =
                (1..=64).map(|n| store::DeliveryInsert { key: key(n), handed_over: true, due: None }).collect();
            store::hot::insert_deliveries(tx, owner, NOW, &inserts).await?;
            let settlement = |n| store::Settlement {
                key: key(n),
                attempt: 1,
                to: DeliveryState::Delivered,
                ready_at: None,
                uncounted: false,
                shown: Some((200, std::time::Duration::from_millis(1), None)),
            };
            // Few enough that the new versions find room in their pages, although none of the old ones is dead yet.
            let settlements: Vec<_> = (1..=16).map(|n| (settlement(n), "ok".into())).collect();
            assert_eq!(store::hot::settle_delivered(tx, owner, NOW, &settlements).await?.len(), 16);
            let sql =
                "SELECT n_tup_ins, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'delivery'";
            let row: Option<(i64, i64, i64)> = fetch_optional!(tx.conn(), sql)?;
            Ok(row)
        })
    });
    assert_eq!(unit.await.unwrap(), Some((64, 16, 16)));
}
