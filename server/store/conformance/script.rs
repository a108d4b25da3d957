//! The script: calls in an order in which each finds something to do, with what is unusual besides what is usual.

use std::{sync::Arc, time::Duration};

use super::House;
use crate::{
    model::{
        Attempt, AttemptResult, Begin, CustomHeader, DeliveryKey, DeliveryPolicy, DeliveryState, DisableReason,
        Endpoint, EndpointKey, EndpointSettings, EndpointStatus, EventKey, EventTypeSettings, FailureKind, LogBody,
        LogEntry, RetrySchedule, Secret, SecretKey, Style, TenantKey, Timestamp, TypeFilter, envelope::BodyNote,
    },
    signing::{self, KeyForm},
    store::{
        DeliveryInsert, EventInsert, Health, LaneRow, Position, Settlement, attempt, delivery, endpoint, event,
        event_type, header, health, hot, lane, lease, log, meta, name::Names, replica, secret, tenant,
    },
};

const TENANT: TenantKey = TenantKey::DEFAULT;
const OTHER: TenantKey = TenantKey(2);

/// Texts that a database may sort, fold or measure in ways of its own.
const TEXTS: [&str; 6] = ["", "a", "A", "ä ß İ", "'; --", "\u{1F600}\u{FFFF}\u{10FFFF}"];

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn key(event: i64, endpoint: i64) -> DeliveryKey {
    DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) }
}

/// In an order of ours, where a function promises none.
fn sorted<T: std::fmt::Debug>(rows: Vec<T>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort_unstable();
    rows
}

pub(super) async fn run(house: &mut House) {
    counters(house).await;
    endpoints(house).await;
    secrets(house).await;
    catalogue(house).await;
    events(house).await;
    deliveries(house).await;
    leases(house).await;
    lanes(house).await;
    settling(house).await;
    attempts(house).await;
    ends(house).await;
    logs(house).await;
}

/// `writes!(house, tx, body)` and `reads!(house, conn, body)`: one unit of work, labelled by its own text.
macro_rules! writes {
    ($house:ident, $tx:ident, $body:expr) => {
        $house
            .write(stringify!($body), move |$tx| {
                Box::pin(async move {
                    let answer = $body;
                    $tx.commit().await?;
                    Ok(answer)
                })
            })
            .await
    };
}

macro_rules! reads {
    ($house:ident, $conn:ident, $body:expr) => {
        $house.read(stringify!($body), move |$conn| Box::pin(async move { Ok($body) })).await
    };
}

async fn counters(house: &mut House) {
    writes!(house, tx, meta::next_key(tx, "secret").await?);
    writes!(house, tx, meta::set_last_key(tx, "event", 1 << 40).await?);
    reads!(house, conn, meta::last_key(conn, "event").await?);
    reads!(house, conn, meta::cfg(conn).await?);
    writes!(house, tx, meta::raise_cfg(tx).await?);
    reads!(house, conn, meta::cfg(conn).await?);
    reads!(house, conn, tenant::all(conn).await?);
    // A life that begins under another name, and the one that is going on.
    writes!(house, tx, {
        let another = replica::begin(tx, "another").await?;
        replica::end(tx, another).await?;
        another
    });
    let owner = house.owner();
    reads!(house, conn, replica::others(conn, owner).await?);
    writes!(house, tx, replica::fence_lapsed(tx).await?);
}

