//! Panics while a call is looked at: in the layers before its handler, in the handler of each kind of method, and in the tasks of
//! streams. Each costs its caller an INTERNAL with an incident that the log has, and nobody else anything.

use tidings::proto::*;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::process::{Client, Home};

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("every status has a reason").reason
}

/// A method of each kind.
#[derive(Clone, Copy, Debug)]
enum Method {
    Unary,
    ServerStream,
    BothStream,
}

impl Method {
    /// Calls it and reads its answer; what it ends with, if that is an error. A stream that says something is left.
    async fn call(self, client: &Client) -> Result<(), Status> {
        let mut client = client.clone();
        match self {
            Self::Unary => client.list_endpoints(ListEndpointsRequest::default()).await.map(drop),
            Self::ServerStream => {
                let mut stream = client.watch_deliveries(WatchDeliveriesRequest::default()).await?.into_inner();
                stream.message().await.map(|message| assert!(message.is_some(), "it never just ends"))
            }
            Self::BothStream => {
                let event = Event { r#type: "a.b".to_owned(), payload: "{}".into(), ..Default::default() };
                let request = PublishEventStreamRequest { event: Some(event), ..Default::default() };
                let requests = tokio_stream::once(request).chain(tokio_stream::pending());
                let mut stream = client.publish_event_stream(requests).await?.into_inner();
                stream.message().await.map(|message| assert!(message.is_some(), "it goes on"))
            }
        }
    }
}

/// A server that panics the second time that it comes by this point, which `method` does.
async fn costs_one_call(seed: u64, point: &str, method: Method) {
    let home = Home::new(seed).await;
    let process = home.start_panicking(&format!("{point}:2")).await;
    method.call(&process.client).await.unwrap();
    let status = method.call(&process.client).await.unwrap_err();
    let case = format!("{point} {method:?}");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"), "{case}: {status:?}");
    let incident = status.get_details_error_info().unwrap().metadata["incident"].clone();
    assert!(status.message().contains(&incident), "{case}: {}", status.message());
    assert!(!status.message().contains("a test wants"), "{case}: {}", status.message());
    let log = home.log();
    assert!(log.contains(&incident) && log.contains("a test wants a panic"), "{case}: the log has not both");
    for method in [Method::Unary, Method::ServerStream, Method::BothStream] {
        method.call(&process.client).await.unwrap();
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_in_a_handler_costs_one_call_and_is_in_the_log() {
    costs_one_call(80, "handler", Method::Unary).await;
    costs_one_call(81, "handler", Method::ServerStream).await;
    costs_one_call(82, "handler", Method::BothStream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_before_a_handler_costs_one_call_and_is_in_the_log() {
    costs_one_call(83, "authentication", Method::Unary).await;
    costs_one_call(84, "authentication", Method::ServerStream).await;
    costs_one_call(85, "authentication", Method::BothStream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_in_a_streams_task_ends_that_stream_alone() {
    costs_one_call(86, "watching", Method::ServerStream).await;
    costs_one_call(87, "stream_request", Method::BothStream).await;
}
