//! What is claimed of backlogs, and in which order.

use super::*;

#[test]
fn plan_gives_no_more_to_new_endpoints_than_there_is() {
    let mut lanes = lanes(64);
    let new: Vec<EndpointKey> = (100..200).map(EndpointKey).collect();
    new.iter().for_each(|endpoint| lanes.adopt(*endpoint));
    let plan = lanes.planned(1_000, 100, 8);
    assert_eq!(plan.iter().map(|(_, room)| room).sum::<u32>(), 32);
    assert_eq!(plan.len(), 25);
    for (endpoint, room) in &plan {
        (0..*room).for_each(|_| assert_eq!(lanes.reserve_claimed(*endpoint, 8, 1), Place::Slot));
    }
    assert!(lanes.planned(1_000, 100, 8).is_empty());
    lanes.freed(&job(plan[1].0, 1, Origin::Backlog, Place::Slot), STEADY, 8);
    assert_eq!(lanes.planned(1_000, 100, 8), [(new[25], 1), (plan[1].0, 8)], "the next in turn, and who has answered");
}

#[test]
fn endpoints_that_fail_are_probed_a_few_at_a_time_and_in_turn() {
    let (mut lanes, start) = (lanes(1_000), Instant::now());
    let dead: Vec<EndpointKey> = (100..200).map(EndpointKey).collect();
    lanes.suspect(dead.iter().copied());
    dead.iter().for_each(|endpoint| lanes.adopt(*endpoint));
    lanes.acquaint(A, STEADY);
    lanes.adopt(A);
    let mut probed = Vec::new();
    for round in 0..4 {
        let now = start + Duration::from_millis(100) * round;
        let plan = lanes.plan(1_000, 1_000, now, |_| 8);
        assert_eq!(plan.probe_in, Some(Duration::from_millis(100)));
        assert_eq!(plan.lanes.contains(&(A, 8)), round == 0, "who does not fail does not wait");
        for (endpoint, room) in plan.lanes {
            (0..room).for_each(|_| assert_eq!(lanes.reserve_claimed(endpoint, 8, 1), Place::Slot));
            if endpoint != A {
                assert_eq!(room, 1);
                probed.push(endpoint);
                let job = job(endpoint, 1, Origin::Backlog, Place::Slot);
                let released = lanes.release(&job, Pace::Failure, now + Duration::from_millis(40), |_| 8);
                assert_eq!(released.wanted, Some(Duration::from_millis(60)), "with the others of the next round");
            }
        }
        let again = lanes.plan(1_000, 1_000, now + Duration::from_millis(40), |_| 8);
        assert_eq!((again.lanes, again.probe_in), (Vec::new(), Some(Duration::from_millis(60))));
    }
    assert_eq!(probed[..100], dead, "each once before one is probed again");
    assert_eq!(probed.len(), 4 * 32);
}

#[test]
fn endpoint_that_fails_at_once_keeps_its_slots_but_is_claimed_for_sparingly() {
    let (mut lanes, start) = (lanes(1_000), Instant::now());
    lanes.adopt(A);
    for _ in 0..16 {
        assert!(!lanes.is_failing(A));
        assert!(lanes.reserve(A, 100, 1));
        lanes.end(A, 1, Pace::Failure);
    }
    assert!(lanes.is_failing(A));
    let plan = lanes.plan(1_000, 100, start, |_| 100);
    assert_eq!((plan.lanes, plan.probe_in), (vec![(A, 32)], Some(Duration::from_millis(100))));
    lanes.acquaint(A, STEADY);
    assert!(!lanes.is_failing(A), "a success ends it");
    assert_eq!(lanes.planned(1_000, 100, 50), [(A, 50)]);
}

#[test]
fn lane_with_a_backlog_gives_half_to_fresh_deliveries() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert_eq!((0..8).filter(|_| lanes.reserve(A, 8, 1)).count(), 4);
    assert_eq!(lanes.planned(100, 100, 8), [(A, 4)]);
    lanes.give_back(&[A]);
    assert_eq!((0..8).filter(|_| lanes.reserve(A, 8, 1)).count(), 4);
}

#[test]
fn plan_serves_lanes_in_turn() {
    let mut lanes = lanes(100);
    let all: Vec<EndpointKey> = (1..=4).map(EndpointKey).collect();
    all.iter().for_each(|endpoint| lanes.adopt(*endpoint));
    let plan = lanes.plan(4, 2, Instant::now(), |_| 2);
    assert_eq!((plan.lanes, plan.cut_short), (vec![(all[0], 2), (all[1], 2)], true));
    assert_eq!(lanes.planned(3, 4, 2), [(all[2], 2), (all[3], 1)]);
}

#[test]
fn plan_passes_over_lanes_without_room() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    lanes.adopt(B);
    (0..2).for_each(|_| assert_eq!(lanes.reserve_claimed(A, 2, 1), Place::Slot));
    let plan = lanes.plan(100, 100, Instant::now(), |_| 2);
    assert_eq!((plan.lanes, plan.cut_short), (vec![(B, 2)], false));
    let released = lanes.freed(&job(A, 1, Origin::Backlog, Place::Slot), QUIET, 2);
    assert_eq!(released.wanted, Some(Duration::ZERO), "a backlog waits");
    assert_eq!(lanes.planned(100, 1, 2).len(), 1);
}

#[test]
fn backlog_is_claimed_when_half_of_what_was_leased_ahead_is_left() {
    let mut lanes = lanes(100);
    lanes.acquaint(A, FAST);
    lanes.adopt(A);
    assert_eq!(lanes.planned(1_000, 100, 2), [(A, 22)]);
    for _ in 0..22 {
        let place = lanes.reserve_claimed(A, 2, 1);
        let _ = lanes.begin(job(A, 1, Origin::Backlog, place), 2, Instant::now()).unwrap();
    }
    let mut wanted = Vec::new();
    for _ in 0..12 {
        assert!(lanes.planned(1_000, 100, 2).is_empty());
        wanted.push(lanes.freed(&job(A, 1, Origin::Backlog, Place::Slot), FAST, 2).wanted.is_some());
        if wanted.ends_with(&[true]) {
            break;
        }
    }
    assert_eq!(wanted.len(), 10);
    assert_eq!(lanes.planned(1_000, 100, 2), [(A, 10)]);
}

#[test]
fn slow_lanes_one_slot_belongs_to_its_backlog() {
    let mut lanes = lanes(100);
    assert!(lanes.reserve(A, 8, 1));
    lanes.end(A, 1, Pace::Timeout);
    lanes.adopt(A);
    assert!(!lanes.reserve(A, 8, 1));
    assert_eq!(lanes.planned(100, 100, 8), [(A, 1)]);
}

#[test]
fn backlog_that_did_not_fit_is_told_of_the_next_slot() {
    let mut lanes = lanes(100);
    lanes.adopt(A);
    assert!(lanes.reserve(B, 8, 900));
    assert!(lanes.reserve(B, 8, 50));
    lanes.note_starved();
    assert!(lanes.end(B, 50, QUIET).wanted.is_some());
    assert!(lanes.end(B, 900, QUIET).wanted.is_none(), "once");
}
