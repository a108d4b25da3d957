//! The gate: one row that every commit locks last, so that commits have an order, servers that were taken over from cannot
//! commit any more, and nothing is committed under an older configuration than the present one.
//!
//! The gate is passed in one message with the COMMIT, or by a statement that is a transaction by itself, so that a server
//! that is stopped between the two cannot stop others. If the connection breaks there, whether the commit took place is
//! found out: the old session is ended, and then the log is searched for the commit's mark.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sqlx::{
    Executor as _, PgConnection, Row as _,
    postgres::{PgDatabaseError, PgPool, PgRow, PgSeverity},
};

use crate::{
    model::{Incarnation, Timestamp},
    store::{Error, Result},
};

/// How long a session that was told to end may take, in milliseconds.
const SESSION_END_MAX: i64 = 5_000;

/// How often it is tried to find out whether a commit took place.
const FINDS_MAX: u32 = 3;

/// What this server knows of the gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// This life of the server; 0 until it has begun.
    incarnation: AtomicI64,
    /// The configuration that this server routes by.
    cfg: AtomicI64,
    /// A row of the log that is there: later marks are searched for after it.
    seq: AtomicI64,
    /// The session that writes.
    session: Mutex<Session>,
}

/// A session of the database's, known again by when it began.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    pid: i32,
    began: i64,
}

/// What one commit is let through the gate with.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    others: PgPool,
    /// How often this transaction has raised the configuration's version.
    raised: i64,
}

/// A row to be appended to the log.
struct Appended<'a> {
    now: Timestamp,
    mark: i64,
    body: &'a [u8],
}

/// A commit on its way through the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    /// Which life of the server commits.
    pub(crate) incarnation: i64,
    /// The configuration that it commits under.
    pub(crate) cfg: i64,
    /// The mark of the row that it appends to the log, if it does.
    mark: Option<i64>,
    session: Session,
}

/// What has become of a commit.
#[derive(Debug)]
pub(crate) enum Crossed {
    /// It took place, and appended the row of this number to the log, if it was to.
    Yes(Option<i64>),
    /// It took place, and appended the row of this number to the log, but the connection broke.
    Found(i64),
    /// It did not, for the database refused it.
    Refused(sqlx::Error),
    /// It did not, for the connection broke before.
    Broken(sqlx::Error),
    /// The connection broke, and nobody can say.
    Unknown(sqlx::Error),
}

impl Gate {
    /// From now on commits are those of `incarnation`.
    pub(crate) fn enter(&self, incarnation: Incarnation) {
        self.incarnation.store(incarnation.0, Ordering::Relaxed);
    }

    /// From now on commits are made under configuration `cfg`; the log reaches to row `seq` at least.
    pub(crate) fn know(&self, cfg: i64, seq: i64) {
        self.cfg.store(cfg, Ordering::Relaxed);
        self.seq.store(seq, Ordering::Relaxed);
    }

    /// The configuration that commits are made under.
    pub(crate) fn cfg(&self) -> i64 {
        self.cfg.load(Ordering::Relaxed)
    }

    /// Notes which session writes.
    pub(super) async fn met(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let sql = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity \
                   WHERE pid = pg_backend_pid()";
        let (pid, began): (i32, i64) = sqlx::query_as(sql).fetch_one(conn).await?;
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Session { pid, began };
        Ok(())
    }
}

impl Pass {
    pub(super) fn new(gate: Arc<Gate>, others: PgPool) -> Self {
        Self { gate, others, raised: 0 }
    }

    /// The configuration's version was raised to `cfg` by this transaction.
    ///
    /// # Errors
    /// [`Error::Outdated`] if somebody else had raised it before.
    pub(crate) fn raised(&mut self, cfg: i64) -> Result<()> {
        self.raised += 1;
        if self.gate.incarnation.load(Ordering::Relaxed) != 0 && cfg != self.cfg() {
            Err(Error::Outdated)
        } else {
            Ok(())
        }
    }

    /// The version is as it was before this transaction raised it last.
    pub(crate) fn lowered(&mut self) {
        self.raised -= 1;
    }

    /// Runs the statements `before`, which take no binds and return no rows, and commits without a row in the log.
    pub(crate) async fn commit(&mut self, conn: &mut PgConnection, before: &str) -> Result<()> {
        self.pass(conn, before, None).await.map(drop)
    }

    /// Runs the statements `before`, which take no binds and return no rows, appends a row to the log and commits. Returns
    /// the row's number.
    pub(crate) async fn append(
        &mut self,
        conn: &mut PgConnection,
        before: &str,
        now: Timestamp,
        mark: i64,
        body: &[u8],
    ) -> Result<i64> {
        let seq = self.pass(conn, before, Some(Appended { now, mark, body })).await?;
        seq.ok_or_else(|| Error::Corrupt("the log gave no number".to_owned()))
    }

    fn cfg(&self) -> i64 {
        self.gate.cfg() + self.raised
    }

