//! The keyed fingerprint of what a publisher sent, by which a repeat of an event id is told from a reuse of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::NewEvent;

/// 128 bits of HMAC-SHA256 over what the publisher sent: type, media type as given, payload, labels by key, and time, with
/// absence as a value of its own. Nothing that the server filled in belongs to it.
pub(crate) fn fingerprint(key: &[u8; 32], event: &NewEvent) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let mut field = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    field(event.event_type.as_bytes());
    match &event.content_type {
        Some(content_type) => field(format!("+{content_type}").as_bytes()),
        None => field(b"-"),
    }
    field(&event.payload);
    match event.time {
        Some(time) => field(format!("+{}", time.as_micros()).as_bytes()),
        None => field(b"-"),
    }
    for (name, value) in &event.labels {
        field(name.as_bytes());
        field(value.as_bytes());
    }
    let digest = mac.finalize().into_bytes();
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TenantKey, Timestamp};

    fn event() -> NewEvent {
        NewEvent {
            tenant: TenantKey::DEFAULT,
            id: Some("a".to_owned()),
            event_type: "user.created".into(),
            content_type: None,
            payload: "{}".into(),
            time: None,
            labels: [("k".to_owned(), "v".to_owned())].into(),
        }
    }

    #[test]
    fn every_part_that_was_sent_counts() {
        let key = [7; 32];
        let same = fingerprint(&key, &event());
        assert_eq!(fingerprint(&key, &event()), same);
        let others = [
            NewEvent { event_type: "user.updated".into(), ..event() },
            NewEvent { content_type: Some("application/json".into()), ..event() },
            NewEvent { payload: "{ }".into(), ..event() },
            NewEvent { time: Some(Timestamp::from_micros(0)), ..event() },
            NewEvent { labels: [("k".to_owned(), "w".to_owned())].into(), ..event() },
            NewEvent { labels: [("kv".to_owned(), String::new())].into(), ..event() },
        ];
        for other in others {
            assert_ne!(fingerprint(&key, &other), same, "{other:?}");
        }
        assert_ne!(fingerprint(&[8; 32], &event()), same, "and so does the key");
        assert_eq!(fingerprint(&key, &NewEvent { id: None, ..event() }), same, "the id is what it is compared under");
    }
}
