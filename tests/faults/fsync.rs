//! That a publish is on the disk before it is answered: a kill does not show it, counting the system calls does.

use crate::{ledger::event, process::Home};

const EVENTS: usize = 300;

/// Publishes one event after the other under strace, and counts the calls that wait for the disk.
async fn syncs(events: usize) -> usize {
    let home = Home::new(90).await;
    let trace = home.database().with_extension("trace");
    let process = home.start_traced(&trace).await;
    for number in 0..events {
        let id = format!("evt-{number}");
        process.client.clone().publish_event(event(&id, b"{}")).await.unwrap();
    }
    process.stop().await;
    let trace = std::fs::read_to_string(trace).unwrap();
    trace.lines().filter(|line| line.contains("fdatasync(") || line.contains("fsync(")).count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace and the right to trace; run by `make fsync`"]
async fn every_publish_waits_for_the_disk() {
    let (without, with) = (syncs(0).await, syncs(EVENTS).await);
    eprintln!("{with} syncs for {EVENTS} events one after the other, {without} for none");
    assert!(without < EVENTS / 4, "{without} syncs without an event: the count would prove nothing");
    assert!(with - without >= EVENTS, "{with} syncs for {EVENTS} events, {without} without any");
}
