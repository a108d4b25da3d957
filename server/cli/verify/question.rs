//! What is asked of a webhook: whether it is a right one of this scheme, or of any.

use std::time::Duration;

use super::{
    headers::Headers,
    report::{Refused, Report, Verified, Why},
};
use crate::{
    cli::scheme_args::split,
    model::{
        StylePreset, Timestamp,
        envelope::{BodyForm, signed_part},
    },
    receiver::Refusal,
    signing::{Case, Cause, Explanation, Received, SignatureScheme, VerifyError, VerifyingKey, explain},
};

/// A scheme, what it is called, and how bodies are written.
pub(super) struct Question {
    pub(super) name: String,
    pub(super) scheme: SignatureScheme,
    pub(super) body_form: BodyForm,
}

/// All that is known of a webhook.
pub(super) struct Given<'a> {
    pub(super) secrets: &'a [String],
    pub(super) old_secrets: &'a [String],
    pub(super) headers: &'a Headers,
    /// As it arrived.
    pub(super) body: &'a [u8],
    pub(super) url: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) tolerance: Duration,
}

impl Question {
    pub(super) fn of(style: StylePreset) -> Self {
        let (name, scheme) = (style.name().to_owned(), style.scheme().scheme().clone());
        Self { name, scheme, body_form: style.body_form() }
    }
}

impl Given<'_> {
    /// Whether it is a right webhook of this scheme.
    pub(super) fn ask(&self, question: &Question) -> Report {
        let no_form = match signed_part(question.body_form, self.body) {
            Ok(body) => return self.ask_over(question, &body),
            Err(no_form) => no_form,
        };
        let why = match self.ask_over(question, self.body) {
            Report::Verified(_) => Why::SignedAsItIs,
            Report::Refused(Refused { why, .. }) => why,
            Report::Unknown => Why::Nothing,
        };
        let error = Refusal::Form(no_form);
        let (name, scheme) = (question.name.clone(), question.scheme.clone());
        Report::Refused(Refused { name, scheme, error, why, unusable: Vec::new() })
    }

    /// Whether it is a right webhook of any style. If not, what is said by the style that it comes closest to.
    pub(super) fn ask_all(&self) -> Report {
        let mut closest: Option<(u8, Report)> = None;
        for style in StylePreset::ALL.into_iter().filter(|style| alike(*style).next() == Some(*style)) {
            let names: Vec<_> = alike(style).map(StylePreset::name).collect();
            let question = Question { name: names.join(" or "), ..Question::of(style) };
            let Ok(body) = signed_part(question.body_form, self.body) else { continue };
            let report = self.ask_over(&question, &body);
            let Some(distance) = distance(&report) else { continue };
            if closest.as_ref().is_none_or(|(least, _)| distance < *least) {
                closest = Some((distance, report));
            }
        }
        closest.map_or(Report::Unknown, |(_, report)| report)
    }

    /// The same, where `body` is what should have been signed.
    fn ask_over(&self, question: &Question, body: &[u8]) -> Report {
        let Question { name, scheme, .. } = question;
        let form = scheme.definition().key_form;
        let secrets: Vec<&str> = self.secrets.iter().flat_map(|text| split(text, form)).collect();
        let old_secrets: Vec<&str> = self.old_secrets.iter().flat_map(|text| split(text, form)).collect();
        let header = |name: &str| self.headers.get(name);
        let received = Received { header: &header, body, url: self.url };
        let (now, tolerance) = (self.now, self.tolerance);
        let case = Case { scheme, secrets: &secrets, old_secrets: &old_secrets, received, now, tolerance };
        match explain(&case) {
            Explanation::Verified { secret_index } => {
                let keys = VerifyingKey::parse(secrets[secret_index], form).into_iter().collect::<Vec<_>>();
                let verified = scheme.verify(&keys, &received, now, tolerance).ok();
                Report::Verified(Verified {
                    name: name.clone(),
                    id: verified.and_then(|verified| verified.id.map(str::to_owned)),
                    signed: verified.and_then(|verified| verified.signed),
                    now,
                    secret_number: secret_index + 1,
                    secrets_len: secrets.len(),
                })
            }
            Explanation::Refused { error, cause } => {
                let problem = |(index, text): (usize, &&str)| Some((index + 1, VerifyingKey::parse(text, form).err()?));
                Report::Refused(Refused {
                    name: name.clone(),
                    scheme: scheme.clone(),
                    error: error.into(),
                    why: cause.map_or(Why::Nothing, Why::Known),
                    unusable: secrets.iter().enumerate().filter_map(problem).collect(),
                })
            }
        }
    }
}

/// The styles of which nobody can tell by a signature which one it is.
fn alike(style: StylePreset) -> impl Iterator<Item = StylePreset> {
    let looks = |style: StylePreset| (style.scheme(), style.body_form() == BodyForm::FormPayload);
    StylePreset::ALL.into_iter().filter(move |other| looks(*other) == looks(style))
}

/// How far a webhook is from being a right one; `None` if it has not even the headers.
fn distance(report: &Report) -> Option<u8> {
    let Refused { error, why, .. } = match report {
        Report::Verified(_) => return Some(0),
        Report::Refused(refused) => refused,
        Report::Unknown => return None,
    };
    match why {
        Why::Known(Cause::Stale) => return Some(1),
        Why::SignedAsItIs
        | Why::Known(
            Cause::Key(_)
            | Cause::SignaturePrefix { .. }
            | Cause::Body(_)
            | Cause::OldSecret { .. }
            | Cause::NotSigned(_)
            | Cause::Encoding(_),
        ) => return Some(2),
        Why::Known(Cause::Besides(error)) => return distance_by(error),
        Why::Nothing
        | Why::Known(
            Cause::OtherScheme(_) | Cause::LooksLike(_) | Cause::UnreadableSecret { .. } | Cause::Unknown(_),
        ) => {}
    }
    match error {
        Refusal::Form(_) => None,
        Refusal::Signature(error) => distance_by(error),
    }
}

fn distance_by(error: &VerifyError) -> Option<u8> {
    match error {
        VerifyError::MissingHeader(_) => None,
        VerifyError::Mismatch | VerifyError::TooOld { .. } | VerifyError::TooNew { .. } => Some(3),
        // Headers are read before secrets are looked at.
        VerifyError::NoSecret | VerifyError::WrongKeyForm | VerifyError::NoUrl => Some(4),
        VerifyError::MalformedHeader { .. }
        | VerifyError::Contradiction(_)
        | VerifyError::Ambiguous { .. }
        | VerifyError::BadTimestamp(_)
        | VerifyError::UnknownVersion { .. }
        | VerifyError::MalformedSignature { .. }
        | VerifyError::TooManySignatures(_) => Some(5),
    }
}
