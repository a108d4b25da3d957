//! What there is to say of a webhook, in words.

use std::fmt::Write;

use super::advice::{advice, advice_on};
use crate::{
    cli::terminal::{Palette, Tone, printable},
    model::{StylePreset, Timestamp},
    receiver::Refusal,
    signing::{Cause, SecretError, SignatureScheme},
};

const ID_CHARS_MAX: usize = 128;
const TEXT_CHARS_MAX: usize = 1_000;

/// What came of a verification.
pub(super) enum Report {
    Verified(Verified),
    Refused(Refused),
    /// It has not the headers of any style.
    Unknown,
}

/// A right webhook.
pub(super) struct Verified {
    pub(super) name: String,
    pub(super) id: Option<String>,
    /// When it was signed, if that is signed too.
    pub(super) signed: Option<Timestamp>,
    pub(super) now: Timestamp,
    /// From 1.
    pub(super) secret_number: usize,
    pub(super) secrets_len: usize,
}

/// A webhook that is not right.
pub(super) struct Refused {
    pub(super) name: String,
    pub(super) scheme: SignatureScheme,
    pub(super) error: Refusal,
    pub(super) why: Why,
    /// Secrets that are none of the scheme's, by their numbers from 1.
    pub(super) unusable: Vec<(usize, SecretError)>,
}

/// What is behind a refusal.
pub(super) enum Why {
    /// One of the known mistakes, or that it is none of them.
    Known(Cause),
    /// The body should be a form, but the signature is right over it as it is.
    SignedAsItIs,
    /// There is no more to say.
    Nothing,
}

impl Report {
    pub(super) fn is_verified(&self) -> bool {
        matches!(self, Self::Verified(_))
    }

    /// The lines to print, each with its end.
    pub(super) fn render(&self, palette: Palette) -> String {
        match self {
            Self::Verified(verified) => verified.render(palette),
            Self::Refused(refused) => refused.render(palette),
            Self::Unknown => {
                let names: Vec<_> = StylePreset::ALL.into_iter().map(StylePreset::name).collect();
                lines(
                    palette,
                    &format!("these are the headers of no style known here ({})", names.join(", ")),
                    &[],
                    None,
                    "give every header of the webhook and, if its scheme is none of these, a --scheme file",
                )
            }
        }
    }
}

impl Verified {
    fn render(&self, palette: Palette) -> String {
        let mut line = format!("{}: {}", palette.paint(Tone::Good, "verified"), self.name);
        if let Some(id) = &self.id {
            let _ = write!(line, ", id {}", printable(id, ID_CHARS_MAX));
        }
        if let Some(signed) = self.signed {
            let (ago, ahead) = (self.now.since(signed).as_secs(), signed.since(self.now).as_secs());
            let _ =
                if ahead > 0 { write!(line, ", signed {ahead} s ahead") } else { write!(line, ", signed {ago} s ago") };
        }
        if self.secrets_len > 1 {
            let _ = write!(line, ", with secret {} of {}", self.secret_number, self.secrets_len);
        }
        line + "\n"
    }
}

impl Refused {
    fn render(&self, palette: Palette) -> String {
        let error = format!("not a right webhook of {}: {}", self.name, self.error);
        let unusable: Vec<_> = self.unusable.iter().map(|(number, error)| format!("secret {number} {error}")).collect();
        let cause = match &self.why {
            // Counted from 1, as people do.
            Why::Known(Cause::OldSecret { index }) => {
                Some(format!("the signature was made with old secret {}", index + 1))
            }
            // Told above, each by its number.
            Why::Known(Cause::UnreadableSecret { .. }) => None,
            Why::Known(cause) => Some(cause.to_string()),
            Why::SignedAsItIs => Some("the signature is right over the body as it is, which is no form".to_owned()),
            Why::Nothing => None,
        };
        let advice = match &self.why {
            Why::Known(cause) => advice(cause, &self.scheme),
            Why::SignedAsItIs => "the sender sends JSON, not a form: use --style erudika-para".to_owned(),
            Why::Nothing => advice_on(&self.error, &self.scheme),
        };
        lines(palette, &error, &unusable, cause.as_deref(), &advice)
    }
}

/// A refusal: what, why, and what to do.
fn lines(palette: Palette, error: &str, unusable: &[String], cause: Option<&str>, advice: &str) -> String {
    let mut lines = format!("{}: {}\n", palette.paint(Tone::Bad, "refused"), printable(error, TEXT_CHARS_MAX));
    for problem in unusable {
        let _ = writeln!(lines, "{}: {problem}", palette.paint(Tone::Strong, "secret"));
    }
    if let Some(cause) = cause {
        let _ = writeln!(lines, "{}: {cause}", palette.paint(Tone::Strong, "cause"));
    }
    let _ = writeln!(lines, "{}: {advice}", palette.paint(Tone::Strong, "what to do"));
    lines
}
