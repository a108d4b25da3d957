//! The baseline: what gRPC in and HTTP out cost by themselves. It answers PublishEvent at once and posts the payload
//! through an HTTP client, the server's own unless it is told otherwise; nothing is stored, signed or retried.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tidings::{
    egress::{Egress, EgressConfig, Request},
    model::AddressPolicy,
    proto::{PublishEventRequest, PublishEventResponse},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tonic::{body::Body, server::NamedService, transport::server::TcpIncoming};
use url::Url;

use crate::{message, poster::Poster, targets::Targets};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// How many endpoints there are.
    #[arg(long)]
    pub(crate) endpoints: usize,
    /// How many requests may be in flight in all.
    #[arg(long)]
    pub(crate) in_flight_max: usize,
    /// Post through a pool of connections alone instead of the server's client.
    #[arg(long)]
    pub(crate) bare: bool,
}

#[derive(Clone)]
struct Echo {
    poster: Poster,
    endpoints: Arc<[Url]>,
    slots: Arc<Semaphore>,
}

/// Serves until it is killed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let addresses =
        AddressPolicy { allowed: vec!["127.0.0.0/8".parse().map_err(anyhow::Error::msg)?], ..AddressPolicy::default() };
    let mut extra_roots = Vec::new();
    if let Some(path) = &args.targets.certificate {
        extra_roots.push(CertificateDer::from_pem_slice(&std::fs::read(path)?).map_err(anyhow::Error::msg)?);
    }
    let ports = vec![args.targets.port];
    let egress = EgressConfig { allow_http: true, ports, addresses, extra_roots, ..EgressConfig::default() };
    let url = |endpoint| Url::parse(&args.targets.url(endpoint));
    let echo = Echo {
        poster: if args.bare { Poster::bare() } else { Poster::Guarded(Egress::new(egress)?) },
        endpoints: (0..args.endpoints).map(url).collect::<Result<_, _>>()?,
        slots: Arc::new(Semaphore::new(args.in_flight_max)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder().add_service(echo).serve_with_incoming(incoming).await?;
    Ok(())
}

impl Echo {
    async fn publish(self, request: PublishEventRequest) -> PublishEventResponse {
        let event = request.event.unwrap_or_default();
        let endpoints = match event.r#type.rsplit('.').next().and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => self.endpoints.get(number..=number).unwrap_or_default(),
            None if event.r#type == message::TYPE_FOR_ALL => &self.endpoints[..],
            None => &[],
        };
        for url in endpoints {
            let Ok(slot) = self.slots.clone().acquire_owned().await else { break };
            let headers = HeaderMap::from_iter([
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (HeaderName::from_static("webhook-id"), HeaderValue::from_static("evt_0123456789abcdefghjkmnpqrs")),
            ]);
            let (url, body) = (url.clone(), event.payload.clone());
            let poster = self.poster.clone();
            tokio::spawn(async move {
                poster.post(Request { url, headers, body, timeout: Duration::from_secs(15), credentials: None }).await;
                drop(slot);
            });
        }
        let delivery_count = i32::try_from(endpoints.len()).unwrap_or(i32::MAX);
        PublishEventResponse {
            event_id: "evt_0123456789abcdefghjkmnpqrs".to_owned(),
            delivery_count,
            ..Default::default()
        }
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "tidings.v1.WebhookService";
}

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl tonic::server::UnaryService<PublishEventRequest> for Echo {
    type Response = PublishEventResponse;
    type Future = BoxFuture<tonic::Response<PublishEventResponse>, tonic::Status>;

    fn call(&mut self, request: tonic::Request<PublishEventRequest>) -> Self::Future {
        let publish = self.clone().publish(request.into_inner());
        Box::pin(async move { Ok(tonic::Response::new(publish.await)) })
    }
}

/// As the generated service does it. Whatever is called is PublishEvent.
impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
            Ok(grpc.unary(echo, request).await)
        })
    }
}
