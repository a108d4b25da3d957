//! `tidings watch`: what happens to deliveries and endpoints, one line each, as it happens.
//!
//! A stream that breaks is resumed by its last token, so that over restarts of the server no line is missing and none
//! comes twice. Lines go to standard output; everything else goes to standard error.

mod args;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub use self::args::WatchArgs;
use super::{
    call::{CallError, ServerArgs},
    line::Line,
    terminal::{Palette, printable},
};
use crate::{
    client::KeyedChannel,
    model::Clock,
    proto::{WatchDeliveriesRequest, watch_deliveries_request::Start, webhook_service_client::WebhookServiceClient},
};

/// A connection is made within this time or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is probed this often, …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// … and given up if it does not answer for this long.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// After a break the stream is resumed after this time, then twice as long, …
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// … and at most this long.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How much of a server's message is shown.
const MESSAGE_CHARS_MAX: usize = 500;

/// Why watching ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The server's address, or the key, cannot be used.
    #[error(transparent)]
    Call(#[from] CallError),
    /// There is no such server.
    #[error("cannot reach the server at {server}: {message}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What went wrong.
        message: String,
    },
    /// The server refuses, and would again.
    #[error("{}: {}", .0.code(), printable(.0.message(), MESSAGE_CHARS_MAX))]
    Refused(Box<Status>),
    /// The terminal, or the system's signals, do not work.
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
}

/// Watches until interrupted (SIGINT, SIGTERM) or until no one reads the output any more.
///
/// # Errors
/// The server cannot be reached at all, or refuses; or a write failed for another reason than a closed pipe.
pub async fn run(args: WatchArgs) -> Result<(), WatchError> {
    let shutdown = CancellationToken::new();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        stop.cancel();
    });
    let request = args.request(&Clock::system());
    let mut watching = Watching::open(&args.server, request, io::stdout(), Palette::stdout())?;
    let mut err = io::stderr();
    let ended = watching.run(&mut err, &shutdown).await;
    if let Some(token) = &watching.token {
        // The reader of the errors may be gone as well; then there is nobody to tell.
        let _ = writeln!(err, "to go on from here: --resume {token}");
    }
    ended
}

/// A stream, over all its connections.
struct Watching<W> {
    server: String,
    client: WebhookServiceClient<KeyedChannel>,
    request: WatchDeliveriesRequest,
    /// That of the last message.
    token: Option<String>,
    out: W,
    palette: Palette,
    backoff: Duration,
}

/// Why one connection's stream ended.
enum End {
    /// It may be resumed.
    Broken(Status),
    /// Nobody reads the output.
    Unread,
    Failed(WatchError),
}

impl<W: Write> Watching<W> {
    fn open(
        server: &ServerArgs,
        request: WatchDeliveriesRequest,
        out: W,
        palette: Palette,
    ) -> Result<Self, WatchError> {
        let endpoint = server
            .endpoint()?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let client = WebhookServiceClient::new(server.bearer()?.over(server.trust.open(&endpoint)?));
        Ok(Self { server: server.server.clone(), client, request, token: None, out, palette, backoff: BACKOFF_MIN })
    }

    async fn run(&mut self, err: &mut impl Write, shutdown: &CancellationToken) -> Result<(), WatchError> {
        loop {
            let Some(end) = shutdown.run_until_cancelled(self.stream()).await else { return Ok(()) };
            let status = match end {
                End::Broken(status) => status,
                End::Unread => return Ok(()),
                End::Failed(error) => return Err(error),
            };
            if self.token.is_none() && !was_said(&status) {
                let message = printable(status.message(), MESSAGE_CHARS_MAX);
                return Err(WatchError::Unreachable { server: self.server.clone(), message });
            }
            let wait = self.backoff.mul_f64(rand::random_range(0.75..1.25));
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            let message = printable(status.message(), MESSAGE_CHARS_MAX);
            writeln!(err, "the stream broke ({message}); resuming in {:.1} s", wait.as_secs_f64())?;
            if shutdown.run_until_cancelled(sleep(wait)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Prints one connection's stream, from the last token on.
    async fn stream(&mut self) -> End {
        let mut request = self.request.clone();
        if let Some(token) = &self.token {
            request.start = Some(Start::ResumeToken(token.clone()));
        }
        let mut messages = match self.client.watch_deliveries(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return classify(status),
        };
        loop {
            let response = match messages.message().await {
                Ok(Some(response)) => response,
                Ok(None) => return End::Broken(Status::unavailable("it ended")),
                Err(status) => return classify(status),
            };
            if let Some(line) = Line::new(&response, self.palette)
                && let Err(error) = writeln!(self.out, "{line}").and_then(|()| self.out.flush())
            {
                return match error.kind() {
                    ErrorKind::BrokenPipe => End::Unread,
                    _ => End::Failed(error.into()),
                };
            }
            // Only now: what was not printed is asked for again.
            self.token = Some(response.resume_token);
            self.backoff = BACKOFF_MIN;
        }
    }
}

/// Whether a stream that ended with this status can be resumed: the server says so, or did not get to say anything.
fn classify(status: Status) -> End {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => End::Broken(status),
        Code::Unknown | Code::Internal | Code::Cancelled if !was_said(&status) => End::Broken(status),
        _ => End::Failed(WatchError::Refused(Box::new(status))),
    }
}

/// Whether the status comes from the server rather than from the connection.
fn was_said(status: &Status) -> bool {
    status.get_details_error_info().is_some()
}
