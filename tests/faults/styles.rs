//! Styles under load: changing one loses and repeats nothing, and every request is of one style throughout.

use http::StatusCode;
use tidings::proto::*;

use crate::{
    attempts_of, delivery_of, endpoint, get_endpoint,
    ledger::{Load, ended, event},
    process::{Client, Home},
    publish,
    sink::{Received, Sink, always},
};

async fn switch(client: &Client, endpoint: &Endpoint, style: EndpointStyle) {
    let request = UpdateEndpointRequest {
        endpoint: Some(Endpoint { id: endpoint.id.clone(), style: Some(style), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["style".to_owned()] }),
        ..Default::default()
    };
    let answer = client.clone().update_endpoint(request).await.unwrap().into_inner();
    assert!(answer.issued_secrets.is_empty(), "every one of these styles signs by the same scheme");
}

fn preset(preset: StylePreset) -> EndpointStyle {
    EndpointStyle { preset: preset as i32, ..Default::default() }
}

/// The payload in its envelope; `None` for a request that has none.
fn enveloped(received: &Received) -> Option<&str> {
    let start = format!(r#"{{"id":"{}","type":"test.load","createdAt":""#, received.id);
    let rest = std::str::from_utf8(&received.body).unwrap().strip_prefix(&start)?;
    rest.split_once(r#"","data":"#)?.1.strip_suffix('}')
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_style_loses_and_repeats_nothing_and_is_whole_in_every_request() {
    let home = Home::new(12).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    let endpoint = endpoint(&process.client, &sink, "/a", None).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    let publishers = load.publish(u64::MAX, 4);
    for round in 0..20 {
        sink.until_count(sink.received().len() + 20).await;
        let style = if round % 2 == 0 { StylePreset::Para } else { StylePreset::Standard };
        switch(&process.client, &endpoint, preset(style)).await;
        // Published after the answer, so sent in the new style.
        publish(&process.client, &format!("after-{round}")).await;
        let arrived = format!("after-{round}");
        sink.until(&arrived, |received| received.iter().any(|one| one.id == arrived)).await;
        let [one] = sink.received_of(&arrived).try_into().unwrap_or_else(|_| panic!("{arrived} came twice"));
        assert_eq!(enveloped(&one).is_some(), round % 2 == 0, "{arrived}: {:?}", one.body);
    }
    load.finish();
    publishers.join_all().await;
    let ends = ended(&process, load.ledger.acknowledged() + 20).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered));

    sink.check();
    let plain = sink.received().iter().filter(|received| enveloped(received).is_none()).count();
    assert!(plain > 0 && plain < sink.received().len());
    for received in sink.received() {
        let wrapped = enveloped(&received).map(|payload| payload.as_bytes().to_vec());
        let payload = wrapped.unwrap_or_else(|| received.body.to_vec());
        let parsed = serde_json::from_slice::<serde_json::Value>(&payload).unwrap();
        assert!(parsed.get("createdAt").is_none(), "{}: an envelope within another, or half of one", received.id);
        assert_eq!(sink.received_of(&received.id).len(), 1, "{} came twice", received.id);
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payload_that_does_not_fit_is_dead_without_a_request_and_is_sent_once_the_style_takes_it() {
    let home = Home::new(13).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start().await;
    let endpoint = endpoint(&process.client, &sink, "/a", None).await;
    switch(&process.client, &endpoint, preset(StylePreset::Para)).await;
    let mut request = event("plain", b"hello");
    request.event.as_mut().unwrap().content_type = "text/plain".to_owned();
    process.client.clone().publish_event(request).await.unwrap();
    let ends = ended(&process, 1).await;
    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Dead));
    let delivery = delivery_of(&process.client, "plain").await;
    assert_eq!((delivery.state(), delivery.failure_kind()), (DeliveryState::Dead, FailureKind::EnvelopeUnsupported));
    let attempts = attempts_of(&process.client, &delivery).await;
    assert_eq!(attempts.len(), 1);
    assert!(attempts[0].error_detail.starts_with("no request was made"), "{}", attempts[0].error_detail);
    // The endpoint was not asked, so it has not failed.
    assert_eq!(get_endpoint(&process.client, &endpoint).await.failing_since_time, None);
    assert!(sink.received().is_empty());

    switch(&process.client, &endpoint, preset(StylePreset::Standard)).await;
    let retry = RetryDeliveryRequest { delivery_id: delivery.id, ..Default::default() };
    process.client.clone().retry_delivery(retry).await.unwrap();
    sink.until_count(1).await;
    assert_eq!(sink.received()[0].body.as_ref(), b"hello");
    sink.check();
    process.stop().await;
}
