//! Counters, servers, tenants, keys and catalogues, and what calls leave behind.

use std::sync::Arc;

use super::{House, OTHER, TENANT, TEXTS, at, endpoints, reads, writes};
use crate::{
    model::{
        Actor, ApiKey, ApiKeyId, AuditEntry, AuditFilter, EventType, EventTypeFilter, EventTypeSettings, Quotas,
        SchemaCheck, Scope, Tenant, TenantKey, schema::Schema,
    },
    store::{AuditPosition, RequestKey, api_key, audit, endpoint, event_type, meta, replica, request, tenant},
};

pub(super) async fn run(house: &mut House) {
    counters(house).await;
    endpoints::run(house).await;
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
