//! Publishing over gRPC: one event, a steady flow, a burst.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::JoinSet, time::interval};

use super::samples::{ORDER_PREFIX, reading};
use crate::{
    client::KeyedChannel,
    proto::{Event, PublishEventRequest, PublishEventResponse, webhook_service_client::WebhookServiceClient},
};

/// The steady flow: 200 events at 250 a second.
pub(super) const STEADY_EVENTS: usize = 200;
/// Between one event of the steady flow and the next.
pub(super) const STEADY_INTERVAL: Duration = Duration::from_millis(4);

/// Events of the burst.
pub(super) const BURST_EVENTS: usize = 2_000;
/// Publish calls under way at once in the burst.
const BURST_CALLS: usize = 64;

/// An event that was acknowledged.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// It is an order's, so the warehouse wants it too.
    pub(super) is_order: bool,
    /// When the call began.
    pub(super) called: Instant,
    /// When it was acknowledged.
    pub(super) acknowledged: Instant,
}

/// Publishes one event.
pub(super) async fn publish(
    mut client: WebhookServiceClient<KeyedChannel>,
    event: Event,
) -> anyhow::Result<(Sent, PublishEventResponse)> {
    let (payload, is_order) = (event.payload.clone(), event.r#type.starts_with(ORDER_PREFIX));
    let what = event.r#type.clone();
    let called = Instant::now();
    let request = PublishEventRequest { tenant_id: String::new(), event: Some(event) };
    let response = client.publish_event(request).await;
    let acknowledged = Instant::now();
    let response = response.map_err(|status| anyhow!("publishing {what} was refused: {}", status.message()))?;
    let response = response.into_inner();
    let wanted = 1 + i32::from(is_order);
    anyhow::ensure!(
        response.delivery_count == wanted,
        "{what} went to {} endpoints instead of {wanted}",
        response.delivery_count
    );
    Ok((Sent { id: response.event_id.clone(), payload, is_order, called, acknowledged }, response))
}

/// Publishes events one by one at a steady pace, whether or not those before were acknowledged.
pub(super) async fn steadily(client: &WebhookServiceClient<KeyedChannel>) -> anyhow::Result<Vec<Sent>> {
    let mut calls = JoinSet::new();
    let mut tick = interval(STEADY_INTERVAL);
    for number in 0..STEADY_EVENTS {
        tick.tick().await;
        calls.spawn(publish(client.clone(), reading(number)));
    }
    let mut sent = Vec::with_capacity(STEADY_EVENTS);
    while let Some(call) = calls.join_next().await {
        sent.push(call.context("a publish call failed")??.0);
    }
    Ok(sent)
}

/// Publishes events as fast as they are acknowledged.
pub(super) async fn in_a_burst(client: &WebhookServiceClient<KeyedChannel>) -> anyhow::Result<Vec<Sent>> {
    stream::iter(0..BURST_EVENTS)
        .map(|number| publish(client.clone(), reading(number)))
        .buffer_unordered(BURST_CALLS)
        .map_ok(|(sent, _)| sent)
        .try_collect()
        .await
}
