//! Counters, servers, endpoints with what belongs to them, and catalogues.

use std::{sync::Arc, time::Duration};

use super::{House, OTHER, TENANT, TEXTS, at, reads, sorted, writes};
use crate::{
    model::{
        Activation, Actor, ApiKey, ApiKeyId, AuditEntry, AuditFilter, Backlog, Begin, ClientCertificate, Credentials,
        CustomHeader, DeliveryPolicy, DisableReason, Drain, DrainRate, Endpoint, EndpointKey, EndpointSettings,
        EndpointStatus, EventKey, EventType, EventTypeFilter, EventTypeSettings, HttpCredentials, OAuth2Client, Quotas,
        RetrySchedule, SchemaCheck, Scope, Secret, SecretKey, SecretPlacement, Style, Tenant, TenantKey, TypeFilter,
        schema::Schema,
    },
    signing::{self, KeyForm},
    store::{
        AuditPosition, Health, Keyring, RequestKey, SealedSecret, Warning, api_key, audit, credentials, endpoint,
        event_type, header, health, meta, replica, request, secret, tenant,
    },
};

pub(super) async fn run(house: &mut House) {
    counters(house).await;
    endpoints(house).await;
    secrets(house).await;
    headers(house).await;
    credentials(house).await;
    catalogue(house).await;
    requests(house).await;
    audit_entries(house).await;
    keys(house).await;
    tenants(house).await;
}

async fn counters(house: &mut House) {
    writes!(house, tx, meta::next_key(tx, "secret").await?);
    reads!(house, conn, meta::last_key(conn, "event").await?);
    reads!(house, conn, meta::cfg(conn).await?);
    writes!(house, tx, meta::raise_cfg(tx).await?);
    reads!(house, conn, meta::cfg(conn).await?);
    writes!(house, tx, (meta::raise_cfg(tx).await?, meta::lower_cfg(tx).await?, meta::cfg(tx.conn()).await?));
    reads!(house, conn, meta::cfg(conn).await?);
    reads!(house, conn, tenant::all(conn).await?);
    for (key, check) in [(TENANT, SchemaCheck::Reject), (OTHER, SchemaCheck::Warn), (TENANT, SchemaCheck::Off)] {
        writes!(house, tx, {
            let stored = tenant::get(tx.conn(), key).await?;
            if let Some(stored) = stored {
                let changed = Tenant { schema_check: check, version: 8, updated: Some(at(4)), ..stored };
                tenant::update(tx, &changed).await?;
            }
        });
        reads!(house, conn, tenant::get(conn, key).await?);
    }
    // A life that begins under another name, and the one that is going on.
    writes!(house, tx, {
        let another = replica::begin(tx, "another").await?;
        replica::end(tx, another).await?;
        another
    });
    let owner = house.owner();
    reads!(house, conn, replica::others(conn, owner).await?);
    writes!(house, tx, replica::fence_lapsed(tx).await?);
}

fn an_endpoint(number: i64, text: &str, status: EndpointStatus) -> Endpoint {
    let retry = if number % 2 == 0 {
        RetrySchedule::Delays(vec![Duration::from_millis(1), Duration::from_secs(86_400)])
    } else {
        RetrySchedule::Exponential {
            initial: Duration::from_secs(1),
            multiplier: 1.5,
            max_delay: Duration::from_secs(60),
            max_attempts: 9,
        }
    };
    Endpoint {
        key: EndpointKey(number),
        tenant: if number < 5 { TENANT } else { OTHER },
        settings: EndpointSettings {
            display_name: text.to_owned(),
            description: text.repeat(3),
            labels: TEXTS[..4].iter().map(|key| ((*key).to_owned(), text.to_owned())).collect(),
            url: "https://example.com/h?x=%00&y=ä".parse().unwrap(),
            filter: TypeFilter::parse(&["a.*".to_owned(), "b".to_owned()]).unwrap(),
            style: Style::default(),
            header_names: TEXTS[3..].iter().map(|text| (*text).to_owned()).collect(),
            credentials: some_credentials(text).summary(),
            policy: DeliveryPolicy { retry: Some(retry), ..DeliveryPolicy::default() }.into(),
        },
        status,
        backlog: Arc::default(),
        generation: number,
        version: 10 + number,
        created: at(number),
        updated: at(i64::MAX),
    }
}

