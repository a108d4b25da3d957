//! Where a database is, and where the key comes from that its secrets are sealed under.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use url::Url;
use zeroize::Zeroizing;

use super::seal::Keyring;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite's.
    Sqlite(PathBuf),
    /// The URL of a Postgres database. It may hold a password, so it is never shown whole.
    Postgres(Zeroizing<String>),
}

/// Where the key comes from.
#[derive(Clone)]
pub enum KeySource {
    /// A file that is made together with a new database.
    MadeWithDatabase(PathBuf),
    /// A file that has to be there.
    File(PathBuf),
    /// The keys themselves.
    Given(Keyring),
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it is.
    pub location: Location,
    /// What its secrets are sealed under.
    pub key: KeySource,
    /// The name that this server keeps over restarts, by which it ends earlier lives of its own. SQLite needs none.
    pub replica: String,
}

impl Config {
    /// A SQLite database at `path`, made if it is not there, with the key in `key_file`, made together with it.
    pub fn sqlite(path: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            location: Location::Sqlite(path.into()),
            key: KeySource::MadeWithDatabase(key_file.into()),
            replica: String::new(),
        }
    }
}

/// `postgres://…` or `postgresql://…` is Postgres; anything else names a file.
impl FromStr for Location {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        Ok(if postgres { Self::Postgres(text.to_owned().into()) } else { Self::Sqlite(text.into()) })
    }
}

/// Of a Postgres database its host, port and name: passwords stand before the host, or among the parameters.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => match Url::parse(url) {
                Ok(url) => {
                    write!(f, "postgres://{}", url.host_str().unwrap_or_default())?;
                    if let Some(port) = url.port() {
                        write!(f, ":{port}")?;
                    }
                    f.write_str(url.path())
                }
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MadeWithDatabase(path) | Self::File(path) => write!(f, "the key file {}", path.display()),
            Self::Given(_) => f.write_str("the key given"),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_postgres_and_paths_are_sqlite() {
        for url in ["postgres://localhost/t", "postgresql://u:p@[::1]:5432/t?sslmode=require"] {
            assert!(matches!(url.parse(), Ok(Location::Postgres(_))), "{url}");
        }
        for path in ["tidings.db", "/var/lib/postgres", "./postgres:", "postgres:/x"] {
            assert_eq!(path.parse(), Ok(Location::Sqlite(path.into())));
        }
    }

    #[test]
    fn nothing_shows_a_password_or_a_key() {
        for url in [
            "postgres://user:canary@db.example:5433/tidings?password=canary",
            "postgres://user:canary@%2Fvar%2Frun/tidings",
            "postgres://user:can ary@:bad:/tidings",
        ] {
            let location: Location = url.parse().unwrap();
            let key = KeySource::Given((*b"canary..........................").into());
            let config = Config { location: location.clone(), key, replica: "name".to_owned() };
            let shown = format!("{location} {location:?} {config:?}");
            assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
        }
        let location: Location = "postgres://user:canary@db.example:5433/tidings?password=canary".parse().unwrap();
        assert_eq!(location.to_string(), "postgres://db.example:5433/tidings");
    }
}
