//! Large databases, made fast: the server makes one row of each kind through its API, and SQL copies them while no server
//! runs. What a copy has of its own is said column by column; everything else is as the server wrote it.

mod backlog;
mod endpoints;

pub(crate) use self::{
    backlog::{Dead, backlog},
    endpoints::tenants,
};
use crate::sql::Sql;

/// Rows to be made of one that is there.
struct Copies<'a> {
    table: &'a str,
    /// The condition that only the row to be copied meets.
    template: String,
    /// There is a copy for each number `copy` of these.
    numbers: std::ops::RangeInclusive<i64>,
    /// Columns that a copy has of its own, as expressions over `copy` and the template's columns.
    own: &'a [(&'a str, String)],
}

impl Copies<'_> {
    async fn make(&self, sql: &mut Sql) -> anyhow::Result<()> {
        let Self { table, template, numbers, own } = self;
        let columns = sql.columns(table).await?;
        let unknown = own.iter().find(|(column, _)| !columns.iter().any(|known| known == column));
        anyhow::ensure!(unknown.is_none(), "{table} has no column {unknown:?}");
        sql.run(&format!("CREATE TEMPORARY TABLE template AS SELECT * FROM {table} WHERE {template}")).await?;
        anyhow::ensure!(sql.number("SELECT count(*) FROM template").await? == 1, "{table} has no one row to copy");
        let value = |column: &String| match own.iter().find(|(name, _)| name == column) {
            Some((_, expression)) => expression.clone(),
            None => format!("template.{column}"),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        let series = match sql {
            Sql::Sqlite(_) => format!(
                "(WITH RECURSIVE series (copy) AS (SELECT {} UNION ALL SELECT copy + 1 FROM series WHERE copy < {}) \
                 SELECT copy FROM series) AS series",
                numbers.start(),
                numbers.end()
            ),
            Sql::Postgres(_) => format!("generate_series({}, {}) AS series (copy)", numbers.start(), numbers.end()),
        };
        sql.run(&format!(
            "INSERT INTO {table} ({}) SELECT {} FROM template CROSS JOIN {series}",
            columns.join(", "),
            values.join(", ")
        ))
        .await?;
        sql.run("DROP TABLE template").await
    }
}

/// Lets the connection write fast: what is lost with the machine is made anew.
async fn hasten(sql: &mut Sql) -> anyhow::Result<()> {
    match sql {
        Sql::Sqlite(_) => {
            sql.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144").await
        }
        Sql::Postgres(_) => sql.run("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'").await,
    }
}

/// Leaves the database as one that has been in use for a while, and the disk with nothing to write.
async fn settle(mut sql: Sql) -> anyhow::Result<()> {
    match &sql {
        Sql::Sqlite(_) => sql.run("PRAGMA journal_mode = WAL").await?,
        Sql::Postgres(_) => {
            sql.run("VACUUM ANALYZE").await?;
            sql.run("CHECKPOINT").await?;
        }
    }
    sql.close().await?;
    rustix::fs::sync();
    Ok(())
}

/// The last number that a counter gave.
async fn last(sql: &mut Sql, counter: &str) -> anyhow::Result<i64> {
    sql.number(&format!("SELECT value FROM counter WHERE name = '{counter}'")).await
}

async fn set_last(sql: &mut Sql, counter: &str, value: i64) -> anyhow::Result<()> {
    sql.run(&format!("UPDATE counter SET value = {value} WHERE name = '{counter}'")).await
}

/// `copy` as text.
const COPY: &str = "CAST(copy AS TEXT)";
