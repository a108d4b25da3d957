//! The option that says where a webhook is sent to, which some schemes sign.

use url::Url;

use crate::signing::{Part, SignatureScheme, Variable};

/// Where webhooks are sent to.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct UrlArg {
    /// The endpoint's URL; needed by schemes that sign it.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

/// A scheme signs the URL, and there is none.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` signs the URL that a webhook is sent to; give it by --url")]
pub struct UrlMissing(String);

impl UrlArg {
    /// The URL as senders write it, if there is one.
    pub(super) fn get(&self) -> Option<&str> {
        self.url.as_ref().map(Url::as_str)
    }

    /// Checks that the URL is there if one of these schemes, each with its name, signs it.
    pub(super) fn check<'a>(
        &self,
        schemes: impl IntoIterator<Item = (&'a str, &'a SignatureScheme)>,
    ) -> Result<(), UrlMissing> {
        let signs = |scheme: &SignatureScheme| scheme.definition().signed.contains(&Part::Variable(Variable::Url));
        match schemes.into_iter().find(|(_, scheme)| self.url.is_none() && signs(scheme)) {
            Some((name, _)) => Err(UrlMissing(name.to_owned())),
            None => Ok(()),
        }
    }
}
