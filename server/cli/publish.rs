//! `tidings publish`: events from a file or a pipe, one JSON object a line, over a stream.
//!
//! Refusals are told by the number of their line, and the stream goes on. A line that is no event ends it, after what was
//! sent before has been acknowledged. Whatever ends it, the message says how to go on.

mod line;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::PathBuf,
    time::Duration,
};

use indicatif::ProgressBar;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    call::{CallError, ServerArgs},
    input,
    terminal::{printable, say},
};
use crate::proto::{
    PublishEventStreamRequest, PublishEventStreamResponse, publish_event_stream_response::Result as Acknowledged,
};

/// Longer than the longest event that any server takes.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// Events read ahead of the connection.
const AHEAD_MAX: usize = 64;

/// How much of what is wrong with a line is shown.
const PROBLEM_CHARS_MAX: usize = 500;

/// Publish events from a file, one JSON object a line.
#[derive(Clone, Debug, clap::Args)]
pub struct PublishArgs {
    /// One event a line: {"type": "user.created", "payload": {"id": 7}}, with `id`, `labels`, `content_type`, `event_time`,
    /// `deliver_time` and `expire_time` if you like. Blank lines are passed over. `-` reads standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Whose events they are.
    #[arg(long, default_value = "default", value_name = "ID")]
    tenant: String,
    /// Lines to pass over, as an earlier run that was cut off says. Lines whose events have ids of their own may as well
    /// be published again: what is stored already is counted as a duplicate.
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    skip: u64,
}

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The input cannot be read.
    #[error("cannot read {file}: {error}; go on with --skip {read}")]
    Input {
        /// Which.
        file: String,
        /// Why.
        error: io::Error,
        /// Lines that were read and are stored or refused.
        read: u64,
    },
    /// A line is no event.
    #[error(
        "line {line} is not an event such as {{\"type\": \"user.created\", \"payload\": {{\"id\": 7}}}}: {problem}\n\
         the lines before it are stored or refused; once it is mended, go on with --skip {}",
        .line - 1
    )]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The stream is not opened, or breaks off.
    #[error(
        "{error}\nthe first {acknowledged} lines are stored or refused; go on with --skip {acknowledged}. Of the events \
         after them some may be stored too: those with ids of their own will be told as duplicates"
    )]
    Call {
        /// Why.
        error: CallError,
        /// How far it came.
        acknowledged: u64,
    },
    /// The server refuses events.
    #[error("{0} of the events were refused")]
    Refused(u64),
}

/// A request, and the number of its line.
type Numbered = (u64, PublishEventStreamRequest);

/// What became of the events.
#[derive(Default)]
struct Tally {
    published: u64,
    duplicates: u64,
    refused: u64,
}

/// Publishes the lines of the input and returns when all of them are acknowledged.
///
/// # Errors
/// See [`PublishError`].
pub async fn run(args: PublishArgs) -> Result<(), PublishError> {
    let input = open(&args)?;
    let (requests, sent) = mpsc::channel(AHEAD_MAX);
    // As many as the server lets be unacknowledged, and what is on the way.
    let (numbers, mut lines) = mpsc::unbounded_channel();
    let (over, reading) = oneshot::channel();
    let reader = args.clone();
    // A thread of its own, for nobody can say when the input goes on; the process may end before it.
    std::thread::spawn(move || over.send(read(&reader, input, &requests)));
    let requests = tokio_stream::StreamExt::map(ReceiverStream::new(sent), move |(line, request): Numbered| {
        // Nobody asks for it any more once the answers have ended.
        let _ = numbers.send(line);
        request
    });

    let mut acknowledged = args.skip;
    let broken = |status, acknowledged| PublishError::Call { error: args.server.failed(status), acknowledged };
    let client = args.server.client().map_err(|error| PublishError::Call { error, acknowledged });
    let answers = client?.publish_event_stream(requests).await;
    let mut answers: Streaming<_> = answers.map_err(|status| broken(status, acknowledged))?.into_inner();
    let mut tally = Tally::default();
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(200));
    while let Some(answer) = answers.message().await.map_err(|status| broken(status, acknowledged))? {
        acknowledged = lines.recv().await.unwrap_or(acknowledged);
        if let Some(refusal) = tally.count(answer) {
            progress.suspend(|| eprintln!("line {acknowledged}: {}", args.server.failed(refusal)));
        }
        progress.set_message(format!("{acknowledged} lines"));
    }
    progress.finish_and_clear();
    let Tally { published, duplicates, refused } = tally;
    say(&format!("{published} published, {duplicates} duplicates, {refused} refused"));
    reading.await.unwrap_or(Ok(()))?;
    if refused > 0 { Err(PublishError::Refused(refused)) } else { Ok(()) }
}

impl Tally {
    /// Counts what became of an event. Returns why it was refused, if it was.
    fn count(&mut self, answer: PublishEventStreamResponse) -> Option<Status> {
        match answer.result {
            Some(Acknowledged::Error(error)) => {
                self.refused += 1;
                let details = error.encode_to_vec().into();
                return Some(Status::with_details(error.code.into(), error.message, details));
            }
            Some(Acknowledged::Published(event)) if event.duplicate => self.duplicates += 1,
            Some(Acknowledged::Published(_)) | None => self.published += 1,
        }
        None
    }
}

/// Opens the input; a file that is not there is told before any server is asked.
fn open(args: &PublishArgs) -> Result<Box<dyn BufRead + Send>, PublishError> {
    if input::is_stdin(&args.file) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(&args.file).map_err(|error| unreadable(args, error, args.skip))?;
    Ok(Box::new(BufReader::new(file)))
}

fn unreadable(args: &PublishArgs, error: io::Error, read: u64) -> PublishError {
    PublishError::Input { file: input::name(&args.file), error, read }
}

/// Sends the events of the lines behind those to be passed over, up to the end or the first that is none.
fn read(args: &PublishArgs, mut input: impl BufRead, requests: &mpsc::Sender<Numbered>) -> Result<(), PublishError> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let length = (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        match length.map_err(|error| unreadable(args, error, line - 1))? {
            0 => break,
            _ if line <= args.skip => continue,
            _ => {}
        }
        let event = if text.len() as u64 == LINE_BYTES_MAX {
            Err(format!("it is longer than {LINE_BYTES_MAX} bytes"))
        } else {
            line::read(&text)
        };
        let problem = |problem: String| PublishError::Line { line, problem: printable(&problem, PROBLEM_CHARS_MAX) };
        let Some(event) = event.map_err(problem)? else { continue };
        let request = PublishEventStreamRequest { tenant_id: args.tenant.clone(), event: Some(event) };
        if requests.blocking_send((line, request)).is_err() {
            break;
        }
    }
    Ok(())
}
