//! Clients that give up: a storm of deadlines of 0 to 5 ms loses nothing that was acknowledged.

use std::time::Duration;

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings::proto::*;
use tokio::task::JoinSet;
use tonic::Request;

use crate::{
    endpoint,
    ledger::{Fate, Ledger, Load},
    process::{Client, Home},
    sink::{Sink, always},
};

#[tokio::test(flavor = "multi_thread")]
async fn storm_of_deadlines_loses_nothing_that_was_acknowledged() {
    let home = Home::new(70).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    let mut storm = JoinSet::new();
    for worker in 0..8 {
        storm.spawn(impatient(process.client.clone(), load.ledger.clone(), home.seed, worker));
    }
    let publishers = load.publish(400, 4);
    let ends: Vec<(usize, usize)> = storm.join_all().await;
    publishers.join_all().await;
    let (in_time, given_up) = ends.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(in_time > 0 && given_up > 0, "the deadlines cut nothing off: {in_time} in time, {given_up} given up");

    // Whatever is open is gone after a kill: what was acknowledged must be in the file.
    process.kill().await;
    let process = home.start().await;
    let figures = load.ledger.check(&home, process, &sink, &["/a"]).await;
    eprintln!("{in_time} calls in time, {given_up} given up: {figures:?}");
}

/// Publishes and reads with deadlines that are too short as a rule.
async fn impatient(client: Client, ledger: std::sync::Arc<Ledger>, seed: u64, worker: u64) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(seed ^ (worker << 40));
    let (mut in_time, mut given_up) = (0, 0);
    for number in 0..150 {
        // A few are long enough for a slow machine.
        let longest = if random.random_bool(0.1) { 200_000 } else { 5_000 };
        let deadline = Duration::from_micros(random.random_range(0..longest));
        let id = format!("hasty-{worker}-{number}");
        let over = if random.random_bool(0.5) {
            ledger.enter(&id, b"{}", Fate::Unknown);
            let call = client.clone();
            let answer = within(deadline, crate::ledger::event(&id, b"{}"), |request| async move {
                call.clone().publish_event(request).await
            });
            let answer = answer.await;
            if answer {
                ledger.enter(&id, b"{}", Fate::Acknowledged);
            }
            answer
        } else {
            let call = client.clone();
            let request = ListDeliveriesRequest { page_size: 1000, ..Default::default() };
            within(deadline, request, |request| async move { call.clone().list_deliveries(request).await }).await
        };
        in_time += usize::from(over);
        given_up += usize::from(!over);
    }
    (in_time, given_up)
}

/// Whether the call was answered in time; it is dropped when its time is over, and the server is told the same.
async fn within<T, U, F>(deadline: Duration, message: T, call: impl FnOnce(Request<T>) -> F) -> bool
where
    F: Future<Output = Result<tonic::Response<U>, tonic::Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    matches!(tokio::time::timeout(deadline, call(request)).await, Ok(Ok(_)))
}
