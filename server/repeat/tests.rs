use tokio::task::JoinSet;

use super::*;
use crate::{
    configure::{self, NewEndpoint},
    fixture::{DAY, Fixture, OTHER_TENANT, TENANT, settings, twins},
    model::{Endpoint, EndpointKey, EndpointStatus, Secret},
    store::{execute, fetch_all},
};

type Created = (Endpoint, Vec<Secret>);

fn request(id: &str, asks_for: u8) -> Request<String> {
    Request::new(id.to_owned(), [asks_for; 16])
}

/// Answered with the key of the endpoint and its secret.
fn shown((endpoint, secrets): Created) -> String {
    format!("{} {}", endpoint.key.0, secrets[0].value.expose())
}

fn new_endpoint() -> NewEndpoint {
    NewEndpoint {
        settings: settings(),
        disabled: false,
        secrets: Vec::new(),
        headers: Vec::new(),
        credentials: Default::default(),
    }
}

impl Fixture {
    async fn create(&self, tenant: TenantKey, id: &str, asks_for: u8) -> Result<String, configure::Error> {
        let call = Call::new(tenant, Some(request(id, asks_for)), shown);
        self.configurator.create_endpoint(call, new_endpoint()).await
    }

    /// Disables under a request id; answered with whether it is disabled.
    async fn disable(&self, id: &str, key: EndpointKey) -> Result<String, configure::Error> {
        let disabled = |endpoint: Endpoint| (endpoint.status != EndpointStatus::Enabled).to_string();
        let call = Call::new(TENANT, Some(request(id, 9)), disabled);
        self.configurator.disable_endpoint(call, key, None).await
    }

    /// The sealed answers, oldest first.
    async fn kept(&self) -> Vec<Vec<u8>> {
        let read = self.shared.db.read(|conn| {
            Box::pin(async move {
                let rows: Vec<(Vec<u8>,)> = fetch_all!(conn, "SELECT sealed FROM request ORDER BY created, id")?;
                Ok(rows.into_iter().map(|(sealed,)| sealed).collect())
            })
        });
        read.await.unwrap()
    }

    async fn run(&self, sql: &'static str) {
        let write = self.shared.db.write(move |tx| {
            Box::pin(async move {
                execute!(tx.conn(), sql)?;
                tx.commit().await
            })
        });
        write.await.unwrap();
    }
}

#[tokio::test]
async fn repeat_gets_the_first_answer_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let first = fixture.create(TENANT, "a", 1).await.unwrap();
    let (log, cfg) = (fixture.log().await, fixture.shared.routes.cfg());
    assert_eq!(fixture.create(TENANT, "a", 1).await.unwrap(), first);
    assert_eq!((fixture.log().await, fixture.shared.routes.cfg()), (log, cfg));
    let again = request("a", 1).first_answer::<configure::Error>(&fixture.shared, TENANT).await;
    assert_eq!(again.unwrap().as_deref(), Some(first.as_str()), "without the write lock too");

    let fixture = fixture.reopened().await;
    assert_eq!(fixture.create(TENANT, "a", 1).await.unwrap(), first, "in the next life too");
    assert_ne!(fixture.create(TENANT, "b", 1).await.unwrap(), first, "under another id");
    assert_ne!(fixture.create(OTHER_TENANT, "a", 1).await.unwrap(), first, "by another tenant");
    let without = fixture.configurator.create_endpoint(Call::new(TENANT, None, shown), new_endpoint());
    assert_ne!(without.await.unwrap(), first, "without an id");
}

#[tokio::test]
async fn id_of_another_request_is_refused() {
    let fixture = Fixture::new().await;
    fixture.create(TENANT, "a", 1).await.unwrap();
    let log = fixture.log().await;
    let refused = fixture.create(TENANT, "a", 2).await;
    assert!(matches!(refused, Err(configure::Error::Reused(Reused))), "{refused:?}");
    let refused = request("a", 2).first_answer::<configure::Error>(&fixture.shared, TENANT).await;
    assert!(matches!(refused, Err(configure::Error::Reused(Reused))), "{refused:?}");
    assert_eq!(fixture.log().await, log);
}

#[tokio::test]
async fn answer_that_nothing_had_to_change_is_kept_as_well() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(true).await.key;
    assert_eq!(fixture.disable("a", key).await.unwrap(), "true");
    fixture.configurator.activate_endpoint(TENANT, key, None, None).await.unwrap();
    assert_eq!(fixture.disable("a", key).await.unwrap(), "true");
    assert_eq!(fixture.shared.routes.status(key), EndpointStatus::Enabled, "the repeat did not disable it");
    fixture.disable("b", key).await.unwrap();
    assert_ne!(fixture.shared.routes.status(key), EndpointStatus::Enabled);
}

