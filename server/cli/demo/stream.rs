//! The status stream: each transition as a line on the screen, and how many there were of each kind.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tonic::Streaming;

use super::samples::READING_TYPE;
use crate::{
    cli::{
        line::Line,
        terminal::{Palette, printable, say},
    },
    client::KeyedChannel,
    proto::{
        DeliveryTransitionKind, WatchDeliveriesRequest, WatchDeliveriesResponse, watch_deliveries_response::Message,
        webhook_service_client::WebhookServiceClient,
    },
};

/// How long the demo waits for what should take a second or two.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the stream has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) queued: u64,
    pub(super) delivered: u64,
    pub(super) retries: u64,
    /// Deliveries that ended otherwise.
    pub(super) lost: u64,
    /// Transitions of endpoints.
    pub(super) endpoints: u64,
    /// Why the stream ended.
    pub(super) broken: Option<String>,
}

impl Tally {
    fn count(&mut self, message: &Message) {
        match message {
            Message::Delivery(transition) => match transition.kind() {
                DeliveryTransitionKind::Queued => self.queued += 1,
                DeliveryTransitionKind::Delivered => self.delivered += 1,
                DeliveryTransitionKind::RetryScheduled => self.retries += 1,
                DeliveryTransitionKind::Dead | DeliveryTransitionKind::Cancelled => self.lost += 1,
                DeliveryTransitionKind::Unspecified
                | DeliveryTransitionKind::Held
                | DeliveryTransitionKind::RetryRequested
                | DeliveryTransitionKind::CancelRequested => {}
            },
            Message::Endpoint(_) => self.endpoints += 1,
            Message::Heartbeat(_) => {}
        }
    }
}

/// What endpoints are called on the screen, by their ids.
type Names = Arc<Mutex<Vec<(String, &'static str)>>>;

/// A stream that is open. Closed when dropped.
pub(super) struct Stream {
    tally: watch::Receiver<Tally>,
    names: Names,
    task: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream {
    /// Opens it; what is committed from now on will be shown.
    pub(super) async fn open(mut client: WebhookServiceClient<KeyedChannel>, palette: Palette) -> anyhow::Result<Self> {
        let mut messages = timeout(PATIENCE, client.watch_deliveries(WatchDeliveriesRequest::default()))
            .await
            .context("the status stream did not open in time")?
            .map_err(|status| anyhow::anyhow!("the status stream was refused: {}", status.message()))?
            .into_inner();
        let first = timeout(PATIENCE, messages.message()).await.context("the status stream stays silent")?;
        first.context("the status stream broke at once")?;
        let (sender, tally) = watch::channel(Tally::default());
        let names = Names::default();
        Ok(Self { tally, task: tokio::spawn(show(messages, sender, names.clone(), palette)), names })
    }

    /// Shows an endpoint by this name from now on.
    pub(super) fn name(&self, endpoint: &str, name: &'static str) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push((endpoint.to_owned(), name));
    }

    /// What it has told so far.
    pub(super) fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// Waits for the end of so many deliveries, however they end. Gives up after a while without an error: what is
    /// missing then, the summary tells.
    pub(super) async fn settled(&self, deliveries: u64) -> anyhow::Result<()> {
        self.reached(|tally| tally.delivered + tally.lost >= deliveries).await
    }

    /// Waits for so many transitions of endpoints, likewise.
    pub(super) async fn configured(&self, transitions: u64) -> anyhow::Result<()> {
        self.reached(|tally| tally.endpoints >= transitions).await
    }

    async fn reached(&self, enough: impl Fn(&Tally) -> bool) -> anyhow::Result<()> {
        let mut tally = self.tally.clone();
        let reached = timeout(PATIENCE, tally.wait_for(|tally| tally.broken.is_some() || enough(tally))).await;
        let Ok(reached) = reached else { return Ok(()) };
        match &reached.context("the status stream broke")?.broken {
            Some(message) => bail!("the status stream broke: {message}"),
            None => Ok(()),
        }
    }
}

/// Shows what comes until nothing does any more.
async fn show(
    mut messages: Streaming<WatchDeliveriesResponse>,
    tally: watch::Sender<Tally>,
    names: Names,
    palette: Palette,
) {
    loop {
        let response = match messages.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return tally.send_modify(|tally| tally.broken = Some("the server ended it".to_owned())),
            Err(status) => {
                let message = printable(status.message(), 200);
                return tally.send_modify(|tally| tally.broken = Some(message));
            }
        };
        if !is_reading(&response)
            && let Some(line) = Line::new(&response, palette)
        {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            say(&format!("   {}", line.brief(&names)));
        }
        if let Some(message) = &response.message {
            tally.send_modify(|tally| tally.count(message));
        }
    }
}

fn is_reading(response: &WatchDeliveriesResponse) -> bool {
    matches!(&response.message, Some(Message::Delivery(transition)) if transition.event_type == READING_TYPE)
}
