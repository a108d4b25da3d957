//! What a database knows of itself: its counters, its configuration version, and its three random keys.

use zeroize::Zeroizing;

use super::{
    Conn, Error, KeySource, Result, Tx,
    seal::{Keyring, Place, SealedTable},
    sql::{execute, fetch_all, fetch_optional},
};

/// The random keys of a database, made with it and never changed.
#[derive(Clone)]
pub struct DatabaseKeys {
    /// For [`crate::model::IdCodec`].
    pub ids: Zeroizing<[u8; 32]>,
    /// For fingerprints of published events.
    pub fingerprints: Zeroizing<[u8; 32]>,
    /// For page and resume tokens.
    pub tokens: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for DatabaseKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKeys(…)")
    }
}

impl DatabaseKeys {
    /// Opens the database's keys, or makes them if the database is new.
    ///
    /// `source` is of the key that they are sealed under. A key file is made only together with the keys: a database that
    /// has some, but whose key is missing or another one, is refused.
    pub(crate) async fn open(tx: &mut Tx, source: &KeySource) -> Result<(Self, Keyring)> {
        let stored: Vec<(String, Vec<u8>)> = fetch_all!(&mut tx.conn, "SELECT name, sealed FROM database_key")?;
        if stored.is_empty() {
            return Self::create(tx, source).await;
        }
        let keyring = Keyring::of(source)
            .map_err(|error| Error::Key(format!("the database is sealed, and {source} cannot be used: {error}")))?;
        let key = |name: &str| {
            let sealed = stored.iter().find(|(stored, _)| stored == name).map(|(_, sealed)| sealed.as_slice());
            let sealed = sealed.ok_or_else(|| Error::Corrupt(format!("database key {name} is missing")))?;
            let opened = keyring
                .open(place(name), sealed)
                .map_err(|error| Error::Key(format!("{source} does not open this database: {error}")))?;
            let bytes = <[u8; 32]>::try_from(opened.as_slice());
            bytes.map(Zeroizing::new).map_err(|_| Error::Corrupt(format!("database key {name} has a wrong length")))
        };
        let keys = Self { ids: key("ids")?, fingerprints: key("fingerprints")?, tokens: key("tokens")? };
        Ok((keys, keyring))
    }

    async fn create(tx: &mut Tx, source: &KeySource) -> Result<(Self, Keyring)> {
        let keyring = match source {
            // One that is there without a database was left by a first start that did not get further, or put there on
            // purpose.
            KeySource::MadeWithDatabase(path) if !path.exists() => {
                let made = Keyring::create(path);
                if made.is_ok() {
                    let file = path.display();
                    tracing::warn!(
                        "made the key file {file}: keep a copy of it apart from the database's backups; without it nothing \
                         sealed in the database can be read, and whoever has both can read all of it"
                    );
                }
                made
            }
            KeySource::MadeWithDatabase(_) | KeySource::File(_) | KeySource::Given(_) => Keyring::of(source),
        };
        let keyring = keyring.map_err(|error| Error::Key(format!("{source} cannot be used: {error}")))?;
        let keys = Self { ids: random(), fingerprints: random(), tokens: random() };
        for (name, key) in [("ids", &keys.ids), ("fingerprints", &keys.fingerprints), ("tokens", &keys.tokens)] {
            let sealed = keyring.seal(place(name), key.as_slice());
            execute!(&mut tx.conn, "INSERT INTO database_key (name, sealed) VALUES ($1, $2)", name, sealed)?;
        }
        Ok((keys, keyring))
    }
}

/// The keys' rows are named, so the row number in their place tells them apart.
fn place(name: &str) -> Place<'_> {
    SealedTable::DatabaseKey.named(0, name)
}

fn random() -> Zeroizing<[u8; 32]> {
    Zeroizing::new(rand::random())
}

/// Takes the next number of a counter.
pub(crate) async fn next_key(tx: &mut Tx, counter: &'static str) -> Result<i64> {
    let sql = "UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value";
    let row: Option<(i64,)> = fetch_optional!(&mut tx.conn, sql, counter)?;
    row.map(|(value,)| value).ok_or_else(|| Error::Corrupt(format!("counter {counter} is missing")))
}

/// Reads a counter: the last number taken.
pub(crate) async fn last_key(conn: &mut Conn, counter: &'static str) -> Result<i64> {
    let row: Option<(i64,)> = fetch_optional!(conn, "SELECT value FROM counter WHERE name = $1", counter)?;
    row.map(|(value,)| value).ok_or_else(|| Error::Corrupt(format!("counter {counter} is missing")))
}

/// Raises the configuration version and returns the new one.
///
/// # Errors
/// [`Error::Outdated`] if it had been raised since this server read the configuration.
pub(crate) async fn raise_cfg(tx: &mut Tx) -> Result<i64> {
    let row: Option<(i64,)> =
        fetch_optional!(&mut tx.conn, "UPDATE gate SET cfg = cfg + 1 WHERE one = 1 RETURNING cfg")?;
    let (cfg,) = row.ok_or_else(|| Error::Corrupt("the gate is missing".to_owned()))?;
    tx.pass.as_mut().map_or(Ok(()), |pass| pass.raised(cfg))?;
    Ok(cfg)
}

/// Takes back what [`raise_cfg`] did in this transaction, which changed nothing after all. Nobody saw it: the row is locked.
pub(crate) async fn lower_cfg(tx: &mut Tx) -> Result<()> {
    execute!(&mut tx.conn, "UPDATE gate SET cfg = cfg - 1 WHERE one = 1")?;
    if let Some(pass) = &mut tx.pass {
        pass.lowered();
    }
    Ok(())
}

/// The configuration version.
pub(crate) async fn cfg(conn: &mut Conn) -> Result<i64> {
    let row: Option<(i64,)> = fetch_optional!(conn, "SELECT cfg FROM gate WHERE one = 1")?;
    row.map(|(cfg,)| cfg).ok_or_else(|| Error::Corrupt("the gate is missing".to_owned()))
}
