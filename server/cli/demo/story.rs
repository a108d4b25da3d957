//! The demo step by step, each announced in a line.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    desk::Site,
    publish::{self, BURST_EVENTS, STEADY_EVENTS, STEADY_INTERVAL, Sent},
    samples::{AFTER_UPDATE, BEFORE_UPDATE, MORNING, Sample},
    stage::Stage,
    stream::Stream,
};
use crate::{
    cli::terminal::{Palette, Tone, say},
    proto::{
        CreateEndpointRequest, DeliveryPolicy, Endpoint, RetryDelays, RetrySchedule, RotateEndpointSecretRequest,
        retry_schedule::Schedule,
    },
    signing::{ID_HEADER, KeyForm, Secret},
};

/// Both endpoints' schedule: three requests, then the delivery is dead.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(400)];

/// How long the archive's old secret goes on signing.
const OVERLAP: Duration = Duration::from_secs(3_600);

/// Requests at once to the archive, so that the burst is not held up by the default of 8.
const ARCHIVE_IN_FLIGHT_MAX: i32 = 64;

/// What was done, for the reckoning.
#[derive(Default)]
pub(super) struct Story {
    /// The ids of the warehouse and the archive.
    pub(super) endpoints: [String; 2],
    /// Published unhurriedly.
    pub(super) told: Vec<Sent>,
    /// Published at a steady pace.
    pub(super) steady: Vec<Sent>,
    /// Published at full rate.
    pub(super) burst: Vec<Sent>,
    /// Published while two secrets signed.
    pub(super) overlapping: Vec<String>,
    /// The archive's secrets, old and new.
    pub(super) secrets: Vec<Secret>,
    /// Publishes that were recognised as repetitions.
    pub(super) duplicates: u64,
}

/// Plays the demo. What is missing at its end is for the summary to say.
///
/// # Errors
/// A call was refused, or the status stream broke.
pub(super) async fn tell(stage: &Stage, stream: &Stream, palette: Palette) -> anyhow::Result<Story> {
    let mut teller = Teller { stage, stream, palette, step: 0, story: Story::default() };
    teller.set_the_scene();
    teller.create_endpoints().await?;
    teller.publish_the_morning().await?;
    teller.rotate_the_secret().await?;
    teller.publish_steadily().await?;
    teller.publish_a_burst().await?;
    Ok(teller.story)
}

struct Teller<'a> {
    stage: &'a Stage,
    stream: &'a Stream,
    palette: Palette,
    step: u32,
    story: Story,
}

