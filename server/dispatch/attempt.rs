//! One attempt: read the endpoint as it is now, sign, POST, decide.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Dispatcher, Finished, InFlight, Job, Origin,
    lanes::Pace,
    request::{body, request},
};
use crate::{
    faults::crash_point,
    model::{
        Decision, DeliveryKey, EndpointStatus, FailureKind, Outcome, decide,
        envelope::{Body, BodyError},
    },
    publish::EndpointEntry,
    signal::Wake,
};

/// The longest payload whose body is made where the attempt runs; that of a larger one would keep other tasks waiting.
const BODY_BYTES_INLINE_MAX: usize = 64 * 1024;

/// Makes the attempt and reports what came of it.
pub(super) async fn run(dispatcher: Dispatcher, job: Job) {
    let mut slot = Slot::of(&dispatcher, &job);
    let (generation, result) = match begin(&dispatcher, &job).await {
        Begun::Request(entry, body) => {
            crash_point!("before-request");
            let body_note = body.note;
            let outcome = match request(&dispatcher.shared, &job, &entry, body) {
                Some(request) => Outcome { body_note, ..dispatcher.egress.post(request).await },
                None => {
                    tracing::error!(endpoint = entry.endpoint.key.0, "a header of the endpoint's cannot be sent");
                    unsent(FailureKind::Protocol, "no request was made: a header cannot be sent".to_owned())
                }
            };
            crash_point!("after-request");
            slot.pace = pace_of(&outcome);
            let decision = decide_for(&dispatcher, &job, &entry, &outcome);
            (entry.endpoint.generation, Some((outcome, decision)))
        }
        Begun::Unsupported(error) => {
            let outcome = unsent(FailureKind::EnvelopeUnsupported, format!("no request was made: {error}"));
            (0, Some((outcome, Decision::Dead)))
        }
        Begun::Unwanted => (0, None),
    };
    slot.reported = true;
    drop(slot);
    let ended = dispatcher.shared.clock.now();
    dispatcher.committer.settle(Finished { job, ended, generation, result });
}

/// What an attempt begins with.
enum Begun {
    /// The endpoint, as it is configured now, is to get this.
    Request(Arc<EndpointEntry>, Body),
    /// The payload does not fit into what the endpoint's style makes of it.
    Unsupported(BodyError),
    /// The endpoint is not to get it now, or the attempt could not be recorded.
    Unwanted,
}

async fn begin(dispatcher: &Dispatcher, job: &Job) -> Begun {
    if job.last_chance
        && (wanting(dispatcher, job).is_none() || !dispatcher.committer.begin(job.key, job.attempt).await)
    {
        return Begun::Unwanted;
    }
    // Read after it was recorded, which takes a while: attempts go by the endpoint as it is now.
    let Some(entry) = wanting(dispatcher, job) else { return Begun::Unwanted };
    match make_body(job, &entry).await {
        Ok(body) => Begun::Request(entry, body),
        Err(error) => Begun::Unsupported(error),
    }
}

/// Makes the body; that of a large payload apart from the tasks that must not wait for it.
async fn make_body(job: &Job, entry: &Arc<EndpointEntry>) -> Result<Body, BodyError> {
    if job.event.payload.len() <= BODY_BYTES_INLINE_MAX || entry.endpoint.settings.style.is_plain() {
        return body(&job.event, &entry.endpoint.settings.style);
    }
    let (event, entry) = (job.event.clone(), entry.clone());
    let making = tokio::task::spawn_blocking(move || body(&event, &entry.endpoint.settings.style));
    making.await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

/// The endpoint, if it is to get the delivery now.
fn wanting(dispatcher: &Dispatcher, job: &Job) -> Option<Arc<EndpointEntry>> {
    let entry = dispatcher.shared.routes.endpoint(job.key.endpoint)?;
    match entry.endpoint.status {
        EndpointStatus::Enabled => Some(entry),
        EndpointStatus::Paused { .. } | EndpointStatus::Disabled { .. } if job.event.ping_of.is_some() => Some(entry),
        EndpointStatus::Paused { .. } | EndpointStatus::Disabled { .. } | EndpointStatus::Deleted => None,
    }
}

/// What comes of an attempt that ended before its request.
fn unsent(failure: FailureKind, detail: String) -> Outcome {
    Outcome {
        failure: Some(failure),
        detail,
        http_status: None,
        retry_after: None,
        latency: Duration::ZERO,
        response: Bytes::new(),
        response_truncated: false,
        body_note: None,
    }
}

fn decide_for(dispatcher: &Dispatcher, job: &Job, entry: &EndpointEntry, outcome: &Outcome) -> Decision {
    if job.event.ping_of.is_some() {
        return if outcome.failure.is_none() { Decision::Delivered } else { Decision::Dead };
    }
    let made = job.attempt.saturating_sub(job.base);
    decide(entry.endpoint.settings.retry(), outcome, made, dispatcher.shared.clock.now(), rand::random::<f64>())
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
    in_flight: Arc<InFlight>,
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
