//! The keyed fingerprint of what a publisher sent, by which a repeat of an event id is told from a reuse of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::NewEvent;

/// 128 bits of HMAC-SHA256 over what the publisher sent: type, media type as given, payload, time, labels by key, and when
/// the event is to be delivered and expires, with absence as a value of its own. Nothing that the server filled in belongs
/// to it. For an event with neither of the last two nothing is added, so that its fingerprint is that of versions which did
/// not know them.
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
    if event.deliver_at.is_some() || event.expires.is_some() {
        // No label has an empty name.
        field(b"");
        for time in [event.deliver_at, event.expires] {
            field(time.map_or("-".to_owned(), |time| format!("+{}", time.as_micros())).as_bytes());
        }
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
            deliver_at: None,
            expires: None,
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
            NewEvent { deliver_at: Some(Timestamp::from_micros(0)), ..event() },
            NewEvent { deliver_at: Some(Timestamp::from_micros(1)), ..event() },
            NewEvent { expires: Some(Timestamp::from_micros(0)), ..event() },
            NewEvent {
                deliver_at: Some(Timestamp::from_micros(0)),
                expires: Some(Timestamp::from_micros(0)),
                ..event()
            },
        ];
        let fingerprints: std::collections::HashSet<_> = others.iter().map(|other| fingerprint(&key, other)).collect();
        assert!(!fingerprints.contains(&same));
        assert_eq!(fingerprints.len(), others.len(), "and each counts in its own way");
        assert_ne!(fingerprint(&[8; 32], &event()), same, "and so does the key");
        assert_eq!(fingerprint(&key, &NewEvent { id: None, ..event() }), same, "the id is what it is compared under");
    }
}