fn an_endpoint(number: i64, text: &str, status: EndpointStatus) -> Endpoint {
    let retry = if number % 2 == 0 {
        RetrySchedule::Delays(vec![Duration::from_millis(1), Duration::from_secs(86_400)])
    } else {
        RetrySchedule::Exponential {
            initial: Duration::from_secs(1),
            multiplier: 1.5,
            max_delay: Duration::from_secs(60),
            max_attempts: 9,
        }
    };
    Endpoint {
        key: EndpointKey(number),
        tenant: if number < 5 { TENANT } else { OTHER },
        settings: EndpointSettings {
            display_name: text.to_owned(),
            description: text.repeat(3),
            url: "https://example.com/h?x=%00&y=ä".parse().unwrap(),
            filter: TypeFilter::parse(&["a.*".to_owned(), "b".to_owned()]).unwrap(),
            style: Style::default(),
            header_names: TEXTS[3..].iter().map(|text| (*text).to_owned()).collect(),
            policy: DeliveryPolicy { retry: Some(retry), ..DeliveryPolicy::default() },
        },
        status,
        generation: number,
        version: 10 + number,
        created: at(number),
        updated: at(i64::MAX),
    }
}

async fn endpoints(house: &mut House) {
    let disabled = EndpointStatus::Disabled { reason: DisableReason::Gone, since: at(77) };
    for (number, text) in (1..).zip(TEXTS) {
        let status = if number == 2 { disabled } else { EndpointStatus::Enabled };
        let new = an_endpoint(number, text, status);
        writes!(house, tx, endpoint::insert(tx, &new).await?);
    }
    let again = an_endpoint(1, "again", EndpointStatus::Enabled);
    writes!(house, tx, endpoint::insert(tx, &again).await?);
    let changed = Endpoint { version: 30, ..an_endpoint(3, "changed", disabled) };
    writes!(house, tx, endpoint::update(tx, &changed, true).await?);
    let renamed = Endpoint { version: 31, ..an_endpoint(4, "renamed", EndpointStatus::Deleted) };
    writes!(house, tx, endpoint::update(tx, &renamed, false).await?);
    for number in 1..=7 {
        reads!(house, conn, endpoint::get(conn, TENANT, EndpointKey(number)).await?);
    }
    reads!(house, conn, endpoint::list(conn, TENANT, 0, 2).await?);
    reads!(house, conn, endpoint::list(conn, TENANT, 2, 100).await?);
    reads!(house, conn, endpoint::load(conn, 0, 100).await?);
    for cfg in [0, 12, 29, 30, 31] {
        reads!(house, conn, endpoint::versions_at(conn, TENANT, cfg, 100).await?);
    }
    reads!(house, conn, endpoint::versions_at(conn, TENANT, 100, 2).await?);

    let failing = Health { generation: 1, failing_since: at(5), dead_in_row: 0 };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), failing).await?);
    let again = Health { generation: 2, failing_since: at(6), dead_in_row: 7 };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), again).await?);
    writes!(house, tx, health::set_failing(tx, EndpointKey(2), failing).await?);
    writes!(house, tx, health::clear(tx, EndpointKey(2)).await?);
    reads!(house, conn, health::all(conn).await?);
}

async fn secrets(house: &mut House) {
    let value = Arc::new(signing::Secret::generate(KeyForm::Base64));
    for (number, expires) in [(1, Some(at(10))), (2, Some(at(20))), (3, None)] {
        let (keyring, value) = (house.shared.keyring.clone(), value.clone());
        let begins = if number == 2 { Begin::OnActivation } else { Begin::Created };
        let new = Secret { key: SecretKey(number), scheme: "ä".into(), value, created: at(number), begins, expires };
        writes!(house, tx, secret::insert(tx, &keyring, TENANT, EndpointKey(1 + number / 3), &new).await?);
    }
    let load = |first, last| (house.shared.keyring.clone(), EndpointKey(first), EndpointKey(last), value.clone());
    let (all, second) = (load(0, 9), load(2, 2));
    writes!(house, tx, secret::set_expiry(tx, SecretKey(2), at(30)).await?);
    writes!(house, tx, secret::set_begin(tx, SecretKey(3), Begin::At(at(40))).await?);
    for (keyring, first, last, value) in [all.clone(), second] {
        reads!(house, conn, {
            let found = secret::load(conn, &keyring, first, last).await?;
            assert!(found.iter().all(|(_, secret)| secret.value.expose() == value.expose()));
            found
        });
    }
    writes!(house, tx, secret::delete_expired(tx, EndpointKey(1), at(10)).await?);
    writes!(house, tx, secret::clear_expiry(tx, SecretKey(2)).await?);
    let (keyring, first, last, _) = all.clone();
    reads!(house, conn, secret::load(conn, &keyring, first, last).await?);
    writes!(house, tx, secret::delete(tx, SecretKey(2)).await?);
    writes!(house, tx, secret::delete_all(tx, EndpointKey(2)).await?);
    let (keyring, first, last, _) = all;
    reads!(house, conn, secret::load(conn, &keyring, first, last).await?);
    headers(house).await;
}

