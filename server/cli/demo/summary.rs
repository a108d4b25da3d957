//! The reckoning: what was published against what arrived, request by request.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use super::{
    desk::{Desk, Receipt, Site},
    publish::{STEADY_INTERVAL, Sent},
    story::Story,
    stream::Tally,
};
use crate::{
    cli::terminal::{Palette, Tone},
    model::Clock,
    receiver::Verifier,
    signing::ID_HEADER,
};

/// Problems that are shown; the others are counted.
const PROBLEMS_SHOWN_MAX: usize = 8;

/// What the demo came to.
pub(super) struct Summary {
    events: usize,
    duplicates: u64,
    deliveries: u64,
    tally: Tally,
    requests: usize,
    verified: usize,
    doubly_signed: usize,
    /// From publish to receipt, of the steady flow; sorted.
    latencies: Vec<Duration>,
    steady: usize,
    burst: usize,
    burst_published: Duration,
    burst_delivered: Duration,
    /// What is not as it should be. Empty: everything is.
    pub(super) problems: Vec<String>,
    palette: Palette,
}

impl Summary {
    /// Compares what was sent with what arrived and what the status stream told.
    pub(super) fn new(story: &Story, desk: &Desk, tally: Tally, palette: Palette) -> Self {
        let mut problems = Vec::new();
        let (warehouse, archive) = (desk.warehouse.receipts(), desk.archive.receipts());
        let orders: Vec<_> = story.sent().filter(|sent| sent.is_order).collect();
        let all: Vec<_> = story.sent().collect();
        check_site(&desk.warehouse, &by_event(&warehouse), &orders, &mut problems);
        let archived = by_event(&archive);
        check_site(&desk.archive, &archived, &all, &mut problems);
        let doubly_signed = check_overlap(story, &archived, &mut problems);

        let deliveries = (all.len() + orders.len()) as u64;
        let retries = orders.len() as u64 * u64::from(desk.warehouse.fail_first);
        for (what, told, expected) in [
            ("queued", tally.queued, deliveries),
            ("delivered", tally.delivered, deliveries),
            ("retries", tally.retries, retries),
            ("given up", tally.lost, 0),
        ] {
            if told != expected {
                problems.push(format!("the status stream told of {told} deliveries {what} instead of {expected}"));
            }
        }

        let receipts = || warehouse.iter().chain(archive.iter());
        let mut latencies = latencies(&story.steady, &archived);
        latencies.sort_unstable();
        let burst_start = story.burst.iter().map(|sent| sent.called).min();
        let since_start =
            |end: Option<Instant>| burst_start.zip(end).map(|(start, end)| end - start).unwrap_or_default();
        let delivered =
            story.burst.iter().filter_map(|sent| archived.get(sent.id.as_str())?.last().map(|last| last.at));
        Self {
            events: all.len(),
            duplicates: story.duplicates,
            deliveries,
            tally,
            requests: receipts().count(),
            verified: receipts().filter(|receipt| receipt.verified).count(),
            doubly_signed,
            latencies,
            steady: story.steady.len(),
            burst: story.burst.len(),
            burst_published: since_start(story.burst.iter().map(|sent| sent.acknowledged).max()),
            burst_delivered: since_start(delivered.max()),
            problems,
            palette,
        }
    }
}

type Receipts<'a> = HashMap<&'a str, Vec<&'a Receipt>>;

fn by_event(receipts: &[Receipt]) -> Receipts<'_> {
    let mut events = Receipts::new();
    for receipt in receipts {
        events.entry(receipt.webhook.header(ID_HEADER).unwrap_or_default()).or_default().push(receipt);
    }
    events
}

/// Each event arrived as often as it had to, verified, and as it was published; and nothing else did.
fn check_site(site: &Site, receipts: &Receipts<'_>, expected: &[&Sent], problems: &mut Vec<String>) {
    for sent in expected {
        let (path, id) = (site.path, &sent.id);
        let arrived = receipts.get(sent.id.as_str()).map_or(&[][..], Vec::as_slice);
        let requests = site.fail_first as usize + 1;
        if arrived.len() != requests {
            problems.push(format!("{id} arrived at {path} {} times instead of {requests}", arrived.len()));
        } else if arrived.iter().any(|receipt| !receipt.verified) {
            problems.push(format!("{id} arrived at {path} with a signature that does not verify"));
        } else if arrived.iter().any(|receipt| receipt.webhook.body != sent.payload) {
            problems.push(format!("{id} arrived at {path} with other bytes than were published"));
        } else if !arrived.last().is_some_and(|receipt| receipt.accepted) {
            problems.push(format!("{id} was not accepted at {path}"));
        }
    }
    if receipts.len() > expected.len() {
        problems.push(format!("{} events arrived at {} unasked", receipts.len() - expected.len(), site.path));
    }
}

