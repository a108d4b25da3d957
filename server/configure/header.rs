//! An endpoint's own headers: those named without a value keep the one that is stored.

use std::fmt;

use zeroize::Zeroizing;

use super::{Error, Refusal};
use crate::{
    model::{CustomHeader, EndpointKey, EndpointSettings, HEADERS_BYTES_MAX, headers_taken},
    shared::Shared,
    store::{self, Tx},
};

/// A header to set.
#[derive(Clone)]
pub struct HeaderPatch {
    /// Its name, checked.
    pub name: String,
    /// Its value, checked; `None` for the one that is stored under this name.
    pub value: Option<Zeroizing<String>>,
}

impl fmt::Debug for HeaderPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

/// The headers of one endpoint.
pub(super) async fn stored(tx: &mut Tx, shared: &Shared, key: EndpointKey) -> Result<Vec<CustomHeader>, Error> {
    Ok(store::header::load(tx.conn(), &shared.keyring, key, key).await?.remove(&key).unwrap_or_default())
}

/// What `patches` make of the headers that are there; what cannot be made is noted.
pub(super) fn merge(
    patches: Vec<HeaderPatch>,
    present: &[CustomHeader],
    refused: &mut Vec<Refusal>,
) -> Vec<CustomHeader> {
    let mut merged = Vec::with_capacity(patches.len());
    for (index, HeaderPatch { name, value }) in patches.into_iter().enumerate() {
        let kept = || present.iter().find(|header| header.name.eq_ignore_ascii_case(&name));
        let value = value.or_else(|| kept().map(|header| header.value.clone())).unwrap_or_else(|| {
            refused.push(Refusal {
                field: format!("endpoint.headers[{index}].value"),
                problem: "is required: no value is stored under this name".to_owned(),
            });
            Zeroizing::default()
        });
        merged.push(CustomHeader { name, value });
    }
    let bytes: usize = merged.iter().map(|header| header.name.len() + header.value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        refused.push(Refusal {
            field: "endpoint.headers".to_owned(),
            problem: format!("must take at most {HEADERS_BYTES_MAX} bytes together; they take {bytes}"),
        });
    }
    merged
}

/// Notes headers that the style sets itself: as a fault of the headers, if the change `names_headers`, and of the style
/// otherwise.
pub(super) fn check_free(settings: &EndpointSettings, names_headers: bool, refused: &mut Vec<Refusal>) {
    for (index, name) in headers_taken(&settings.style, &settings.header_names) {
        refused.push(if names_headers {
            Refusal {
                field: format!("endpoint.headers[{index}].name"),
                problem: format!("is `{name}`, a header of one of the endpoint's schemes"),
            }
        } else {
            Refusal {
                field: "endpoint.style".to_owned(),
                problem: format!("has a scheme with the header `{name}`, which is among the endpoint's own headers"),
            }
        });
    }
}