impl Teller<'_> {
    /// Announces the next step.
    fn announce(&mut self, text: &str) {
        self.step += 1;
        let heading = format!("{}. {text}", self.step);
        say(&format!("\n{}", self.palette.paint(Tone::Strong, heading)));
    }

    fn remark(&self, text: &str) {
        say(&format!("   {}", self.palette.paint(Tone::Faint, text)));
    }

    fn set_the_scene(&mut self) {
        self.announce("A server on a temporary SQLite database, and a receiver with a certificate made on the spot");
        let (server, receiver) = (self.stage.server.address(), self.stage.receiver);
        say(&format!("   server    {}  gRPC; a status stream is open", self.palette.paint(Tone::Name, server)));
        let url = format!("https://{receiver}");
        say(&format!("   receiver  {}  verifies every signature", self.palette.paint(Tone::Name, url)));
    }

    async fn create_endpoints(&mut self) -> anyhow::Result<()> {
        self.announce("Two endpoints: the warehouse wants orders, the archive wants every event");
        let desk = &self.stage.desk;
        let warehouse = self.create_endpoint(&desk.warehouse, "order.**", 0).await?;
        let archive = self.create_endpoint(&desk.archive, "*", ARCHIVE_IN_FLIGHT_MAX).await?;
        self.story.endpoints = [warehouse.0, archive.0];
        self.story.secrets.push(archive.1);
        self.stream.configured(2).await?;
        for (name, id, habit) in [
            ("warehouse", &self.story.endpoints[0], "answers each event's first two requests with 503"),
            ("archive", &self.story.endpoints[1], "accepts at once"),
        ] {
            self.stream.name(id, name);
            say(&format!("   {name:<9}  {}  {habit}", self.palette.paint(Tone::Name, id)));
        }
        Ok(())
    }

    async fn create_endpoint(&self, site: &Site, wants: &str, in_flight: i32) -> anyhow::Result<(String, Secret)> {
        let delays = RETRY_DELAYS.into_iter().map(duration).collect::<anyhow::Result<_>>()?;
        let endpoint = Endpoint {
            display_name: site.path.trim_start_matches('/').to_owned(),
            url: format!("https://{}{}", self.stage.receiver, site.path),
            event_types: vec![wants.to_owned()],
            policy: Some(DeliveryPolicy {
                retry: Some(RetrySchedule { schedule: Some(Schedule::Delays(RetryDelays { delays })) }),
                max_in_flight: in_flight,
                ..DeliveryPolicy::default()
            }),
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint), ..CreateEndpointRequest::default() };
        let created = self.stage.client.clone().create_endpoint(request).await;
        let created = created.map_err(|status| anyhow!("an endpoint was refused: {}", status.message()))?.into_inner();
        let secret = Secret::parse(&created.secret, KeyForm::Base64)?;
        site.verifier.replace_secrets(vec![secret.clone()]);
        Ok((created.endpoint.context("an endpoint was created without an id")?.id, secret))
    }

    async fn publish_the_morning(&mut self) -> anyhow::Result<()> {
        self.announce("Events are published; the warehouse fails, and is tried again after 200 ms and 400 ms");
        self.publish(&MORNING).await?;
        let (again, response) = publish::publish(self.stage.client.clone(), MORNING[0].event()).await?;
        ensure!(response.duplicate, "{} was published twice and not recognised", again.id);
        self.story.duplicates += 1;
        self.stream.settled(self.deliveries()).await?;
        self.remark(&format!("{} was published twice: a duplicate by its id, and sent once", again.id));
        Ok(())
    }

    async fn rotate_the_secret(&mut self) -> anyhow::Result<()> {
        self.announce("The archive's secret is rotated; for an hour the old and the new one both sign");
        let request = RotateEndpointSecretRequest {
            endpoint_id: self.story.endpoints[1].clone(),
            overlap: Some(duration(OVERLAP)?),
            ..RotateEndpointSecretRequest::default()
        };
        let rotated = self.stage.client.clone().rotate_endpoint_secret(request).await;
        let rotated = rotated.map_err(|status| anyhow!("the rotation was refused: {}", status.message()))?;
        let secret = Secret::parse(&rotated.into_inner().secret, KeyForm::Base64)?;
        self.stream.configured(3).await?;

        let before = self.story.told.len();
        self.publish(&BEFORE_UPDATE).await?;
        self.stream.settled(self.deliveries()).await?;
        self.remark_verified(before, "old");
        self.stage.desk.archive.verifier.replace_secrets(vec![secret.clone()]);
        let after = self.story.told.len();
        self.publish(&AFTER_UPDATE).await?;
        self.stream.settled(self.deliveries()).await?;
        self.remark_verified(after, "new");
        self.story.secrets.push(secret);
        self.story.overlapping = self.story.told[before..].iter().map(|sent| sent.id.clone()).collect();
        Ok(())
    }

    /// Says how many of the events told since the `first` the archive has verified by the only secret it knows.
    fn remark_verified(&self, first: usize, secret: &str) {
        let told = &self.story.told[first..];
        let receipts = self.stage.desk.archive.receipts();
        let is_told = |id| told.iter().any(|sent| Some(sent.id.as_str()) == id);
        let verified = receipts.iter().filter(|receipt| receipt.verified && is_told(receipt.webhook.header(ID_HEADER)));
        let (verified, told) = (verified.count(), told.len());
        self.remark(&format!("the receiver knows the {secret} secret alone, and verified {verified} of {told} by it"));
    }

    async fn publish_steadily(&mut self) -> anyhow::Result<()> {
        let rate = 1_000 / STEADY_INTERVAL.as_millis();
        self.announce(&format!("{STEADY_EVENTS} small events at {rate} a second, to see how long one is on its way"));
        self.remark("delivered to the archive, and not shown one by one");
        self.story.steady = publish::steadily(&self.stage.client).await?;
        self.stream.settled(self.deliveries()).await
    }

    async fn publish_a_burst(&mut self) -> anyhow::Result<()> {
        self.announce(&format!("{BURST_EVENTS} events as fast as they are acknowledged, each of them durable"));
        self.remark("a receiver, a client and the server share this machine");
        // Shows itself on standard error, and only if that is a terminal.
        let bar = ProgressBar::new(BURST_EVENTS as u64);
        bar.set_style(ProgressStyle::with_template("   {bar:40} {pos}/{len} delivered, {per_sec}")?);
        let mut accepted = self.stage.desk.accepted();
        let before = *accepted.borrow_and_update();
        let progress = async {
            while accepted.changed().await.is_ok() {
                bar.set_position(*accepted.borrow_and_update() - before);
            }
        };
        let total = self.deliveries() + BURST_EVENTS as u64;
        let work = async {
            self.story.burst = publish::in_a_burst(&self.stage.client).await?;
            self.stream.settled(total).await
        };
        let done = tokio::select! {
            done = work => done,
            () = progress => Ok(()),
        };
        bar.finish_and_clear();
        done
    }

    /// Publishes one after the other.
    async fn publish(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        for sample in samples {
            let (sent, response) = publish::publish(self.stage.client.clone(), sample.event()).await?;
            ensure!(!response.duplicate, "{} is taken for a duplicate", sent.id);
            self.story.told.push(sent);
        }
        Ok(())
    }

    /// How many deliveries there have to be by now.
    fn deliveries(&self) -> u64 {
        self.story.sent().map(|sent| 1 + u64::from(sent.is_order)).sum()
    }
}

impl Story {
    /// All that was published, without the duplicates.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.told.iter().chain(&self.steady).chain(&self.burst)
    }
}

fn duration(duration: Duration) -> anyhow::Result<prost_types::Duration> {
    prost_types::Duration::try_from(duration).context("a duration is too long")
}
