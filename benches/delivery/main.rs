//! `make bench`: how fast events become deliveries, what that costs, and what becomes of it when things go wrong.
//!
//! Publisher, server, database and receiver are processes of their own: this binary starts itself again in the roles
//! `publish`, `receive`, `watch` and `echo`, and the real `tidings serve`, on loopback. Each scenario begins with a new
//! database. `echo` is the baseline: the same gRPC call and the same POST, with nothing stored or signed in between;
//! what the server reaches is told as a share of what that reaches in the same run.
//!
//! Full rate is a closed loop of concurrent publishers; latency is measured in an open loop, from the moment at which an
//! event was to be sent, whatever became of those before it.

mod bench;
mod cluster;
mod committed;
mod database;
mod echo;
#[path = "../../tests/support/key.rs"]
mod key;
mod load;
mod machine;
mod message;
mod poster;
mod process;
mod publish;
mod receive;
#[path = "../report/mod.rs"]
mod report;
mod scenario;
mod seed;
mod seen;
mod site;
mod sql;
mod stream;
mod targets;
mod usage;
mod watch;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// The server's, so that the baseline differs from it in what it does alone.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
#[command(
    name = "delivery",
    args_override_self = true,
    about = "Measures deliveries: rate, latency, processor time, memory, and faults"
)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    bench: bench::Options,
    /// Given by cargo.
    #[arg(long = "bench", hide = true)]
    _cargo: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Publishes events.
    #[command(hide = true)]
    Publish(publish::Args),
    /// Answers requests and notes when they came.
    #[command(hide = true)]
    Receive(receive::Args),
    /// Watches deliveries, a stream for each endpoint.
    #[command(hide = true)]
    Watch(watch::Args),
    /// The baseline: takes events and posts them, storing nothing.
    #[command(hide = true)]
    Echo(echo::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One thread for each of publisher, receiver and watcher, so that they leave the machine to what is measured.
    let mut runtime = match args.role {
        Some(Role::Echo(_)) => tokio::runtime::Builder::new_multi_thread(),
        Some(Role::Publish(_) | Role::Receive(_) | Role::Watch(_)) | None => {
            tokio::runtime::Builder::new_current_thread()
        }
    };
    let runtime = runtime.enable_all().build()?;
    match args.role {
        Some(Role::Publish(args)) => runtime.block_on(publish::run(args)),
        Some(Role::Receive(args)) => runtime.block_on(receive::run(args)),
        Some(Role::Watch(args)) => runtime.block_on(watch::run(args)),
        Some(Role::Echo(args)) => runtime.block_on(echo::run(args)),
        None => runtime.block_on(bench::run(args.bench)),
    }
}
