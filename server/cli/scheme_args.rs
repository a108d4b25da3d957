//! The options that name styles, scheme files and their secrets.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::scheme_file::{self, Lines, SchemeFileError};
use crate::{
    model::{StylePreset, envelope::BodyForm},
    signing::{KeyForm, SchemeConflict, SchemeViolation, SecretError, SignatureScheme, schemes_conflict},
};

/// Which schemes sign a webhook, and with which secrets.
#[derive(clap::Args, Clone)]
pub(super) struct SchemeArgs {
    /// How webhooks look, by name. May be repeated for an endpoint that signs by several schemes at once; with
    /// `erudika-para-form` among them the body is a form, and all sign the JSON in it. Default: `standard`.
    #[arg(long = "style", value_name = "NAME", value_parser = style_parser())]
    styles: Vec<StylePreset>,
    /// A scheme that has no name, as a file: JSON of a SignatureScheme, as an endpoint's style has it. May be repeated, also
    /// beside --style. The file's name without its ending is the scheme's.
    #[arg(long = "scheme", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The endpoint's secret (whsec_… for `standard`); several during a rotation, newest first, given repeatedly or, but for
    /// styles whose secrets may be any text, separated by commas. With several schemes NAME=SECRET, one for each at least;
    /// in TIDINGS_SECRET each of these on a line of its own.
    #[arg(long = "secret", env = "TIDINGS_SECRET", hide_env_values = true, required = true, value_name = "SECRET")]
    // Read when the command runs rather than by the parser, whose messages repeat what they refuse.
    secrets: Vec<String>,
}

/// A scheme by its name on the command line, and what is signed or verified with.
#[derive(Debug)]
pub(super) struct Keyed<K> {
    pub(super) name: String,
    pub(super) scheme: SignatureScheme,
    /// One at least.
    pub(super) keys: Vec<K>,
}

/// Why the options cannot be followed. Never repeats any of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SchemeArgsError {
    /// A file is no scheme.
    #[error(transparent)]
    File(#[from] SchemeFileError),
    /// Two schemes have one name.
    #[error("`{0}` is there twice; give it once, or rename the file")]
    Repeated(String),
    /// Several schemes cannot be on one message.
    #[error("one message cannot be signed by all of {names}:{}", Lines(.conflicts))]
    Conflict {
        /// The schemes.
        names: String,
        /// Where they are at odds.
        conflicts: Vec<SchemeViolation>,
    },
    /// It is not said whose secret one is.
    #[error("with several schemes each secret is given as NAME=SECRET; the names are {0}")]
    Unnamed(String),
    /// A scheme has none.
    #[error("there is no secret for `{0}`; give --secret {0}=SECRET")]
    NoSecret(String),
    /// A secret is not of the scheme's form.
    #[error("the secret of `{name}` is not usable: it {error}")]
    Secret {
        /// Whose it is.
        name: String,
        /// What is wrong with it.
        error: SecretError,
    },
}

/// Reads a style by its name; help and refusals list them all.
pub(super) fn style_parser() -> impl TypedValueParser<Value = StylePreset> {
    PossibleValuesParser::new(StylePreset::ALL.map(StylePreset::name))
        .map(|name| StylePreset::from_name(&name).unwrap_or_default())
}

/// The name of a scheme in a file.
pub(super) fn file_name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The secrets in one option. Where they may be any text, commas and white space are theirs.
pub(super) fn split(text: &str, form: KeyForm) -> impl Iterator<Item = &str> {
    let separator = (form != KeyForm::Text).then_some(',');
    let trimmed = move |text| if separator.is_some() { str::trim(text) } else { text };
    text.split(move |c| Some(c) == separator).map(trimmed)
}

impl SchemeArgs {
    /// How the body is written: there is one, whatever the number of schemes.
    pub(super) fn body_form(&self) -> BodyForm {
        let forms = || self.styles.iter().map(|style| style.body_form());
        let wanted = |wanted: &BodyForm| forms().any(|form| form == *wanted);
        [BodyForm::FormPayload, BodyForm::StableJson].into_iter().find(wanted).unwrap_or_default()
    }

    /// The schemes, in the order of the options, styles first; each with its secrets as `parse` reads them.
    ///
    /// # Errors
    /// The first option that cannot be followed.
    pub(super) fn read<K>(
        &self,
        parse: impl Fn(&str, KeyForm) -> Result<K, SecretError>,
    ) -> Result<Vec<Keyed<K>>, SchemeArgsError> {
        let mut all: Vec<Keyed<K>> = Vec::new();
        for (name, scheme) in self.schemes()? {
            if all.iter().any(|other| other.name == name) {
                return Err(SchemeArgsError::Repeated(name));
            }
            all.push(Keyed { name, scheme, keys: Vec::new() });
        }
        let conflicts = schemes_conflict(&all.iter().map(|keyed| &keyed.scheme).collect::<Vec<_>>());
        if !conflicts.is_empty() {
            let conflicts = conflicts.iter().map(|conflict| at_odds(&all, conflict)).collect();
            return Err(SchemeArgsError::Conflict { names: names(&all), conflicts });
        }
        self.add_keys(&mut all, parse)?;
        match all.iter().find(|keyed| keyed.keys.is_empty()) {
            Some(without) => Err(SchemeArgsError::NoSecret(without.name.clone())),
            None => Ok(all),
        }
    }

    fn schemes(&self) -> Result<Vec<(String, SignatureScheme)>, SchemeFileError> {
        let of_style = |style: &StylePreset| (style.name().to_owned(), style.scheme().scheme().clone());
        let mut schemes: Vec<_> = self.styles.iter().map(of_style).collect();
        for path in &self.files {
            schemes.push((file_name(path), scheme_file::read(path)?));
        }
        if schemes.is_empty() {
            schemes.push(of_style(&StylePreset::Standard));
        }
        Ok(schemes)
    }

    fn add_keys<K>(
        &self,
        all: &mut [Keyed<K>],
        parse: impl Fn(&str, KeyForm) -> Result<K, SecretError>,
    ) -> Result<(), SchemeArgsError> {
        let add = |keyed: &mut Keyed<K>, text: &str| {
            let form = keyed.scheme.definition().key_form;
            for secret in split(text, form) {
                let error = |error| SchemeArgsError::Secret { name: keyed.name.clone(), error };
                keyed.keys.push(parse(secret, form).map_err(error)?);
            }
            Ok(())
        };
        if let [only] = all {
            return self.secrets.iter().try_for_each(|text| add(only, text));
        }
        for line in self.secrets.iter().flat_map(|text| text.lines()) {
            let named = all.iter_mut().find_map(|keyed| {
                let secret = line.strip_prefix(keyed.name.as_str())?.strip_prefix('=')?;
                Some((keyed, secret))
            });
            match named {
                Some((keyed, secret)) => add(keyed, secret)?,
                None => return Err(SchemeArgsError::Unnamed(names(all))),
            }
        }
        Ok(())
    }
}

/// Two schemes that set one header differently.
fn at_odds<K>(all: &[Keyed<K>], conflict: &SchemeConflict) -> SchemeViolation {
    let (one, other) = (&all[conflict.scheme], &all[conflict.earlier]);
    let header = &one.scheme.definition().headers[conflict.header].name;
    SchemeViolation {
        path: format!("`{}`", one.name),
        problem: format!("and `{}` both set `{header}`, differently", other.name),
    }
}

fn names<K>(all: &[Keyed<K>]) -> String {
    all.iter().map(|keyed| format!("`{}`", keyed.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
