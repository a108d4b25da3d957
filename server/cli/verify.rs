//! `tidings verify`: whether a webhook that was kept is signed rightly, and if not, why and what to do.

mod advice;
mod headers;
mod question;
mod report;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use self::{
    headers::{HeaderError, Headers},
    question::{Given, Question},
};
use super::{
    input::{self, InputError},
    scheme_args::{file_name, style_parser},
    scheme_file::{self, SchemeFileError},
    terminal::Palette,
    url_arg::UrlArg,
};
use crate::{
    model::{Clock, StylePreset, Timestamp, envelope::BodyForm},
    signing::SignatureScheme,
};

/// The longest body that is verified.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// More than any server takes.
const HEADERS_BYTES_MAX: u64 = 1024 * 1024;

/// The greatest time that `--at` takes.
const SECS_MAX: i64 = 999_999_999_999;

/// Verify a webhook that was kept, and explain what is wrong with it.
#[derive(clap::Args)]
#[command(after_help = "Ends with status 0 if the webhook verifies, otherwise with 1.")]
pub struct VerifyArgs {
    /// How the webhook should look, by name. Without it and --scheme every style is tried.
    #[arg(long, value_name = "NAME", value_parser = style_parser(), conflicts_with = "scheme")]
    style: Option<StylePreset>,
    /// A scheme that has no name, as a file: JSON of a SignatureScheme, as an endpoint's style has it.
    #[arg(long, value_name = "FILE")]
    scheme: Option<PathBuf>,
    /// The endpoint's secret, or for `standard-ed25519` its public key (whpk_…). Several are given repeatedly or, but for
    /// styles whose secrets may be any text, separated by commas.
    #[arg(long = "secret", env = "TIDINGS_SECRET", hide_env_values = true, required = true, value_name = "SECRET")]
    secrets: Vec<String>,
    /// A secret that is not used any more, to find out whether the sender still signs with it. May be repeated.
    #[arg(long = "old-secret", value_name = "SECRET")]
    old_secrets: Vec<String>,
    /// A header of the webhook. May be repeated.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    header_lines: Vec<String>,
    /// The headers as a file of `Name: value` lines, as they stand in a log; `-` reads standard input.
    #[arg(long = "headers", value_name = "FILE", required_unless_present = "header_lines")]
    header_file: Option<PathBuf>,
    #[command(flatten)]
    url: UrlArg,
    /// When the webhook arrived, in seconds since 1970. Default: now.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(i64).range(0..=SECS_MAX))]
    at: Option<i64>,
    /// How far its time may be from that, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 300)]
    tolerance: u32,
    /// The body, byte for byte as it arrived; `-` reads standard input.
    body: PathBuf,
}

/// Why nothing is verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyCommandError {
    /// The file is no scheme.
    #[error(transparent)]
    Scheme(#[from] SchemeFileError),
    /// Something cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What should be headers is not.
    #[error(transparent)]
    Headers(#[from] HeaderError),
    /// Headers and body cannot both come from one place.
    #[error("standard input can be read once: give a file for the headers or for the body")]
    StdinTwice,
    /// The output does not work.
    #[error("output failed: {0}")]
    Io(#[from] io::Error),
}

/// Verifies, prints what comes of it, and tells whether the webhook is right.
///
/// # Errors
/// The options name what cannot be used, or a write failed for another reason than a closed pipe.
pub fn run(args: &VerifyArgs) -> Result<bool, VerifyCommandError> {
    verify(args, &Clock::system(), &mut io::stdout(), Palette::stdout())
}

fn verify(
    args: &VerifyArgs,
    clock: &Clock,
    out: &mut impl Write,
    palette: Palette,
) -> Result<bool, VerifyCommandError> {
    let is_stdin = |path: &PathBuf| input::is_stdin(path);
    if is_stdin(&args.body) && args.header_file.as_ref().is_some_and(is_stdin) {
        return Err(VerifyCommandError::StdinTwice);
    }
    let asked = args.asked()?;
    let mut headers = Headers::default();
    args.header_lines.iter().try_for_each(|line| headers.add("--header", line))?;
    if let Some(path) = &args.header_file {
        headers.add_log(&input::name(path), &input::read(path, HEADERS_BYTES_MAX)?)?;
    }
    let given = Given {
        secrets: &args.secrets,
        old_secrets: &args.old_secrets,
        headers: &headers,
        body: &input::read(&args.body, BODY_BYTES_MAX)?,
        url: args.url.get(),
        now: args.at.map_or_else(|| clock.wall(), |secs| Timestamp::from_micros(secs * 1_000_000)),
        tolerance: Duration::from_secs(args.tolerance.into()),
    };
    let report = match &asked {
        Some(asked) => given.ask(asked),
        None => given.ask_all(),
    };
    match out.write_all(report.render(palette).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(report.is_verified())
}

impl VerifyArgs {
    /// What was asked for by name or by file, if anything was.
    fn asked(&self) -> Result<Option<Question>, SchemeFileError> {
        if let Some(path) = &self.scheme {
            let scheme: SignatureScheme = scheme_file::read(path)?;
            return Ok(Some(Question { name: file_name(path), scheme, body_form: BodyForm::AsIs }));
        }
        Ok(self.style.map(Question::of))
    }
}
