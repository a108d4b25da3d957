//! The first operator's key: without one nobody could make others.
//!
//! It is given to the server, which then lets it in without storing it; or, where no operator can get in, one is made and
//! written into a file that only its owner can read. The file is written before the key is committed: one that a start
//! left which did not get further is taken as it is, and so is one that somebody put there.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::new_key;
use crate::{
    audit::Change,
    model::{API_KEY_PREFIX, Actor, ApiKey, HeldKey, Scope},
    shared::Shared,
    store,
};

/// The longest file that is read, in bytes: a key and the end of its line, and some room for what an editor adds.
const FILE_BYTES_MAX: u64 = 256;

/// Where the first operator's key comes from.
#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// An operator's key that is valid for as long as the server runs with it. It is not stored.
    pub given: Option<HeldKey>,
    /// Where a key is written if none is given and no operator can get in.
    pub file: Option<PathBuf>,
}

/// Why there is no operator's key. Says nothing of a file's content.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    /// Nobody said where it comes from.
    #[error(
        "no operator's key exists yet: give one in TIDINGS_ADMIN_KEY (`tidings keys generate` makes one), or say with \
         --admin-key-file where to write one"
    )]
    Unsaid,
    /// The file's content is not a key.
    #[error("{}: it is not a file with a key, which begins with `{API_KEY_PREFIX}`", .0.display())]
    Malformed(PathBuf),
    /// Others than its owner can read or change it.
    #[error("{}: it is open to others than its owner (mode {mode:04o}); make it private with `chmod 600`", .path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Reading or writing it failed.
    #[error("{}: the operator's key cannot be read or written: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Sees to it that an operator can get in. Returns the file that a key was written to, if that was needed.
pub(crate) async fn ensure_admin(shared: &Arc<Shared>, config: &AdminConfig) -> Result<Option<PathBuf>, AdminKeyError> {
    if let Some(given) = &config.given {
        shared.access.give(given);
        return Ok(None);
    }
    if shared.access.has_admin(shared.clock.now()) {
        return Ok(None);
    }
    let Some(path) = config.file.clone() else { return Err(AdminKeyError::Unsaid) };
    let at = path.clone();
    let taking = tokio::task::spawn_blocking(move || taken(&at));
    let held = taking.await.map_err(|_| store::Error::Panicked)??;
    let keeper = shared.clone();
    let unit = shared.db.write(move |tx| {
        Box::pin(async move {
            let version = store::meta::raise_cfg(tx).await?;
            let key = ApiKey {
                key: store::meta::next_key(tx, "api_key").await?,
                id: held.id,
                tenant: None,
                display_name: "made at the first start".to_owned(),
                scopes: [Scope::Admin].into_iter().collect(),
                hash: held.hash(),
                created: keeper.clock.now(),
                expires: None,
            };
            store::api_key::insert(tx, &key).await?;
            let change = Change::new(Actor::Server, None, "CreateKey").concerning([key.id.to_string()]);
            change.write(tx, key.created).await?;
            tx.commit().await?;
            keeper.routes.advance(version);
            keeper.access.apply(&key, None);
            Ok(())
        })
    });
    unit.await?;
    Ok(Some(path))
}

/// The key in the file at `path`, which is made if it is not there. Blocks.
fn taken(path: &Path) -> Result<HeldKey, AdminKeyError> {
    match read(path) {
        Err(AdminKeyError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
        taken => return taken,
    }
    let key = new_key();
    write(path, &key).map_err(|cause| AdminKeyError::Io { path: path.to_owned(), cause })?;
    Ok(key)
}

/// Reads the key in a file that only its owner can read. Blocks.
pub(crate) fn read(path: &Path) -> Result<HeldKey, AdminKeyError> {
    let failed = |cause| AdminKeyError::Io { path: path.to_owned(), cause };
    // A pipe does not block.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    // What was opened is checked, so that it cannot be exchanged in between.
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(AdminKeyError::Permissions { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    let malformed = || AdminKeyError::Malformed(path.to_owned());
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(malformed());
    }
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    HeldKey::parse(text.trim()).ok_or_else(malformed)
}

/// The file appears whole or not at all, and is on disk when this returns.
fn write(path: &Path, key: &HeldKey) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(key.text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // Unlike a renaming this leaves alone what somebody has put there meanwhile.
    let linked = std::fs::hard_link(draft, path);
    std::fs::remove_file(draft)?;
    linked?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
