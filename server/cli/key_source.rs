//! Where the keys are that a database's secrets are sealed under: a file, or for Postgres the variable TIDINGS_KEY.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::store::{KeySource, Keyring, Location};

/// Holds the keys themselves. Not an argument: what is on a command line others can read.
const KEY_VARIABLE: &str = "TIDINGS_KEY";

/// Where the keys are, for this database: in `file` if that is given.
pub(super) fn key_source(database: &Location, file: Option<PathBuf>) -> anyhow::Result<KeySource> {
    #[expect(clippy::disallowed_methods, reason = "an argument would show the key to whoever lists processes")]
    let given = std::env::var(KEY_VARIABLE).ok();
    choose(database, file, given.map(Zeroizing::new))
}

/// Where the key of a SQLite database is unless another place is named.
pub(super) fn key_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

fn choose(database: &Location, file: Option<PathBuf>, given: Option<Zeroizing<String>>) -> anyhow::Result<KeySource> {
    match (database, file, given) {
        (Location::Sqlite(_), Some(file), _) => Ok(KeySource::MadeWithDatabase(file)),
        (Location::Sqlite(path), None, _) => Ok(KeySource::MadeWithDatabase(key_file(path))),
        (Location::Postgres(_), Some(file), _) => Ok(KeySource::File(file)),
        (Location::Postgres(_), None, Some(given)) => Keyring::parse(&given).map(KeySource::Given).ok_or_else(|| {
            anyhow::anyhow!(
                "{KEY_VARIABLE} is not a key: expected 32 bytes in base64, or several such with commas between them"
            )
        }),
        (Location::Postgres(_), None, None) => anyhow::bail!(
            "a Postgres database needs a key for its secrets: make one with `openssl rand -base64 32`, and give it in \
             {KEY_VARIABLE} or in a private file with --key-file"
        ),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn key_of_a_postgres_database_has_to_be_given() {
        let postgres: Location = "postgres://localhost/t".parse().unwrap();
        let given = |text: &str| Some(Zeroizing::new(text.to_owned()));
        let (old, new) = (STANDARD.encode([7; 32]), STANDARD.encode([8; 32]));
        for text in [old.clone(), format!("{old},{new}"), format!("{old}\n{new}\n")] {
            let Ok(KeySource::Given(keyring)) = choose(&postgres, None, given(&text)) else { panic!("{text}") };
            assert_eq!(keyring.active(), Keyring::from([7; 32]).active(), "the first seals");
        }
        let file = Some(PathBuf::from("k"));
        assert!(matches!(choose(&postgres, file.clone(), given(&old)), Ok(KeySource::File(_))));
        let missing = choose(&postgres, None, None).unwrap_err().to_string();
        assert!(missing.contains("TIDINGS_KEY") && missing.contains("--key-file"), "{missing}");
        for wrong in ["", "canary", &STANDARD.encode([7; 31]), &format!("{old},canary")] {
            let error = choose(&postgres, None, given(wrong)).unwrap_err().to_string();
            assert!(error.contains("TIDINGS_KEY") && !error.contains("canary") && !error.contains(&old), "{error}");
        }
        let sqlite: Location = "t.db".parse().unwrap();
        assert!(matches!(choose(&sqlite, file, None), Ok(KeySource::MadeWithDatabase(_))));
        let beside = choose(&sqlite, None, None);
        assert!(matches!(beside, Ok(KeySource::MadeWithDatabase(path)) if path.as_os_str() == "t.db.key"));
    }
}
