//! The real binary under faults: what must never break is checked from outside.
//!
//! A seeded publisher writes a ledger, a receiver verifies and records every request, and at the end the database is
//! read. Whatever is random derives from a seed that is shown on failure. Waiting is on signals: requests that arrive,
//! transitions on the watch stream, processes that end.

#[path = "../support/key.rs"]
mod key;
#[path = "../support/ledger.rs"]
mod ledger;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/sink.rs"]
mod sink;
#[path = "../support/which.rs"]
mod which;

mod answers;
mod backlog;
mod configuration;
mod crashes;
mod deadlines;
mod drain;
mod fsync;
mod held;
mod isolation;
mod loss;
mod migrate;
mod panics;
mod reseal;
mod retries;
mod sessions;
mod storage;
mod streams;
mod styles;
mod timing;

use std::{sync::Arc, time::Duration};

use tidings::{
    proto::*,
    signing::{KeyForm, Secret},
};

use crate::{process::Client, sink::Sink};

/// Creates an endpoint at `path` that wants everything, with a secret that the sink knows.
async fn endpoint(client: &Client, sink: &Sink, path: &str, policy: Option<DeliveryPolicy>) -> Endpoint {
    let secret = Arc::new(Secret::generate(KeyForm::Base64));
    sink.expect_secret(path, secret.clone());
    let endpoint = Endpoint { url: sink.url(path), policy, ..Default::default() };
    let secret = Some(secret.expose().to_owned());
    let request = CreateEndpointRequest { endpoint: Some(endpoint), secret, ..Default::default() };
    client.clone().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
}

/// Publishes an event and returns how many deliveries it has.
async fn publish(client: &Client, id: &str) -> i32 {
    let request = ledger::event(id, br#"{"a": [1, 2.0, "\u0000"]}"#);
    client.clone().publish_event(request).await.unwrap().into_inner().delivery_count
}

/// The only delivery of an event.
async fn delivery_of(client: &Client, event: &str) -> Delivery {
    let request = GetEventRequest { event_id: event.to_owned(), ..Default::default() };
    let routes = client.clone().get_event(request).await.unwrap().into_inner().routes;
    let matched: Vec<_> = routes.into_iter().filter(|route| !route.delivery_id.is_empty()).collect();
    let [route] = matched.as_slice() else { panic!("{event}: {matched:?}") };
    let request = GetDeliveryRequest { delivery_id: route.delivery_id.clone(), ..Default::default() };
    client.clone().get_delivery(request).await.unwrap().into_inner().delivery.unwrap()
}

/// The attempts of a delivery, oldest first.
async fn attempts_of(client: &Client, delivery: &Delivery) -> Vec<Attempt> {
    let request = ListAttemptsRequest { delivery_id: delivery.id.clone(), ..Default::default() };
    client.clone().list_attempts(request).await.unwrap().into_inner().attempts
}

async fn get_endpoint(client: &Client, endpoint: &Endpoint) -> Endpoint {
    let request = GetEndpointRequest { endpoint_id: endpoint.id.clone(), ..Default::default() };
    client.clone().get_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
}

/// A schedule of these delays.
fn delays(delays: &[Duration]) -> Option<RetrySchedule> {
    let delays = delays.iter().map(|delay| span(*delay)).collect();
    Some(RetrySchedule { schedule: Some(retry_schedule::Schedule::Delays(RetryDelays { delays })) })
}

fn span(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap()
}
