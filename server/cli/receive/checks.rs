//! Verifying by every scheme that an endpoint signs by.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    cli::scheme_args::Keyed,
    model::{Clock, envelope::BodyForm},
    receiver::{Expected, Verifier, Webhook},
    signing::{Part, SignatureScheme, Variable, VerifyingKey},
};

/// Differs on every attempt, but tells the sender's operator which one it was.
const ATTEMPT_ID: &str = "tidings-attempt-id";

/// The schemes that a webhook has to verify by, all of them.
pub(super) struct Checks {
    checks: Vec<Check>,
    id_header: Option<String>,
}

struct Check {
    name: String,
    verifier: Verifier,
}

impl Checks {
    pub(super) fn new(
        schemes: Vec<Keyed<VerifyingKey>>,
        body_form: BodyForm,
        url: Option<&str>,
        clock: &Clock,
    ) -> Self {
        let id_header = schemes.iter().find_map(|keyed| id_header(&keyed.scheme)).map(str::to_owned);
        let check = |Keyed { name, scheme, keys }| {
            let expected = Expected { scheme, body_form, url: url.map(str::to_owned) };
            Check { name, verifier: Verifier::of(expected, keys, clock.clone()) }
        };
        Self { checks: schemes.into_iter().map(check).collect(), id_header }
    }

    /// What a webhook is known by when it comes again: its id or, where no scheme has one, its body, which is the same on
    /// every attempt.
    ///
    /// # Errors
    /// What is wrong with it; of several schemes, what each of them has to say.
    pub(super) fn verify(&self, webhook: &Webhook) -> Result<String, String> {
        let results: Vec<_> = self.checks.iter().map(|check| (check, check.verifier.verify(webhook))).collect();
        if let [(_, Err(refusal))] = results.as_slice() {
            return Err(refusal.to_string());
        }
        if results.iter().any(|(_, result)| result.is_err()) {
            let told = results.iter().map(|(check, result)| match result {
                Ok(_) => format!("{}: verified", check.name),
                Err(refusal) => format!("{}: {refusal}", check.name),
            });
            return Err(told.collect::<Vec<_>>().join("; "));
        }
        let id = results.iter().find_map(|(_, result)| result.as_ref().ok()?.id);
        Ok(id.map_or_else(|| STANDARD_NO_PAD.encode(Sha256::digest(&webhook.body)), str::to_owned))
    }

    /// The schemes' names, if there are several.
    pub(super) fn names(&self) -> Option<String> {
        let names: Vec<_> = self.checks.iter().map(|check| check.name.as_str()).collect();
        (names.len() > 1).then(|| names.join(", "))
    }

    /// What to call a webhook, verified or not.
    pub(super) fn id<'a>(&self, webhook: &'a Webhook) -> Option<&'a str> {
        webhook.header(self.id_header.as_deref().unwrap_or(ATTEMPT_ID))
    }
}

/// The header that is nothing but the id.
fn id_header(scheme: &SignatureScheme) -> Option<&str> {
    let mut headers = scheme.definition().headers.iter();
    headers.find(|header| header.value == [Part::Variable(Variable::Id)]).map(|header| header.name.as_str())
}
