//! The key file: 32 random bytes as base64 text, readable by its owner alone, beside the database.
//!
//! The first line is the active key; further lines are older keys that only open. A file is made once, together with a
//! new database, and is written again only to put a new key first: whoever called decides when. What a file holds may also
//! be given as text, in one line.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use super::{super::KeySource, KEY_BYTES, Key, Keyring};

/// The longest key file, in bytes.
const FILE_BYTES_MAX: usize = 1024;

/// As many keys as such a file has room for.
const KEYS_MAX: usize = FILE_BYTES_MAX / KEY_LINE_BYTES;

/// A key in base64 and the end of its line.
const KEY_LINE_BYTES: usize = 45;

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
    /// There is no room for another key.
    #[error("the key file is full; remove the keys that no record needs any more")]
    Full,
    /// Reading or writing it failed.
    #[error("the key file cannot be read or written: {0}")]
    Io(#[source] io::Error),
}

impl Keyring {
    /// The keys of a source that is there.
    pub(crate) fn of(source: &KeySource) -> Result<Self, KeyFileError> {
        match source {
            KeySource::MadeWithDatabase(path) | KeySource::File(path) => Self::load(path),
            KeySource::Given(keyring) => Ok(keyring.clone()),
        }
    }

    /// Reads keys that stand in one text, separated by commas or line ends, the active one first. `None` if there is none, or
    /// something else, or more than a file holds.
    pub fn parse(text: &str) -> Option<Self> {
        let separate = |c: char| c == ',' || c == '\n';
        let texts = text.split(separate).map(str::trim_ascii).filter(|text| !text.is_empty());
        let mut keys = texts.take(KEYS_MAX + 1).map(|text| read_key(text.as_bytes()));
        let ring = Self { active: keys.next()??, others: keys.collect::<Option<_>>()? };
        (ring.others.len() < KEYS_MAX).then_some(ring)
    }

    /// Reads the key file at `path`. Blocks.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        read_keys(&read(path)?).ok_or(KeyFileError::Malformed)
    }

    /// Puts a new key before those in the file at `path`, which go on to open; it is on disk when this returns. Blocks.
    ///
    /// The file is replaced as a whole, by way of `PATH.new`.
    pub fn add_key(path: &Path) -> Result<Self, KeyFileError> {
        // What a symbolic link points to is replaced, not the link.
        let path = &std::fs::canonicalize(path).map_err(KeyFileError::Io)?;
        let older = read(path)?;
        let present = read_keys(&older).ok_or(KeyFileError::Malformed)?;
        if present.others.len() + 1 >= KEYS_MAX {
            return Err(KeyFileError::Full);
        }
        let key = random_key()?;
        let draft = &draft_of(path);
        write_durably(draft, &key, &older)
            .and_then(|()| std::fs::rename(draft, path))
            .and_then(|()| sync_directory_of(path))
            .map_err(KeyFileError::Io)?;
        Self::load(path)
    }

    /// Makes a new key and writes it to `path`, where nothing may be yet; it is on disk when this returns. Blocks.
    ///
    /// Only for a new database: one that exists has its key. The file appears whole or not at all: it is written beside
    /// under the name `PATH.new`, and what an earlier crash left there is replaced.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let key = random_key()?;
        let draft = &draft_of(path);
        let written = write_durably(draft, &key, &[]).and_then(|()| std::fs::hard_link(draft, path));
        // Should the removal fail, the next creation removes it first.
        let _ = std::fs::remove_file(draft);
        // The name is as important as the content: without it the database is lost after a power cut.
        written.and_then(|()| sync_directory_of(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists { KeyFileError::Exists } else { KeyFileError::Io(error) }
        })?;
        Ok(Self::new(&key, &[]))
    }
}

fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyFileError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    SysRng.try_fill_bytes(&mut *key).map_err(|error| KeyFileError::Io(io::Error::other(error)))?;
    Ok(key)
}

fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}

/// The file's content.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let file = open(path)?;
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(KeyFileError::Io)?;
    if text.len() > FILE_BYTES_MAX { Err(KeyFileError::Malformed) } else { Ok(text) }
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

/// Writes the key, and after it the `older` ones as they were read.
fn write_durably(path: &Path, key: &[u8; KEY_BYTES], older: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(STANDARD.encode(key));
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(older)?;
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
    fn key_that_is_added_seals_and_those_before_open() {
        let (directory, path) = key_file(&format!("{}\n{}", line(2), line(1)), 0o600);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let older = Keyring::load(&path).unwrap();
        let ring = Keyring::add_key(&link).unwrap();
        assert_ne!(ring.active(), older.active());
        assert_eq!(
            ring.others().collect::<Vec<_>>(),
            [older.active()].into_iter().chain(older.others()).collect::<Vec<_>>()
        );
        assert_eq!(Keyring::load(&path).unwrap().active(), ring.active());
        assert_eq!(ring.open(PLACE, &older.seal(PLACE, b"x")).unwrap().as_slice(), b"x");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link is still one");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no draft stays");
    }

    #[test]
    fn file_that_is_full_or_malformed_is_not_added_to() {
        for content in [format!("{}\n", line(1)).repeat(KEYS_MAX), "canary".to_owned()] {
            let (_directory, path) = key_file(&content, 0o600);
            assert!(Keyring::add_key(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let (_directory, path) = key_file(&format!("{}\n", line(1)).repeat(KEYS_MAX - 1), 0o600);
        Keyring::add_key(&path).unwrap();
        assert!(matches!(Keyring::add_key(&path), Err(KeyFileError::Full)));
    }

    #[test]
    fn keys_in_a_text_are_separated_by_commas_or_lines() {
        let (one, two) = (Keyring::from([1; 32]).active(), Keyring::from([2; 32]).active());
        for text in [
            format!("{},{}", line(2), line(1)),
            format!(" {} , {}\n", line(2), line(1)),
            format!("{}\r\n{}\r\n", line(2), line(1)),
            format!("{},\n{},", line(2), line(1)),
        ] {
            let ring = Keyring::parse(&text).unwrap();
            assert_eq!((ring.active(), ring.others().collect::<Vec<_>>()), (two, vec![one]), "{text}");
        }
        assert_eq!(Keyring::parse(&line(1)).unwrap().others().count(), 0);
        assert!(Keyring::parse(&format!("{},", line(1)).repeat(KEYS_MAX)).is_some());
        let many = format!("{},", line(1)).repeat(KEYS_MAX + 1);
        for text in ["", ",", "canary", &format!("{},canary", line(1)), &format!("{} {}", line(1), line(2)), &many] {
            assert!(Keyring::parse(text).is_none(), "{text}");
        }
    }

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
