//! For unit tests: what a server shares, over a temporary database and a clock that stands still.

pub(crate) mod database;

use std::{sync::Arc, time::Duration};

use http::HeaderMap;

pub(crate) use self::database::{PostgresDatabase, TestDatabase, twins};

use crate::{
    configure::{Configurator, NewEndpoint},
    model::{
        Attempt, AttemptResult, Clock, CredentialsSummary, DeliveryKey, DeliveryState, Endpoint, EndpointKey,
        EndpointSettings, EventKey, FailureKind, LogEntry, Style, TenantKey, Timestamp, TypeFilter,
    },
    shared::Shared,
    signing,
    store::{self, DeliveryInsert, EventInsert, LogRow, Settlement, name::Names},
};

pub(crate) const TENANT: TenantKey = TenantKey::DEFAULT;
pub(crate) const OTHER_TENANT: TenantKey = TenantKey(2);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The headers of a message as Standard Webhooks signs it.
pub(crate) fn signed_headers(secret: &signing::Secret, id: &str, timestamp: Timestamp, body: &[u8]) -> HeaderMap {
    let signer = signing::Signer { scheme: signing::SchemePreset::Standard.scheme(), secrets: &[secret] };
    let message = signing::Message { id, timestamp, event_type: "user.created", url: "https://example.com/hook", body };
    let signed = signing::sign(&[signer], &message);
    let named = |header: signing::SignedHeader<'_>| (header.name.parse().unwrap(), header.value.parse().unwrap());
    signed.into_iter().map(named).collect::<HeaderMap>()
}

pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    pub(crate) configurator: Configurator,
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let clock = Clock::manual(Timestamp::from_micros(1_000_000_000));
        let shared = open(&database, clock).await;
        Self { configurator: Configurator::new(shared.clone()), shared, database }
    }

    /// The same database in the server's next life.
    pub(crate) async fn reopened(self) -> Self {
        let Self { shared, configurator, database } = self;
        drop(configurator);
        let clock = shared.clock.clone();
        shared.db.close().await;
        drop(shared);
        let shared = open(&database, clock).await;
        Self { configurator: Configurator::new(shared.clone()), shared, database }
    }

    /// An endpoint that wants everything.
    pub(crate) async fn endpoint(&self, disabled: bool) -> Endpoint {
        let new = NewEndpoint {
            settings: settings(),
            disabled,
            secrets: Vec::new(),
            headers: Vec::new(),
            credentials: Default::default(),
        };
        self.configurator.create_endpoint(TENANT, new).await.unwrap().0
    }

    /// An event of a tenant's with a delivery to each of `endpoints`, in this state after at most one attempt.
    pub(crate) async fn event(
        &self,
        tenant: TenantKey,
        event_type: &'static str,
        endpoints: &[EndpointKey],
        state: DeliveryState,
    ) -> Vec<DeliveryKey> {
        let (shared, endpoints) = (self.shared.clone(), endpoints.to_vec());
        let write = self.shared.db.write(move |tx| {
            Box::pin(async move {
                let now = shared.clock.now();
                let names = Names::default();
                let key = EventKey(store::meta::next_key(tx, "event").await?);
                let event = EventInsert {
                    key,
                    tenant,
                    id: format!("event-{}", key.0).into(),
                    event_type: names.key(tx, &event_type.into()).await?,
                    time: now,
                    created: now,
                    cfg: shared.routes.cfg(),
                    content_type: names.key(tx, &"application/json".into()).await?,
                    ping_of: None,
                    fanout: 1,
                    labels: Vec::new(),
                    fingerprint: [0; 16],
                    payload: "{}".into(),
                };
                store::hot::insert_own_events(tx, &[event]).await?;
                let keys: Vec<_> = endpoints.iter().map(|&endpoint| DeliveryKey { event: key, endpoint }).collect();
                let handed_over = state != DeliveryState::Pending;
                let inserts: Vec<_> = keys.iter().map(|&key| DeliveryInsert { key, handed_over, due: None }).collect();
                store::hot::insert_deliveries(tx, shared.incarnation, now, &inserts).await?;
                if state.is_terminal() {
                    let settlements: Vec<_> = keys.iter().map(|&key| settlement(key, state)).collect();
                    store::hot::settle_others(tx, shared.incarnation, now, &settlements).await?;
                }
                tx.commit().await?;
                Ok(keys)
            })
        });
        write.await.unwrap()
    }

    /// Writes an attempt's row.
    pub(crate) async fn failed_attempt(&self, delivery: DeliveryKey, number: u32) {
        let attempt = Attempt {
            delivery,
            number,
            result: AttemptResult::Failed,
            failure: Some(FailureKind::HttpStatus),
            http_status: Some(500),
            latency: Some(Duration::from_millis(5)),
            ended: Some(self.shared.clock.now()),
            response: "no".into(),
            response_truncated: false,
            detail: "status 500".to_owned(),
            body_note: None,
        };
        let write = self.shared.db.write(move |tx| {
            Box::pin(async move {
                store::attempt::upsert(tx, &[attempt]).await?;
                tx.commit().await
            })
        });
        write.await.unwrap();
    }

    /// What was logged since the database was made.
    pub(crate) async fn log(&self) -> Vec<LogRow> {
        self.shared.db.read(|conn| Box::pin(store::log::after(conn, 1, 1_000, i64::MAX))).await.unwrap()
    }

    /// The latest transition.
    pub(crate) async fn last_entry(&self) -> LogEntry {
        self.log().await.pop().unwrap().body.entries.pop().unwrap()
    }
}

/// Settings of an endpoint that wants everything.
pub(crate) fn settings() -> EndpointSettings {
    EndpointSettings {
        display_name: "name".to_owned(),
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        url: "https://example.com/hook".parse().unwrap(),
        filter: TypeFilter::default(),
        style: Style::default(),
        header_names: Vec::new(),
        credentials: CredentialsSummary::default(),
        policy: Arc::default(),
    }
}

async fn open(database: &TestDatabase, clock: Clock) -> Arc<Shared> {
    Arc::new(Shared::open(&database.config(), clock).await.unwrap())
}

fn settlement(key: DeliveryKey, to: DeliveryState) -> Settlement {
    let failure = (to != DeliveryState::Delivered).then_some(FailureKind::HttpStatus);
    let status = if failure.is_some() { 500 } else { 200 };
    let shown = Some((status, Duration::from_millis(5), failure));
    Settlement { key, attempt: 1, to, ready_at: None, uncounted: false, shown }
}
