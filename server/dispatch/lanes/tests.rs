mod backlog;

use std::sync::Arc;

use super::*;
use crate::model::{DeliveryKey, EventContent, EventKey, TenantKey, Timestamp};

const A: EndpointKey = EndpointKey(1);
const B: EndpointKey = EndpointKey(2);

/// An exchange that says nothing of how long its endpoint takes.
const QUIET: Pace = Pace::Nothing;
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
        expires: None,
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
        self.freed(&job(endpoint, bytes, Origin::Fresh, Place::Slot), pace, 8)
    }

    /// Reserves a place for a fresh delivery and commits it. Whether it is to be started.
    fn hand_over(&mut self, endpoint: EndpointKey, cap: u32) -> Option<bool> {
        let place = self.reserve_fresh(endpoint, cap, 1)?;
        Some(self.begin(job(endpoint, 1, Origin::Fresh, place), cap, Instant::now()).unwrap().is_some())
    }

    /// The end of an attempt at an endpoint that takes `cap` requests at once.
    fn freed(&mut self, job: &Job, pace: Pace, cap: u32) -> Released {
        self.release(job, pace, Instant::now(), |_| cap)
    }

    /// The lanes that a claim is to look at, and how much of each.
    fn planned(&mut self, total: u32, lanes: usize, cap: u32) -> Vec<(EndpointKey, u32)> {
        self.plan(total, lanes, Instant::now(), |_| cap).lanes
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
    for endpoint in [A, B] {
        few_slots.acquaint(endpoint, STEADY);
    }
    assert!(few_slots.reserve(A, 8, 1) && few_slots.reserve(B, 8, 1));
    assert!(!few_slots.reserve(A, 8, 1) && !few_slots.reserve(B, 8, 1));

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
    let next = |lanes: &mut Lanes| lanes.freed(&job(A, 1, Origin::Fresh, Place::Slot), FAST, 1).next;
    let sizes = [0; 3].map(|_| next(&mut lanes).unwrap().event.payload.len());
    assert_eq!(sizes, [1, 1, 3]);
    assert_eq!((lanes.shares.held(), lanes.leased), (1, 1), "the last one holds the slot");
    assert!(next(&mut lanes).is_none());
}

#[test]
fn cap_holds_for_those_that_wait() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    assert_eq!([0; 4].map(|_| lanes.hand_over(A, 2)), [Some(true), Some(true), Some(false), Some(false)]);
    let lowered = lanes.freed(&job(A, 1, Origin::Fresh, Place::Slot), FAST, 1);
    assert!(lowered.next.is_none(), "one is in flight, and no more are allowed now");
    assert!(lanes.freed(&job(A, 1, Origin::Fresh, Place::Slot), FAST, 1).next.is_some());
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
    let first = lanes.freed(&job(EndpointKey(3), 1, Origin::Fresh, Place::Slot), QUIET, 2).next.unwrap();
    let second = lanes.freed(&job(B, 1, Origin::Fresh, Place::Slot), QUIET, 2).next.unwrap();
    assert_eq!([first.key.endpoint, second.key.endpoint], [A, B]);
}

#[test]
fn timed_out_lane_has_one_slot_until_a_success() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve(A, 8, 1) && lanes.reserve(A, 8, 1));
    lanes.end(A, 1, Pace::Timeout);
    assert!(!lanes.reserve(A, 8, 1), "one is still in flight");
    lanes.end(A, 1, Pace::Failure);
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
    assert_eq!((lanes.leased, lanes.shares.held(), lanes.shares.held_by(Standing::Slow)), (1, 1, 1));
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
    assert_eq!((lanes.leased, lanes.shares.held()), (2, 2));
    assert!(lanes.end(A, 1, FAST).next.is_none());
}

#[test]
fn slow_lanes_hold_at_most_a_quarter_of_all_slots() {
    let mut lanes = lanes(20);
    lanes.acquaint(A, STEADY);
    let slow: Vec<EndpointKey> = (10..20).map(EndpointKey).collect();
    for endpoint in &slow {
        assert!(lanes.reserve(*endpoint, 8, 1));
        lanes.end(*endpoint, 1, Pace::Timeout);
    }
    let taken = slow.iter().filter(|endpoint| lanes.reserve(**endpoint, 8, 1)).count();
    assert_eq!(taken, 5);
    assert_eq!((0..20).filter(|_| lanes.reserve(A, 20, 1)).count(), 15, "the others are free for a healthy one");
}

