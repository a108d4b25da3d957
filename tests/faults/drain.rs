//! Stopping by SIGTERM.

use std::time::{Duration, Instant};

use http::StatusCode;
use tidings::{proto::*, receiver::Answer};
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    endpoint,
    ledger::ended,
    process::Home,
    publish,
    sink::{Sink, answering},
    span,
};

/// Calls get 5 s, and the hanging endpoint its timeout of 2 s; the rest is for a slow machine.
const DEADLINE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_exits_in_time_whatever_is_connected() {
    let home = Home::new(20).await;
    let sink = Sink::start(answering(|webhook, before| {
        let hangs = webhook.uri.path() == "/hangs" && before == 0;
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Answer::from(StatusCode::OK)
        }
    }))
    .await;
    let mut process = home.start().await;
    let policy = DeliveryPolicy { timeout: Some(span(Duration::from_secs(2))), ..Default::default() };
    endpoint(&process.client, &sink, "/hangs", Some(policy)).await;
    endpoint(&process.client, &sink, "/answers", None).await;
    // Connections that never say anything, and one that stops in the middle of its preface.
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(TcpStream::connect(process.address).await.unwrap());
    }
    tokio::io::AsyncWriteExt::write_all(&mut idle[0], b"PRI * HTTP/2.0\r\n").await.unwrap();
    let mut watchers = JoinSet::new();
    for _ in 0..50 {
        let mut stream =
            process.client.clone().watch_deliveries(WatchDeliveriesRequest::default()).await.unwrap().into_inner();
        watchers.spawn(async move { while let Ok(Some(_)) = stream.message().await {} });
    }
    for number in 0..40 {
        publish(&process.client, &format!("evt-{number}")).await;
    }
    sink.until_count(8).await;

    let started = Instant::now();
    let status = process.terminate().await;
    let took = started.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < DEADLINE, "stopping took {took:?}");
    watchers.join_all().await;
    drop(idle);
    // Whoever was sent something and answered is recorded so: nothing of that is repeated.
    let answered = sink.received().iter().filter(|one| one.answer.is_some()).count();

    let process = home.start().await;
    let activate = ended(&process, 40);
    activate.await;
    assert_eq!(sink.received().iter().filter(|one| one.path == "/answers").count(), 40, "{answered} were answered");
    process.stop().await;
    sink.check();
    assert!(!home.log().contains("released what an earlier life"), "a drained server leaves no lease behind");
}
