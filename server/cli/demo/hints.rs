//! What to try with a demo that stays up.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    cli::terminal::{Palette, Tone, say},
    model::HeldKey,
};

/// Prints commands with the server's real address, key and endpoints.
pub(super) fn show(server: SocketAddr, key: &HeldKey, [warehouse, archive]: &[String; 2], palette: Palette) {
    let payload = STANDARD.encode(r#"{"order":"1002","name":"Zoë"}"#);
    let call = |method: &str, request: &str| {
        format!(
            "grpcurl -plaintext -H \"authorization: Bearer $TIDINGS_API_KEY\" -d '{request}' {server} tidings.v1.WebhookService/{method}"
        )
    };
    say(&format!("\n{}", palette.paint(Tone::Strong, "The server stays up. To try in another terminal:")));
    let key = key.text();
    for (what, command) in [
        ("the key of this server, which ends with it", format!("export TIDINGS_API_KEY={}", *key)),
        (
            "publish an event (JSON carries bytes as base64), and publish it again",
            call(
                "PublishEvent",
                &format!(r#"{{"event":{{"id":"mine-1","type":"order.created","payload":"{payload}"}}}}"#),
            ),
        ),
        ("who got it, and why", call("GetEvent", r#"{"event_id":"mine-1"}"#)),
        (
            "the warehouse's deliveries",
            call("ListDeliveries", &format!(r#"{{"filter":{{"endpoint_ids":["{warehouse}"]}},"page_size":3}}"#)),
        ),
        ("send a signed test now", call("PingEndpoint", &format!(r#"{{"endpoint_id":"{archive}"}}"#))),
        (
            "rotate a secret (the old one signs on for 24 h)",
            call("RotateEndpointSecret", &format!(r#"{{"endpoint_id":"{archive}"}}"#)),
        ),
        ("follow the status stream from its beginning", call("WatchDeliveries", r#"{"from_oldest":true}"#)),
        ("the same for people", format!("tidings watch --server http://{server} --from-oldest")),
        (
            "what else there is",
            format!(
                "grpcurl -plaintext -H \"authorization: Bearer $TIDINGS_API_KEY\" {server} describe tidings.v1.WebhookService"
            ),
        ),
    ] {
        say(&format!("   {}", palette.paint(Tone::Faint, format_args!("# {what}"))));
        say(&format!("   {command}"));
    }
    say(&format!("{}", palette.paint(Tone::Strong, "Ctrl-C ends it.")));
}
