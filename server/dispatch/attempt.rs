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

/// Makes the attempt and reports what came of it.
pub(super) async fn run(dispatcher: Dispatcher, job: Job) {
    let mut slot = Slot::of(&dispatcher, &job);
    let (generation, result) = match begin(&dispatcher, &job).await {
        Begun::Request(entry, body) => {
            crash_point!("before-request");
            let body_note = body.note;
            let outcome = match request(&dispatcher.shared, &job, &entry, body) {
                Some(request) => Some(Outcome { body_note, ..dispatcher.egress.post(request).await }),
                None => None,
            };
            crash_point!("after-request");
            let decided = outcome.map(|outcome| {
                slot.pace = pace_of(&outcome);
                let decision = decide_for(&dispatcher, &job, &entry, &outcome);
                (outcome, decision)
            });
            (entry.endpoint.generation, decided)
        }
        Begun::Unsupported(error) => (0, Some((unsupported(&error), Decision::Dead))),
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
    match prepare(dispatcher, job) {
        Begun::Request(..) if job.last_chance => {
            if !dispatcher.committer.begin(job.key, job.attempt).await {
                return Begun::Unwanted;
            }
            // Recording it took a while: the endpoint is read as it is now.
            prepare(dispatcher, job)
        }
        begun => begun,
    }
}

fn prepare(dispatcher: &Dispatcher, job: &Job) -> Begun {
    let Some(entry) = wanting(dispatcher, job) else { return Begun::Unwanted };
    match body(job, &entry.endpoint.settings.style) {
        Ok(body) => Begun::Request(entry, body),
        Err(error) => Begun::Unsupported(error),
    }
}

/// The endpoint, if it is to get the delivery now.
fn wanting(dispatcher: &Dispatcher, job: &Job) -> Option<Arc<EndpointEntry>> {
    let entry = dispatcher.shared.routes.endpoint(job.key.endpoint)?;
    match entry.endpoint.status {
        EndpointStatus::Enabled => Some(entry),
        EndpointStatus::Disabled { .. } if job.event.ping_of.is_some() => Some(entry),
        EndpointStatus::Disabled { .. } | EndpointStatus::Deleted => None,
    }
}

/// What comes of a delivery whose body cannot be made: an end without a request.
fn unsupported(error: &BodyError) -> Outcome {
    Outcome {
        failure: Some(FailureKind::EnvelopeUnsupported),
        detail: format!("no request was made: {error}"),
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