async fn endpoints(house: &mut House) {
    let disabled = EndpointStatus::Disabled { reason: DisableReason::Gone, since: at(77) };
    for (number, text) in (1..).zip(TEXTS) {
        let status = if number == 2 { disabled } else { EndpointStatus::Enabled };
        let new = an_endpoint(number, text, status);
        writes!(house, tx, endpoint::insert(tx, &new).await?);
    }
    let again = an_endpoint(1, "again", EndpointStatus::Enabled);
    writes!(house, tx, endpoint::insert(tx, &again).await?);
    let changed = Endpoint { version: 30, ..an_endpoint(3, "changed", disabled) };
    writes!(house, tx, endpoint::update(tx, &changed, true).await?);
    let activation = |time| Activation { at: at(time), last_event: EventKey(time * 10) };
    let backlog = Backlog {
        held_since: Some(at(5)),
        drain: Some(Drain { rate: DrainRate::per_second(0.5).unwrap(), activation: activation(6) }),
        skipped: Some(activation(7)),
        skipping: true,
    };
    let paused = EndpointStatus::Paused { since: at(78) };
    let paused = Endpoint { version: 30, backlog: backlog.into(), ..an_endpoint(1, "paused", paused) };
    writes!(house, tx, endpoint::update(tx, &paused, true).await?);
    reads!(house, conn, endpoint::get(conn, TENANT, EndpointKey(1)).await?);
    let after = Backlog { skipping: false, held_since: None, ..backlog };
    writes!(house, tx, endpoint::set_backlog(tx, EndpointKey(1), &after).await?);
    let renamed = Endpoint { version: 31, ..an_endpoint(4, "renamed", EndpointStatus::Deleted) };
    writes!(house, tx, endpoint::update(tx, &renamed, false).await?);
    for number in 1..=7 {
        reads!(house, conn, endpoint::get(conn, TENANT, EndpointKey(number)).await?);
    }
    for (after, limit) in [(0, 2), (2, 100)] {
        reads!(house, conn, {
            let listed = endpoint::list(conn, TENANT, after, limit).await?;
            let told: Vec<_> = listed.iter().map(|one| (one.key(), one.text_bytes(), one.url().to_owned())).collect();
            let read = |one: endpoint::ListedEndpoint| Ok((one.status()?, one.labels()?, one.filter()?, one.read()?));
            (told, listed.into_iter().map(read).collect::<super::Result<Vec<_>>>()?)
        });
    }
    reads!(house, conn, endpoint::load(conn, 0, 100).await?);
    for cfg in [0, 12, 29, 30, 31] {
        reads!(house, conn, endpoint::versions_at(conn, TENANT, cfg, EndpointKey(0), 100).await?);
    }
    reads!(house, conn, endpoint::versions_at(conn, TENANT, 100, EndpointKey(1), 2).await?);

    let failing = Health { generation: 1, failing_since: at(5), dead_in_row: 0, warning: None };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), failing).await?);
    let warning = Some(Warning { reason: DisableReason::DeadInARow, at: at(9) });
    let again = Health { generation: 2, failing_since: at(6), dead_in_row: 7, warning };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), again).await?);
    writes!(house, tx, health::set_failing(tx, EndpointKey(2), failing).await?);
    writes!(house, tx, health::clear(tx, EndpointKey(2)).await?);
    reads!(house, conn, health::all(conn).await?);
}

fn opened(keyring: &Keyring, sealed: Vec<SealedSecret>) -> super::Result<Vec<(EndpointKey, Secret)>> {
    sealed.into_iter().map(|secret| Ok((secret.endpoint(), secret.open(keyring)?))).collect()
}

