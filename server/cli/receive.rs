//! `tidings receive`: a receiver that verifies webhooks, prints them, and says what is wrong with them.
//!
//! One line per webhook goes to standard output; everything else goes to standard error. The printing happens in one
//! place, fed through a bounded queue, so that a stalled terminal slows the senders down instead of filling memory.

mod show;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
};

use http::{HeaderValue, Method, StatusCode, header};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use self::show::Shown;
use super::{
    attempts::Attempts,
    terminal::{Palette, Tone},
};
use crate::{
    model::Clock,
    receiver::{Answer, Certificate, CertificateError, Receiver, Verifier, Webhook},
    signing::{KeyForm, Secret, SecretError},
};

/// Webhooks that may wait to be printed.
const PRINT_QUEUE_LEN: usize = 256;

/// Receive webhooks, verify their signatures and print them.
#[derive(clap::Args)]
pub struct ReceiveArgs {
    /// The endpoint's secret (whsec_…); several during a rotation, separated by commas or given repeatedly.
    #[arg(
        long = "secret",
        env = "TIDINGS_SECRET",
        hide_env_values = true,
        required = true,
        value_delimiter = ',',
        value_name = "WHSEC"
    )]
    // Read when the command runs rather than by the parser, whose messages repeat what they refuse.
    secrets: Vec<String>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Speak HTTPS, with a certificate made on the spot and printed as PEM for the sender to trust.
    #[arg(long)]
    tls: bool,
    /// The status that a verified webhook is answered with.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: u16,
    /// Answer the first N attempts of every verified webhook with 503, to see them retried.
    #[arg(long, default_value_t = 0, value_name = "N")]
    fail_first: u32,
    /// Print bodies too, their beginnings at least.
    #[arg(long, short)]
    verbose: bool,
}

/// Why nothing is received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// A secret is not one.
    #[error("the secret is not usable: {0}")]
    Secret(#[from] SecretError),
    /// The status is none.
    #[error("the status is not an HTTP status")]
    Status(#[from] http::status::InvalidStatusCode),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The terminal, or the system's signals, do not work.
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
}

/// Receives until interrupted (SIGINT, SIGTERM) or until no one reads the output any more.
///
/// # Errors
/// It cannot be started, or a write failed for another reason than a closed pipe.
pub async fn run(args: ReceiveArgs) -> Result<(), ReceiveError> {
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
    receive(args, &mut io::stdout(), Palette::stdout(), &mut io::stderr(), shutdown).await
}

/// Receives until `shutdown`; webhooks go to `out`, what is said about them to `err`.
async fn receive(
    args: ReceiveArgs,
    out: &mut impl Write,
    palette: Palette,
    err: &mut impl Write,
    shutdown: CancellationToken,
) -> Result<(), ReceiveError> {
    let parse = |text: &String| Secret::parse(text.trim(), KeyForm::Base64);
    let secrets = args.secrets.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let status = StatusCode::from_u16(args.status)?;
    let listener =
        TcpListener::bind(args.listen).await.map_err(|cause| ReceiveError::Listen { address: args.listen, cause })?;
    let receiver = open(listener, args.tls, err)?;

    let (printer, mut printing) = mpsc::channel(PRINT_QUEUE_LEN);
    let desk = Arc::new(Desk {
        verifier: Verifier::new(secrets, Clock::system()),
        attempts: Attempts::new(args.fail_first),
        clock: Clock::system(),
        status,
        printer,
    });
    let handler = move |webhook| Arc::clone(&desk).take(webhook);
    let serving = tokio::spawn(receiver.run(handler, shutdown.clone()));

    let (mut verified, mut refused) = (0_u64, 0_u64);
    let mut printed = Ok(());
    // Ends when the receiver has stopped and dropped the last sender, or when nothing can be printed any more.
    while let Some(shown) = printing.recv().await {
        *(if shown.is_verified() { &mut verified } else { &mut refused }) += 1;
        printed = out.write_all(shown.render(palette, args.verbose).as_bytes()).and_then(|()| out.flush());
        if printed.is_err() {
            shutdown.cancel();
            break;
        }
    }
    drop(printing);
    serving.await.map_err(io::Error::other)?;
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(writeln!(err, "{verified} verified, {refused} refused")?),
    }
}

fn open(listener: TcpListener, tls: bool, err: &mut impl Write) -> Result<Receiver, ReceiveError> {
    let address = listener.local_addr()?;
    let receiver = if tls {
        let certificate = Certificate::self_signed(["localhost".to_owned(), address.ip().to_string()])?;
        err.write_all(certificate.pem().as_bytes())?;
        Receiver::with_tls(listener, &certificate)?
    } else {
        Receiver::new(listener)
    };
    let scheme = if tls { "https" } else { "http" };
    writeln!(err, "{} {scheme}://{address}/", Palette::stderr().paint(Tone::Strong, "receiving at"))?;
    Ok(receiver)
}

/// Where webhooks arrive: verifies, answers, and passes on what is to be shown.
struct Desk {
    verifier: Verifier,
    attempts: Attempts,
    clock: Clock,
    status: StatusCode,
    printer: mpsc::Sender<Shown>,
}

impl Desk {
    async fn take(self: Arc<Self>, webhook: Webhook) -> Answer {
        if webhook.method != Method::POST {
            let mut answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent by POST\n");
            answer.headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        let verdict =
            self.verifier.verify(&webhook).map(|verified| self.attempts.count(verified.id.unwrap_or_default()));
        let answer = match &verdict {
            Err(error) => Answer::from(error),
            Ok(attempt) if attempt.fails => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, "failing on purpose; try again\n")
            }
            Ok(_) => Answer::from(self.status),
        };
        let shown = Shown { time: self.clock.wall(), webhook, verdict, status: answer.status };
        // Nobody prints any more once the output is closed; the answer is due all the same.
        let _ = self.printer.send(shown).await;
        answer
    }
}
