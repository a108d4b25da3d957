use super::*;
use crate::publish::PublishError;

#[tokio::test]
async fn happy_path_writes_one_event_one_delivery_and_one_update_each() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 100)).await;
    let first = fixture.publish(events(1)).await;
    fixture.settle(&first.jobs[0], delivered()).await;

    let changes = || async {
        let counted = fixture.shared.db.write(|tx| {
            Box::pin(async move {
                let row: Option<(i64,)> = store::fetch_optional!(tx.conn(), "SELECT total_changes()")?;
                Ok(row.expect("one number").0)
            })
        });
        counted.await.unwrap()
    };
    let before = changes().await;
    let done = fixture.publish(events(64)).await;
    assert_eq!(done.jobs.len(), 64);
    fixture.settle_all(done.jobs.into_iter().map(|job| (job, delivered())).collect()).await;
    let written = changes().await - before;
    // Beside three rows per delivery: the counter, the hand-over and its end, and one log row per turn.
    assert_eq!(written, 3 * 64 + 5);
}

#[tokio::test]
async fn what_has_room_is_handed_over_and_the_rest_waits_in_its_lane() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint(policy(3, 2)).await;
    let done = fixture.publish(events(5)).await;
    assert_eq!(done.jobs.len(), 2);
    assert_eq!(done.earliest, Some(fixture.now()));
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 2 AND attempt = 1").await, 2);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 1 AND ready_at IS NOT NULL").await, 3);
    assert_eq!(fixture.number("SELECT endpoint FROM lane").await, endpoint.0);
    assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 1);
}

#[tokio::test]
async fn repeat_of_an_id_is_a_duplicate_and_another_content_is_a_reuse() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 100)).await;
    let in_one_batch = vec![
        event(Some("a"), "{}"),
        event(Some("a"), "{}"),
        event(Some("a"), "{ }"),
        event(None, "{}"),
        event(Some("b"), "{}"),
    ];
    let done = fixture.publish(in_one_batch).await;
    let answer = |index: usize| done.answers[index].clone();
    assert!(!answer(0).unwrap().duplicate);
    assert!(answer(1).unwrap().duplicate);
    assert_eq!(answer(1).unwrap().fanout, 1);
    assert_eq!(answer(2), Err(PublishError::IdReused));
    assert!(!answer(3).unwrap().duplicate && !answer(4).unwrap().duplicate);
    assert_eq!(fixture.number("SELECT count(*) FROM event").await, 3);

    // Across batches, and where the first of a batch is refused but a later one is the stored event.
    let done = fixture.publish(vec![event(Some("a"), "[]"), event(Some("a"), "{}"), event(Some("b"), "[]")]).await;
    assert_eq!(done.answers[0], Err(PublishError::IdReused));
    assert!(done.answers[1].as_ref().unwrap().duplicate);
    assert_eq!(done.answers[2], Err(PublishError::IdReused));
    assert!(done.jobs.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM event").await, 3);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery").await, 3);
}

#[tokio::test]
async fn failed_turn_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    fixture.endpoint(policy(3, 2)).await;
    fixture.publish(vec![NewEvent { event_type: "seed".into(), ..event(None, "{}") }]).await;
    // The next key is taken already: the database refuses the row.
    let taken = fixture.shared.db.write(|tx| {
        Box::pin(async move {
            let sql = "INSERT INTO event SELECT key + 1, tenant, id || '+', type, time, created, cfg, content_type, ping_of, \
                       fanout, labels, fingerprint, payload FROM event";
            store::execute!(tx.conn(), sql)?;
            tx.commit().await
        })
    });
    taken.await.unwrap();
    let batch = Batch { publishes: vec![publish(event(None, "{}"))], ..Batch::default() };
    let refused = fixture.turn(batch).await;
    assert!(matches!(refused, Err(store::Error::Data(_))), "{refused:?}");
    assert_eq!(fixture.engine.in_flight.held().len(), 1, "only the first is held");
    assert_eq!(fixture.number("SELECT count(*) FROM name WHERE text = 'user.created'").await, 0);

    let done = fixture.publish(events(1)).await;
    assert_eq!(done.jobs.len(), 1, "the slot was given back");
    assert!(done.answers[0].is_ok());
}

