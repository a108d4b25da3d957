//! Tidings: webhook delivery as a gRPC service.
//!
//! A backend publishes an event; [`publish`] queues it, a [`turn`] stores it together with its deliveries in one
//! transaction, [`dispatch`] sends each through [`egress`], the outcome goes into the next turn, and [`watch`] streams what
//! was committed to whoever looks. [`model`] and [`signing`] are pure; [`store`] alone knows the database; [`api`] alone
//! knows gRPC; [`access`] knows who may call; [`server`] wires them together and is the only place that spawns what lives long.
//!
//! What always holds is listed, numbered, in `ARCHITECTURE.md`. The four that most code leans on:
//! - an event whose publish was acknowledged is stored with all its deliveries, and no crash loses it;
//! - everything is written by one writer at a time, in short transactions, never across an HTTP exchange;
//! - an outcome takes effect only for the owner and the attempt that hold the delivery's lease;
//! - the log row of a commit is part of that commit, and watchers are served from the log alone.

pub mod access;
pub mod api;
pub mod audit;
pub mod cli;
pub mod client;
pub mod configure;
pub mod dispatch;
pub mod egress;
mod faults;
#[cfg(test)]
mod fixture;
mod heartbeat;
pub mod listen;
pub mod model;
pub mod proto;
pub mod publish;
pub mod receiver;
pub mod redrive;
pub mod repeat;
pub mod server;
pub mod shared;
pub mod signal;
pub mod signing;
pub mod store;
pub mod turn;
pub mod watch;