async fn secrets(house: &mut House) {
    let value = Arc::new(signing::Secret::generate(KeyForm::Base64));
    for (number, expires) in [(1, Some(at(10))), (2, Some(at(20))), (3, None)] {
        let (keyring, value) = (house.shared.keyring.clone(), value.clone());
        let begins = if number == 2 { Begin::OnActivation } else { Begin::Created };
        let new = Secret { key: SecretKey(number), scheme: "ä".into(), value, created: at(number), begins, expires };
        writes!(house, tx, secret::insert(tx, &keyring, TENANT, EndpointKey(1 + number / 3), &new).await?);
    }
    let load = |first, last| (house.shared.keyring.clone(), EndpointKey(first), EndpointKey(last), value.clone());
    let (all, second) = (load(0, 9), load(2, 2));
    writes!(house, tx, secret::set_expiry(tx, SecretKey(2), at(30)).await?);
    writes!(house, tx, secret::set_begin(tx, SecretKey(3), Begin::At(at(40))).await?);
    for (keyring, first, last, value) in [all.clone(), second] {
        reads!(house, conn, {
            let found = opened(&keyring, secret::load(conn, first, last).await?)?;
            assert!(found.iter().all(|(_, secret)| secret.value.expose() == value.expose()));
            found
        });
    }
    writes!(house, tx, secret::delete_expired(tx, EndpointKey(1), at(10)).await?);
    writes!(house, tx, secret::clear_expiry(tx, SecretKey(2)).await?);
    let (keyring, first, last, _) = all.clone();
    reads!(house, conn, opened(&keyring, secret::load(conn, first, last).await?)?);
    writes!(house, tx, secret::delete(tx, SecretKey(2)).await?);
    writes!(house, tx, secret::delete_all(tx, EndpointKey(2)).await?);
    let (keyring, first, last, _) = all;
    reads!(house, conn, opened(&keyring, secret::load(conn, first, last).await?)?);
}

async fn headers(house: &mut House) {
    let headers = TEXTS.map(|text| CustomHeader { name: format!("x-{text}"), value: text.to_owned().into() }).to_vec();
    for (number, count) in [(1, 2), (2, 6), (1, 1), (3, 3), (3, 0)] {
        let (keyring, some) = (house.shared.keyring.clone(), headers[..count].to_vec());
        writes!(house, tx, header::replace(tx, &keyring, TENANT, EndpointKey(number), &some).await?);
    }
    writes!(house, tx, header::delete(tx, EndpointKey(9)).await?);
    let keyring = house.shared.keyring.clone();
    reads!(house, conn, {
        let loaded = header::load(conn, &keyring, EndpointKey(1), EndpointKey(9)).await?;
        let plain = |(key, headers): (EndpointKey, Vec<CustomHeader>)| {
            (key, headers.into_iter().map(|header| (header.name, header.value.to_string())).collect::<Vec<_>>())
        };
        sorted(loaded.into_iter().map(plain).collect())
    });
}

/// Credentials of every kind, by a text.
fn some_credentials(text: &str) -> Credentials {
    let secret = || text.to_owned().into();
    let http = match text.len() {
        0 => None,
        1 => Some(HttpCredentials::Basic { username: text.to_owned(), password: secret() }),
        2..=6 => Some(HttpCredentials::Bearer(secret())),
        _ => Some(HttpCredentials::OAuth2(OAuth2Client {
            token_url: "https://auth.example/t?x=%00".parse().unwrap(),
            client_id: text.to_owned(),
            client_secret: secret(),
            scopes: TEXTS.map(str::to_owned).to_vec(),
            placement: SecretPlacement::Body,
        })),
    };
    let certificate = ClientCertificate { chain: text.repeat(2), key: secret(), fingerprint: [0xa5; 32] };
    Credentials { http, certificate: (text.len() != 1).then_some(certificate) }
}

async fn credentials(house: &mut House) {
    let texts = [(1, TEXTS[1]), (2, TEXTS[3]), (3, TEXTS[4]), (4, TEXTS[5]), (1, TEXTS[5]), (5, TEXTS[0])];
    for (number, text) in texts {
        let (keyring, some) = (house.shared.keyring.clone(), some_credentials(text));
        writes!(house, tx, credentials::replace(tx, &keyring, TENANT, EndpointKey(number), &some).await?);
    }
    let keyring = house.shared.keyring.clone();
    writes!(house, tx, credentials::replace(tx, &keyring, TENANT, EndpointKey(2), &Credentials::default()).await?);
    writes!(house, tx, credentials::delete(tx, EndpointKey(3)).await?);
    let keyring = house.shared.keyring.clone();
    reads!(house, conn, {
        let loaded = credentials::load(conn, &keyring, EndpointKey(1), EndpointKey(9)).await?;
        let expected = [(1, TEXTS[5]), (4, TEXTS[5]), (5, TEXTS[0])];
        assert_eq!(loaded, expected.map(|(number, text)| (EndpointKey(number), some_credentials(text))).into());
        sorted(loaded.into_iter().collect())
    });
}