async fn headers(house: &mut House) {
    let headers = TEXTS.map(|text| CustomHeader { name: format!("x-{text}"), value: text.to_owned().into() }).to_vec();
    for (number, count) in [(1, 2), (2, 6), (1, 1), (3, 3), (3, 0)] {
        let (keyring, some) = (house.shared.keyring.clone(), headers[..count].to_vec());
        writes!(house, tx, header::replace(tx, &keyring, TENANT, EndpointKey(number), &some).await?);
    }
    writes!(house, tx, header::delete(tx, EndpointKey(9)).await?);
    let keyring = house.shared.keyring.clone();
    reads!(house, conn, {
        let loaded = header::load(conn, &keyring, EndpointKey(1), EndpointKey(9)).await?;
        let plain = |(key, headers): (EndpointKey, Vec<CustomHeader>)| {
            (key, headers.into_iter().map(|header| (header.name, header.value.to_string())).collect::<Vec<_>>())
        };
        sorted(loaded.into_iter().map(plain).collect())
    });
}

async fn catalogue(house: &mut House) {
    for description in ["one", "one", "two"] {
        let types = ["b", "a.b", "a-b", "aB", "ab"].map(|name| EventTypeSettings {
            name: name.to_owned(),
            description: if name == "b" { description.to_owned() } else { TEXTS[5].to_owned() },
        });
        writes!(house, tx, event_type::upsert(tx, TENANT, at(3), &types).await?);
    }
    writes!(house, tx, event_type::upsert(tx, TENANT, at(3), &[]).await?);
    reads!(house, conn, event_type::count(conn, TENANT).await?);
    reads!(house, conn, event_type::count(conn, OTHER).await?);
    reads!(house, conn, event_type::get(conn, TENANT, "b").await?);
    reads!(house, conn, event_type::get(conn, TENANT, "B").await?);
    reads!(house, conn, event_type::list(conn, TENANT, "a-b", 3).await?);
}

fn an_event(number: i64, id: &str) -> EventInsert {
    EventInsert {
        key: EventKey(number),
        tenant: TENANT,
        id: id.into(),
        event_type: 1,
        time: at(-number),
        created: at(number),
        cfg: 12,
        content_type: 2,
        ping_of: (number % 5 == 0).then_some(EndpointKey(1)),
        fanout: number,
        labels: event::write_labels(&TEXTS.iter().map(|text| (format!("k{text}"), (*text).to_owned())).collect())
            .unwrap(),
        fingerprint: [number.to_be_bytes()[7]; 16],
        payload: (0..=255).cycle().take(usize::try_from(number).unwrap() * 100).collect::<Vec<u8>>().into(),
    }
}

