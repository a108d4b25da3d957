//! The protocol, generated from `proto/tidings/v1`.

#![allow(missing_docs, unreachable_pub, clippy::allow_attributes, reason = "generated; documented in the protos")]

tonic::include_proto!("tidings.v1");

/// The descriptors of the protocol, comments included, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
