//! `make bench`: how fast events become deliveries, and what that costs.
//!
//! Publisher, server and receiver are processes of their own: this binary starts itself again in the roles `publish`,
//! `receive` and `echo`, and the real `tidings serve`, on loopback and plain HTTP. Each scenario begins with a new
//! database. `echo` is the baseline: the same gRPC call and the same POST, with nothing stored in between; what the
//! server reaches is told as a share of what that reaches in the same run.
//!
//! Full rate is a closed loop of concurrent publishers; latency is measured in an open loop, from the moment at which an
//! event was to be sent, whatever became of those before it.

mod echo;
#[path = "../../tests/support/key.rs"]
mod key;
mod message;
mod process;
mod publish;
mod receive;
mod report;
mod scenario;
mod stream;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "delivery", about = "Measures deliveries: rate, latency, processor time and memory")]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// Seconds that each scenario publishes for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs of each scenario; the report shows medians.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these scenarios, such as `1:1,1:1 baseline`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Folder for the databases. It must be on a disk: a commit to memory costs nothing.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/../bench"))]
    folder: PathBuf,
    /// The server to be measured.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidings"))]
    server: PathBuf,
    /// Where the figures go as JSON. Default: `delivery.json` in the folder.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Publishes events.
    #[command(hide = true)]
    Publish(publish::Args),
    /// Answers requests and notes when they came.
    #[command(hide = true)]
    Receive,
    /// The baseline: takes events and posts them, storing nothing.
    #[command(hide = true)]
    Echo(echo::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One thread for each of publisher and receiver, so that they leave the machine to what is measured.
    let mut runtime = match args.role {
        Some(Role::Echo(_)) => tokio::runtime::Builder::new_multi_thread(),
        Some(Role::Publish(_) | Role::Receive) | None => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match args.role {
        Some(Role::Publish(args)) => runtime.block_on(publish::run(args)),
        Some(Role::Receive) => runtime.block_on(receive::run()),
        Some(Role::Echo(args)) => runtime.block_on(echo::run(args)),
        None => runtime.block_on(measure(args)),
    }
}

async fn measure(args: Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.folder)?;
    let folder = args.folder.canonicalize()?;
    process::refuse_memory_disk(&folder)?;
    let mut results = Vec::new();
    for run in 1..=args.runs {
        for scenario in
            scenario::ALL.iter().filter(|scenario| args.only.is_empty() || args.only.contains(&scenario.name()))
        {
            eprint!("run {run} of {}: {} … ", args.runs, scenario.name());
            let result = scenario::run(scenario, &args.server, &folder, args.seconds).await?;
            eprintln!("{}", result.summary());
            results.push(result);
        }
    }
    println!("{}", report::table(&results));
    let json = args.json.unwrap_or_else(|| folder.join("delivery.json"));
    std::fs::write(&json, serde_json::to_vec_pretty(&results)?)?;
    println!("All figures: {}", json.display());
    Ok(())
}
