//! The turn: how anything the engine does is written.
//!
//! One committer gathers what publishers submit, what attempts come back with, and what the dispatcher and the audit ask
//! for, and writes all of it in one transaction: events, deliveries, outcomes, leases, and one packed log row. While a
//! commit runs the next turn gathers, so group commit needs no timer. Then, in this order: callers are answered, what was
//! freshly leased is handed to the dispatcher, watchers are woken.

mod batch;
mod bucket;
mod checkpoint;
mod claim;
mod committer;
mod drain;
mod held;
mod log;
mod publish;
mod release;
mod settle;
mod warning;
mod write;

pub(crate) use self::{
    checkpoint::{Checkpoints, checkpoint},
    committer::CommitterTask,
    release::release_earlier,
    write::Engine,
};

#[cfg(test)]
mod tests;