#[tokio::test]
async fn call_that_failed_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let missing = fixture.disable("a", EndpointKey(1)).await;
    assert!(matches!(missing, Err(configure::Error::NotFound)), "{missing:?}");
    assert!(fixture.kept().await.is_empty());
    let key = fixture.endpoint(false).await.key;
    assert_eq!(key, EndpointKey(1));
    assert_eq!(fixture.disable("a", key).await.unwrap(), "true");
}

#[tokio::test]
async fn of_calls_at_once_one_acts_and_all_get_its_answer() {
    let fixture = Fixture::new().await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let configurator = fixture.configurator.clone();
        let call = Call::new(TENANT, Some(request("a", 1)), shown);
        calls.spawn(async move { configurator.create_endpoint(call, new_endpoint()).await.unwrap() });
    }
    let mut answers = calls.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(fixture.log().await.len(), 1);
}

#[tokio::test]
async fn id_is_free_again_after_a_day_even_if_its_row_is_there() {
    let fixture = Fixture::new().await;
    let first = fixture.create(TENANT, "a", 1).await.unwrap();
    fixture.shared.clock.advance(DAY - Duration::from_micros(1));
    assert_eq!(fixture.create(TENANT, "a", 1).await.unwrap(), first);
    fixture.shared.clock.advance(Duration::from_micros(1));
    let found = request("a", 1).first_answer::<configure::Error>(&fixture.shared, TENANT).await.unwrap();
    assert_eq!(found, None);
    let second = fixture.create(TENANT, "a", 2).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(fixture.kept().await.len(), 1);
    assert_eq!(fixture.create(TENANT, "a", 2).await.unwrap(), second);
}

#[tokio::test]
async fn what_has_expired_is_erased_and_nothing_else() {
    let fixture = Fixture::new().await;
    // More than one unit takes.
    fixture
        .run(
            "INSERT INTO request WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 600) \
             SELECT 1, 'old-' || n, '', n, '' FROM n",
        )
        .await;
    fixture.shared.clock.advance(DAY);
    let kept = fixture.create(TENANT, "a", 1).await.unwrap();
    assert_eq!(erase::erase_expired(&fixture.shared).await.unwrap(), 600);
    assert_eq!(erase::erase_expired(&fixture.shared).await.unwrap(), 0);
    assert_eq!(fixture.kept().await.len(), 1);
    assert_eq!(fixture.create(TENANT, "a", 1).await.unwrap(), kept);
}

#[tokio::test]
async fn answer_is_kept_sealed_and_in_its_place() {
    let fixture = Fixture::new().await;
    let first = fixture.create(TENANT, "a", 1).await.unwrap();
    let secret = first.split_once(' ').unwrap().1.as_bytes();
    let kept = fixture.kept().await;
    assert!(kept[0].len() > secret.len());
    assert!(!kept[0].windows(secret.len()).any(|window| window == secret));

    fixture.create(TENANT, "b", 1).await.unwrap();
    fixture.run("UPDATE request SET sealed = (SELECT sealed FROM request WHERE id = 'a') WHERE id = 'b'").await;
    let moved = fixture.create(TENANT, "b", 1).await;
    assert!(matches!(moved, Err(configure::Error::Store(store::Error::Key(_)))), "{moved:?}");
}

#[tokio::test]
async fn answer_that_is_too_long_to_be_kept_fails_its_call() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    for (length, fits) in [(ANSWER_BYTES_MAX, false), (ANSWER_BYTES_MAX - 4, true)] {
        let call = Call::new(TENANT, Some(request("a", 1)), move |_: Endpoint| "x".repeat(length));
        let answered = fixture.configurator.disable_endpoint(call, key, None).await;
        assert_eq!(answered.is_ok(), fits, "{length}");
        assert_eq!(fixture.shared.routes.status(key) != EndpointStatus::Enabled, fits);
    }
}

twins!(
    "tests.rs",
    [
        repeat_gets_the_first_answer_and_changes_nothing,
        id_of_another_request_is_refused,
        answer_that_nothing_had_to_change_is_kept_as_well,
        call_that_failed_leaves_nothing_behind,
        of_calls_at_once_one_acts_and_all_get_its_answer,
        id_is_free_again_after_a_day_even_if_its_row_is_there,
        what_has_expired_is_erased_and_nothing_else,
        answer_is_kept_sealed_and_in_its_place,
        answer_that_is_too_long_to_be_kept_fails_its_call,
    ]
);