async fn events(house: &mut House) {
    writes!(house, tx, {
        let names = Names::default();
        (
            names.key(tx, &"a.b".into()).await?,
            names.key(tx, &"text/ä".into()).await?,
            names.key(tx, &"a.b".into()).await?,
        )
    });
    let own: Vec<_> = (1..=30).map(|number| an_event(number, &format!("own-{number}"))).collect();
    writes!(house, tx, hot::insert_own_events(tx, &own).await?);
    writes!(house, tx, hot::insert_own_events(tx, &[]).await?);
    let repeated = [an_event(31, "own-1")];
    writes!(house, tx, hot::insert_own_events(tx, &repeated).await?);
    let chosen: Vec<_> = (40..=60).map(|number| an_event(number, &format!("own-{}", number - 20))).collect();
    writes!(house, tx, sorted(hot::insert_chosen_events(tx, &chosen).await?));
    writes!(house, tx, hot::insert_chosen_events(tx, &[]).await?);
    for id in ["own-1", "own-31", "OWN-1", ""] {
        reads!(house, conn, event::find_published(conn, TENANT, id).await?);
        reads!(house, conn, event::get(conn, TENANT, id).await?);
        reads!(house, conn, event::get(conn, OTHER, id).await?);
    }
    let keys: Vec<_> = (0..300).map(EventKey).collect();
    let (all, none) = (keys.clone(), Vec::new());
    writes!(house, tx, sorted(event::contents(tx, &all).await?));
    writes!(house, tx, sorted(event::headings(tx, &keys).await?));
    writes!(house, tx, (event::contents(tx, &none).await?, event::headings(tx, &none).await?));
}

async fn deliveries(house: &mut House) {
    let owner = house.owner();
    let inserts: Vec<_> = (1..=30)
        .flat_map(|event| (1..=3).map(move |endpoint| (event, endpoint)))
        .map(|(event, endpoint)| DeliveryInsert { key: key(event, endpoint), handed_over: event <= 10 })
        .collect();
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &inserts).await?);
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &[]).await?);
    let repeated = [DeliveryInsert { key: key(1, 1), handed_over: true }];
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &repeated).await?);
    for tenant in [TENANT, OTHER] {
        reads!(house, conn, delivery::get(conn, tenant, key(1, 1)).await?);
    }
    reads!(house, conn, delivery::of_event(conn, EventKey(11), 2).await?);
    reads!(house, conn, delivery::page(conn, Position::START, 7).await?);
    reads!(house, conn, delivery::page(conn, Position(key(11, 2)), 100).await?);
    for after in [Position::START, Position(key(20, 1)), Position(key(20, 2)), Position(key(20, 3))] {
        reads!(house, conn, delivery::page_of_endpoint(conn, EndpointKey(2), after, 5).await?);
    }
    for state in [key(1, 1), key(11, 1)] {
        writes!(house, tx, delivery::cancel(tx, state, at(200)).await?);
        reads!(house, conn, delivery::get(conn, TENANT, state).await?);
        writes!(house, tx, delivery::make_due(tx, state, at(300)).await?);
        reads!(house, conn, delivery::get(conn, TENANT, state).await?);
    }
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(200), 1).await?);
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(50), 3).await?);
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(50), 1_000).await?);
}

async fn leases(house: &mut House) {
    let owner = house.owner();
    writes!(house, tx, lease::insert_handoff(tx, 1, owner, EventKey(1), EventKey(10)).await?);
    reads!(house, conn, lease::due(conn, EndpointKey(1), at(50), 3).await?);
    reads!(house, conn, lease::due(conn, EndpointKey(2), at(99), 3).await?);
    reads!(house, conn, lease::due(conn, EndpointKey(2), at(100), 300).await?);
    let due: Vec<_> = (9..=14).map(|event| key(event, 2)).collect();
    writes!(house, tx, sorted(lease::claim(tx, owner, at(1_000), at(400), &due).await?));
    writes!(house, tx, lease::claim(tx, owner, at(1_000), at(400), &[]).await?);
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?));
    reads!(house, conn, lease::leased_by_dead(conn, owner).await?);
    let dead = crate::model::Incarnation(77);
    writes!(house, tx, sorted(lease::claim(tx, dead, at(1_000), at(400), &[key(15, 2), key(16, 3)]).await?));
    writes!(house, tx, lease::insert_handoff(tx, 2, dead, EventKey(1), EventKey(90)).await?);
    reads!(house, conn, sorted(lease::leased_by_dead(conn, owner).await?));
    writes!(house, tx, lease::delete_handoffs_of_dead(tx, owner).await?);
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?).len());
    writes!(house, tx, lease::delete_handoffs(tx, &[5, 1, 6]).await?);
    writes!(house, tx, lease::delete_handoffs(tx, &[]).await?);
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?));
}

