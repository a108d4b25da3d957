use std::sync::Arc;

use super::*;
use crate::model::{DeliveryKey, EventContent, EventKey, TenantKey, Timestamp};

const A: EndpointKey = EndpointKey(1);
const B: EndpointKey = EndpointKey(2);

/// An exchange that says nothing of how long its endpoint takes.
const QUIET: Pace = Pace::Other;
/// As fast as leads to 100 ms / 10 ms = 10 times the cap leased ahead.
const FAST: Pace = Pace::Success(Duration::from_millis(10));
/// Too slow for anything to be leased ahead.
const STEADY: Pace = Pace::Success(Duration::from_secs(10));

fn lanes(slots: u32) -> Lanes {
    Lanes::new(Room { slots, ahead: 1_000, bytes: 1_000 })
}

fn job(endpoint: EndpointKey, bytes: usize, origin: Origin, place: Place) -> Job {
    let time = Timestamp::from_micros(0);
    let event = EventContent {
        key: EventKey(1),
        tenant: TenantKey(1),
        id: "evt".into(),
        event_type: "a".into(),
        content_type: "text/plain".into(),
        payload: vec![b'x'; bytes].into(),
        time,
        created: time,
        ping_of: None,
    };
    let key = DeliveryKey { event: EventKey(1), endpoint };
    Job { key, event: Arc::new(event), attempt: 1, base: 0, origin, place, last_chance: false }
}

impl Lanes {
    fn reserve(&mut self, endpoint: EndpointKey, cap: u32, bytes: u64) -> bool {
        self.reserve_fresh(endpoint, cap, bytes).is_some()
    }

    /// The end of a fresh attempt of `bytes`.
    fn end(&mut self, endpoint: EndpointKey, bytes: usize, pace: Pace) -> Released {
        self.release(&job(endpoint, bytes, Origin::Fresh, Place::Slot), pace, |_| 8)
    }

    /// Reserves a place for a fresh delivery and commits it. Whether it is to be started.
    fn hand_over(&mut self, endpoint: EndpointKey, cap: u32) -> Option<bool> {
        let place = self.reserve_fresh(endpoint, cap, 1)?;
        Some(self.begin(job(endpoint, 1, Origin::Fresh, place), cap, Instant::now()).unwrap().is_some())
    }

    /// Lets it be known that an endpoint takes about so long.
    fn acquaint(&mut self, endpoint: EndpointKey, pace: Pace) {
        assert!(self.reserve(endpoint, 8, 1));
        self.end(endpoint, 1, pace);
    }
}

#[test]
fn endpoint_never_exceeds_its_cap() {
    let mut lanes = lanes(100);
    assert_eq!((0..5).filter(|_| lanes.reserve(A, 3, 1)).count(), 3);
    assert!(lanes.reserve(B, 3, 1), "another endpoint has room of its own");
    lanes.end(A, 1, STEADY);
    assert!(lanes.reserve(A, 3, 1));
    assert!(!lanes.reserve(A, 3, 1));
}

#[test]
fn all_together_never_exceed_slots_and_bytes() {
    let mut few_slots = lanes(2);
    assert!(few_slots.reserve(A, 8, 1) && few_slots.reserve(B, 8, 1));
    assert!(!few_slots.reserve(EndpointKey(3), 8, 1));

    let mut few_bytes = lanes(100);
    assert!(few_bytes.reserve(A, 8, 600));
    assert!(!few_bytes.reserve(B, 8, 600));
    few_bytes.end(A, 600, STEADY);
    assert!(few_bytes.reserve(B, 8, 600));
}

#[test]
fn payload_larger_than_all_room_goes_alone() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve(A, 8, 5_000));
    assert!(!lanes.reserve(B, 8, 1));
    lanes.end(A, 5_000, STEADY);
    assert!(lanes.reserve(B, 8, 1));
    assert!(!lanes.reserve(A, 8, 5_000));
}

