//! The protocol, generated from `proto/tidings/v1`.

#![allow(missing_docs, unreachable_pub, clippy::allow_attributes, reason = "generated; documented in the protos")]

tonic::include_proto!("tidings.v1");

// Debug for messages with secrets and payloads, which it does not show.
include!(concat!(env!("OUT_DIR"), "/debug.rs"));

/// The descriptors of the protocol, comments included, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_secrets_nor_payloads() {
        let canary = || "canary".to_owned();
        let client = OAuth2ClientCredentials { client_secret: canary(), ..Default::default() };
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            Event {
                id: "shown".to_owned(),
                payload: canary().into(),
                labels: [("l".to_owned(), canary())].into(),
                ..Default::default()
            },
            EventFilter { labels: [(canary(), "l".to_owned())].into(), ..Default::default() },
            Attempt { response_body: canary().into(), ..Default::default() },
            EndpointHeader { name: "shown".to_owned(), value: Some(canary()) },
            CreateEndpointRequest { secret: Some(canary()), ..Default::default() },
            client,
            BasicCredentials { username: "shown".to_owned(), password: canary() },
        );
        assert!(!shown.contains("canary") && shown.matches("shown").count() == 3, "{shown}");
        assert!(shown.contains("payload: \"…\""), "{shown}");
    }
}
