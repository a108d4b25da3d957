//! The events that the demo publishes: what a shop's backend might have to say.

use bytes::Bytes;

use crate::proto::Event;

/// What every type of an order's begins with: the filter `order.**` selects them.
pub(super) const ORDER_PREFIX: &str = "order.";

/// The type of the many small events at the end. The status stream does not show them one by one.
pub(super) const READING_TYPE: &str = "meter.reading";

/// An event as the shop publishes it.
pub(super) struct Sample {
    /// Empty: the server makes one.
    id: &'static str,
    event_type: &'static str,
    content_type: &'static str,
    payload: &'static str,
}

impl Sample {
    const fn json(id: &'static str, event_type: &'static str, payload: &'static str) -> Self {
        Self { id, event_type, content_type: "application/json", payload }
    }

    pub(super) fn event(&self) -> Event {
        Event {
            id: self.id.to_owned(),
            r#type: self.event_type.to_owned(),
            content_type: self.content_type.to_owned(),
            payload: Bytes::from_static(self.payload.as_bytes()),
            ..Event::default()
        }
    }
}

/// A morning at the shop. The first has an id of its own and is published twice.
pub(super) const MORNING: [Sample; 7] = [
    Sample::json(
        "order-1001-created",
        "order.created",
        r#"{"order":"1001","total":"129.90","currency":"EUR","items":[{"sku":"TEA-DARJEELING","quantity":2}]}"#,
    ),
    Sample::json("", "user.created", r#"{"user":"u-77","name":"Zoë Müller","city":"København","newsletter":true}"#),
    Sample::json(
        "invoice-2031-paid",
        "invoice.paid",
        r#"{"invoice":"2031","order":"1001","amount":129.90,"method":"sepa","paid_at":"2026-03-14T09:26:53Z"}"#,
    ),
    Sample::json("", "order.paid", r#"{ "order": "1001", "invoice": "2031" }"#),
    Sample::json(
        "",
        "order.parcel.shipped",
        r#"{"order":"1001","carrier":"ヤマト運輸","to":{"city":"東京","zip":"100-0001"},"note":"割れ物注意 🫖"}"#,
    ),
    Sample {
        id: "",
        event_type: "report.ready",
        content_type: "text/csv; charset=utf-8",
        payload: "sku,sold\r\nTEA-DARJEELING,2\r\nTASSE-WEISS,4\r\n",
    },
    Sample::json(
        "",
        "user.deleted",
        r#"{"user":"u-12","reason":"asked for it","escaped":"caf\u00e9 \u0000 \ud83e\uded6"}"#,
    ),
];

/// Published after the secret was rotated, before the receiver knows the new one.
pub(super) const BEFORE_UPDATE: [Sample; 2] = [
    Sample::json("", "user.updated", r#"{"user":"u-77","changed":["city"],"city":"Málaga"}"#),
    Sample::json("", "invoice.overdue", r#"{"invoice":"2019","days":14,"amount":12345678901234567890.10}"#),
];

/// Published once the receiver has the new secret and has forgotten the old one.
pub(super) const AFTER_UPDATE: [Sample; 2] = [
    Sample::json("", "user.created", r#"{"user":"u-78","name":"Þórunn Ægisdóttir"}"#),
    Sample::json("invoice-2032-paid", "invoice.paid", r#"{"invoice":"2032","amount":7.50,"method":"card"}"#),
];

/// One of many small events.
pub(super) fn reading(number: usize) -> Event {
    let payload = format!(r#"{{"meter":"m-{}","sequence":{number},"celsius":{}}}"#, number % 16, 18 + number % 7);
    Event { r#type: READING_TYPE.to_owned(), payload: payload.into(), ..Event::default() }
}