async fn lanes(house: &mut House) {
    let owner = house.owner();
    let lane = |endpoint, next_at| LaneRow { endpoint: EndpointKey(endpoint), next_at: at(next_at) };
    let first: Vec<_> = (1..=20).map(|number| lane(number, 100 - number)).collect();
    writes!(house, tx, lane::lower(tx, &first).await?);
    let second = [lane(1, 5), lane(2, 500)];
    writes!(house, tx, lane::lower(tx, &second).await?);
    writes!(house, tx, lane::lower(tx, &[]).await?);
    reads!(house, conn, lane::next_due(conn).await?);
    writes!(house, tx, sorted(lane::adopt_due(tx, owner, at(85), 3).await?));
    writes!(house, tx, sorted(lane::adopt_due(tx, owner, at(85), 100).await?));
    reads!(house, conn, lane::next_due(conn).await?);
    writes!(house, tx, lane::give_back(tx, EndpointKey(20), Some(at(7))).await?);
    writes!(house, tx, lane::give_back(tx, EndpointKey(19), None).await?);
    writes!(house, tx, lane::wake(tx, EndpointKey(18), at(6)).await?);
    writes!(house, tx, lane::wake(tx, EndpointKey(999), at(6)).await?);
    writes!(house, tx, sorted(lane::adopt_due(tx, crate::model::Incarnation(77), at(6), 100).await?));
    writes!(house, tx, lane::disown_dead(tx, owner).await?);
    writes!(house, tx, sorted(lane::adopt_due(tx, owner, at(1_000), 100).await?));
    reads!(house, conn, lane::next_due(conn).await?);
    for endpoint in [1, 3, 999] {
        reads!(house, conn, lane::earliest_work(conn, EndpointKey(endpoint)).await?);
    }
    // A deleted endpoint is loaded while it has a lane.
    reads!(house, conn, endpoint::load(conn, 3, 1).await?);
}

async fn settling(house: &mut House) {
    let owner = house.owner();
    let shown = Some((200, Duration::from_micros(1_234), None));
    let to = |event, to| Settlement { key: key(event, 2), attempt: 1, to, ready_at: None, uncounted: false, shown };
    let delivered: [_; 2] = std::array::from_fn(|_| {
        (1..=4).map(|event| (to(event, DeliveryState::Delivered), "ok\0".into())).collect::<Vec<_>>()
    });
    let [first, again] = delivered;
    writes!(house, tx, sorted(hot::settle_delivered(tx, owner, at(500), &first).await?));
    writes!(house, tx, sorted(hot::settle_delivered(tx, owner, at(501), &again).await?));
    writes!(house, tx, hot::settle_delivered(tx, owner, at(500), &[]).await?);
    let failed = Some((500, Duration::from_secs(1), Some(FailureKind::HttpStatus)));
    let others = [
        Settlement { ready_at: Some(at(900)), shown: failed, ..to(5, DeliveryState::Pending) },
        Settlement { shown: failed, ..to(6, DeliveryState::Dead) },
        Settlement { ready_at: Some(at(800)), uncounted: true, shown: None, ..to(7, DeliveryState::Pending) },
        Settlement { attempt: 9, ..to(8, DeliveryState::Dead) },
        // Its cancellation was asked for.
        Settlement { key: key(1, 1), ready_at: Some(at(900)), ..to(1, DeliveryState::Pending) },
    ];
    writes!(house, tx, sorted(hot::settle_others(tx, owner, at(600), &others).await?));
    writes!(house, tx, sorted(hot::settle_others(tx, crate::model::Incarnation(9), at(600), &others).await?));
    writes!(house, tx, hot::settle_others(tx, owner, at(600), &[]).await?);
    reads!(house, conn, delivery::page(conn, Position::START, 1_000).await?);
}

