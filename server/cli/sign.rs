//! `tidings sign`: the headers of a signed webhook, so that a receiver can be tested by hand.

mod curl;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;

use super::{
    input::{self, InputError},
    scheme_args::{SchemeArgs, SchemeArgsError},
    url_arg::{UrlArg, UrlMissing},
};
use crate::{
    model::{
        Clock, DEFAULT_CONTENT_TYPE, Timestamp,
        envelope::{Body, BodyError, BodyForm, Envelope, Enveloped, build},
        is_event_type,
    },
    signing::{Message, Secret, Signer, sign},
};

/// The longest body that is signed: that of the largest payload a server takes.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 128;

/// The greatest time: what receivers take for one has twelve digits at most.
const SECS_MAX: i64 = 999_999_999_999;

/// Print the headers that a sender would send with a body.
#[derive(clap::Args)]
pub struct SignArgs {
    #[command(flatten)]
    schemes: SchemeArgs,
    /// The webhook's id. Default: a new one.
    #[arg(long, value_parser = id)]
    id: Option<String>,
    /// When it is signed, in seconds since 1970. Default: now.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(i64).range(0..=SECS_MAX))]
    timestamp: Option<i64>,
    /// The event's type.
    #[arg(long, value_name = "TYPE", default_value = "test.ping", value_parser = event_type)]
    event_type: String,
    #[command(flatten)]
    url: UrlArg,
    /// Print headers as `Name: value`, or a command that sends them with the body to --url, for `sh` to run.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = HeaderFormat::Http, requires_if("curl", "url"))]
    header_format: HeaderFormat,
    /// The body as it is sent, with all that the style wraps around a payload; of a form, the JSON in it. `-` reads
    /// standard input.
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum HeaderFormat {
    Http,
    Curl,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The schemes or their secrets cannot be used.
    #[error(transparent)]
    Schemes(#[from] SchemeArgsError),
    /// A scheme signs the URL.
    #[error(transparent)]
    Url(#[from] UrlMissing),
    /// The body cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The body cannot be sent in the style.
    #[error("{file} cannot be sent: this style's body is JSON")]
    Body {
        /// Where it is.
        file: String,
        /// Why not.
        #[source]
        error: BodyError,
    },
    /// The command would have to read the body again.
    #[error("standard input can be read once, but curl has to read the body too; give a file")]
    StdinTwice,
    /// The output does not work.
    #[error("output failed: {0}")]
    Io(#[from] io::Error),
}

/// Prints the headers, or a command that sends them.
///
/// # Errors
/// The options do not fit together or name what cannot be used, the body cannot be read, or a write failed for another
/// reason than a closed pipe.
pub fn run(args: &SignArgs) -> Result<(), SignError> {
    match print(args, &Clock::system(), &mut io::stdout(), &mut io::stderr()) {
        Err(SignError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

fn print(args: &SignArgs, clock: &Clock, out: &mut impl Write, err: &mut impl Write) -> Result<(), SignError> {
    let schemes = args.schemes.read(Secret::parse)?;
    args.url.check(schemes.iter().map(|keyed| (keyed.name.as_str(), &keyed.scheme)))?;
    let curl = args.header_format == HeaderFormat::Curl;
    if curl && input::is_stdin(&args.file) {
        return Err(SignError::StdinTwice);
    }
    let bytes: Bytes = input::read(&args.file, BODY_BYTES_MAX)?.into();
    let form = args.schemes.body_form();
    let body = body(form, &bytes).map_err(|error| SignError::Body { file: input::name(&args.file), error })?;
    if body.signed != bytes {
        writeln!(
            err,
            "note: receivers of this style write the JSON anew before they verify it, and this body would come out \
             otherwise; a server sends it as they write it"
        )?;
    }

    let id = args.id.clone().unwrap_or_else(|| format!("evt_{:032x}", rand::random::<u128>()));
    let timestamp = args.timestamp.map_or_else(|| clock.wall(), |secs| Timestamp::from_micros(secs * 1_000_000));
    let secrets: Vec<Vec<&Secret>> = schemes.iter().map(|keyed| keyed.keys.iter().collect()).collect();
    let signers: Vec<Signer<'_, '_>> =
        schemes.iter().zip(&secrets).map(|(keyed, secrets)| Signer { scheme: &keyed.scheme, secrets }).collect();
    let url = args.url.get().unwrap_or_default();
    let message = Message { id: &id, timestamp, event_type: &args.event_type, url, body: &bytes };
    let mut headers =
        vec![("content-type", content_type(&body, &bytes).to_owned()), ("tidings-event-type", args.event_type.clone())];
    headers.extend(sign(&signers, &message).into_iter().map(|header| (header.name, header.value)));
    if curl {
        return Ok(out.write_all(curl::command(&headers, form, &args.file, url).as_bytes())?);
    }
    Ok(headers.iter().try_for_each(|(name, value)| writeln!(out, "{name}: {value}"))?)
}

/// The body as a sender has it.
fn body(form: BodyForm, bytes: &Bytes) -> Result<Body, BodyError> {
    // Nothing but the payload stands in this envelope.
    let event = Enveloped {
        id: "",
        event_type: "",
        time: Timestamp::default(),
        content_type: DEFAULT_CONTENT_TYPE,
        payload: bytes,
    };
    build(&Envelope::Raw, form, &event)
}

fn content_type(body: &Body, bytes: &[u8]) -> &'static str {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    body.content_type.unwrap_or(if is_json { DEFAULT_CONTENT_TYPE } else { "application/octet-stream" })
}

fn id(text: &str) -> Result<String, String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(valid) {
        return Ok(text.to_owned());
    }
    Err(format!("must be 1 to {ID_BYTES_MAX} characters of A-Z, a-z, 0-9, `_` and `-`"))
}

fn event_type(text: &str) -> Result<String, String> {
    if is_event_type(text) {
        return Ok(text.to_owned());
    }
    Err("must be segments of A-Z, a-z, 0-9, `_` and `-` joined by single dots, such as `user.created`".to_owned())
}
