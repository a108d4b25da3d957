use super::*;

const A: EndpointKey = EndpointKey(1);
const B: EndpointKey = EndpointKey(2);

fn lanes(slots: u32) -> Lanes {
    Lanes::new(Room { slots, bytes: 1_000 })
}

#[test]
fn endpoint_never_exceeds_its_cap() {
    let mut lanes = lanes(100);
    assert_eq!((0..5).filter(|_| lanes.reserve_fresh(A, 3, 1)).count(), 3);
    assert!(lanes.reserve_fresh(B, 3, 1), "another endpoint has room of its own");
    lanes.release(A, 1, Origin::Fresh, Pace::Success);
    assert!(lanes.reserve_fresh(A, 3, 1));
    assert!(!lanes.reserve_fresh(A, 3, 1));
}

#[test]
fn all_together_never_exceed_slots_and_bytes() {
    let mut few_slots = lanes(2);
    assert!(few_slots.reserve_fresh(A, 8, 1) && few_slots.reserve_fresh(B, 8, 1));
    assert!(!few_slots.reserve_fresh(EndpointKey(3), 8, 1));

    let mut few_bytes = lanes(100);
    assert!(few_bytes.reserve_fresh(A, 8, 600));
    assert!(!few_bytes.reserve_fresh(B, 8, 600));
    few_bytes.release(A, 600, Origin::Fresh, Pace::Success);
    assert!(few_bytes.reserve_fresh(B, 8, 600));
}

#[test]
fn payload_larger_than_all_room_goes_alone() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve_fresh(A, 8, 5_000));
    assert!(!lanes.reserve_fresh(B, 8, 1));
    lanes.release(A, 5_000, Origin::Fresh, Pace::Success);
    assert!(lanes.reserve_fresh(B, 8, 1));
    assert!(!lanes.reserve_fresh(A, 8, 5_000));
}

#[test]
fn timed_out_lane_has_one_slot_until_a_success() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve_fresh(A, 8, 1) && lanes.reserve_fresh(A, 8, 1));
    lanes.release(A, 1, Origin::Fresh, Pace::Timeout);
    assert!(!lanes.reserve_fresh(A, 8, 1), "one is still in flight");
    lanes.release(A, 1, Origin::Fresh, Pace::Other);
    assert!(lanes.reserve_fresh(A, 8, 1));
    assert!(!lanes.reserve_fresh(A, 8, 1), "another failure does not open it");
    lanes.release(A, 1, Origin::Fresh, Pace::Success);
    assert!(lanes.reserve_fresh(A, 8, 1) && lanes.reserve_fresh(A, 8, 1));
}

#[test]
fn slow_lanes_hold_at_most_half_of_all_slots() {
    let mut lanes = lanes(10);
    let slow: Vec<EndpointKey> = (10..20).map(EndpointKey).collect();
    for endpoint in &slow {
        assert!(lanes.reserve_fresh(*endpoint, 8, 1));
        lanes.release(*endpoint, 1, Origin::Fresh, Pace::Timeout);
    }
    let taken = slow.iter().filter(|endpoint| lanes.reserve_fresh(**endpoint, 8, 1)).count();
    assert_eq!(taken, 5);
    assert_eq!((0..9).filter(|_| lanes.reserve_fresh(A, 8, 1)).count(), 5, "the other half is free for a healthy one");
}

#[test]
fn lane_with_a_backlog_gives_half_to_fresh_deliveries() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert_eq!((0..8).filter(|_| lanes.reserve_fresh(A, 8, 1)).count(), 4);
    assert_eq!(lanes.plan(100, 100, |_| 8).0, [(A, 4)]);
    lanes.give_back(&[A]);
    assert_eq!((0..8).filter(|_| lanes.reserve_fresh(A, 8, 1)).count(), 4);
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
    (0..2).for_each(|_| lanes.reserve_claimed(A, 1));
    assert_eq!(lanes.plan(100, 100, |_| 2), (vec![(B, 2)], false));
    assert!(lanes.release(A, 1, Origin::Backlog, Pace::Success), "a backlog waits");
    assert_eq!(lanes.plan(100, 1, |_| 2).0.len(), 1);
}

#[test]
fn closed_lanes_give_nothing() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    lanes.close();
    assert!(!lanes.reserve_fresh(B, 8, 1));
    assert!(lanes.plan(100, 100, |_| 8).0.is_empty());
}

#[test]
fn idle_lanes_are_forgotten() {
    let mut lanes = lanes(100);
    for key in 0..1_000 {
        assert!(lanes.reserve_fresh(EndpointKey(key), 1, 1));
        lanes.release(EndpointKey(key), 1, Origin::Fresh, Pace::Success);
    }
    assert!(lanes.lanes.is_empty());
    assert_eq!((lanes.slots, lanes.slow_slots, lanes.bytes), (0, 0, 0));
}

#[test]
fn slow_lanes_one_slot_belongs_to_its_backlog() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve_fresh(A, 8, 1));
    lanes.release(A, 1, Origin::Fresh, Pace::Timeout);
    lanes.adopt(A);
    assert!(!lanes.reserve_fresh(A, 8, 1));
    assert_eq!(lanes.plan(100, 100, |_| 8).0, [(A, 1)]);
}

#[test]
fn backlog_that_did_not_fit_is_told_of_the_next_slot() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert!(lanes.reserve_fresh(B, 8, 900));
    assert!(lanes.reserve_fresh(B, 8, 50));
    lanes.note_starved();
    assert!(lanes.release(B, 50, Origin::Fresh, Pace::Success));
    assert!(!lanes.release(B, 900, Origin::Fresh, Pace::Success), "once");
}

#[test]
fn slow_lanes_of_endpoints_that_are_gone_are_forgotten() {
    let mut lanes = lanes(100);
    for endpoint in [A, B] {
        assert!(lanes.reserve_fresh(endpoint, 8, 1) && lanes.reserve_fresh(endpoint, 8, 1));
        lanes.release(endpoint, 1, Origin::Fresh, Pace::Timeout);
    }
    assert_eq!(lanes.slow_slots, 2);
    lanes.forget_slow(|endpoint| endpoint == A);
    assert_eq!(lanes.slow_slots, 1, "the other is slow still");
    assert!(!lanes.reserve_fresh(B, 8, 1));
    for endpoint in [A, B] {
        lanes.release(endpoint, 1, Origin::Fresh, Pace::Other);
    }
    assert_eq!(lanes.lanes.keys().collect::<Vec<_>>(), [&B]);
    assert_eq!(lanes.slow_slots, 0);
}
