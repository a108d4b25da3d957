//! A backlog: a million pending deliveries, all of them due, of a thousand endpoints that are dead, among a hundred thousand.

use anyhow::Context as _;
use tidings::proto::{
    DeliveryTransitionKind, Event, PublishEventRequest, WatchDeliveriesRequest, watch_deliveries_request::Start,
    watch_deliveries_response::Message,
};
use tokio::net::TcpListener;

use super::{COPY, Copies, endpoints::Endpoints, hasten, last, set_last, settle};
use crate::{
    message,
    site::{Server, Site},
    targets::Targets,
};

/// How many endpoints there are in all, how many of them are dead, and how much waits for those.
const ENDPOINTS: i64 = 100_000;
const DEAD: i64 = 1_000;
const PENDING: i64 = 1_000_000;

/// How an endpoint is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// It takes requests and never answers.
    Hangs,
    /// Its port is closed.
    Refuses,
}

/// Makes the backlog behind endpoints that are dead in this way, besides those that the server has, of which the first
/// is the healthy others' template. `server` is stopped.
pub(crate) async fn backlog(site: &Site<'_>, server: Server, dead: Dead) -> anyhow::Result<()> {
    let closed = closed_prefix().await?;
    fail_once(&server, &format!("{closed}0")).await?;
    server.process.terminate().await?;
    let (mut sql, keyring) = (site.database.connect().await?, site.database.keyring()?);
    hasten(&mut sql).await?;

    let template = last(&mut sql, "endpoint").await?;
    let dead_last = template + DEAD - 1;
    let prefix = match dead {
        Dead::Hangs => format!("{}hang/", site.targets.prefix()),
        Dead::Refuses => closed,
    };
    let default: (fn(i64) -> i64, &str) = (|_| 1, "1");
    let (url, filter) = (format!("'{prefix}' || {COPY}"), format!("'[\"bench.dead.' || {COPY} || '\"]'"));
    let numbers = template + 1..=dead_last;
    Endpoints { template, numbers, tenant: default, url: url.clone(), filter }.make(&mut sql, &keyring).await?;
    // The template is dead like the others.
    sql.run(&format!(
        "UPDATE endpoint SET url = (SELECT {url} FROM (SELECT {template} AS copy) AS one) WHERE key = {template}"
    ))
    .await?;
    let (url, filter) =
        (format!("'{}' || {COPY}", site.targets.prefix()), format!("'[\"bench.other.' || {COPY} || '\"]'"));
    let numbers = dead_last + 1..=ENDPOINTS;
    Endpoints { template: 1, numbers, tenant: default, url, filter }.make(&mut sql, &keyring).await?;

    let first = last(&mut sql, "event").await?;
    let event = format!("event = {first}");
    let events = first + 1..=first + PENDING - 1;
    let dead_of_copy = format!("{template} + copy % {DEAD}");
    // Due since they were last tried.
    let due = format!("(SELECT updated FROM delivery WHERE {event})");
    let seed_id = format!("'seed-' || {COPY}");
    let own = [("key", "copy".to_owned()), ("id", seed_id)];
    let (table, template_row) = ("event", format!("key = {first}"));
    Copies { table, template: template_row, numbers: events.clone(), own: &own }.make(&mut sql).await?;
    let own = [("event", "copy".to_owned()), ("endpoint", dead_of_copy), ("ready_at", "template.updated".to_owned())];
    for (table, own) in [("delivery", &own[..]), ("attempt", &own[..2])] {
        Copies { table, template: event.clone(), numbers: events.clone(), own }.make(&mut sql).await?;
    }
    sql.run(&format!("UPDATE delivery SET ready_at = updated WHERE {event}")).await?;
    let own = [("endpoint", "copy".to_owned()), ("next_at", due)];
    for (table, own) in [("lane", &own[..]), ("endpoint_health", &own[..1])] {
        let numbers = template + 1..=dead_last;
        Copies { table, template: format!("endpoint = {template}"), numbers, own }.make(&mut sql).await?;
    }
    set_last(&mut sql, "event", first + PENDING - 1).await?;
    settle(sql).await
}

/// The beginning of URLs whose port is closed.
async fn closed_prefix() -> anyhow::Result<String> {
    let closed = TcpListener::bind((Targets::address(0), 0)).await?.local_addr()?;
    Ok(format!("http://{closed}/"))
}

/// Has one delivery to a new endpoint fail once, so that it waits for its next attempt.
async fn fail_once(server: &Server, url: &str) -> anyhow::Result<()> {
    server.create_endpoint(url.to_owned(), "bench.dead").await?;
    let mut client = server.client().await?;
    let request = WatchDeliveriesRequest { start: Some(Start::FromOldest(true)), ..WatchDeliveriesRequest::default() };
    let mut stream = client.watch_deliveries(request).await?.into_inner();
    let event = Event { r#type: "bench.dead".to_owned(), payload: message::write(0, 0), ..Event::default() };
    client.publish_event(PublishEventRequest { event: Some(event), ..PublishEventRequest::default() }).await?;
    loop {
        let response = stream.message().await?.context("the stream ended")?;
        if let Some(Message::Delivery(transition)) = response.message
            && transition.kind() == DeliveryTransitionKind::RetryScheduled
        {
            return Ok(());
        }
    }
}
