//! A signature scheme as a file: a SignatureScheme in protobuf's JSON mapping, as an endpoint's style has it.

use std::{fmt, path::Path};

use super::input::{self, InputError};
use crate::signing::{SchemeDefinition, SchemeViolation, SignatureScheme};

/// Longer than any scheme.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a file is no scheme.
#[derive(Debug, thiserror::Error)]
pub enum SchemeFileError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is not JSON, or not that of a scheme.
    #[error("{file} is not a signature scheme: {error}")]
    Malformed {
        /// Which file.
        file: String,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
    /// It breaks the rules of schemes.
    #[error("the signature scheme in {file} cannot be used:{}", Lines(.violations))]
    Refused {
        /// Which file.
        file: String,
        /// All that is wrong.
        violations: Vec<SchemeViolation>,
    },
}

/// Every violation on a line of its own.
pub(super) struct Lines<'a>(pub(super) &'a [SchemeViolation]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Reads and checks a scheme.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read(path: &Path) -> Result<SignatureScheme, SchemeFileError> {
    let bytes = input::read(path, FILE_BYTES_MAX)?;
    let file = input::name(path);
    let definition: SchemeDefinition = match serde_json::from_slice(&bytes) {
        Ok(definition) => definition,
        Err(error) => return Err(SchemeFileError::Malformed { file, error }),
    };
    SignatureScheme::new(definition).map_err(|violations| SchemeFileError::Refused { file, violations })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::signing::SchemePreset;

    fn read_text(text: &str) -> Result<SignatureScheme, SchemeFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn every_preset_can_be_written_to_a_file_and_read_back() {
        for preset in SchemePreset::ALL {
            let text = serde_json::to_string(preset.scheme().definition()).unwrap();
            assert_eq!(read_text(&text).unwrap(), *preset.scheme(), "{text}");
        }
    }

    #[test]
    fn the_example_is_a_scheme() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/schemes/acme.json");
        let scheme = read(&path).unwrap();
        let headers: Vec<_> = scheme.definition().headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(headers, ["Acme-Signature", "Acme-Event"]);
    }

    #[test]
    fn what_is_no_scheme_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "EOF while parsing"),
            ("{}", "missing field `algorithm`"),
            ("{\n  \"singed\": []}", "unknown field `singed`, expected one of `signed`"),
            (r#"{"signed": [{"variabel": "SIGNATURE_VARIABLE_BODY"}]}"#, "unknown variant `variabel`"),
            (
                r#"{"signed": [{"variable": "BODY"}]}"#,
                "unknown variant `BODY`, expected one of `SIGNATURE_VARIABLE_ID`",
            ),
            (r#"{"headers": [{"name": "x", "vlaue": []}]}"#, "unknown field `vlaue`"),
        ] {
            let said = read_text(text).unwrap_err().to_string();
            assert!(said.contains("is not a signature scheme: ") && said.contains(expected), "{text}: {said}");
            assert!(said.contains(" at line "), "{text}: {said}");
        }
    }

    #[test]
    fn every_broken_rule_is_named_with_its_path() {
        let error = read_text(
            r#"{"signed": [{"variable": "SIGNATURE_VARIABLE_ID"}, {"variable": "SIGNATURE_VARIABLE_BODY"}],
                "algorithm": "SIGNATURE_ALGORITHM_ED25519", "keyForm": "KEY_FORM_TEXT",
                "encoding": "SIGNATURE_ENCODING_HEX", "headers": [{"name": "content-type", "value": []}]}"#,
        );
        let said = error.unwrap_err().to_string();
        let lines: Vec<_> = said.lines().skip(1).collect();
        for path in ["signed[1].variable ", "signed[0].variable ", "key_form ", "headers[0].name ", "headers[0].value "]
        {
            let start = format!("  {path}");
            assert!(lines.iter().any(|line| line.starts_with(&start)), "{path}: {said}");
        }
    }
}
