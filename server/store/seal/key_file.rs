//! The key file: 32 random bytes as base64 text, readable by its owner alone, beside the database.
//!
//! The first line is the active key; further lines are older keys that only open. A file is made once, together with a
//! new database, and never written again here: whoever called decides when.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use super::{super::KeySource, KEY_BYTES, Key, Keyring};

/// The longest key file, in bytes, and with it the number of keys: each takes 45.
const FILE_BYTES_MAX: usize = 1024;

/// Why there is no key. Says nothing of the file's content; the caller knows its path.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no file to load.
    #[error("the key file is missing; without it nothing sealed in the database can be read")]
    Missing,
    /// There is a file already where one was to be created.
    #[error("there is a key file already; it was left as it is")]
    Exists,
    /// Its content is not keys.
    #[error("the key file is malformed: every line must be 32 bytes in base64")]
    Malformed,
    /// Others than its owner can read or change it.
    #[error("the key file is open to others than its owner (mode {mode:04o}); make it private with `chmod 600`")]
    Permissions {
        /// Its permission bits.
        mode: u32,
    },
    /// Reading or writing it failed.
    #[error("the key file cannot be read or written: {0}")]
    Io(#[source] io::Error),
}

impl Keyring {
    /// The keys of a source that is there.
    pub(crate) fn of(source: &KeySource) -> Result<Self, KeyFileError> {
        match source {
            KeySource::MadeWithDatabase(path) | KeySource::File(path) => Self::load(path),
            KeySource::Given(key) => Ok(Self::new(key, &[])),
        }
    }

    /// Reads the key file at `path`. Blocks.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let file = open(path)?;
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(KeyFileError::Io)?;
        if text.len() > FILE_BYTES_MAX {
            return Err(KeyFileError::Malformed);
        }
        read_keys(&text).ok_or(KeyFileError::Malformed)
    }

    /// Makes a new key and writes it to `path`, where nothing may be yet; it is on disk when this returns. Blocks.
    ///
    /// Only for a new database: one that exists has its key. The file appears whole or not at all: it is written beside
    /// under the name `PATH.new`, and what an earlier crash left there is replaced.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        SysRng.try_fill_bytes(&mut *key).map_err(|error| KeyFileError::Io(io::Error::other(error)))?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = Path::new(&draft);
        let written = write_durably(draft, &key).and_then(|()| std::fs::hard_link(draft, path));
        // Should the removal fail, the next creation removes it first.
        let _ = std::fs::remove_file(draft);
        // The name is as important as the content: without it the database is lost after a power cut.
        written.and_then(|()| sync_directory_of(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists { KeyFileError::Exists } else { KeyFileError::Io(error) }
        })?;
        Ok(Self::new(&key, &[]))
    }
}

/// Opens the file and checks what was opened, so that it cannot be exchanged in between. A pipe does not block.
fn open(path: &Path) -> Result<File, KeyFileError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound { KeyFileError::Missing } else { KeyFileError::Io(error) }
    })?;
    let metadata = file.metadata().map_err(KeyFileError::Io)?;
    if !metadata.is_file() {
        return Err(KeyFileError::Malformed);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions { mode });
    }
    Ok(file)
}

fn read_keys(text: &[u8]) -> Option<Keyring> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut keys = text.split(|&byte| byte == b'\n').map(read_key);
    Some(Keyring { active: keys.next()??, others: keys.collect::<Option<_>>()? })
}

fn read_key(line: &[u8]) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
    bytes.as_slice().try_into().ok().map(Key::new)
}

fn write_durably(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(STANDARD.encode(key));
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{super::Place, *};

    const PLACE: Place<'static> = Place { table: "t", tenant: 1, row: 1, column: "c" };

    #[test]
    fn draft_that_a_crash_left_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (path, draft) = (directory.path().join("key"), directory.path().join("key.new"));
        fs::write(&draft, "half").unwrap();
        Keyring::create(&path).unwrap();
        assert!(Keyring::load(&path).is_ok());
        assert!(!draft.exists());
        assert!(matches!(Keyring::create(&path), Err(KeyFileError::Exists)));
        assert!(!draft.exists());
    }

    fn key_file(content: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn line(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn what_is_created_can_be_loaded_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let record = Keyring::create(&path).unwrap().seal(PLACE, b"x");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), 45);
        assert_eq!(Keyring::load(&path).unwrap().open(PLACE, &record).unwrap().as_slice(), b"x");
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let (_directory, path) = key_file("something", 0o600);
        assert!(matches!(Keyring::create(&path), Err(KeyFileError::Exists)));
        assert_eq!(fs::read(&path).unwrap(), b"something");
    }

    #[test]
    fn a_missing_file_is_told_from_a_missing_directory_when_created() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none").join("key");
        assert!(matches!(Keyring::load(&path), Err(KeyFileError::Missing)));
        assert!(matches!(Keyring::create(&path), Err(KeyFileError::Io(_))));
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            let (_directory, path) = key_file(&line(1), mode);
            let error = Keyring::load(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Permissions { mode: found } if found == mode), "{error}");
        }
        let (_directory, path) = key_file(&line(1), 0o400);
        assert!(Keyring::load(&path).is_ok());
    }

    #[test]
    fn the_first_line_seals_and_all_open() {
        let (_directory, path) = key_file(&format!("{}\n{}\n", line(2), line(1)), 0o600);
        let ring = Keyring::load(&path).unwrap();
        let old = Keyring::new(&[1; 32], &[]).seal(PLACE, b"old");
        assert_eq!(ring.open(PLACE, &old).unwrap().as_slice(), b"old");
        let new = Keyring::new(&[2; 32], &[]);
        assert_eq!(new.open(PLACE, &ring.seal(PLACE, b"new")).unwrap().as_slice(), b"new");
    }

    #[test]
    fn content_that_is_not_keys_is_refused_and_not_repeated() {
        let short = STANDARD.encode([7; 31]);
        let long = STANDARD.encode([7; 33]);
        let many = format!("{}\n", line(1)).repeat(23);
        let gap = format!("{}\n\n{}\n", line(1), line(2));
        for content in ["", "\n", "canary", &short, &long, &line(1).replace('=', ""), &many, &gap, &(line(1) + " ")] {
            let (_directory, path) = key_file(content, 0o600);
            let error = Keyring::load(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Malformed), "{content}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Keyring::load(directory.path()), Err(KeyFileError::Malformed)));
    }
}
