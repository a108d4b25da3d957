//! The receiving side: verifies what arrives, fails where it is told to, and keeps everything for the reckoning.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use http::{Method, StatusCode};
use tokio::sync::watch;

use crate::{
    cli::attempts::Attempts,
    model::Clock,
    receiver::{Answer, Verifier, Webhook},
};

/// Requests kept for each site: several times what the demo sends. With `--keep` those that come later are answered
/// but not kept.
const RECEIPTS_MAX: usize = 10_000;

/// One request as it arrived.
pub(super) struct Receipt {
    pub(super) at: Instant,
    pub(super) webhook: Webhook,
    /// It verified by the secrets that the receiver had at that moment.
    pub(super) verified: bool,
    /// It was answered with 200.
    pub(super) accepted: bool,
}

/// What stands behind one endpoint's URL.
pub(super) struct Site {
    pub(super) path: &'static str,
    /// Each webhook's first attempts are answered with 503, so many.
    pub(super) fail_first: u32,
    pub(super) verifier: Verifier,
    attempts: Attempts,
    receipts: Mutex<Vec<Receipt>>,
}

impl Site {
    fn new(path: &'static str, fail_first: u32) -> Self {
        Self {
            path,
            fail_first,
            verifier: Verifier::new(Vec::new(), Clock::system()),
            attempts: Attempts::new(fail_first),
            receipts: Mutex::default(),
        }
    }

    /// What has arrived so far, in the order in which it did.
    pub(super) fn receipts(&self) -> MutexGuard<'_, Vec<Receipt>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both sites, and how much they have accepted.
pub(super) struct Desk {
    /// Fails twice before it accepts.
    pub(super) warehouse: Site,
    /// Accepts at once.
    pub(super) archive: Site,
    accepted: watch::Sender<u64>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            warehouse: Site::new("/warehouse", 2),
            archive: Site::new("/archive", 0),
            accepted: watch::Sender::new(0),
        }
    }

    pub(super) fn sites(&self) -> [&Site; 2] {
        [&self.warehouse, &self.archive]
    }

    /// How many requests were accepted, to be waited on.
    pub(super) fn accepted(&self) -> watch::Receiver<u64> {
        self.accepted.subscribe()
    }

    /// Answers one request.
    pub(super) fn take(&self, webhook: Webhook) -> Answer {
        let at = Instant::now();
        let Some(site) = self.sites().into_iter().find(|site| site.path == webhook.uri.path()) else {
            return Answer::text(StatusCode::NOT_FOUND, "the demo receives at /warehouse and /archive\n");
        };
        if webhook.method != Method::POST {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent by POST\n");
        }
        let verdict =
            site.verifier.verify(&webhook).map(|verified| site.attempts.count(verified.id.unwrap_or_default()));
        let answer = match &verdict {
            Err(error) => Answer::from(error),
            Ok(attempt) if attempt.fails => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "failing on purpose\n"),
            Ok(_) => Answer::from(StatusCode::OK),
        };
        let accepted = answer.status == StatusCode::OK;
        let mut receipts = site.receipts();
        if receipts.len() < RECEIPTS_MAX {
            receipts.push(Receipt { at, verified: verdict.is_ok(), webhook, accepted });
        }
        drop(receipts);
        if accepted {
            self.accepted.send_modify(|accepted| *accepted += 1);
        }
        answer
    }
}