#[test]
fn endpoint_that_answers_quickly_gets_deliveries_ahead_of_its_slots() {
    let mut lanes = lanes(100);
    assert_eq!((0..5).filter(|_| lanes.reserve(A, 2, 1)).count(), 2, "how long it takes is not known yet");
    lanes.end(A, 1, FAST);
    let places: Vec<Place> = (0..30).map_while(|_| lanes.reserve_fresh(A, 2, 1)).collect();
    assert_eq!(places.len(), 21, "2 slots and 20 ahead, of which one slot was taken before");
    assert_eq!(places[0], Place::Slot);
    assert!(places[1..].iter().all(|place| *place == Place::Ahead));
}

#[test]
fn slots_that_get_free_are_given_to_those_that_wait_in_their_order() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    assert_eq!([0; 3].map(|_| lanes.hand_over(A, 1)), [Some(true), Some(false), Some(false)]);
    let waiting = job(A, 3, Origin::Backlog, lanes.reserve_claimed(A, 1, 3));
    assert!(lanes.begin(waiting, 1, Instant::now()).unwrap().is_none());
    let next = |lanes: &mut Lanes| lanes.release(&job(A, 1, Origin::Fresh, Place::Slot), FAST, |_| 1).next;
    let sizes = [0; 3].map(|_| next(&mut lanes).unwrap().event.payload.len());
    assert_eq!(sizes, [1, 1, 3]);
    assert_eq!((lanes.slots, lanes.leased), (1, 1), "the last one holds the slot");
    assert!(next(&mut lanes).is_none());
}

#[test]
fn cap_holds_for_those_that_wait() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    assert_eq!([0; 4].map(|_| lanes.hand_over(A, 2)), [Some(true), Some(true), Some(false), Some(false)]);
    let lowered = lanes.release(&job(A, 1, Origin::Fresh, Place::Slot), FAST, |_| 1);
    assert!(lowered.next.is_none(), "one is in flight, and no more are allowed now");
    assert!(lanes.release(&job(A, 1, Origin::Fresh, Place::Slot), FAST, |_| 1).next.is_some());
}

#[test]
fn slot_that_gets_free_between_lease_and_start_is_taken_at_once() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    assert_eq!(lanes.hand_over(A, 1), Some(true));
    let place = lanes.reserve_fresh(A, 1, 1).unwrap();
    assert_eq!(place, Place::Ahead);
    lanes.end(A, 1, FAST);
    let begun = lanes.begin(job(A, 1, Origin::Fresh, place), 1, Instant::now()).unwrap();
    assert_eq!(begun.map(|job| job.place), Some(Place::Slot));
}

#[test]
fn what_waits_because_all_slots_are_taken_gets_them_in_turn() {
    let mut lanes = lanes(3);
    for endpoint in [A, B] {
        lanes.acquaint(endpoint, FAST);
    }
    assert_eq!([0; 2].map(|_| lanes.hand_over(A, 1)), [Some(true), Some(false)]);
    let place = lanes.reserve_fresh(B, 2, 1).unwrap();
    lanes.reserve_forced(EndpointKey(3), 1);
    let ahead = job(B, 1, Origin::Fresh, Place::Ahead);
    lanes.reserve_claimed(B, 1, 1);
    assert!(lanes.begin(ahead, 2, Instant::now()).unwrap().is_none(), "all slots are taken");
    assert_eq!(place, Place::Slot);
    let first = lanes.release(&job(EndpointKey(3), 1, Origin::Fresh, Place::Slot), QUIET, |_| 2).next.unwrap();
    let second = lanes.release(&job(B, 1, Origin::Fresh, Place::Slot), QUIET, |_| 2).next.unwrap();
    assert_eq!([first.key.endpoint, second.key.endpoint], [A, B]);
}