/// What was sent while two secrets signed verifies by each of them alone. Returns how many requests do.
fn check_overlap(story: &Story, receipts: &Receipts<'_>, problems: &mut Vec<String>) -> usize {
    let verifiers: Vec<_> =
        story.secrets.iter().map(|secret| Verifier::new(vec![secret.clone()], Clock::system())).collect();
    let mut verified = 0;
    for receipt in story.overlapping.iter().filter_map(|id| receipts.get(id.as_str())).flatten() {
        if verifiers.len() == 2 && verifiers.iter().all(|verifier| verifier.verify(&receipt.webhook).is_ok()) {
            verified += 1;
        }
    }
    if verified != story.overlapping.len() {
        let expected = story.overlapping.len();
        problems.push(format!("{verified} requests verify by the old and the new secret instead of {expected}"));
    }
    verified
}

fn latencies(sent: &[Sent], receipts: &Receipts<'_>) -> Vec<Duration> {
    let first = |sent: &Sent| Some(receipts.get(sent.id.as_str())?.first()?.at.saturating_duration_since(sent.called));
    sent.iter().filter_map(first).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strong = |text: String| self.palette.paint(Tone::Strong, text);
        writeln!(f, "{}", strong("Summary".to_owned()))?;
        writeln!(f, "   events      {} published; {} duplicate recognised", self.events, self.duplicates)?;
        writeln!(
            f,
            "   deliveries  {} of {} delivered, in {} attempts ({} retries)",
            self.tally.delivered, self.deliveries, self.requests, self.tally.retries
        )?;
        writeln!(
            f,
            "   signatures  {} of {} verified; {} by the old and by the new secret",
            self.verified, self.requests, self.doubly_signed
        )?;
        let rate = 1_000 / STEADY_INTERVAL.as_millis();
        writeln!(
            f,
            "   latency     p50 {}, p99 {} from publish to receipt ({} events at {rate}/s)",
            strong(millis(percentile(&self.latencies, 50))),
            strong(millis(percentile(&self.latencies, 99))),
            self.steady,
        )?;
        writeln!(
            f,
            "   burst       {} events: {} published, {} delivered",
            self.burst,
            strong(per_second(self.burst, self.burst_published)),
            strong(per_second(self.burst, self.burst_delivered)),
        )?;
        for problem in self.problems.iter().take(PROBLEMS_SHOWN_MAX) {
            writeln!(f, "   {}  {problem}", self.palette.paint(Tone::Bad, "missing"))?;
        }
        if let Some(more) = self.problems.len().checked_sub(PROBLEMS_SHOWN_MAX).filter(|more| *more > 0) {
            writeln!(f, "   and {more} more")?;
        }
        if self.problems.is_empty() {
            let verdict = "everything arrived, byte for byte, and verified";
            write!(f, "   {}", self.palette.paint(Tone::Good, verdict))
        } else {
            write!(f, "   {}", self.palette.paint(Tone::Bad, "not everything arrived and verified"))
        }
    }
}

/// The value that this share of the sorted values does not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

fn per_second(count: usize, duration: Duration) -> String {
    let nanos = duration.as_nanos().max(1);
    format!("{}/s", count as u128 * 1_000_000_000 / nanos)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::{
        receiver::Webhook,
        signing::{KeyForm, Secret},
    };

    fn story() -> Story {
        let now = Instant::now();
        let sent = Sent { id: "e-1".to_owned(), payload: "{}".into(), is_order: false, called: now, acknowledged: now };
        Story { told: vec![sent], ..Story::default() }
    }

    fn delivered() -> Tally {
        Tally { queued: 1, delivered: 1, ..Tally::default() }
    }

    /// A desk at which `body` arrived as the event `e-1`, signed by `signer`.
    fn desk(signer: &Secret, secret: &Secret, body: &'static str) -> Desk {
        let desk = Desk::new();
        desk.archive.verifier.replace_secrets(vec![secret.clone()]);
        let headers = crate::fixture::signed_headers(signer, "e-1", Clock::system().wall(), body.as_bytes());
        let uri = "/archive".parse().unwrap();
        desk.take(Webhook { method: Method::POST, uri, headers, body: body.into() });
        desk
    }

    fn problems(desk: &Desk, tally: Tally) -> Vec<String> {
        Summary::new(&story(), desk, tally, Palette::plain()).problems
    }

    #[test]
    fn what_arrived_as_published_and_verified_is_no_problem() {
        let secret = Secret::generate(KeyForm::Base64);
        assert_eq!(problems(&desk(&secret, &secret, "{}"), delivered()), Vec::<String>::new());
    }

    #[test]
    fn whatever_else_happened_is_a_problem() {
        let (secret, other) = (Secret::generate(KeyForm::Base64), Secret::generate(KeyForm::Base64));
        let told = |desk: &Desk, tally| problems(desk, tally).join("; ");
        assert_eq!(told(&Desk::new(), delivered()), "e-1 arrived at /archive 0 times instead of 1");
        assert!(told(&desk(&other, &secret, "{}"), delivered()).contains("does not verify"));
        assert!(told(&desk(&secret, &secret, "[]"), delivered()).contains("other bytes"));
        let dead = Tally { queued: 1, lost: 1, ..Tally::default() };
        assert!(told(&desk(&secret, &secret, "{}"), dead).contains("1 deliveries given up instead of 0"));
    }

    #[test]
    fn percentile_is_the_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
