//! Changes of an endpoint under load: what is published after a change was answered is sent by the changed configuration.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use tidings::{
    proto::*,
    receiver::Answer,
    signing::{KeyForm, Secret},
};

use crate::{
    delays, endpoint,
    ledger::{Load, ended},
    process::Home,
    publish,
    sink::{Sink, always, answering},
};

#[tokio::test(flavor = "multi_thread")]
async fn rotation_under_load_never_leaves_a_request_unverifiable() {
    let home = Home::new(10).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let mut process = home.start().await;
    let endpoint = endpoint(&process.client, &sink, "/a", None).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    let publishers = load.publish(u64::MAX, 4);
    sink.until_count(50).await;

    let secret = Arc::new(Secret::generate(KeyForm::Base64));
    // Told to the receiver first, as an imported secret is: no request may be one that it cannot verify.
    sink.expect_secret("/a", secret.clone());
    let request = RotateEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret: Some(secret.expose().to_owned()),
        ..Default::default()
    };
    process.client.rotate_endpoint_secret(request).await.unwrap();
    let rotated = sink.received().len();
    // Published after the answer, so that their attempts begin after it, among others' that began before.
    for number in 0..50 {
        publish(&process.client, &format!("after-{number}")).await;
    }
    sink.until_count(rotated + 200).await;
    load.finish();
    publishers.join_all().await;
    let after = |received: &[crate::sink::Received]| {
        received.iter().filter(|received| received.id.starts_with("after-")).count() == 50
    };
    sink.until("what was published after the rotation", after).await;
    process.stop().await;

    sink.check();
    let received = sink.received();
    assert!(received.iter().any(|received| received.verified_by == [true]), "some were sent before the rotation");
    for received in received.iter().filter(|received| received.id.starts_with("after-")) {
        assert_eq!(received.verified_by, [true, true], "{}: signed by the new secret and the old", received.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_url_gets_every_attempt_that_begins_after_the_change() {
    /// What a retry waits at least, and what an attempt that had begun may take to arrive.
    const DELAY: Duration = Duration::from_millis(1500);
    const UNDER_WAY: Duration = Duration::from_millis(1000);
    let home = Home::new(11).await;
    let sink = Sink::start(answering(|webhook, _| {
        let old = webhook.uri.path() == "/old";
        let status = if old { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        std::future::ready(Answer::from(status))
    }))
    .await;
    let mut process = home.start().await;
    let policy = DeliveryPolicy { retry: delays(&[DELAY; 5]), ..Default::default() };
    let mut endpoint = endpoint(&process.client, &sink, "/old", Some(policy)).await;
    let load = Load::new(home.seed);
    load.serve(&process);
    let publishers = load.publish(u64::MAX, 4);
    sink.until_count(100).await;

    let secret = Arc::new(Secret::generate(KeyForm::Base64));
    sink.expect_secret("/new", secret.clone());
    let request = RotateEndpointSecretRequest {
        endpoint_id: endpoint.id.clone(),
        secret: Some(secret.expose().to_owned()),
        ..Default::default()
    };
    process.client.rotate_endpoint_secret(request).await.unwrap();
    endpoint.url = sink.url("/new");
    // The rotation has changed it.
    endpoint.etag.clear();
    let request = UpdateEndpointRequest {
        endpoint: Some(endpoint),
        update_mask: Some(prost_types::FieldMask { paths: vec!["url".to_owned()] }),
        ..Default::default()
    };
    process.client.update_endpoint(request).await.unwrap();
    let changed = Instant::now();
    for number in 0..50 {
        publish(&process.client, &format!("after-{number}")).await;
    }
    load.finish();
    publishers.join_all().await;
    let ends = ended(&process, load.ledger.acknowledged() + 50).await;
    process.stop().await;

    assert!(ends.values().all(|kind| *kind == DeliveryTransitionKind::Delivered), "each gets to the new URL in time");
    sink.check();
    for received in sink.received().iter().filter(|received| received.path == "/old") {
        assert!(!received.id.starts_with("after-"), "{} was published after the change", received.id);
        assert!(received.at < changed + UNDER_WAY, "{} was retried at the old URL", received.id);
    }
    let retried = sink.received().iter().filter(|one| one.path == "/new" && !one.id.starts_with("after-")).count();
    assert!(retried >= 100, "what failed before the change is retried after it: {retried}");
}