#[test]
fn timed_out_lane_has_one_slot_until_a_success() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve(A, 8, 1) && lanes.reserve(A, 8, 1));
    lanes.end(A, 1, Pace::Timeout);
    assert!(!lanes.reserve(A, 8, 1), "one is still in flight");
    lanes.end(A, 1, Pace::Other);
    assert!(lanes.reserve(A, 8, 1));
    assert!(!lanes.reserve(A, 8, 1), "another failure does not open it");
    lanes.end(A, 1, STEADY);
    assert!(lanes.reserve(A, 8, 1) && lanes.reserve(A, 8, 1));
}

#[test]
fn timed_out_lane_gives_back_what_waits() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    (0..5).for_each(|_| assert!(lanes.hand_over(A, 2).is_some()));
    let released = lanes.end(A, 1, Pace::Timeout);
    assert_eq!((released.given_back.len(), released.next.is_none()), (3, true));
    assert_eq!((lanes.leased, lanes.slots, lanes.slow_slots), (1, 1, 1));
    let late = job(A, 1, Origin::Fresh, Place::Ahead);
    lanes.reserve_claimed(A, 1, 1);
    assert!(lanes.begin(late, 2, Instant::now()).is_err(), "one that was being committed meanwhile too");
    assert_eq!(lanes.leased, 1);
}

#[test]
fn what_waits_for_too_long_is_given_back() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    (0..5).for_each(|_| assert!(lanes.hand_over(A, 2).is_some()));
    let now = Instant::now();
    assert!(lanes.overdue(now).is_empty());
    assert_eq!(lanes.overdue(now + WAIT_MAX + Duration::from_secs(1)).len(), 3);
    assert_eq!((lanes.leased, lanes.slots), (2, 2));
    assert!(lanes.end(A, 1, FAST).next.is_none());
}

#[test]
fn slow_lanes_hold_at_most_half_of_all_slots() {
    let mut lanes = lanes(10);
    let slow: Vec<EndpointKey> = (10..20).map(EndpointKey).collect();
    for endpoint in &slow {
        assert!(lanes.reserve(*endpoint, 8, 1));
        lanes.end(*endpoint, 1, Pace::Timeout);
    }
    let taken = slow.iter().filter(|endpoint| lanes.reserve(**endpoint, 8, 1)).count();
    assert_eq!(taken, 5);
    assert_eq!((0..9).filter(|_| lanes.reserve(A, 8, 1)).count(), 5, "the other half is free for a healthy one");
}

#[test]
fn lane_with_a_backlog_gives_half_to_fresh_deliveries() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert_eq!((0..8).filter(|_| lanes.reserve(A, 8, 1)).count(), 4);
    assert_eq!(lanes.plan(100, 100, |_| 8).0, [(A, 4)]);
    lanes.give_back(&[A]);
    assert_eq!((0..8).filter(|_| lanes.reserve(A, 8, 1)).count(), 4);
}

#[test]
fn plan_serves_lanes_in_turn() {
    let mut lanes = lanes(100);
    let all: Vec<EndpointKey> = (1..=4).map(EndpointKey).collect();
    all.iter().for_each(|endpoint| lanes.adopt(*endpoint));
    assert_eq!(lanes.plan(4, 2, |_| 2), (vec![(all[0], 2), (all[1], 2)], true));
    assert_eq!(lanes.plan(3, 4, |_| 2).0, [(all[2], 2), (all[3], 1)]);
}

#[test]
fn plan_passes_over_lanes_without_room() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    lanes.adopt(B);
    (0..2).for_each(|_| assert_eq!(lanes.reserve_claimed(A, 2, 1), Place::Slot));
    assert_eq!(lanes.plan(100, 100, |_| 2), (vec![(B, 2)], false));
    let released = lanes.release(&job(A, 1, Origin::Backlog, Place::Slot), QUIET, |_| 2);
    assert!(released.wanted, "a backlog waits");
    assert_eq!(lanes.plan(100, 1, |_| 2).0.len(), 1);
}

