//! One attempt: read the endpoint as it is now, sign, POST, decide.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

use super::{Dispatcher, Finished, InFlight, Job, Origin, lanes::Pace};
use crate::{
    egress::Request,
    faults::crash_point,
    model::{AttemptId, Decision, DeliveryKey, EndpointStatus, FailureKind, Outcome, decide},
    publish::EndpointEntry,
    signal::Wake,
    signing,
};

const EVENT_TYPE: HeaderName = HeaderName::from_static("tidings-event-type");
const ATTEMPT_ID: HeaderName = HeaderName::from_static("tidings-attempt-id");

/// Makes the attempt and reports what came of it.
pub(super) async fn run(dispatcher: Dispatcher, job: Job) {
    let mut slot = Slot::of(&dispatcher, &job);
    let (generation, result) = match begin(&dispatcher, &job).await {
        Some((entry, request)) => {
            crash_point!("before-request");
            let outcome = dispatcher.egress.post(request).await;
            crash_point!("after-request");
            slot.pace = pace_of(&outcome);
            let decision = decide_for(&dispatcher, &job, &entry, &outcome);
            (entry.endpoint.generation, Some((outcome, decision)))
        }
        None => (0, None),
    };
    slot.reported = true;
    drop(slot);
    let ended = dispatcher.shared.clock.now();
    dispatcher.committer.settle(Finished { job, ended, generation, result });
}

/// The request to be sent, if the endpoint, as it is configured now, is to get it.
async fn begin(dispatcher: &Dispatcher, job: &Job) -> Option<(std::sync::Arc<EndpointEntry>, Request)> {
    let ping = job.event.ping_of.is_some();
    let wanted = || ping || dispatcher.shared.routes.status(job.key.endpoint) == EndpointStatus::Enabled;
    if job.last_chance && !wanted() {
        return None;
    }
    if job.last_chance && !dispatcher.committer.begin(job.key, job.attempt).await {
        return None;
    }
    let entry = dispatcher.shared.routes.endpoint(job.key.endpoint)?;
    match entry.endpoint.status {
        EndpointStatus::Enabled => {}
        EndpointStatus::Disabled { .. } if ping => {}
        EndpointStatus::Disabled { .. } | EndpointStatus::Deleted => return None,
    }
    let headers = headers(dispatcher, job, &entry)?;
    let request = Request {
        url: entry.endpoint.settings.url.clone(),
        headers,
        body: job.event.payload.clone(),
        timeout: entry.endpoint.settings.policy.timeout,
    };
    Some((entry, request))
}

fn headers(dispatcher: &Dispatcher, job: &Job, entry: &EndpointEntry) -> Option<HeaderMap> {
    let shared = &dispatcher.shared;
    let secrets: Vec<&signing::Secret> =
        entry.signing_secrets(shared.clock.now()).map(|secret| &*secret.value).collect();
    let signer = signing::Signer { scheme: signing::SchemePreset::Standard.scheme(), secrets: &secrets };
    let message = signing::Message {
        id: &job.event.id,
        timestamp: shared.clock.wall(),
        event_type: &job.event.event_type,
        url: entry.endpoint.settings.url.as_str(),
        body: &job.event.payload,
    };
    let signed = signing::sign(&[signer], &message);
    let attempt = shared.ids.attempt(AttemptId { delivery: job.key, number: job.attempt });
    let values = [
        (CONTENT_TYPE, HeaderValue::from_str(&job.event.content_type)),
        (EVENT_TYPE, HeaderValue::from_str(&job.event.event_type)),
        (ATTEMPT_ID, HeaderValue::try_from(attempt)),
    ];
    let mut headers = HeaderMap::with_capacity(values.len() + signed.len());
    for (name, value) in values {
        // What was checked when the event was published is a valid header value.
        headers.insert(name, value.ok()?);
    }
    for header in signed {
        headers.insert(HeaderName::from_bytes(header.name.as_bytes()).ok()?, HeaderValue::try_from(header.value).ok()?);
    }
    Some(headers)
}

fn decide_for(dispatcher: &Dispatcher, job: &Job, entry: &EndpointEntry, outcome: &Outcome) -> Decision {
    if job.event.ping_of.is_some() {
        return if outcome.failure.is_none() { Decision::Delivered } else { Decision::Dead };
    }
    let made = job.attempt.saturating_sub(job.base);
    let retry = &entry.endpoint.settings.policy.retry;
    decide(retry, outcome, made, dispatcher.shared.clock.now(), rand::random::<f64>())
}

fn pace_of(outcome: &Outcome) -> Pace {
    match outcome.failure {
        None => Pace::Success,
        Some(FailureKind::Timeout) => Pace::Timeout,
        // A connection that could not be made in time is as slow as an answer that did not come.
        Some(FailureKind::Connect) if outcome.latency.as_secs() >= 1 => Pace::Timeout,
        Some(_) => Pace::Other,
    }
}

/// A job's slot in its lane, given back when dropped. If that is because the attempt panicked, the lease is forgotten too,
/// so that the audit finds it in the database and has it released.
struct Slot {
    in_flight: std::sync::Arc<InFlight>,
    wake: Wake,
    key: DeliveryKey,
    attempt: u32,
    reported: bool,
    bytes: u64,
    origin: Origin,
    pace: Pace,
}

impl Slot {
    fn of(dispatcher: &Dispatcher, job: &Job) -> Self {
        Self {
            in_flight: dispatcher.in_flight.clone(),
            wake: dispatcher.shared.wake.clone(),
            key: job.key,
            attempt: job.attempt,
            reported: false,
            bytes: job.event.payload.len() as u64,
            origin: job.origin,
            pace: Pace::Other,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.reported {
            self.in_flight.held().lose(self.key, self.attempt);
        }
        if self.in_flight.lanes().release(self.key.endpoint, self.bytes, self.origin, self.pace) {
            self.wake.now();
        }
    }
}
