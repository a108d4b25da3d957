//! Tidings: webhook delivery as a gRPC service.

pub mod egress;
pub mod model;
pub mod proto;
pub mod publish;
pub mod receiver;
pub mod shared;
pub mod signal;
pub mod signing;
pub mod store;
pub mod watch;
