//! Events, deliveries, their leases, lanes and ends, and the log.

use std::time::Duration;

use super::{House, OTHER, TENANT, TEXTS, at, reads, sorted, whole, writes};
use crate::{
    model::{
        Attempt, AttemptResult, DeliveryKey, DeliveryState, EndpointKey, EventKey, FailureKind, Incarnation, LogBody,
        LogEntry, envelope::BodyNote,
    },
    store::{
        DeliveryInsert, Ending, EventInsert, Handoff, LaneRow, Position, Settlement, TurnEnd, attempt, backlog,
        delivery, endpoint, event, hot, lane, lease, log, meta, name::Names,
    },
};

pub(super) async fn run(house: &mut House) {
    events(house).await;
    deliveries(house).await;
    rows(house).await;
    leases(house).await;
    lanes(house).await;
    settling(house).await;
    attempts(house).await;
    ends(house).await;
    logs(house).await;
}

pub(super) fn key(event: i64, endpoint: i64) -> DeliveryKey {
    DeliveryKey { event: EventKey(event), endpoint: EndpointKey(endpoint) }
}

pub(in crate::store) fn an_event(number: i64, id: &str) -> EventInsert {
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
        reads!(house, conn, whole(event::get(conn, TENANT, id).await?));
        reads!(house, conn, whole(event::get(conn, OTHER, id).await?));
    }
    let keys: Vec<_> = (0..300).map(EventKey).collect();
    let (all, none) = (keys.clone(), Vec::new());
    writes!(house, tx, sorted(whole(event::contents(tx, &all).await?)));
    writes!(house, tx, sorted(event::headings(tx, &keys).await?));
    writes!(house, tx, (event::contents(tx, &none).await?, event::headings(tx, &none).await?));
}

async fn deliveries(house: &mut House) {
    let owner = house.owner();
    let inserts: Vec<_> = (1..=30)
        .flat_map(|event| (1..=3).map(move |endpoint| (event, endpoint)))
        .map(|(event, endpoint)| DeliveryInsert {
            key: key(event, endpoint),
            handed_over: event <= 10,
            due: (event == 30).then_some(at(150)),
        })
        .collect();
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &inserts).await?);
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &[]).await?);
    let repeated = [DeliveryInsert { key: key(1, 1), handed_over: true, due: None }];
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &repeated).await?);
    for tenant in [TENANT, OTHER] {
        reads!(house, conn, whole(delivery::get(conn, tenant, key(1, 1)).await?));
    }
    reads!(house, conn, whole(delivery::page(conn, Position::START, EventKey(0), 7).await?));
    for oldest in [0, 9, 11, 12] {
        reads!(house, conn, whole(delivery::page(conn, Position(key(11, 2)), EventKey(oldest), 100).await?));
    }
    for after in [Position::START, Position(key(20, 1)), Position(key(20, 2)), Position(key(20, 3))] {
        reads!(house, conn, whole(delivery::page_of_endpoint(conn, EndpointKey(2), after, EventKey(17), 5).await?));
        reads!(house, conn, whole(delivery::page_of_event(conn, EventKey(20), after, 2).await?));
        reads!(house, conn, whole(delivery::page_of_event(conn, EventKey(19), after, 100).await?));
    }
    for state in [key(1, 1), key(11, 1)] {
        writes!(house, tx, delivery::cancel(tx, state, at(200)).await?);
        reads!(house, conn, whole(delivery::get(conn, TENANT, state).await?));
        writes!(house, tx, delivery::make_due(tx, state, at(310), at(300)).await?);
        reads!(house, conn, whole(delivery::get(conn, TENANT, state).await?));
    }
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(200), 1).await?);
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(50), 3).await?);
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(1), at(50), 1_000).await?);
}

async fn leases(house: &mut House) {
    let owner = house.owner();
    end_turn(house, TurnEnd { handoff: Some(handoff(owner, 1, 10)), ..TurnEnd::default() }).await;
    reads!(house, conn, lease::due(conn, EndpointKey(1), at(50), 3).await?);
    reads!(house, conn, lease::due(conn, EndpointKey(2), at(99), 3).await?);
    reads!(house, conn, lease::due(conn, EndpointKey(2), at(100), 300).await?);
    for (after, now, limit) in [(50, 99, 3), (50, 100, 3), (100, 900, 300), (99, 900, 300)] {
        reads!(house, conn, backlog::due_after(conn, EndpointKey(2), at(after), at(now), limit).await?);
    }
    for after in [99, 100] {
        reads!(house, conn, backlog::earliest_after(conn, EndpointKey(2), at(after)).await?);
        for limit in [0, 1, i64::MAX] {
            reads!(house, conn, backlog::count_waiting(conn, TENANT, limit).await?);
            reads!(house, conn, backlog::count_waiting(conn, OTHER, limit).await?);
        }
    }
    let due: Vec<_> = (9..=14).map(|event| key(event, 2)).collect();
    writes!(house, tx, sorted(lease::claim(tx, owner, at(1_000), at(400), &due).await?));
    writes!(house, tx, lease::claim(tx, owner, at(1_000), at(400), &[]).await?);
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?));
    reads!(house, conn, lease::leased_by_dead(conn, owner).await?);
    let dead = Incarnation(77);
    writes!(house, tx, sorted(lease::claim(tx, dead, at(1_000), at(400), &[key(15, 2), key(16, 3)]).await?));
    end_turn(house, TurnEnd { handoff: Some(handoff(dead, 2, 90)), ..TurnEnd::default() }).await;
    reads!(house, conn, sorted(lease::leased_by_dead(conn, owner).await?));
    writes!(house, tx, lease::delete_handoffs_of_dead(tx, owner).await?);
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?).len());
    end_turn(house, TurnEnd { finished: vec![5, 1, 6], ..TurnEnd::default() }).await;
    end_turn(house, TurnEnd::default()).await;
    reads!(house, conn, sorted(lease::leased_by(conn, owner).await?));
}

