//! Tidings: webhook delivery as a gRPC service.

pub mod api;
pub mod configure;
#[cfg(test)]
mod fixture;
pub mod model;
pub mod publish;
pub mod redrive;
pub mod shared;
pub mod signal;
pub mod signing;
pub mod store;

#[expect(missing_docs, reason = "documented in proto/, from which it is generated")]
#[expect(unreachable_pub, reason = "generated")]
pub mod proto {
    //! The protocol, generated from `proto/tidings/v1`.
    tonic::include_proto!("tidings.v1");

    /// The descriptors of the protocol, comments included, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
