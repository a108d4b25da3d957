//! The command against a server that answers as it is told.

use std::{collections::VecDeque, net::SocketAddr, pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::Mutex};
use tonic::{Request, Response, server::ServerStreamingService};
use tonic_types::ErrorDetails;

use super::*;
use crate::proto::{
    EndpointTransition, EndpointTransitionKind, Heartbeat, WatchDeliveriesResponse, watch_deliveries_response::Message,
};

type Answer = Vec<Result<WatchDeliveriesResponse, Status>>;

/// Answers each call with the next of a list, and keeps what it was asked.
#[derive(Clone, Default)]
struct Told {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<WatchDeliveriesRequest>>>,
}

impl ServerStreamingService<WatchDeliveriesRequest> for Told {
    type Response = WatchDeliveriesResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<WatchDeliveriesResponse, Status>> + Send>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<WatchDeliveriesRequest>) -> Self::Future {
        let told = self.clone();
        Box::pin(async move {
            told.asked.lock().await.push(request.into_inner());
            let answer = told.answers.lock().await.pop_front().expect("asked more often than told");
            Ok(Response::new(Box::pin(stream::iter(answer)) as Self::ResponseStream))
        })
    }
}

async fn serve(told: Told) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let told = told.clone();
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let told = told.clone();
                async move {
                    assert_eq!(request.uri().path(), "/tidings.v1.WebhookService/WatchDeliveries");
                    let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                    let request = request.map(|body| body.map_err(|error| Status::internal(error.to_string())));
                    Ok::<_, std::convert::Infallible>(grpc.server_streaming(told, request).await)
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
        }
    });
    address
}

fn message(token: &str, message: Message) -> Result<WatchDeliveriesResponse, Status> {
    Ok(WatchDeliveriesResponse { resume_token: token.to_owned(), commit_time: None, message: Some(message) })
}

fn heartbeat(token: &str) -> Result<WatchDeliveriesResponse, Status> {
    message(token, Message::Heartbeat(Heartbeat {}))
}

fn created(token: &str, endpoint: &str) -> Result<WatchDeliveriesResponse, Status> {
    let kind = EndpointTransitionKind::Created as i32;
    let transition = EndpointTransition { endpoint_id: endpoint.to_owned(), kind, ..EndpointTransition::default() };
    message(token, Message::Endpoint(transition))
}

fn said(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "tidings.v1", std::collections::HashMap::new());
    Status::with_error_details(code, "so it is", details)
}

fn refused() -> Status {
    said(Code::OutOfRange, "RESUME_TOKEN_EXPIRED")
}

/// What is printed, said and asked until the server refuses, and how it ends.
async fn watched(answers: Vec<Answer>) -> (String, String, Vec<WatchDeliveriesRequest>, Result<(), WatchError>) {
    let told = Told { answers: Arc::new(Mutex::new(answers.into())), ..Told::default() };
    let address = serve(told.clone()).await;
    let request = WatchDeliveriesRequest {
        tenant_id: "acme".to_owned(),
        start: Some(Start::FromOldest(true)),
        ..WatchDeliveriesRequest::default()
    };
    let mut watching =
        Watching::open(&args(format!("http://{address}")), request, Vec::new(), Palette::plain()).unwrap();
    watching.backoff = Duration::from_millis(1);
    let mut err = Vec::new();
    let ended = watching.run(&mut err, &CancellationToken::new()).await;
    let asked = told.asked.lock().await.clone();
    (String::from_utf8(watching.out).unwrap(), String::from_utf8(err).unwrap(), asked, ended)
}

fn args(server: String) -> ServerArgs {
    ServerArgs { server, api_key: None, api_key_file: None, trust: Default::default() }
}

#[tokio::test]
async fn broken_stream_is_resumed_by_its_last_token() {
    let (out, err, asked, ended) = watched(vec![
        vec![heartbeat("t1"), created("t2", "ep_1"), Err(said(Code::Unavailable, "SHUTTING_DOWN"))],
        vec![heartbeat("t2"), created("t3", "ep_2")],
        vec![heartbeat("t4"), Err(Status::unknown("connection reset"))],
        vec![Err(refused())],
    ])
    .await;
    assert_eq!(out, "00:00:00.000Z  endpoint    ep_1  created\n00:00:00.000Z  endpoint    ep_2  created\n");
    assert_eq!(err.lines().count(), 3, "{err}");
    let starts: Vec<_> = asked.into_iter().map(|request| request.start.unwrap()).collect();
    let token = |token: &str| Start::ResumeToken(token.to_owned());
    assert_eq!(starts, [Start::FromOldest(true), token("t2"), token("t3"), token("t4")]);
    assert!(matches!(ended, Err(WatchError::Refused(status)) if status.code() == Code::OutOfRange));
}

#[tokio::test]
async fn refusal_is_final_and_says_why() {
    let (out, _, asked, ended) = watched(vec![vec![Err(said(Code::InvalidArgument, "INVALID_REQUEST"))]]).await;
    assert_eq!((out.as_str(), asked.len()), ("", 1));
    assert!(ended.unwrap_err().to_string().ends_with("so it is"));
}

#[tokio::test]
async fn server_that_is_busy_at_first_is_asked_again() {
    let busy = said(Code::ResourceExhausted, "TOO_MANY_STREAMS");
    let (_, _, asked, _) = watched(vec![vec![Err(busy)], vec![Err(refused())]]).await;
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn server_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let request = WatchDeliveriesRequest::default();
    let mut watching = Watching::open(&args(server.clone()), request, Vec::new(), Palette::plain()).unwrap();
    let ended = watching.run(&mut Vec::new(), &CancellationToken::new()).await;
    assert!(matches!(ended, Err(WatchError::Unreachable { server: named, .. }) if named == server));
}

#[tokio::test]
async fn reader_that_has_gone_ends_the_command_without_an_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let told = Told::default();
    told.answers.lock().await.push_back(vec![heartbeat("t1"), created("t2", "ep_1")]);
    let server = format!("http://{}", serve(told).await);
    let mut watching =
        Watching::open(&args(server), WatchDeliveriesRequest::default(), Gone, Palette::plain()).unwrap();
    watching.run(&mut Vec::new(), &CancellationToken::new()).await.unwrap();
    assert_eq!(watching.token.as_deref(), Some("t1"));
}
