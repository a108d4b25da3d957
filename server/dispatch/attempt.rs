//! One attempt: read the endpoint as it is now, sign, POST, decide.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Dispatcher, Finished, Job,
    lanes::Pace,
    request::{body, request},
};
use crate::{
    faults::crash_point,
    model::{
        Decision, EndpointStatus, FailureKind, Outcome, decide,
        envelope::{Body, BodyError},
    },
    publish::EndpointEntry,
};

/// The longest payload whose body is made where the attempt runs; that of a larger one would keep other tasks waiting.
const BODY_BYTES_INLINE_MAX: usize = 64 * 1024;

/// Makes the attempt and reports what came of it; then those that waited for the slot, as long as there are any.
pub(super) async fn run(dispatcher: Dispatcher, job: Job) {
    let mut next = Some(job);
    while let Some(job) = next {
        next = make(&dispatcher, job).await;
    }
}

/// Makes one attempt. Returns the job that has its slot now.
async fn make(dispatcher: &Dispatcher, job: Job) -> Option<Job> {
    let slot = Slot { dispatcher, job: Some(job) };
    let job = slot.job.as_ref()?;
    let mut pace = Pace::Nothing;
    let (generation, result) = match begin(dispatcher, job).await {
        Begun::Request(entry, body) => {
            crash_point!("before-request");
            let body_note = body.note;
            let outcome = match request(&dispatcher.shared, job, &entry, body) {
                Some(request) => Outcome { body_note, ..dispatcher.egress.post(request).await },
                None => {
                    tracing::error!(endpoint = entry.endpoint.key.0, "a header of the endpoint's cannot be sent");
                    unsent(FailureKind::Protocol, "no request was made: a header cannot be sent".to_owned())
                }
            };
            crash_point!("after-request");
            pace = pace_of(&outcome);
            let decision = decide_for(dispatcher, job, &entry, &outcome);
            (entry.endpoint.generation, Some((outcome, decision)))
        }
        Begun::Unsupported(error) => {
            let outcome = unsent(FailureKind::EnvelopeUnsupported, format!("no request was made: {error}"));
            (0, Some((outcome, Decision::Dead)))
        }
        Begun::Expired => {
            let detail = "no request was made: the event had expired".to_owned();
            (0, Some((unsent(FailureKind::Expired, detail), Decision::Dead)))
        }
        Begun::Unwanted => (0, None),
    };
    let (job, next) = slot.free(pace)?;
    let ended = dispatcher.shared.clock.now();
    dispatcher.committer.settle(Finished { job, ended, generation, result });
    next
}

/// What an attempt begins with.
enum Begun {
    /// The endpoint, as it is configured now, is to get this.
    Request(Arc<EndpointEntry>, Body),
    /// The payload does not fit into what the endpoint's style makes of it.
    Unsupported(BodyError),
    /// No attempt may begin any more.
    Expired,
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
        Ok(_) if job.event.has_expired(dispatcher.shared.clock.now()) => Begun::Expired,
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
    let now = dispatcher.shared.clock.now();
    let decision = decide(entry.endpoint.settings.retry(), outcome, made, now, rand::random::<f64>());
    decision.before(job.event.expires)
}

fn pace_of(outcome: &Outcome) -> Pace {
    match outcome.failure {
        None => Pace::Success(outcome.latency),
        Some(FailureKind::Timeout) => Pace::Timeout,
        // What could not even be asked in time is as slow as an answer that did not come.
        Some(
            FailureKind::Connect | FailureKind::ConnectTimeout | FailureKind::DnsTimeout | FailureKind::Authorization,
        ) if outcome.latency.as_secs() >= 1 => Pace::Timeout,
        Some(failure) if failure.spares_endpoint() => Pace::Nothing,
        Some(_) => Pace::Failure,
    }
}

/// A job's slot in its lane. If the attempt panics, the lease is forgotten with it, so that the audit finds it in the
/// database and has it released.
struct Slot<'a> {
    dispatcher: &'a Dispatcher,
    /// `None` once it is free.
    job: Option<Job>,
}

impl Slot<'_> {
    /// Gives the slot back. Returns the job that had it, and the one that has it now, if one waited.
    fn free(mut self, pace: Pace) -> Option<(Job, Option<Job>)> {
        let job = self.job.take()?;
        let next = self.dispatcher.free_slot(&job, pace);
        Some((job, next))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        self.dispatcher.in_flight.held().lose(job.key, job.attempt);
        if let Some(next) = self.dispatcher.free_slot(&job, Pace::Nothing) {
            self.dispatcher.spawn(next);
        }
    }
}

#[cfg(test)]
mod tests;
