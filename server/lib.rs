//! Tidings: webhook delivery as a gRPC service.

pub mod cli;
pub mod dispatch;
pub mod egress;
mod faults;
pub mod api;
pub mod configure;
#[cfg(test)]
mod fixture;
pub mod model;
pub mod proto;
pub mod publish;
pub mod receiver;
pub mod redrive;
pub mod shared;
pub mod signal;
pub mod signing;
pub mod store;
pub mod turn;
pub mod watch;
