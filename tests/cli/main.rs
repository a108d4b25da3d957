//! The binary: what the demo shows, when a server refuses to start, how it stops, how catalogues are imported and events
//! published, how a database is copied and migrated, and how webhooks are signed and verified by hand.

mod copy;
mod demo;
mod event_types;
#[path = "../support/key.rs"]
mod key;
mod keys;
mod leaks;
mod migrate;
mod postgres;
mod process;
mod publish;
mod reseal;
mod serve;
mod signatures;
mod tls;
