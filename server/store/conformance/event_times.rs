//! Events that are scheduled, expire or are expunged, their eras and lists, and the deliveries of one event.

use std::time::Duration;

use super::{
    House, OTHER, TENANT, at,
    engine::{an_event, key},
    reads, sorted, whole, writes,
};
use crate::{
    model::{Attempt, AttemptResult, DeliveryState, EndpointKey, EventKey, EventTimes, FailureKind},
    store::{
        DeliveryInsert, EndpointRange, Settlement, attempt, delivery, event, event_delivery, event_era, event_time, hot,
    },
};

pub(super) async fn run(house: &mut House) {
    times(house).await;
    ends(house).await;
    overdue(house).await;
    eras(house).await;
}

/// Events 101 to 109, each with deliveries to the endpoints 1 to 4, of which the first two are in flight.
async fn times(house: &mut House) {
    let owner = house.owner();
    let own: Vec<_> = (101..=109).map(|number| an_event(number, &format!("timed-{number}"))).collect();
    writes!(house, tx, hot::insert_own_events(tx, &own).await?);
    let inserts: Vec<_> = (101..=109)
        .flat_map(|event| (1..=4).map(move |endpoint| (event, endpoint)))
        .map(|(event, endpoint)| DeliveryInsert { key: key(event, endpoint), handed_over: endpoint <= 2, due: None })
        .collect();
    writes!(house, tx, hot::insert_deliveries(tx, owner, at(100), &inserts).await?);
    let of = |event, deliver_at: Option<i64>, expires: Option<i64>| {
        let times = EventTimes { deliver_at: deliver_at.map(at), expires: expires.map(at), expunged: None };
        (EventKey(event), times)
    };
    let some = [of(101, Some(1_000), None), of(102, None, Some(200)), of(103, Some(-5), Some(i64::MAX))];
    writes!(house, tx, event_time::insert(tx, &some).await?);
    writes!(house, tx, event_time::insert(tx, &[]).await?);
    let again = [of(101, None, None)];
    writes!(house, tx, event_time::insert(tx, &again).await?);
    for (event, now) in [(103, 500), (103, 600), (104, 700), (999, 800)] {
        writes!(house, tx, event_time::expunge(tx, EventKey(event), at(now)).await?);
        reads!(house, conn, event_time::get(conn, EventKey(event)).await?);
    }
    for id in ["timed-101", "timed-102", "timed-103", "timed-104"] {
        reads!(house, conn, whole(event::get(conn, TENANT, id).await?));
        reads!(house, conn, event::find(conn, TENANT, id).await?);
        reads!(house, conn, event::find(conn, OTHER, id).await?);
    }
    writes!(house, tx, sorted(whole(event::contents(tx, &[EventKey(101), EventKey(102), EventKey(104)]).await?)));
    // What is held is made due, but for what is not to be delivered yet.
    writes!(house, tx, delivery::make_held_due(tx, EndpointKey(4), at(60), 1_000).await?);
    reads!(house, conn, whole(delivery::get(conn, TENANT, key(101, 4)).await?));
    reads!(house, conn, whole(delivery::get(conn, TENANT, key(102, 4)).await?));
}

