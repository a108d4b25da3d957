//! An endpoint's own headers: those named without a value keep the one that is stored.

use std::fmt;

use zeroize::Zeroizing;

use super::{Error, Refusal};
use crate::{
    model::{CustomHeader, EndpointKey, HEADERS_BYTES_MAX, Style, headers_taken},
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

/// What `patches` make of the headers that are there.
pub(super) fn merge(patches: Vec<HeaderPatch>, present: &[CustomHeader]) -> Result<Vec<CustomHeader>, Error> {
    let (mut merged, mut refused) = (Vec::with_capacity(patches.len()), Vec::new());
    for (index, HeaderPatch { name, value }) in patches.into_iter().enumerate() {
        let kept = || present.iter().find(|header| header.name.eq_ignore_ascii_case(&name));
        match value.or_else(|| kept().map(|header| header.value.clone())) {
            Some(value) => merged.push(CustomHeader { name, value }),
            None => refused.push(Refusal {
                field: format!("endpoint.headers[{index}].value"),
                problem: "is required: no value is stored under this name".to_owned(),
            }),
        }
    }
    let bytes: usize = merged.iter().map(|header| header.name.len() + header.value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        refused.push(Refusal {
            field: "endpoint.headers".to_owned(),
            problem: format!("must take at most {HEADERS_BYTES_MAX} bytes together; they take {bytes}"),
        });
    }
    if refused.is_empty() { Ok(merged) } else { Err(Error::Refused(refused)) }
}

/// Refuses headers that the style sets itself.
pub(super) fn check_free(style: &Style, names: &[String]) -> Result<(), Error> {
    let refuse = |(index, name): (usize, String)| Refusal {
        field: format!("endpoint.headers[{index}].name"),
        problem: format!("is `{name}`, a header of one of the endpoint's schemes"),
    };
    let refused: Vec<Refusal> = headers_taken(style, names).into_iter().map(refuse).collect();
    if refused.is_empty() { Ok(()) } else { Err(Error::Refused(refused)) }
}
