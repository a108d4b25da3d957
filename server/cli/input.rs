//! Files that a command reads whole, within bounds; `-` stands for standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What stands for standard input.
const STDIN: &str = "-";

/// Why there is nothing to be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("cannot read {file}: {error}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// It is longer than anything that it might be.
    #[error("{file} is longer than {bytes_max} bytes")]
    TooLong {
        /// Which file.
        file: String,
        /// What is allowed.
        bytes_max: u64,
    },
}

/// Whether this is standard input, which can be read once.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

/// How messages call it.
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// Reads a file, or standard input if it is `-`, to its end.
///
/// # Errors
/// It cannot be read, or is longer than `bytes_max`.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, InputError> {
    let bounded = |input: &mut dyn Read| {
        let mut bytes = Vec::new();
        input.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map(|_len| bytes)
    };
    let bytes = if is_stdin(path) {
        bounded(&mut io::stdin())
    } else {
        File::open(path).and_then(|mut file| bounded(&mut file))
    };
    match bytes {
        Ok(bytes) if bytes.len() as u64 > bytes_max => Err(InputError::TooLong { file: name(path), bytes_max }),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(InputError::Unreadable { file: name(path), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.json");
        for path in [missing.as_path(), directory.path()] {
            let said = read(path, 10).unwrap_err().to_string();
            assert!(said.starts_with(&format!("cannot read {}: ", path.display())), "{said}");
        }
    }

    #[test]
    fn file_is_read_up_to_its_bound() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(10).unwrap();
        assert_eq!(read(file.path(), 10).unwrap(), [0; 10]);
        assert!(matches!(read(file.path(), 9), Err(InputError::TooLong { bytes_max: 9, .. })));
    }
}