async fn catalogue(house: &mut House) {
    let schema = Arc::new(Schema::compile(r#"{"title": "ä", "type": "object"}"#).unwrap());
    for description in ["one", "one", "two"] {
        let types = ["b", "a.b", "a-b", "aB", "ab"].map(|name| EventTypeSettings {
            name: name.to_owned(),
            description: if name == "b" { description.to_owned() } else { TEXTS[5].to_owned() },
            schema: (name == "a.b").then(|| schema.clone()),
            deprecated: name == "aB",
        });
        writes!(house, tx, event_type::upsert(tx, TENANT, 5, at(3), &types).await?);
    }
    writes!(house, tx, event_type::upsert(tx, TENANT, 6, at(3), &[]).await?);
    reads!(house, conn, event_type::size(conn, TENANT).await?);
    reads!(house, conn, event_type::size(conn, OTHER).await?);
    reads!(house, conn, event_type::rules(conn).await?);
    reads!(house, conn, event_type::get(conn, TENANT, "b").await?);
    reads!(house, conn, event_type::get(conn, TENANT, "B").await?);
    for (name_prefix, deprecated) in [("", None), ("a", None), ("a", Some(true)), ("a", Some(false)), ("a.", None)] {
        let filter = EventTypeFilter { name_prefix: name_prefix.to_owned(), deprecated };
        reads!(house, conn, event_type::list(conn, TENANT, &filter, "a-b", 3).await?);
    }
    writes!(house, tx, {
        let stored = event_type::get(tx.conn(), TENANT, "aB").await?;
        let changed =
            stored.map(|stored| EventType { schema: "{}".to_owned(), deprecated: false, version: 9, ..stored });
        if let Some(changed) = &changed {
            event_type::update(tx, TENANT, changed).await?;
        }
        changed
    });
    reads!(house, conn, event_type::get(conn, TENANT, "aB").await?);
    for name in ["aB", "ab", "none"] {
        writes!(house, tx, event_type::delete(tx, TENANT, name).await?);
    }
    reads!(house, conn, event_type::size(conn, TENANT).await?);
}

async fn requests(house: &mut House) {
    let key = |tenant, id: &str| RequestKey { tenant, id: id.to_owned() };
    let taken = [(TENANT, "a", 10), (TENANT, "A", 20), (OTHER, "a", 30), (TENANT, "a", 40), (TENANT, "b", 40)];
    for (tenant, id, now) in taken {
        let (keyring, request) = (house.shared.keyring.clone(), key(tenant, id));
        // The second "a" of the tenant's comes too early; the third, below, does not.
        writes!(house, tx, {
            let free = request::claim(tx, &request, &[now], at(now.into()), at(9)).await?;
            if free {
                request::answer(tx, &keyring, &request, &[now; 3]).await?;
            }
            free
        });
    }
    let again = key(TENANT, "a");
    writes!(house, tx, request::claim(tx, &again, b"again", at(50), at(10)).await?);
    let keyring = house.shared.keyring.clone();
    writes!(house, tx, request::answer(tx, &keyring, &key(TENANT, "a"), b"").await?);
    for (tenant, id, expired) in
        [(TENANT, "a", 49), (TENANT, "a", 50), (TENANT, "A", 0), (OTHER, "a", 0), (OTHER, "b", 0)]
    {
        let (keyring, request) = (house.shared.keyring.clone(), key(tenant, id));
        reads!(
            house,
            conn,
            request::find(conn, &keyring, &request, at(expired))
                .await?
                .map(|found| (found.fingerprint, found.answer.to_vec()))
        );
    }
    writes!(house, tx, request::delete_expired(tx, at(40), 2).await?);
    writes!(house, tx, request::delete_expired(tx, at(40), 2).await?);
    writes!(house, tx, request::delete_expired(tx, at(50), 2).await?);
}

async fn audit_entries(house: &mut House) {
    let actors =
        [Actor::Key(ApiKeyId(7)), Actor::EnvironmentKey(ApiKeyId(u128::MAX)), Actor::Key(ApiKeyId(0)), Actor::Server];
    // Two of a time, as of one clock tick; one of them from before the clock was set back.
    for (number, actor) in (1..=8_i64).zip(actors.into_iter().cycle()) {
        let text = TEXTS[usize::try_from(number).unwrap() % TEXTS.len()].to_owned();
        let entry = AuditEntry {
            key: number,
            time: at([3, 9, 9, 5, 5, 6, i64::MAX, -1][usize::try_from(number - 1).unwrap()]),
            actor,
            tenant: ["", "a", "A"][usize::try_from(number % 3).unwrap()].to_owned(),
            method: ["CreateKey", "UpdateTenant"][usize::try_from(number % 2).unwrap()].to_owned(),
            resources: vec![text.clone(); usize::try_from(number % 4).unwrap()],
            resource_count: usize::try_from(number).unwrap() * 100,
            fields: vec![text.clone()],
            remote: text.clone(),
            request_id: text,
        };
        writes!(house, tx, audit::insert(tx, &entry).await?);
    }
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        AuditFilter::default(),
        AuditFilter { start: Some(at(5)), ..AuditFilter::default() },
        AuditFilter { key: Some(ApiKeyId(7)), ..AuditFilter::default() },
        AuditFilter { tenant: text("a"), method: text("CreateKey"), ..AuditFilter::default() },
        AuditFilter { method: text("CreateKey"), start: Some(at(5)), ..AuditFilter::default() },
        AuditFilter { tenant: text("nobody"), ..AuditFilter::default() },
    ];
    for filter in filters {
        for (after, limit) in [(AuditPosition::start(None), 10), (AuditPosition(at(9), 3), 2)] {
            let filter = filter.clone();
            reads!(house, conn, audit::list(conn, &filter, after, limit).await?);
        }
        let before = AuditPosition::start(Some(at(9)));
        reads!(house, conn, audit::list(conn, &filter, before, 10).await?);
    }
}

async fn keys(house: &mut House) {
    for number in 1..=6_u8 {
        let key = ApiKey {
            key: number.into(),
            id: ApiKeyId(u128::MAX / u128::from(number)),
            tenant: [None, Some(TENANT), Some(OTHER)][usize::from(number % 3)],
            display_name: TEXTS[usize::from(number - 1)].to_owned(),
            scopes: [Scope::ALL[usize::from(number)], Scope::EventsPublish].into_iter().collect(),
            hash: [number; 32],
            created: at(number.into()),
            expires: (number % 2 == 0).then(|| at(i64::MAX)),
        };
        writes!(house, tx, api_key::insert(tx, &key).await?);
    }
    for tenant in [None, Some(TENANT), Some(OTHER), Some(TenantKey(3))] {
        reads!(house, conn, api_key::count(conn, tenant).await?);
        reads!(house, conn, api_key::list(conn, tenant, 0, 10).await?);
        reads!(house, conn, api_key::list(conn, tenant, 2, 1).await?);
    }
    for id in [ApiKeyId(u128::MAX), ApiKeyId(u128::MAX), ApiKeyId(0)] {
        writes!(house, tx, api_key::delete(tx, id).await?);
    }
    writes!(house, tx, api_key::delete_of(tx, OTHER).await?);
    reads!(house, conn, api_key::list(conn, None, 0, 10).await?);
}

async fn tenants(house: &mut House) {
    let tenant = |key: i64, id: &str| Tenant {
        key: TenantKey(key),
        id: id.to_owned(),
        display_name: TEXTS[5].to_owned(),
        schema_check: SchemaCheck::Warn,
        quotas: Quotas { pending_deliveries: Some(i64::MAX), events_per_second: Some(0), ..Quotas::default() },
        version: 3,
        created: Some(at(key)),
        updated: None,
    };
    for (key, id) in [(7, "a"), (8, "A"), (9, "a"), (10, "default")] {
        let tenant = tenant(key, id);
        writes!(house, tx, tenant::insert(tx, &tenant).await?);
    }
    reads!(house, conn, tenant::list(conn, 1, 1).await?);
    reads!(house, conn, tenant::all(conn).await?);
    writes!(house, tx, tenant::delete(tx, TenantKey(7)).await?);
    reads!(house, conn, tenant::list(conn, 0, 9).await?);
    reads!(house, conn, endpoint::count_live(conn, TENANT).await?);
    reads!(house, conn, endpoint::count_live(conn, TenantKey(8)).await?);
    writes!(house, tx, event_type::delete_of(tx, TENANT).await?);
    reads!(house, conn, event_type::size(conn, TENANT).await?);
    writes!(house, tx, request::delete_of(tx, OTHER).await?);
    let (keyring, request) = (house.shared.keyring.clone(), RequestKey { tenant: OTHER, id: "a".to_owned() });
    reads!(house, conn, request::find(conn, &keyring, &request, at(0)).await?);
}
