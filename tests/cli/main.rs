//! The binary: what the demo shows, when a server refuses to start, how it stops, and how catalogues are imported.

mod demo;
mod event_types;
mod postgres;
mod process;
mod serve;
