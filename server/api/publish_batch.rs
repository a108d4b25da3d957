//! Publishing many events in one call: all of them are read before any is published, and each stands alone from then on.

use std::collections::HashMap;

use prost::Message as _;

use super::{
    Limits, WebhookApi,
    error::Error,
    events::read_event,
    published::{in_memory_of_its_own, show_published},
    violation::Violations,
};
use crate::{
    model::{NewEvent, TenantKey, Timestamp},
    proto::{
        self, BatchPublishEventsRequest, BatchPublishEventsResponse, BatchPublishResult,
        batch_publish_result::Result as Shown,
    },
    publish::{self, PublishError, Published, Publisher, Warning},
};

/// Events of a batch at most: two turns' worth.
const EVENTS_MAX: usize = 1_000;

/// Payloads of a batch at most, together: what a turn takes.
const PAYLOADS_BYTES_MAX: usize = 8 << 20;

/// What the warnings about the events of a batch may come to in its answer, in bytes: gRPC's clients take answers of up to
/// 4 MiB unless they are told otherwise, and one that is not taken leaves its caller without the results.
const WARNINGS_BYTES_MAX: usize = 2 << 20;

/// Room in a batch for everything beside its payloads: 4 KiB for each event.
const OVERHEAD_BYTES: usize = 4 << 20;

impl Limits {
    /// What the payloads of a batch may have together.
    fn batch_payloads_bytes_max(self) -> usize {
        PAYLOADS_BYTES_MAX.max(self.payload_bytes_max)
    }

    /// What a batch may have as a message.
    pub(super) fn batch_bytes_max(self) -> usize {
        self.batch_payloads_bytes_max().saturating_add(OVERHEAD_BYTES)
    }
}

impl WebhookApi {
    pub(super) async fn batch_publish_events(
        &self,
        request: BatchPublishEventsRequest,
    ) -> Result<BatchPublishEventsResponse, Error> {
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        check_batch(&request.events, self.limits, &mut violations);
        let mut events = Vec::with_capacity(request.events.len().min(EVENTS_MAX));
        for (index, event) in request.events.into_iter().take(EVENTS_MAX).enumerate() {
            let event = read_item(tenant.key, index, event, self.limits, self.shared.clock.now(), &mut violations);
            if let Some(event) = event {
                let warnings = self.judge_event(&event, &format!("events[{index}]"), &mut violations).await?;
                events.push((event, warnings));
            }
            // Megabytes of JSON must not keep a thread for themselves.
            tokio::task::consume_budget().await;
        }
        violations.check()?;
        let admit = |event: &NewEvent| publish::admit(&self.shared, event);
        let mut results = publish_each(&self.publisher, events, admit).await;
        keep_warnings(&mut results, WARNINGS_BYTES_MAX);
        Ok(BatchPublishEventsResponse { results })
    }
}

/// Publishes the events that `admit` lets through, and returns what became of each, in their order.
async fn publish_each(
    publisher: &Publisher,
    events: Vec<(NewEvent, Vec<Warning>)>,
    admit: impl Fn(&NewEvent) -> Result<(), PublishError>,
) -> Vec<BatchPublishResult> {
    // All are submitted before the first is waited for, so that as few turns as can be write them.
    let submit = |event: NewEvent| admit(&event).and_then(|()| publisher.submit(event));
    let submitted: Vec<_> = events.into_iter().map(|(event, warnings)| (submit(event), warnings)).collect();
    let mut results = Vec::with_capacity(submitted.len());
    for (answer, warnings) in submitted {
        let answer = match answer {
            Ok(answer) => answer.await,
            Err(refusal) => Err(refusal),
        };
        results.push(show(answer, warnings));
    }
    results
}

/// Checks what concerns the batch as a whole.
fn check_batch(events: &[proto::Event], limits: Limits, violations: &mut Violations) {
    let count = events.len();
    if count == 0 || count > EVENTS_MAX {
        violations.add("events", format!("must have 1 to {EVENTS_MAX} entries; it has {count}"));
    }
    let (bytes, max) =
        (events.iter().map(|event| event.payload.len()).sum::<usize>(), limits.batch_payloads_bytes_max());
    if bytes > max {
        violations.add("events", format!("must have payloads of at most {max} bytes together; they have {bytes}"));
    }
    let mut met: HashMap<&str, usize> = HashMap::new();
    for (index, event) in events.iter().take(EVENTS_MAX).enumerate().filter(|(_, event)| !event.id.is_empty()) {
        if let Some(first) = met.get(event.id.as_str()) {
            violations.add(format!("events[{index}].id"), format!("must not be that of events[{first}]"));
        } else {
            met.insert(&event.id, index);
        }
    }
}

/// Reads the event at `index`.
fn read_item(
    tenant: TenantKey,
    index: usize,
    event: proto::Event,
    limits: Limits,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<NewEvent> {
    let before = violations.len();
    let event = read_event(tenant, event, limits, now, violations);
    violations.rename(before, "event", || format!("events[{index}]"));
    event.map(in_memory_of_its_own)
}

/// Leaves out the warnings beyond the first `bytes_max` bytes of them.
fn keep_warnings(results: &mut [BatchPublishResult], bytes_max: usize) {
    let mut bytes = 0;
    for result in results {
        if let Some(Shown::Published(published)) = &mut result.result {
            published.warnings.retain(|warning| {
                bytes += warning.encoded_len();
                bytes <= bytes_max
            });
        }
    }
}

fn show(answer: Result<Published, PublishError>, warnings: Vec<Warning>) -> BatchPublishResult {
    let result = match answer {
        Ok(published) => Shown::Published(show_published(&published, warnings)),
        Err(error) => Shown::Error(Error::from(error).into_rpc_status()),
    };
    BatchPublishResult { result: Some(result) }
}

#[cfg(test)]
mod tests;