fn handoff(owner: Incarnation, first: i64, last: i64) -> Handoff {
    Handoff { owner, first: EventKey(first), last: EventKey(last) }
}

/// Commits the end of a turn.
async fn end_turn(house: &mut House, end: TurnEnd) {
    let unit = house.shared.db.write(move |tx| Box::pin(async move { hot::commit(tx, at(10), &end).await }));
    let answer = unit.await;
    house.note("hot::commit", answer);
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
    // A deleted endpoint is not loaded even while it has a lane.
    reads!(house, conn, endpoint::load(conn, 3, 1).await?);
}

/// What one statement writes on Postgres and three do on SQLite: each part alone, and all together.
async fn rows(house: &mut House) {
    let owner = house.owner();
    let own = |number: i64| an_event(number, &format!("row-{number}"));
    let fresh = |event, endpoint| DeliveryInsert { key: key(event, endpoint), handed_over: true, due: None };
    let to = DeliveryState::Delivered;
    let shown = Some((204, Duration::from_micros(7), None));
    let settled = move |event, attempt| {
        (Settlement { key: key(event, 2), attempt, to, ready_at: None, uncounted: false, shown }, "ok".into())
    };
    let waiting = DeliveryInsert { handed_over: false, due: Some(at(9_000)), ..fresh(75, 1) };
    let deliveries = [[fresh(70, 2), fresh(71, 2), fresh(72, 2)], [fresh(73, 1), fresh(74, 1), waiting]];
    // The last of them has another number, and the one before it is not there.
    let delivered = move || vec![settled(70, 1), settled(71, 1), settled(999, 1), settled(72, 2)];
    writes!(house, tx, {
        let events = vec![own(70), own(71), own(72)];
        let rows = hot::Rows { events, deliveries: deliveries[0].to_vec(), ..Default::default() };
        hot::write(tx, owner, at(300), &rows).await?
    });
    writes!(house, tx, {
        let events = vec![own(73), own(74), own(75)];
        let rows = hot::Rows { events, deliveries: deliveries[1].to_vec(), delivered: delivered() };
        sorted(hot::write(tx, owner, at(301), &rows).await?)
    });
    writes!(house, tx, {
        let rows = hot::Rows { delivered: delivered(), ..Default::default() };
        sorted(hot::write(tx, owner, at(302), &rows).await?)
    });
    writes!(house, tx, {
        let rows = hot::Rows { events: vec![own(73)], ..Default::default() };
        hot::write(tx, owner, at(303), &rows).await?
    });
    writes!(house, tx, hot::write(tx, owner, at(304), &hot::Rows::default()).await?);
    for (event, endpoint) in [(70, 2), (72, 2), (73, 1), (75, 1)] {
        reads!(house, conn, whole(delivery::get(conn, TENANT, key(event, endpoint)).await?));
    }
    let keys: Vec<_> = (70..76).map(EventKey).collect();
    writes!(house, tx, sorted(whole(event::contents(tx, &keys).await?)));
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
    let with_stale: Vec<_> = [4, 9, 10].map(|event| (to(event, DeliveryState::Delivered), "".into())).into();
    writes!(house, tx, sorted(hot::settle_delivered(tx, owner, at(502), &with_stale).await?));
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
    reads!(house, conn, whole(delivery::page(conn, Position::START, EventKey(0), 1_000).await?));
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
    reads!(house, conn, whole(attempt::list(conn, key(1, 1), 0, 100).await?));
    reads!(house, conn, whole(attempt::list(conn, key(1, 1), 1, 1).await?));
}

async fn ends(house: &mut House) {
    let all = EndpointKey(1);
    let dead = Ending { kind: Some(FailureKind::HeldTooLong), ..Ending::all(DeliveryState::Dead) };
    let early = Ending { due_by: at(99), ..dead };
    let unchanged = Ending { changed_before: at(100), ..dead };
    let older = Ending { last_event: EventKey(1), ..dead };
    for none in [early, unchanged, older] {
        writes!(house, tx, hot::end_pending(tx, all, &none, at(700), 3).await?);
    }
    let cancelled = Ending::all(DeliveryState::Cancelled);
    let some = Ending { due_by: at(100), changed_before: at(101), last_event: EventKey(29), ..dead };
    writes!(house, tx, sorted(hot::end_pending(tx, all, &some, at(700), 3).await?));
    writes!(house, tx, sorted(hot::end_pending(tx, all, &cancelled, at(700), 1_000).await?));
    writes!(house, tx, hot::end_pending(tx, all, &cancelled, at(700), 1_000).await?);
    reads!(
        house,
        conn,
        whole(delivery::page_of_endpoint(conn, EndpointKey(1), Position::START, EventKey(0), 1_000).await?)
    );
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
    let (_, body) = commit(95, 3);
    let everything = TurnEnd {
        last_event: Some(EventKey(1 << 40)),
        handoff: Some(handoff(house.owner(), 40, 60)),
        finished: (1..=300).collect(),
        body: Some(body),
    };
    end_turn(house, everything).await;
    reads!(house, conn, meta::last_key(conn, "event").await?);
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
