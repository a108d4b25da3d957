//! What the demo plays on: a temporary database, a receiver over TLS, a server that trusts it, and a client.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::desk::Desk;
use crate::{
    access::{AdminConfig, new_key},
    api::Limits,
    client::{Bearer, KeyedChannel},
    dispatch::Room,
    egress::EgressConfig,
    listen,
    model::{AddressPolicy, Clock, HeldKey, UrlPolicy},
    proto::webhook_service_client::WebhookServiceClient,
    receiver::{Certificate, Receiver},
    server::{Config, Server},
    store, watch,
};

/// Everything that runs and lies about while the demo does. [`Stage::clear`] it.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) client: WebhookServiceClient<KeyedChannel>,
    /// The operator's key of the server.
    pub(super) key: HeldKey,
    pub(super) desk: Arc<Desk>,
    /// Where the desk receives.
    pub(super) receiver: SocketAddr,
    stop_receiving: CancellationToken,
    receiving: JoinHandle<()>,
    directory: TempDir,
}

impl Stage {
    /// Starts a receiver, and a server on `listener` that may send to it.
    pub(super) async fn set(listener: TcpListener) -> anyhow::Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("tidings-demo-").tempdir().context("cannot make a temporary directory")?;
        let certificate = Certificate::self_signed(["127.0.0.1"])?;
        let inbox = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for webhooks")?;
        let receiver = inbox.local_addr()?;
        let inbox = Receiver::with_tls(inbox, &certificate)?;
        let key = new_key();
        let admin = AdminConfig { given: Some(key.clone()), file: None };
        let server = Server::start(config(&directory, &certificate, receiver.port(), admin)?, listener).await?;

        let desk = Arc::new(Desk::new());
        let stop_receiving = CancellationToken::new();
        let at_desk = desk.clone();
        let handler = move |webhook| std::future::ready(at_desk.take(webhook));
        let receiving = tokio::spawn(inbox.run(handler, stop_receiving.clone()));
        let channel = Endpoint::from_shared(format!("http://{}", server.address()))?.connect_lazy();
        let client = WebhookServiceClient::new(Bearer::new(&key.text())?.over(channel));
        Ok(Self { server, client, key, desk, receiver, stop_receiving, receiving, directory })
    }

    /// Stops the server, then the receiver, and removes the database.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        drop(self.client);
        self.server.stop().await;
        self.stop_receiving.cancel();
        self.receiving.await.context("the receiver failed")?;
        let path = self.directory.path().display().to_string();
        self.directory.close().with_context(|| format!("cannot remove {path}"))
    }
}

/// Only this receiver is trusted, and only this machine allowed.
fn config(directory: &TempDir, certificate: &Certificate, port: u16, admin: AdminConfig) -> anyhow::Result<Config> {
    let loopback = "127.0.0.0/8".parse().map_err(anyhow::Error::msg)?;
    let addresses = AddressPolicy { allowed: vec![loopback], ..AddressPolicy::default() };
    Ok(Config {
        database: store::Config::sqlite(directory.path().join("tidings.db"), directory.path().join("tidings.db.key")),
        urls: UrlPolicy { allow_http: false, ports: vec![port], addresses: addresses.clone() },
        egress: EgressConfig {
            allow_http: false,
            ports: vec![port],
            addresses,
            extra_roots: vec![certificate.der().clone()],
            only_extra_roots: true,
        },
        room: Room::default(),
        limits: Limits::default(),
        listen: listen::Config::default(),
        watch: watch::Config::default(),
        clock: Clock::system(),
        admin,
        allow_plaintext: false,
    })
}
