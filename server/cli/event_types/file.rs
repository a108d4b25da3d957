//! A catalogue as a file: an ImportEventTypesRequest in protobuf's JSON mapping (protobuf.dev/programming-guides/json), so
//! that the same file serves other clients. Stricter than the mapping, unknown fields are refused: they are misspelt.

use std::{fmt, marker::PhantomData, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    cli::input::{self, InputError},
    proto::{EventType, ImportEventTypesRequest},
};

/// Longer than any request that a server takes, its JSON's escapes included.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is not JSON, or not that of a catalogue.
    #[error("{file} is not a catalogue: {error}")]
    Malformed {
        /// Which file.
        file: String,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
}

/// Reads a catalogue from a file, or from standard input if it is `-`.
pub(super) fn read(path: &Path) -> Result<ImportEventTypesRequest, FileError> {
    let bytes = input::read(path, FILE_BYTES_MAX)?;
    parse(&bytes).map_err(|error| FileError::Malformed { file: input::name(path), error })
}

fn parse(json: &[u8]) -> serde_json::Result<ImportEventTypesRequest> {
    let Object(Request { tenant_id, event_types }) = serde_json::from_slice(json)?;
    let read = |Object(entry): Object<Entry>| EventType {
        name: entry.name.unwrap_or_default(),
        description: entry.description.unwrap_or_default(),
        ..EventType::default()
    };
    Ok(ImportEventTypesRequest {
        tenant_id: tenant_id.unwrap_or_default(),
        event_types: event_types.unwrap_or_default().into_iter().map(read).collect(),
        // An import can be repeated as it is, and a file that was changed is to be imported anew.
        request_id: String::new(),
    })
}

// In the mapping every field has two names, and null stands for its absence.

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Request {
    #[serde(alias = "tenant_id")]
    tenant_id: Option<String>,
    #[serde(alias = "event_types")]
    event_types: Option<Vec<Object<Entry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    description: Option<String>,
    #[serde(rename = "tenantId", alias = "tenant_id")]
    _tenant_id: Option<String>,
    #[serde(rename = "createTime", alias = "create_time")]
    _create_time: Option<String>,
    #[serde(rename = "updateTime", alias = "update_time")]
    _update_time: Option<String>,
}

/// A JSON object that holds a `T`. By itself serde reads an array as a struct too, by position.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_type(name: &str, description: &str) -> EventType {
        EventType { name: name.to_owned(), description: description.to_owned(), ..EventType::default() }
    }

    #[test]
    fn both_names_of_a_field_are_read_and_null_is_absence() {
        let expected = vec![event_type("user.created", "A user registered"), event_type("b", "")];
        for json in [
            r#"{"eventTypes": [{"name": "user.created", "description": "A user registered"}, {"name": "b"}]}"#,
            r#"{"event_types": [{"description": "A user \u0072egistered", "name": "user.created"},
                                {"name": "b", "description": null}], "tenantId": null}"#,
        ] {
            let request = parse(json.as_bytes()).unwrap();
            assert_eq!((request.tenant_id.as_str(), &request.event_types), ("", &expected), "{json}");
        }
        for json in [r#"{"tenantId": "acme"}"#, r#"{"tenant_id": "acme", "eventTypes": null}"#] {
            let request = parse(json.as_bytes()).unwrap();
            assert_eq!((request.tenant_id.as_str(), request.event_types.len()), ("acme", 0));
        }
    }

    #[test]
    fn a_catalogue_can_be_imported_as_it_was_listed() {
        let listed = r#"{"eventTypes": [{"name": "a", "tenantId": "default", "description": "x",
            "createTime": "2026-01-31T12:00:00Z", "updateTime": "2026-01-31T12:00:00.5Z"}]}"#;
        assert_eq!(parse(listed.as_bytes()).unwrap().event_types, [event_type("a", "x")]);
    }

    #[test]
    fn what_is_no_catalogue_is_refused_with_its_place() {
        let cases = [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\n  \"eventTypes\": [,]\n}", "at line 2 column 18"),
            ("{\"eventTypes\": []} {}", "trailing characters at line 1 column 20"),
            ("[{\"name\": \"a\"}]", "invalid type: sequence, expected an object at line 1"),
            ("{\"eventTypes\": [[\"a\", \"b\", null, null, null]]}", "invalid type: sequence, expected an object"),
            ("{\"eventTypes\": [\"a\"]}", "invalid type: string \"a\", expected an object"),
            ("{\"eventTypes\": [null]}", "invalid type: null, expected an object"),
            ("{\"eventTypes\": {}}", "invalid type: map, expected a sequence"),
            ("{\"eventTypes\": [{\"name\": 1}]}", "invalid type: integer `1`, expected a string"),
            ("{\n\"eventTypes\": [{\"nmae\": \"a\"}]}", "unknown field `nmae`"),
            ("{\"types\": []}", "unknown field `types`"),
            ("{\"eventTypes\": [], \"nextPageToken\": \"x\"}", "unknown field `nextPageToken`"),
            ("{\"eventTypes\": [], \"event_types\": []}", "duplicate field `eventTypes`"),
            ("{\"eventTypes\": [{\"name\": \"a\", \"name\": \"b\"}]}", "duplicate field `name`"),
        ];
        for (json, expected) in cases {
            let said = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(expected) && said.contains(" line "), "{json}: {said}");
        }
        assert!(parse(b"{\"eventTypes\": [{\"name\": \"\xff\"}]}").is_err());
    }

    #[test]
    fn file_beyond_all_bounds_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read(file.path()), Err(FileError::Input(InputError::TooLong { .. }))));
        file.as_file().set_len(FILE_BYTES_MAX).unwrap();
        assert!(matches!(read(file.path()), Err(FileError::Malformed { .. })));
    }
}
