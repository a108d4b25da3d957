//! The two wake-ups that parts of the server give one another. They carry no data: whoever is woken reads the database.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::model::Timestamp;

/// Tells watchers how far the log reaches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Head(Arc<watch::Sender<i64>>);

impl Head {
    /// A log that reaches to row `seq`.
    pub fn new(seq: i64) -> Self {
        Self(Arc::new(watch::Sender::new(seq)))
    }

    /// Row `seq` was committed.
    pub fn committed(&self, seq: i64) {
        self.0.send_if_modified(|head| {
            let grew = seq > *head;
            *head = seq.max(*head);
            grew
        });
    }

    /// Sees how far the log reaches, and waits for it to grow.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.0.subscribe()
    }
}

/// Tells the dispatcher that there may be work: some deliveries became due, or some slots free. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notify: Notify,
    earliest: std::sync::Mutex<Option<Timestamp>>,
}

impl Wake {
    /// There may be something to do now.
    pub fn now(&self) {
        // A time that has long passed, so that a later one announced meanwhile does not hide it.
        self.due(Timestamp::from_micros(i64::MIN));
    }

    /// There may be something to do at `at`.
    pub fn due(&self, at: Timestamp) {
        let mut earliest = self.0.earliest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if earliest.is_none_or(|known| at < known) {
            *earliest = Some(at);
            self.0.notify.notify_one();
        }
    }

    /// Takes the earliest time that was announced since the last call.
    pub fn take_due(&self) -> Option<Timestamp> {
        self.0.earliest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// Completes when somebody has called [`Wake::now`] or [`Wake::due`] since it last completed.
    pub async fn woken(&self) {
        self.0.notify.notified().await;
    }
}