#[tokio::test]
async fn after_a_repeat_turns_with_chosen_ids_are_written_in_steps_for_a_while() {
    let fixture = Fixture::new().await;
    let wary = || fixture.engine.wary.load(std::sync::atomic::Ordering::Relaxed);
    fixture.publish(vec![event(Some("a"), "{}")]).await;
    assert_eq!(wary(), 0);
    // On SQLite all turns are.
    let turns = if fixture.shared.db.is_shared() { crate::turn::write::WARY_TURNS } else { 0 };
    let done = fixture.publish(vec![event(Some("a"), "{}")]).await;
    assert!(done.answers[0].as_ref().unwrap().duplicate);
    assert_eq!(wary(), turns);
    fixture.publish(events(1)).await;
    assert_eq!(wary(), turns);
    fixture.publish(vec![event(Some("b"), "{}")]).await;
    assert_eq!(wary(), turns.saturating_sub(1));
}

#[tokio::test]
async fn event_that_nobody_wants_is_stored_without_deliveries() {
    let fixture = Fixture::new().await;
    let done = fixture.publish(events(1)).await;
    assert_eq!(done.answers[0].as_ref().unwrap().fanout, 0);
    assert_eq!(fixture.number("SELECT count(*) FROM event").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM delivery").await, 0);
}

#[tokio::test]
async fn turns_of_all_sizes_are_written_whole() {
    let fixture = Fixture::new().await;
    let all = [1, 2, 7, 8, 9, 15, 128, 130, 200].into_iter().sum::<usize>() as i64;
    for endpoints in 0..3 {
        for count in [1, 2, 7, 8, 9, 15, 128, 130, 200] {
            let done = fixture.publish(events(count)).await;
            assert!(done.answers.iter().all(|answer| answer.as_ref().unwrap().fanout == endpoints), "{count}");
            fixture.settle_all(done.jobs.into_iter().map(|job| (job, delivered())).collect()).await;
        }
        // None of the first round, one each of the second, two each of the third.
        let deliveries = all * [0, 1, 3][endpoints as usize];
        assert_eq!(fixture.number("SELECT count(*) FROM event").await, all * (endpoints + 1));
        assert_eq!(fixture.number("SELECT count(*) FROM delivery").await, deliveries);
        assert_eq!(fixture.number("SELECT count(*) FROM delivery WHERE state = 2").await, 0, "all leased are settled");
        assert_eq!(fixture.number("SELECT count(DISTINCT event) FROM delivery").await, all * endpoints);
        assert_eq!(fixture.number("SELECT count(*) FROM handoff").await, 0);
        fixture.endpoint(policy(3, 1_000)).await;
    }
}

#[tokio::test]
async fn keys_are_not_used_twice_over_restarts() {
    let fixture = Fixture::new().await;
    fixture.publish(events(3)).await;
    let fixture = fixture.crashed().await;
    fixture.publish(events(1)).await;
    assert_eq!(fixture.number("SELECT max(key) FROM event").await, 4);
}

twins!(
    "publishing.rs",
    [
        what_has_room_is_handed_over_and_the_rest_waits_in_its_lane,
        repeat_of_an_id_is_a_duplicate_and_another_content_is_a_reuse,
        failed_turn_leaves_nothing_behind,
        after_a_repeat_turns_with_chosen_ids_are_written_in_steps_for_a_while,
        event_that_nobody_wants_is_stored_without_deliveries,
        turns_of_all_sizes_are_written_whole,
        keys_are_not_used_twice_over_restarts,
    ],
    only[happy_path_writes_one_event_one_delivery_and_one_update_each]
);
