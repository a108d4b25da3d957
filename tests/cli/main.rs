//! The binary: what the demo shows, when a server refuses to start, and how it stops.

mod demo;
mod process;
mod serve;
