//! Where streams start, and which tokens resume them.

use super::*;

#[tokio::test]
async fn now_means_everything_committed_after_the_first_heartbeat() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    house.append(10, turn([1])).await;
    let mut items = house.stream(Start::Now).await;
    house.append(20, turn([2, 3])).await;
    let (second, third) = (next(&mut items).await, next(&mut items).await);
    assert_eq!((number(&second), number(&third)), (2, 3));
    assert_eq!((second.time, third.time), (Timestamp::from_micros(20), Timestamp::from_micros(20)));
}

#[tokio::test]
async fn commit_that_nobody_announced_is_found_by_polling() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &brisk()).await;
    let mut items = house.stream(Start::Now).await;
    house.append_silently(10, turn([1])).await;
    assert_eq!(number(&next_transition(&mut items).await), 1);
}

#[tokio::test]
async fn time_means_the_first_commit_at_or_after_it() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    for n in 1..=9 {
        house.append(i64::from(n) * 100, turn([n])).await;
    }
    for (micros, first) in [(0, 1), (400, 4), (401, 5), (499, 5), (500, 5), (900, 9)] {
        let mut items = house.stream(Start::Time(Timestamp::from_micros(micros))).await;
        assert_eq!(number(&next(&mut items).await), first, "{micros}");
    }
}

#[tokio::test]
async fn future_start_passes_over_what_is_committed_before_it_also_when_resumed() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    let start = Start::Time(Timestamp::from_micros(1_000));
    let mut items = house.subscribe(&DeliveryFilter::default(), start).await.unwrap();
    let heartbeat = next(&mut items).await;
    house.append(999, turn([1])).await;
    house.append(1_000, turn([2])).await;
    assert_eq!(number(&next(&mut items).await), 2);
    let mut resumed = house.stream(Start::Token(heartbeat.resume_token)).await;
    assert_eq!(number(&next(&mut resumed).await), 2);
}

#[tokio::test]
async fn oldest_means_the_oldest_kept() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    for n in 1..=5 {
        house.append(i64::from(n) * 100, turn([n])).await;
    }
    let mut items = house.stream(Start::Oldest).await;
    assert_eq!(number(&next(&mut items).await), 1);
    house.sql("DELETE FROM log WHERE time < 300").await;
    let mut items = house.subscribe(&DeliveryFilter::default(), Start::Oldest).await.unwrap();
    let heartbeat = next(&mut items).await;
    assert_eq!(number(&next(&mut items).await), 3);
    let mut resumed = house.stream(Start::Token(heartbeat.resume_token)).await;
    assert_eq!(number(&next(&mut resumed).await), 3);
}

#[tokio::test]
async fn token_expires_with_the_row_that_follows_it() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    for n in 1..=5 {
        house.append(i64::from(n) * 100, turn([n * 10, n * 10 + 1])).await;
    }
    let mut items = house.stream(Start::Oldest).await;
    let (mut within, mut after) = (Vec::new(), Vec::new());
    for _ in 1..=5 {
        within.push(Start::Token(next(&mut items).await.resume_token));
        after.push(Start::Token(next(&mut items).await.resume_token));
    }
    house.sql("DELETE FROM log WHERE time <= 300").await;
    assert!(matches!(house.refusal(after[1].clone()).await, WatchError::Expired));
    assert!(matches!(house.refusal(within[2].clone()).await, WatchError::Expired));
    assert_eq!(number(&next(&mut house.stream(after[2].clone()).await).await), 40);
    assert_eq!(number(&next(&mut house.stream(within[3].clone()).await).await), 41);
}

#[tokio::test]
async fn token_from_before_a_restore_is_rewound() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    for n in 1..=5 {
        house.append(i64::from(n) * 100, turn([n])).await;
    }
    let mut items = house.stream(Start::Oldest).await;
    let mut tokens = Vec::new();
    for _ in 1..=5 {
        tokens.push(Start::Token(next(&mut items).await.resume_token));
    }
    house.sql("UPDATE log SET mark = mark - 1 WHERE time = 200").await;
    house.sql("DELETE FROM log WHERE time >= 500").await;
    assert!(matches!(house.refusal(tokens[1].clone()).await, WatchError::Rewound));
    assert!(matches!(house.refusal(tokens[4].clone()).await, WatchError::Rewound));
    assert_eq!(number(&next(&mut house.stream(tokens[2].clone()).await).await), 4);
}

#[tokio::test]
async fn token_of_another_tenant_filter_or_making_is_refused() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &Config::default()).await;
    let mut items = house.subscribe(&DeliveryFilter::default(), Start::Now).await.unwrap();
    let token = next(&mut items).await.resume_token;
    let start = || Start::Token(token.clone());
    let other_tenant = house.watch.subscribe(TenantKey(2), &DeliveryFilter::default(), start()).await;
    let refusals = [
        other_tenant.map(|_| "a stream").unwrap_err(),
        house.subscribe(&nothing_selected(), start()).await.map(|_| "a stream").unwrap_err(),
        house.refusal(Start::Token("' OR 1=1".to_owned())).await,
        house.refusal(Start::Token(String::new())).await,
    ];
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert!(refusals.iter().all(|refusal| matches!(refusal, WatchError::InvalidToken)), "{refusals:?}");
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[tokio::test]
async fn heartbeats_advance_over_what_is_not_selected() {
    let database = TestDatabase::create().await;
    let house = House::open(&database, &brisk()).await;
    let mut items = house.subscribe(&nothing_selected(), Start::Oldest).await.unwrap();
    for n in 1..=5 {
        house.append(i64::from(n) * 100, turn([n])).await;
    }
    let mut before = Timestamp::default();
    let heartbeat = loop {
        let item = next(&mut items).await;
        assert_eq!(item.message, WatchMessage::Heartbeat);
        assert!(item.time >= before);
        before = item.time;
        if item.time == Timestamp::from_micros(500) {
            break item;
        }
    };
    house.sql("DELETE FROM log WHERE time < 500").await;
    assert!(house.subscribe(&nothing_selected(), Start::Token(heartbeat.resume_token)).await.is_ok());
}

twins!(
    "start.rs",
    [
        now_means_everything_committed_after_the_first_heartbeat,
        commit_that_nobody_announced_is_found_by_polling,
        time_means_the_first_commit_at_or_after_it,
        future_start_passes_over_what_is_committed_before_it_also_when_resumed,
        oldest_means_the_oldest_kept,
        token_expires_with_the_row_that_follows_it,
        token_from_before_a_restore_is_rewound,
        token_of_another_tenant_filter_or_making_is_refused,
        heartbeats_advance_over_what_is_not_selected,
    ]
);