#[test]
fn endpoints_that_have_not_answered_yet_hold_at_most_half_of_all_slots() {
    let mut lanes = lanes(64);
    lanes.acquaint(A, STEADY);
    let new: Vec<EndpointKey> = (100..200).map(EndpointKey).collect();
    let taken: Vec<usize> = new.iter().map(|of| (0..8).filter(|_| lanes.reserve(*of, 8, 1)).count()).collect();
    assert_eq!(taken[0], 8, "one alone gets what it allows");
    assert_eq!(taken[1..25], [1; 24], "and then each gets one");
    assert_eq!(taken[25..], [0; 75]);
    assert_eq!((0..100).filter(|_| lanes.reserve(A, 100, 1)).count(), 32, "the other half is free for a healthy one");
}

#[test]
fn endpoint_that_has_answered_once_gets_what_it_allows() {
    let mut lanes = lanes(64);
    let new: Vec<EndpointKey> = (100..132).map(EndpointKey).collect();
    new.iter().for_each(|endpoint| assert!(lanes.reserve(*endpoint, 1, 1)));
    assert!(!lanes.reserve(B, 8, 1));
    lanes.end(new[0], 1, STEADY);
    assert_eq!((0..8).filter(|_| lanes.reserve(new[0], 8, 1)).count(), 8);
    assert!(lanes.reserve(B, 8, 1), "and leaves its place to another new one");
}

#[test]
fn place_among_those_that_have_not_answered_yet_is_wanted_by_whoever_waits_for_one() {
    let mut lanes = lanes(64);
    (100..132).for_each(|endpoint| assert!(lanes.reserve(EndpointKey(endpoint), 1, 1)));
    lanes.adopt(B);
    assert!(lanes.planned(100, 100, 8).is_empty());
    assert_eq!(lanes.end(EndpointKey(100), 1, Pace::Timeout).wanted, Some(Duration::ZERO));
    assert_eq!(lanes.planned(100, 100, 8), [(B, 1)]);
}

#[test]
fn endpoint_that_failed_already_is_slow_from_the_start() {
    let mut lanes = lanes(100);
    lanes.suspect([A, B]);
    lanes.adopt(A);
    assert_eq!(lanes.planned(100, 100, 8), [(A, 1)]);
    lanes.reserve_claimed(A, 8, 1);
    assert!(lanes.reserve(B, 8, 1) && !lanes.reserve(B, 8, 1));
    lanes.freed(&job(A, 1, Origin::Backlog, Place::Slot), Pace::Failure, 8);
    assert!(lanes.lanes.contains_key(&A) && lanes.is_failing(A), "a failure is no news");
    lanes.reserve_claimed(A, 8, 1);
    let released = lanes.freed(&job(A, 1, Origin::Backlog, Place::Slot), STEADY, 8);
    assert_eq!(released.wanted, Some(Duration::ZERO));
    assert_eq!(lanes.planned(100, 100, 8), [(A, 8)]);
}

#[test]
fn what_was_not_asked_for_says_nothing_of_an_endpoint() {
    let mut lanes = lanes(100);
    for _ in 0..100 {
        assert!(lanes.reserve(A, 8, 1));
        lanes.end(A, 1, QUIET);
    }
    assert!(!lanes.is_failing(A));
}

#[test]
fn closed_lanes_give_nothing_and_give_back_what_waits() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    (0..3).for_each(|_| assert!(lanes.hand_over(A, 1).is_some()));
    lanes.adopt(A);
    assert_eq!(lanes.close().len(), 2);
    assert!(!lanes.reserve(B, 8, 1));
    assert!(lanes.planned(100, 100, 8).is_empty());
    assert!(lanes.end(A, 1, FAST).next.is_none());
    let late = job(A, 1, Origin::Backlog, Place::Ahead);
    lanes.reserve_claimed(A, 0, 1);
    assert!(lanes.begin(late, 8, Instant::now()).is_err());
    assert_eq!((lanes.leased, lanes.shares.held(), lanes.bytes), (0, 0, 0));
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
    assert_eq!((lanes.leased, lanes.shares.held(), lanes.shares.held_by(Standing::Slow), lanes.bytes), (0, 0, 0, 0));
}

#[test]
fn slow_lanes_of_endpoints_that_are_gone_are_forgotten() {
    let mut lanes = lanes(100);
    for endpoint in [A, B] {
        assert!(lanes.reserve(endpoint, 8, 1) && lanes.reserve(endpoint, 8, 1));
        lanes.end(endpoint, 1, Pace::Timeout);
    }
    assert_eq!(lanes.shares.held_by(Standing::Slow), 2);
    lanes.forget_failing(|endpoint| endpoint == A);
    assert_eq!(lanes.shares.held_by(Standing::Slow), 1, "the other is slow still");
    assert!(!lanes.reserve(B, 8, 1));
    for endpoint in [A, B] {
        lanes.end(endpoint, 1, QUIET);
    }
    assert_eq!(lanes.lanes.keys().collect::<Vec<_>>(), [&B]);
    assert_eq!(lanes.shares.held_by(Standing::Slow), 0);
}