#[test]
fn backlog_is_claimed_when_half_of_what_was_leased_ahead_is_left() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    lanes.adopt(A);
    assert_eq!(lanes.plan(1_000, 100, |_| 2).0, [(A, 22)]);
    for _ in 0..22 {
        let place = lanes.reserve_claimed(A, 2, 1);
        let _ = lanes.begin(job(A, 1, Origin::Backlog, place), 2, Instant::now()).unwrap();
    }
    let mut wanted = Vec::new();
    for _ in 0..12 {
        assert!(lanes.plan(1_000, 100, |_| 2).0.is_empty());
        wanted.push(lanes.release(&job(A, 1, Origin::Backlog, Place::Slot), FAST, |_| 2).wanted);
        if wanted.ends_with(&[true]) {
            break;
        }
    }
    assert_eq!(wanted.len(), 10);
    assert_eq!(lanes.plan(1_000, 100, |_| 2).0, [(A, 10)]);
}

#[test]
fn closed_lanes_give_nothing_and_give_back_what_waits() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    (0..3).for_each(|_| assert!(lanes.hand_over(A, 1).is_some()));
    lanes.adopt(A);
    assert_eq!(lanes.close().len(), 2);
    assert!(!lanes.reserve(B, 8, 1));
    assert!(lanes.plan(100, 100, |_| 8).0.is_empty());
    assert!(lanes.end(A, 1, FAST).next.is_none());
    let late = job(A, 1, Origin::Backlog, Place::Ahead);
    lanes.reserve_claimed(A, 0, 1);
    assert!(lanes.begin(late, 8, Instant::now()).is_err());
    assert_eq!((lanes.leased, lanes.slots, lanes.bytes), (0, 0, 0));
}

#[test]
fn idle_lanes_are_forgotten_but_for_how_long_their_endpoints_take() {
    let mut lanes = lanes(100);
    for key in 0..1_000 {
        assert!(lanes.reserve(EndpointKey(key), 1, 1));
        lanes.end(EndpointKey(key), 1, QUIET);
    }
    assert!(lanes.lanes.is_empty());
    for key in 0..20_000 {
        assert!(lanes.reserve(EndpointKey(key), 1, 1));
        lanes.end(EndpointKey(key), 1, FAST);
    }
    assert_eq!(lanes.lanes.len(), REMEMBERED_MAX);
    assert_eq!((lanes.leased, lanes.slots, lanes.slow_slots, lanes.bytes), (0, 0, 0, 0));
}

#[test]
fn slow_lanes_one_slot_belongs_to_its_backlog() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve(A, 8, 1));
    lanes.end(A, 1, Pace::Timeout);
    lanes.adopt(A);
    assert!(!lanes.reserve(A, 8, 1));
    assert_eq!(lanes.plan(100, 100, |_| 8).0, [(A, 1)]);
}

#[test]
fn backlog_that_did_not_fit_is_told_of_the_next_slot() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert!(lanes.reserve(B, 8, 900));
    assert!(lanes.reserve(B, 8, 50));
    lanes.note_starved();
    assert!(lanes.end(B, 50, QUIET).wanted);
    assert!(!lanes.end(B, 900, QUIET).wanted, "once");
}

#[test]
fn slow_lanes_of_endpoints_that_are_gone_are_forgotten() {
    let mut lanes = lanes(100);
    for endpoint in [A, B] {
        assert!(lanes.reserve(endpoint, 8, 1) && lanes.reserve(endpoint, 8, 1));
        lanes.end(endpoint, 1, Pace::Timeout);
    }
    assert_eq!(lanes.slow_slots, 2);
    lanes.forget_slow(|endpoint| endpoint == A);
    assert_eq!(lanes.slow_slots, 1, "the other is slow still");
    assert!(!lanes.reserve(B, 8, 1));
    for endpoint in [A, B] {
        lanes.end(endpoint, 1, QUIET);
    }
    assert_eq!(lanes.lanes.keys().collect::<Vec<_>>(), [&B]);
    assert_eq!(lanes.slow_slots, 0);
}
