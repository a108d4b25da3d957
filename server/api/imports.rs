//! Secrets that callers bring along. Their texts are wiped once they are read, and no refusal repeats any of them.

use std::{collections::HashSet, mem, sync::Arc};

use zeroize::Zeroizing;

use super::violation::Violations;
use crate::{
    configure::NewSecret,
    model::Style,
    proto::ImportedSecret,
    signing::{KeyForm, Secret},
};

/// The secrets of a request, to be read once the endpoint's style is known.
pub(super) struct Imports {
    /// For the first scheme, by the field `secret`.
    first: Option<Zeroizing<String>>,
    /// By the field `secrets`: the scheme and its secret.
    named: Vec<(String, Zeroizing<String>)>,
}

impl Imports {
    /// Takes them out of a request.
    pub(super) fn take(first: Option<String>, named: &mut Vec<ImportedSecret>) -> Self {
        let named = mem::take(named).into_iter().map(|given| (given.scheme, Zeroizing::new(given.secret)));
        Self { first: first.map(Zeroizing::new), named: named.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.named.is_empty()
    }

    /// Reads them in the key forms of the style's schemes; of a style that was refused nothing can be read.
    pub(super) fn read(self, style: Option<&Style>, violations: &mut Violations) -> Vec<NewSecret> {
        let Some(style) = style else { return Vec::new() };
        let mut read = Vec::new();
        let mut met = HashSet::new();
        if let (Some(text), Some(scheme)) = (&self.first, style.schemes().first()) {
            met.insert(scheme.name.to_string());
            let value = read_secret(text, scheme.scheme().definition().key_form, "secret", violations);
            read.extend(value.map(|value| NewSecret { scheme: scheme.name.to_string(), value }));
        }
        for (index, (name, text)) in self.named.iter().enumerate() {
            let Some(scheme) = style.scheme(name) else {
                violations.add(format!("secrets[{index}].scheme"), "is not the name of a scheme of this endpoint");
                continue;
            };
            if !met.insert(name.clone()) {
                violations.add(format!("secrets[{index}].scheme"), "has been given a secret in this request already");
            }
            let form = scheme.scheme().definition().key_form;
            let value = read_secret(text, form, &format!("secrets[{index}].secret"), violations);
            read.extend(value.map(|value| NewSecret { scheme: name.clone(), value }));
        }
        read
    }
}

/// Reads the secret at `field`.
pub(super) fn read_secret(text: &str, form: KeyForm, field: &str, violations: &mut Violations) -> Option<Arc<Secret>> {
    violations.take(field, Secret::parse(text, form).map_err(|error| error.to_string())).map(Arc::new)
}
