//! Many endpoints, each with a secret of its own, and many tenants.

use tidings::{
    signing::{KeyForm, Secret},
    store::{Keyring, SealedTable},
};

use super::{COPY, Copies, hasten, last, set_last, settle};
use crate::{
    site::{Server, Site},
    sql::Sql,
};

/// Endpoints of each tenant where there are many.
const PER_TENANT: i64 = 10;

/// Secrets written at once.
const CHUNK: usize = 5_000;

/// Copies of an endpoint.
pub(super) struct Endpoints<'a> {
    /// The endpoint that is copied.
    pub(super) template: i64,
    pub(super) numbers: std::ops::RangeInclusive<i64>,
    /// The tenant of endpoint `copy`, as it is computed here and in SQL.
    pub(super) tenant: (fn(i64) -> i64, &'a str),
    /// The URL and the filter, as SQL.
    pub(super) url: String,
    pub(super) filter: String,
}

impl Endpoints<'_> {
    /// Makes the endpoints, what routing reads of them, and their secrets.
    pub(super) async fn make(&self, sql: &mut Sql, keyring: &Keyring) -> anyhow::Result<()> {
        anyhow::ensure!(
            last(sql, "secret").await? == last(sql, "endpoint").await? && self.template < *self.numbers.start(),
            "endpoints and secrets have the same keys, and the copies are the newest"
        );
        let (tenant_of, tenant) = self.tenant;
        let copies = |table, template: String, own| Copies { table, template, numbers: self.numbers.clone(), own };
        let own = [
            ("key", "copy".to_owned()),
            ("tenant", tenant.to_owned()),
            ("url", self.url.clone()),
            ("filter", self.filter.clone()),
        ];
        copies("endpoint", format!("key = {}", self.template), &own).make(sql).await?;
        let own = [("endpoint", "copy".to_owned()), ("tenant", tenant.to_owned()), ("filter", self.filter.clone())];
        copies("endpoint_version", format!("endpoint = {}", self.template), &own).make(sql).await?;
        sql.run("CREATE TEMPORARY TABLE sealed (n BIGINT PRIMARY KEY, record BYTEA)").await?;
        let numbers: Vec<i64> = self.numbers.clone().collect();
        for chunk in numbers.chunks(CHUNK) {
            let sealed: Vec<_> = chunk.iter().map(|&n| (n, sealed(keyring, tenant_of(n), n))).collect();
            sql.run("BEGIN").await?;
            sql.insert_sealed(&sealed).await?;
            sql.run("COMMIT").await?;
        }
        let own = [
            ("key", "copy".to_owned()),
            ("tenant", tenant.to_owned()),
            ("endpoint", "copy".to_owned()),
            ("sealed", "(SELECT record FROM sealed WHERE sealed.n = series.copy)".to_owned()),
        ];
        copies("secret", format!("endpoint = {}", self.template), &own).make(sql).await?;
        sql.run("DROP TABLE sealed").await?;
        set_last(sql, "endpoint", *self.numbers.end()).await?;
        set_last(sql, "secret", *self.numbers.end()).await
    }
}

/// A new secret, sealed for the row with its number.
fn sealed(keyring: &Keyring, tenant: i64, row: i64) -> Vec<u8> {
    let secret = Secret::generate(KeyForm::Base64);
    keyring.seal(SealedTable::Secret.numbered(tenant, row), secret.expose().as_bytes())
}

/// Tenants `bench-0` and so on, of which each has `per_tenant` endpoints: one that wants `bench.hit`, and others that want
/// what nobody publishes, four of ten by a pattern. `server` is stopped.
pub(crate) async fn tenants(site: &Site<'_>, server: Server, tenants: i64, per_tenant: i64) -> anyhow::Result<()> {
    anyhow::ensure!((1..=PER_TENANT).contains(&per_tenant), "at most {PER_TENANT} endpoints a tenant");
    server.create_endpoint(site.targets.url(0), "bench.template").await?;
    server.process.terminate().await?;
    let (mut sql, keyring) = (site.database.connect().await?, site.database.keyring()?);
    hasten(&mut sql).await?;
    // `default` is tenant 1, and the template endpoint 1. Endpoint 20 is the first of tenant 2, 30 of tenant 3.
    let own = [("key", "copy".to_owned()), ("id", "'bench-' || CAST(copy - 2 AS TEXT)".to_owned())];
    let copies = Copies { table: "tenant", template: "key = 1".to_owned(), numbers: 2..=tenants + 1, own: &own };
    copies.make(&mut sql).await?;
    set_last(&mut sql, "tenant", tenants + 1).await?;
    let filter = format!(
        "CASE WHEN copy % {PER_TENANT} = 0 THEN '[\"bench.hit\"]' \
         WHEN copy % {PER_TENANT} < 6 THEN '[\"bench.other.' || {COPY} || '\"]' \
         ELSE '[\"bench.' || {COPY} || '.*\"]' END"
    );
    let mut endpoints = Endpoints {
        template: 1,
        numbers: 2 * PER_TENANT..=(tenants + 2) * PER_TENANT - 1,
        tenant: (|copy| copy / PER_TENANT, "copy / 10"),
        url: format!("'{}' || {COPY}", site.targets.prefix()),
        filter,
    };
    if per_tenant == 1 {
        // Without the others the numbers are not in steps of ten.
        endpoints.numbers = 2..=tenants + 1;
        endpoints.tenant = (|copy| copy, "copy");
        endpoints.filter = "'[\"bench.hit\"]'".to_owned();
    }
    endpoints.make(&mut sql, &keyring).await?;
    settle(sql).await
}
