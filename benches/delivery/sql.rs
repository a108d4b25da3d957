//! A connection of the benchmark's own to the database that is measured.

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection};

/// A connection.
pub(crate) enum Sql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Sql {
    /// Runs statements, separated by semicolons.
    pub(crate) async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(conn) => conn.execute(sql).await.map(|_| ())?,
            Self::Postgres(conn) => conn.execute(sql).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Asks for one number.
    pub(crate) async fn number(&mut self, sql: &str) -> anyhow::Result<i64> {
        let query = sqlx::AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(conn) => sqlx::query(query).fetch_one(conn).await?.try_get(0)?,
            Self::Postgres(conn) => sqlx::query(query).fetch_one(conn).await?.try_get(0)?,
        })
    }

    /// The columns of a table, in their order.
    pub(crate) async fn columns(&mut self, table: &str) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(String,)> = match self {
            Self::Sqlite(conn) => {
                let sql = "SELECT name FROM pragma_table_info($1) ORDER BY cid";
                sqlx::query_as(sql).bind(table).fetch_all(conn).await?
            }
            Self::Postgres(conn) => {
                let sql = "SELECT column_name::text FROM information_schema.columns \
                           WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position";
                sqlx::query_as(sql).bind(table).fetch_all(conn).await?
            }
        };
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Writes numbered records into the table `sealed (n, record)`.
    pub(crate) async fn insert_sealed(&mut self, rows: &[(i64, Vec<u8>)]) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(conn) => {
                for (n, record) in rows {
                    let sql = "INSERT INTO sealed VALUES ($1, $2)";
                    sqlx::query(sql).bind(n).bind(record.as_slice()).execute(&mut *conn).await?;
                }
            }
            Self::Postgres(conn) => {
                let (numbers, records): (Vec<i64>, Vec<&[u8]>) =
                    rows.iter().map(|(n, record)| (*n, record.as_slice())).unzip();
                let sql = "INSERT INTO sealed SELECT * FROM unnest($1::bigint[], $2::bytea[])";
                sqlx::query(sql).bind(numbers).bind(records).execute(conn).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(conn) => conn.close().await?,
            Self::Postgres(conn) => conn.close().await?,
        }
        Ok(())
    }
}
