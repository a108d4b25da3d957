//! Which database the servers of a run of tests have.

use super::postgres::PostgresDatabase;

/// `postgres` has all tests of a run use Postgres; without it they use SQLite.
const VARIABLE: &str = "TIDINGS_TEST_ON";

/// A Postgres database, if the run is for Postgres.
pub(crate) async fn postgres() -> Option<PostgresDatabase> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let wanted = std::env::var(VARIABLE);
    match wanted.as_deref() {
        Ok("postgres") => Some(PostgresDatabase::create().await),
        Ok(other) => panic!("{VARIABLE} is {other}, and only `postgres` is known"),
        Err(_) => None,
    }
}
