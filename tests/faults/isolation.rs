//! Endpoints that hang, drip or reset, beside healthy ones: these are not slowed, and no cap is exceeded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use tidings::{
    proto::*,
    receiver::Answer,
    signing::{KeyForm, Secret},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::{
    delays, endpoint,
    process::{Client, Home, PATIENCE},
    publish,
    sink::{Received, Sink, always, answering},
    span,
};

const HEALTHY: [&str; 4] = ["/h1", "/h2", "/h3", "/h4"];
const EVENTS: usize = 100;

/// How an endpoint misbehaves.
#[derive(Clone, Copy)]
enum Bad {
    /// Accepts and says nothing.
    Hang,
    /// Answers a byte at a time and never ends.
    Drip,
    /// Closes at once, with what was sent unread: the peer sees a reset.
    Reset,
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_endpoints_do_not_slow_healthy_ones_and_caps_hold() {
    let alone = healthy_takes(30, &[]).await;
    let beside = healthy_takes(31, &[Bad::Hang, Bad::Drip, Bad::Reset, Bad::Hang, Bad::Drip, Bad::Reset]).await;
    eprintln!("{EVENTS} events to healthy endpoints: {alone:.1?} alone, {beside:.1?} beside bad ones");
    // Twice as many deliveries are stored, so some slowing is no fault; waiting for even one timeout a round would be.
    assert!(beside < alone * 6 + Duration::from_secs(2), "alone {alone:?}, beside bad endpoints {beside:?}");
}

/// More than there are slots, together: each allows eight requests at once.
const HANGING: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn many_that_hang_at_once_leave_slots_to_who_answers_and_after_a_restart_get_one_each() {
    let home = Home::new(32).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let hanging = Hanging::listen().await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/healthy", None).await;
    publish(&process.client, "evt-0").await;
    sink.until_count(1).await;
    for number in 0..HANGING {
        let (timeout, second) = (Duration::from_secs(4), Duration::from_secs(1));
        let policy = DeliveryPolicy { timeout: Some(span(timeout)), retry: delays(&[second; 3]), ..Default::default() };
        create(&process.client, format!("{}/{number}", hanging.url), policy).await;
    }
    for number in 1..=16 {
        assert_eq!(publish(&process.client, &format!("evt-{number}")).await, HANGING as i32 + 1);
    }
    sink.until_count(17).await;
    let most = hanging.most.load(Ordering::SeqCst);
    assert!((HANGING..=600).contains(&most), "{most} requests at once to endpoints that never answered");
    process.stop().await;
    let failing: Vec<(i64,)> = home.ask("SELECT count(*) FROM endpoint_health").await;
    assert_eq!(failing, [(HANGING as i64,)], "all of them have failed");

    hanging.most.store(0, Ordering::SeqCst);
    let process = home.start().await;
    hanging.until(HANGING).await;
    for number in 17..=20 {
        publish(&process.client, &format!("evt-{number}")).await;
    }
    sink.until_count(21).await;
    let most = hanging.most.load(Ordering::SeqCst);
    assert!(most < 2 * HANGING, "{most} requests at once to {HANGING} endpoints that failed before");
    process.kill().await;
    sink.check();
}

/// A server that never answers.
struct Hanging {
    url: String,
    /// Connections open at once, at most so far.
    most: Arc<AtomicUsize>,
    opened: Arc<Notify>,
}

impl Hanging {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (most, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (most_, opened_, open) = (most.clone(), opened.clone(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                most_.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                opened_.notify_one();
                let open = open.clone();
                tokio::spawn(async move {
                    misbehave(stream, Bad::Hang).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, most, opened }
    }

    /// Waits until so many connections were open at once.
    async fn until(&self, count: usize) {
        while self.most.load(Ordering::SeqCst) < count {
            tokio::time::timeout(PATIENCE, self.opened.notified()).await.expect("connections are opened");
        }
    }
}

/// How long it takes until every healthy endpoint has got every event.
async fn healthy_takes(seed: u64, bad: &[Bad]) -> Duration {
    let home = Home::new(seed).await;
    let sink = Sink::start(answering(|_, _| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Answer::from(StatusCode::OK)
    }))
    .await;
    let process = home.start().await;
    for (index, path) in HEALTHY.iter().enumerate() {
        let policy = DeliveryPolicy { max_in_flight: index as i32 + 1, ..Default::default() };
        endpoint(&process.client, &sink, path, Some(policy)).await;
    }
    for bad in bad {
        bad_endpoint(&process.client, *bad).await;
    }
    let started = Instant::now();
    let mut publishes = JoinSet::new();
    for number in 0..EVENTS {
        let client = process.client.clone();
        publishes.spawn(async move { publish(&client, &format!("evt-{number}")).await });
    }
    publishes.join_all().await;
    let all = |received: &[Received]| received.len() == EVENTS * HEALTHY.len();
    sink.until("every healthy endpoint gets every event", all).await;
    let took = started.elapsed();
    for (index, path) in HEALTHY.iter().enumerate() {
        let (most, cap) = (sink.most_in_flight(path), index as u32 + 1);
        assert!(most <= cap, "{path}: {most} requests at once of {cap} allowed");
    }
    assert_eq!(sink.most_in_flight(HEALTHY[3]), 4, "the cap was reached, so it was tried");
    sink.check();
    process.kill().await;
    took
}

async fn bad_endpoint(client: &Client, bad: Bad) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bad", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, bad));
        }
    });
    let second = Duration::from_secs(1);
    let policy = DeliveryPolicy { timeout: Some(span(second)), retry: delays(&[second; 3]), ..Default::default() };
    create(client, url, policy).await;
}

async fn create(client: &Client, url: String, policy: DeliveryPolicy) {
    let secret = Some(Secret::generate(KeyForm::Base64).expose().to_owned());
    let endpoint = Endpoint { url, policy: Some(policy), ..Default::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint), secret, ..Default::default() };
    client.clone().create_endpoint(request).await.unwrap();
}

async fn misbehave(mut stream: TcpStream, bad: Bad) {
    let mut buffer = [0; 1024];
    match bad {
        Bad::Hang => while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {},
        Bad::Drip => {
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Bad::Reset => drop(stream.readable().await),
    }
}
