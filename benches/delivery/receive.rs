//! The receiver: answers every request with an empty 200 and notes what came, and when.
//!
//! It prints its port. On its standard input it is told
//! - `await COUNT SECONDS`: print a [`Receipt`] once so many requests have come, or the time is up, and count anew;
//! - `missing FILE`: print how many of the events whose numbers are in the file have not come.
//!
//! Requests to paths that begin with `/hang/` are never answered, and not counted.

use std::{
    cell::RefCell,
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;

use crate::{message, seen::Seen, targets::Targets, usage};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// The certificate's private key, in PEM.
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
    /// How many endpoints each event goes to.
    #[arg(long, default_value_t = 1)]
    pub(crate) fanout: u64,
}

/// What came since the last one.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Deliveries, each counted once.
    pub(crate) deliveries: u64,
    /// Requests that repeated one, of whatever time.
    pub(crate) repeated: u64,
    /// When the first came, on the clock of [`message::now`].
    pub(crate) first: u64,
    /// When the last came.
    pub(crate) last: u64,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// The longest time between two, in nanoseconds.
    pub(crate) gap: u64,
    /// From the moment an event was to be sent until it was received, in microseconds.
    pub(crate) latency: Percentiles,
    /// Processor seconds of the receiver so far.
    pub(crate) cpu_seconds: f64,
}

/// What a histogram of microseconds says.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: histogram.max() }
    }
}

/// A histogram of microseconds, up to a quarter of an hour.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(900_000_000, 3).expect("the bounds are valid")
}

struct Received {
    fanout: u64,
    seen: Seen,
    latency: Histogram<u64>,
    receipt: Receipt,
    expected: u64,
    complete: Rc<Notify>,
}

impl Received {
    fn take(&mut self, path: &str, payload: &[u8], now: u64) {
        let Some((sent, event)) = message::read(payload) else { return };
        let endpoint: u64 = path.trim_start_matches('/').parse().unwrap_or_default();
        let receipt = &mut self.receipt;
        if self.seen.insert(event * self.fanout + endpoint % self.fanout) {
            receipt.deliveries += 1;
            self.latency.saturating_record(now.saturating_sub(sent) / 1_000);
        } else {
            receipt.repeated += 1;
        }
        if receipt.first == 0 {
            receipt.first = now;
        } else {
            receipt.gap = receipt.gap.max(now.saturating_sub(receipt.last));
        }
        receipt.last = now;
        if receipt.deliveries + receipt.repeated >= self.expected {
            self.complete.notify_one();
        }
    }

    fn report(&mut self) -> anyhow::Result<Receipt> {
        let mut receipt = std::mem::take(&mut self.receipt);
        receipt.latency = Percentiles::of(&self.latency);
        receipt.cpu_seconds = usage::cpu_seconds(std::process::id())?;
        self.latency.reset();
        self.expected = u64::MAX;
        Ok(receipt)
    }

    fn missing(&self, numbers: &Path) -> anyhow::Result<usize> {
        let numbers = std::fs::read(numbers)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        Ok(numbers.iter().filter(|number| !self.seen.contains(u64::from_le_bytes(**number))).count())
    }
}

/// Receives until its standard input ends.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let listeners = listen(&args.targets).await?;
    println!("{}", listeners[0].local_addr()?.port());
    let tls = match (&args.targets.certificate, &args.key) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let complete = Rc::new(Notify::new());
    let received = Rc::new(RefCell::new(Received {
        fanout: args.fanout,
        seen: Seen::default(),
        latency: histogram(),
        receipt: Receipt::default(),
        expected: u64::MAX,
        complete: complete.clone(),
    }));
    let local = tokio::task::LocalSet::new();
    for listener in listeners {
        local.spawn_local(accept(listener, tls.clone(), received.clone()));
    }
    local.run_until(obey(received, complete)).await
}

/// Listeners on the same port of every host.
async fn listen(targets: &Targets) -> anyhow::Result<Vec<TcpListener>> {
    let first = TcpListener::bind(SocketAddr::new(Targets::address(0).into(), targets.port)).await?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    for host in 1..targets.hosts {
        listeners.push(TcpListener::bind(SocketAddr::new(Targets::address(host).into(), port)).await?);
    }
    Ok(listeners)
}

/// TLS as most receivers speak it, and HTTP/1.1 in it.
fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(&std::fs::read(certificate)?).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(&std::fs::read(key)?);
    let (chain, key) = (chain.map_err(anyhow::Error::msg)?, key.map_err(anyhow::Error::msg)?);
    let provider = rustls::crypto::ring::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("using the certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, received: Rc<RefCell<Received>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        received.borrow_mut().receipt.connections += 1;
        let (tls, received) = (tls.clone(), received.clone());
        spawn_local(async move {
            match tls {
                None => serve(TokioIo::new(stream), received).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(TokioIo::new(stream), received).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl Read + Write + Unpin, received: Rc<RefCell<Received>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let received = received.clone();
        async move {
            let (head, body) = request.into_parts();
            if head.uri.path().starts_with("/hang/") {
                std::future::pending::<()>().await;
            }
            if let Ok(body) = body.collect().await {
                received.borrow_mut().take(head.uri.path(), &body.to_bytes(), message::now());
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    // A connection that breaks shows in what was not received.
    let _ = http1::Builder::new().serve_connection(stream, service).await;
}

async fn obey(received: Rc<RefCell<Received>>, complete: Rc<Notify>) -> anyhow::Result<()> {
    let (send, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split(' ').collect();
        match words.as_slice() {
            ["await", count, seconds] => {
                let (count, limit) = (count.parse()?, Duration::from_secs(seconds.parse()?));
                received.borrow_mut().expected = count;
                let come = {
                    let receipt = received.borrow().receipt;
                    receipt.deliveries + receipt.repeated
                };
                if come < count {
                    // What does not come in time shows in the receipt.
                    let _ = tokio::time::timeout(limit, complete.notified()).await;
                }
                println!("{}", serde_json::to_string(&received.borrow_mut().report()?)?);
            }
            ["missing", file] => println!("{}", received.borrow().missing(Path::new(file))?),
            _ => anyhow::bail!("no such order: {order}"),
        }
    }
    Ok(())
}
