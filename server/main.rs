//! The command line of Tidings.

use std::{error::Error as _, io::IsTerminal as _, process::ExitCode};

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tidings::cli;
use tracing_subscriber::EnvFilter;

/// A delivery's memory is taken by one thread and given back by another, for which glibc's threads wait for each other: at
/// full rate that and its bookkeeping took an eighth of the server's processor time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Webhook delivery as a gRPC service: durable, signed, retried, streamed.
#[derive(Parser)]
#[command(name = "tidings", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server
    Serve(cli::serve::ServeArgs),
    /// Move a SQLite database to Postgres, while no server uses either
    Copy(cli::copy::CopyArgs),
    /// Show which steps of the schema a database has and lacks; with --apply, apply what is pending
    Migrate(cli::migrate::MigrateArgs),
    /// Seal a database's secrets anew under the active key, so that older keys can be removed
    Reseal(cli::reseal::ResealArgs),
    /// Show a server delivering, retrying and rotating a secret, all of it temporary
    Demo(cli::demo::DemoArgs),
    /// Run a webhook receiver that verifies what arrives and says what is wrong with it
    Receive(cli::receive::ReceiveArgs),
    /// Print the headers of a signed webhook, to test a receiver by hand
    Sign(cli::sign::SignArgs),
    /// Verify a webhook that was kept, and explain what is wrong with it
    Verify(cli::verify::VerifyArgs),
    /// Publish events from a file or a pipe, one JSON object a line
    Publish(cli::publish::PublishArgs),
    /// Watch deliveries and endpoints change
    Watch(cli::watch::WatchArgs),
    /// Import or list a tenant's catalogue of event types
    EventTypes(cli::event_types::EventTypesArgs),
    /// Make, list or revoke API keys
    Keys(cli::keys::KeysArgs),
    /// Show who changed what, newest first
    Audit(cli::audit::AuditArgs),
    /// Create, list, change or delete tenants
    Tenants(cli::tenants::TenantsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let default = match cli.command {
        Command::Serve(_) => "info",
        // The key file that it warns of goes with the demo.
        Command::Demo(_) => "warn,tidings::store::meta=error",
        _ => "warn",
    };
    let filter = match EnvFilter::builder().with_env_var("TIDINGS_LOG").try_from_env() {
        Ok(filter) => filter,
        Err(error) if error.source().is_some_and(|cause| cause.is::<std::env::VarError>()) => EnvFilter::new(default),
        Err(error) => {
            eprintln!("tidings: TIDINGS_LOG: {error}");
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match cli.command {
        Command::Serve(args) => cli::serve::run(args).await,
        Command::Copy(args) => cli::copy::run(args).await.map_err(Into::into),
        Command::Migrate(args) => match cli::migrate::run(args).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.into()),
        },
        Command::Reseal(args) => match cli::reseal::run(args).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Command::Demo(args) => cli::demo::run(args).await,
        Command::Receive(args) => cli::receive::run(args).await.map_err(Into::into),
        Command::Sign(args) => cli::sign::run(&args).map_err(Into::into),
        Command::Verify(args) => match cli::verify::run(&args) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.into()),
        },
        Command::Publish(args) => cli::publish::run(args).await.map_err(Into::into),
        Command::Watch(args) => cli::watch::run(args).await.map_err(Into::into),
        Command::Audit(args) => cli::audit::run(args).await.map_err(Into::into),
        Command::EventTypes(args) => cli::event_types::run(args).await.map_err(Into::into),
        Command::Keys(args) => cli::keys::run(args).await.map_err(Into::into),
        Command::Tenants(args) => cli::tenants::run(args).await.map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidings: {error:#}");
            ExitCode::FAILURE
        }
    }
}