async fn attempts(house: &mut House) {
    let one = |number, result| Attempt {
        delivery: key(1, 1),
        number,
        result,
        failure: (number % 2 == 0).then_some(FailureKind::Timeout),
        http_status: (number % 3 == 0).then_some(503),
        latency: (number % 2 == 0).then_some(Duration::from_millis(7)),
        ended: (number % 3 == 0).then_some(at(5)),
        response: vec![0, 255, 1].into(),
        response_truncated: number == 2,
        detail: TEXTS[3].to_owned(),
        body_note: (number == 2).then_some(BodyNote::RepeatedMemberKept),
    };
    writes!(house, tx, attempt::insert_begun(tx, key(1, 1), 3).await?);
    writes!(house, tx, attempt::insert_begun(tx, key(1, 1), 3).await?);
    writes!(house, tx, attempt::insert_begun(tx, key(1, 1), 4).await?);
    for number in [3, 5] {
        reads!(house, conn, attempt::was_begun(conn, key(1, 1), number).await?);
    }
    let some = [one(1, AttemptResult::Failed), one(2, AttemptResult::Lost), one(3, AttemptResult::Succeeded)];
    writes!(house, tx, attempt::upsert(tx, &some).await?);
    writes!(house, tx, attempt::upsert(tx, &[]).await?);
    for number in [3, 4] {
        writes!(house, tx, attempt::delete_begun(tx, key(1, 1), number).await?);
    }
    reads!(house, conn, attempt::list(conn, key(1, 1), 0, 100).await?);
    reads!(house, conn, attempt::list(conn, key(1, 1), 1, 1).await?);
}

async fn ends(house: &mut House) {
    let (dead, cancelled) = (DeliveryState::Dead, DeliveryState::Cancelled);
    let (all, why) = (EndpointKey(1), Some(FailureKind::HeldTooLong));
    writes!(house, tx, sorted(hot::end_pending(tx, all, dead, why, at(700), 3).await?));
    writes!(house, tx, sorted(hot::end_pending(tx, all, cancelled, None, at(700), 1_000).await?));
    writes!(house, tx, hot::end_pending(tx, all, cancelled, None, at(700), 1_000).await?);
    reads!(house, conn, delivery::page_of_endpoint(conn, EndpointKey(1), Position::START, 1_000).await?);
}

async fn logs(house: &mut House) {
    let commit = |now: i64, size: usize| {
        let entry = LogEntry { tenant: 1, endpoint: now, ..LogEntry::default() };
        (at(now), LogBody { events: Vec::new(), entries: vec![entry; size] })
    };
    for (now, body) in [commit(50, 1), commit(50, 100), commit(40, 1), commit(90, 5_000)] {
        let unit = house.shared.db.write(move |tx| Box::pin(async move { log::commit(tx, now, &body).await }));
        let answer = unit.await;
        house.note("log::commit", answer);
    }
    // Marks are random.
    reads!(house, conn, {
        let (seq, time, _) = log::head(conn).await?;
        (seq, time)
    });
    reads!(house, conn, {
        let (seq, time, _) = log::oldest(conn).await?;
        (seq, time)
    });
    for seq in [1, 3, 99] {
        reads!(house, conn, log::stamp(conn, seq).await?.map(|(time, _)| time));
    }
    for (seq, rows, bytes) in [(0, 100, i64::MAX), (1, 2, i64::MAX), (1, 100, 0), (1, 100, 30), (99, 1, 1)] {
        reads!(house, conn, {
            let rows = log::after(conn, seq, rows, bytes).await?;
            rows.into_iter().map(|row| (row.seq, row.time, row.body)).collect::<Vec<_>>()
        });
    }
    for micros in [0, 1, 2, 50, 51, 52, 90, 91] {
        reads!(house, conn, log::last_before(conn, at(micros)).await?);
    }
}