async fn ends(house: &mut House) {
    let owner = house.owner();
    reads!(house, conn, event_delivery::next_range(conn, EventKey(105), EndpointKey(0), 3).await?);
    reads!(house, conn, event_delivery::next_range(conn, EventKey(105), EndpointKey(3), 3).await?);
    reads!(house, conn, event_delivery::next_range(conn, EventKey(105), EndpointKey(4), 3).await?);
    let range = |event| EndpointRange { event: EventKey(event), after: EndpointKey(1), last: EndpointKey(3) };
    reads!(house, conn, event_delivery::endpoints(conn, range(105)).await?);
    reads!(house, conn, event_delivery::pending(conn, range(105)).await?);
    for _ in 0..2 {
        writes!(house, tx, sorted(event_delivery::cancel(tx, range(105), at(300)).await?));
    }
    let answered = Attempt {
        delivery: key(105, 2),
        number: 1,
        result: AttemptResult::Failed,
        failure: Some(FailureKind::HttpStatus),
        http_status: Some(500),
        latency: None,
        ended: None,
        response: "an answer".into(),
        response_truncated: false,
        detail: String::new(),
        body_note: None,
    };
    writes!(house, tx, attempt::upsert(tx, &[answered]).await?);
    writes!(house, tx, event_delivery::erase_answers(tx, range(105)).await?);
    reads!(house, conn, whole(attempt::list(conn, key(105, 2), 0, 9).await?));
    // Answered after it was erased, and before.
    let shown = Some((200, Duration::from_micros(9), None));
    let to = |endpoint, to| {
        let key = key(105, endpoint);
        Settlement { key, attempt: 1, to, ready_at: Some(at(900)), uncounted: false, shown }
    };
    let delivered = [(to(1, DeliveryState::Delivered), "kept".into())];
    writes!(house, tx, sorted(hot::settle_delivered(tx, owner, at(500), &delivered).await?));
    let retried = [to(2, DeliveryState::Pending)];
    writes!(house, tx, sorted(hot::settle_others(tx, owner, at(500), &retried).await?));
    let range = EndpointRange { event: EventKey(106), after: EndpointKey(0), last: EndpointKey(1) };
    writes!(house, tx, event_delivery::erase_answers(tx, range).await?);
    let delivered = Settlement { key: key(106, 1), ..to(1, DeliveryState::Delivered) };
    let delivered = [(delivered, "not kept".into())];
    writes!(house, tx, sorted(hot::settle_delivered(tx, owner, at(500), &delivered).await?));
    for (event, endpoint) in [(105, 1), (105, 2), (105, 3), (105, 4), (106, 1)] {
        reads!(house, conn, whole(delivery::get(conn, TENANT, key(event, endpoint)).await?));
    }
}

async fn overdue(house: &mut House) {
    let all: Vec<_> = (101..=104).flat_map(|event| (1..=4).map(move |endpoint| key(event, endpoint))).collect();
    for now in [199, 200, 201] {
        let all = all.clone();
        writes!(house, tx, sorted(hot::end_overdue(tx, at(now), &all).await?));
    }
    writes!(house, tx, hot::end_overdue(tx, at(999), &[]).await?);
    for event in 101..=104 {
        reads!(house, conn, whole(delivery::get(conn, TENANT, key(event, 3)).await?));
    }
}

async fn eras(house: &mut House) {
    // The newest event was published at 109.
    for (first, now) in [(200, 109), (201, 108), (201, 107), (300, 1)] {
        writes!(house, tx, event_era::begin(tx, EventKey(first), at(now)).await?);
    }
    for event in [0, 200, 201, 299, 300, i64::MAX] {
        reads!(house, conn, event_era::first_of(conn, EventKey(event)).await?);
    }
    for (low, high, time) in [(0, 110, 0), (0, 110, 25), (0, 110, 35), (0, 110, 110), (0, 30, 60), (105, 109, 107)] {
        reads!(house, conn, event_era::first_since(conn, EventKey(low), EventKey(high), at(time)).await?);
    }
    for (start, end) in [(None, None), (Some(105), None), (None, Some(107)), (Some(103), Some(108))] {
        reads!(house, conn, event_era::range(conn, EventKey(109), start.map(at), end.map(at)).await?);
    }
    for below in [i64::MAX, 101, 40, 1] {
        reads!(house, conn, event::newest_below(conn, EventKey(below)).await?);
    }
    for (low, high, limit) in [(0, i64::MAX, 3), (0, 50, 100), (10, 10, 5)] {
        reads!(house, conn, whole(event::page(conn, TENANT, EventKey(low), EventKey(high), limit).await?));
    }
    reads!(house, conn, whole(event::page(conn, OTHER, EventKey(0), EventKey(i64::MAX), 3).await?));
}
