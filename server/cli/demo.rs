//! `tidings demo`: a server, a receiver and a client in one process, from the first event to a rotated secret.
//!
//! Everything is real but short-lived: the database is a temporary file, the webhooks go over TLS, and the client speaks
//! gRPC to the server's port. The demo succeeds only if every request arrived and verified exactly as expected, and
//! leaves nothing behind.

mod desk;
mod hints;
mod publish;
mod samples;
mod stage;
mod story;
mod stream;
mod summary;

use std::{io, net::SocketAddr};

use anyhow::{Context as _, bail};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use self::{stage::Stage, stream::Stream, summary::Summary};
use super::terminal::{Palette, say};

/// Where the server listens with `--keep` unless told otherwise, if nobody else does.
const KEPT: &str = "127.0.0.1:7070";
/// A free port.
const ANY: &str = "127.0.0.1:0";

/// What `tidings demo` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DemoArgs {
    /// Stay up after the demo, with commands to try, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Address for the server to listen on; a loopback address. Default: a free port, or 127.0.0.1:7070 with --keep if
    /// that is free.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Runs the demo, with `--keep` until SIGINT or SIGTERM after it.
///
/// # Errors
/// It cannot be set up, it was interrupted before its end, or something did not arrive or verify as it should.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let interrupted = interruption()?;
    let listener = listen(&args).await?;
    let stage = Stage::set(listener).await?;
    let played = play(&stage, args.keep, &interrupted).await;
    // The play's failure says more than one of the clearing that it may have caused.
    let cleared = stage.clear().await;
    played.and(cleared)
}

async fn listen(args: &DemoArgs) -> anyhow::Result<TcpListener> {
    if let Some(address) = args.listen {
        return TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"));
    }
    if args.keep
        && let Ok(listener) = TcpListener::bind(KEPT).await
    {
        return Ok(listener);
    }
    TcpListener::bind(ANY).await.with_context(|| format!("cannot listen on {ANY}"))
}

async fn play(stage: &Stage, keep: bool, interrupted: &CancellationToken) -> anyhow::Result<()> {
    let palette = Palette::stdout();
    let telling = async {
        let stream = Stream::open(stage.client.clone(), palette).await?;
        let story = story::tell(stage, &stream, palette).await?;
        anyhow::Ok((stream, story))
    };
    let (stream, story) = interrupted.run_until_cancelled(telling).await.context("interrupted")??;
    let summary = Summary::new(&story, &stage.desk, stream.tally(), palette);
    say(&format!("\n{summary}"));
    if !summary.problems.is_empty() {
        bail!("the demo failed in {} points", summary.problems.len());
    }
    if keep {
        hints::show(stage.server.address(), &stage.key, &story.endpoints, palette);
        tokio::select! {
            () = interrupted.cancelled() => {}
            () = stage.server.failed() => bail!("the server could not go on"),
        }
    }
    Ok(())
}

/// Cancelled by SIGINT or SIGTERM.
fn interruption() -> io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let interrupted = CancellationToken::new();
    let token = interrupted.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
    });
    Ok(interrupted)
}