    /// Before a commit that appends a row of this mark to the log, or none.
    pub(crate) fn cross(&self, mark: Option<i64>) -> Crossing {
        let session = *self.gate.session.lock().unwrap_or_else(PoisonError::into_inner);
        let incarnation = self.gate.incarnation.load(Ordering::Relaxed);
        Crossing { incarnation, cfg: self.cfg(), mark, session }
    }

    /// After a commit: what has become of it, given the number of the log's row in the first column of the last statement.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it was to append a row and gave no number.
    pub(crate) async fn crossed(&mut self, crossing: Crossing, answer: sqlx::Result<Vec<PgRow>>) -> Result<Crossed> {
        let crossed = match answer {
            Ok(_) if crossing.mark.is_none() => Crossed::Yes(None),
            Ok(rows) => match rows.last() {
                Some(row) => Crossed::Yes(Some(row.try_get(0)?)),
                None => return Err(Error::Corrupt("the log gave no number".to_owned())),
            },
            Err(error) if is_certain(&error) => Crossed::Refused(error),
            Err(error) => match self.find(crossing).await {
                Ok(Some(seq)) => {
                    tracing::warn!(%error, seq, "a commit failed but is in the log");
                    Crossed::Found(seq)
                }
                Ok(None) if crossing.mark.is_some() => Crossed::Broken(error),
                Ok(None) => Crossed::Unknown(error),
                Err(unknown) => {
                    tracing::warn!(
                        error = &unknown as &dyn std::error::Error,
                        "whether a commit took place is not known"
                    );
                    Crossed::Unknown(error)
                }
            },
        };
        let seq = match crossed {
            Crossed::Yes(seq) => seq,
            Crossed::Found(seq) => Some(seq),
            Crossed::Refused(_) | Crossed::Broken(_) | Crossed::Unknown(_) => return Ok(crossed),
        };
        self.gate.cfg.fetch_add(self.raised, Ordering::Relaxed);
        self.gate.seq.fetch_max(seq.unwrap_or(0), Ordering::Relaxed);
        self.raised = 0;
        Ok(crossed)
    }

    async fn pass(&mut self, conn: &mut PgConnection, before: &str, row: Option<Appended<'_>>) -> Result<Option<i64>> {
        let crossing = self.cross(row.as_ref().map(|row| row.mark));
        let text = text(crossing, before, row.as_ref());
        let answer = conn.fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await;
        match self.crossed(crossing, answer).await? {
            Crossed::Yes(seq) => Ok(seq),
            Crossed::Found(seq) => Ok(Some(seq)),
            Crossed::Refused(error) | Crossed::Broken(error) | Crossed::Unknown(error) => Err(error.into()),
        }
    }
    /// After a connection broke at a commit: ends the old session, so that it cannot commit later, and looks for the
    /// commit's row in the log. Whatever broke the one connection may have broken others.
    async fn find(&self, crossing: Crossing) -> Result<Option<i64>> {
        let mut found = self.try_find(crossing).await;
        for _ in 1..FINDS_MAX {
            if found.is_ok() {
                break;
            }
            found = self.try_find(crossing).await;
        }
        found
    }

    async fn try_find(&self, Crossing { session, mark, .. }: Crossing) -> Result<Option<i64>> {
        let mut conn = self.others.acquire().await?;
        let sql = "SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity \
                   WHERE pid = $1 AND (extract(epoch FROM backend_start) * 1000000)::bigint = $2";
        let query = sqlx::query_as(sql).bind(session.pid).bind(session.began).bind(SESSION_END_MAX);
        if let Some((false,)) = query.fetch_optional(&mut *conn).await? {
            return Err(Error::Unavailable(sqlx::Error::Protocol("the session does not end".to_owned())));
        }
        let Some(mark) = mark else { return Ok(None) };
        let sql = "SELECT seq FROM log WHERE seq > $1 AND mark = $2 LIMIT 1";
        let query = sqlx::query_as(sql).bind(self.gate.seq.load(Ordering::Relaxed)).bind(mark);
        let row: Option<(i64,)> = query.fetch_optional(&mut *conn).await?;
        Ok(row.map(|(seq,)| seq))
    }
}

/// The message that passes the gate and commits.
fn text(crossing: Crossing, before: &str, row: Option<&Appended<'_>>) -> String {
    let Crossing { incarnation, cfg, .. } = crossing;
    match row {
        Some(Appended { now, mark, body }) => {
            let (now, body) = (now.as_micros(), STANDARD.encode(body));
            format!(
                "{before}SELECT append_log({incarnation}, {cfg}, {now}, {mark}, decode('{body}', 'base64')); COMMIT"
            )
        }
        // The life that is about to begin has no number yet.
        None if incarnation == 0 => format!("{before}COMMIT"),
        None => format!("{before}SELECT pass_gate({incarnation}, {cfg}); COMMIT"),
    }
}

/// Whether an error at a commit says that it did not take place: the database answered, and its session goes on.
fn is_certain(error: &sqlx::Error) -> bool {
    let answer = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    answer.is_some_and(|answer| matches!(answer.severity(), PgSeverity::Error))
}
