//! How far an exchange has come, for telling what took too long when its time is up.
//!
//! The HTTP client does not say. But it looks for a connection in the task of the exchange, so what resolves and connects on
//! its behalf finds the exchange's own record by the task.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

tokio::task_local! {
    static PHASE: Arc<AtomicU8>;
}

/// What an exchange is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It has a connection, or has not looked for one yet.
    Exchanging,
    /// Its host's name is looked up.
    Resolving,
    /// A connection is made, TLS handshake included.
    Connecting,
}

/// The record of one exchange. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    /// The record of the exchange in whose task this is called; one of nobody's outside of any.
    pub(super) fn of_this_task() -> Self {
        Self(PHASE.try_with(Arc::clone).unwrap_or_default())
    }

    /// Runs an exchange, which this is the record of.
    pub(super) async fn of<F: Future>(&self, exchange: F) -> F::Output {
        PHASE.scope(Arc::clone(&self.0), exchange).await
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        let number = self.0.load(Ordering::Relaxed);
        [Phase::Resolving, Phase::Connecting]
            .into_iter()
            .find(|phase| *phase as u8 == number)
            .unwrap_or(Phase::Exchanging)
    }
}
