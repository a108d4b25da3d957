//! A panic in a call's handler.

use tidings::proto::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::process::Home;

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("every status has a reason").reason
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_in_a_handler_costs_one_call_and_is_in_the_log() {
    let home = Home::new(80).await;
    let mut process = home.start_panicking("handler:2").await;
    let list = ListEndpointsRequest::default();
    process.client.list_endpoints(list.clone()).await.unwrap();
    let status = process.client.list_endpoints(list.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    let incident = status.get_details_error_info().unwrap().metadata["incident"].clone();
    assert!(status.message().contains(&incident), "{}", status.message());
    assert!(!status.message().contains("a test wants"), "{}", status.message());
    let log = home.log();
    assert!(log.contains(&incident) && log.contains("a test wants a panic"), "the log has neither incident nor panic");
    process.client.list_endpoints(list).await.unwrap();
    process.stop().await;
}
