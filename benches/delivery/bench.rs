//! The benchmark as it is called: which scenarios run how often on which database, and where their figures go.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    cluster::Cluster,
    committed, machine,
    report::{
        check,
        results::{Database, Measured, Results},
        table,
    },
    scenario::{self, Scenario},
    usage,
};

/// What the benchmark is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Databases to measure on.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite")]
    database: Vec<Kind>,
    /// Only these scenarios, such as `1:1,kill`; without it all but `long`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds that a scenario publishes for; some take what time they need.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs of each scenario; the report shows medians.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Leave out the baseline, for a quick look.
    #[arg(long)]
    without_baseline: bool,
    /// Folder for the databases. It must be on a disk: a commit to memory costs nothing.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/../bench"))]
    folder: PathBuf,
    /// The server to be measured.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidings"))]
    server: PathBuf,
    /// Where the figures go as JSON. Default: `delivery.json` in the folder.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put the figures into docs/performance.json, and write the page and the plot anew.
    #[arg(long)]
    write: bool,
    /// With `--write`: besides the runs that are there of the same revision, instead of in their place.
    #[arg(long, requires = "write")]
    add: bool,
    /// Measure nothing: write the page and the plot anew from docs/performance.json.
    #[arg(long, exclusive = true)]
    rewrite: bool,
    /// Fail if deliveries are dearer than in docs/performance.json.
    #[arg(long, conflicts_with_all = ["write", "only", "without_baseline"])]
    check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

/// What every scenario is given.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The server to be measured.
    pub(crate) server: PathBuf,
    /// For databases and files.
    pub(crate) folder: PathBuf,
    /// Seconds that a scenario publishes for.
    pub(crate) seconds: u64,
    pub(crate) with_baseline: bool,
    /// The cluster for databases of Postgres's; without it they are SQLite's.
    pub(crate) cluster: Option<Cluster>,
}

/// Measures what was asked for, prints it, and puts it where it was asked to go.
pub(crate) async fn run(args: Options) -> anyhow::Result<()> {
    if args.rewrite {
        return committed::write_page(&committed::read()?);
    }
    std::fs::create_dir_all(&args.folder)?;
    let folder = args.folder.canonicalize()?;
    usage::refuse_memory_disk(&folder)?;
    let only: Vec<String> =
        if args.check { check::SCENARIOS.into_iter().map(str::to_owned).collect() } else { args.only.clone() };
    let scenarios = scenario::named(&only)?;
    let mut results = Results { machine: machine::describe(&folder)?, measured: Vec::new() };
    for kind in &args.database {
        let mut bench = Bench {
            server: args.server.clone(),
            folder: folder.clone(),
            seconds: args.seconds,
            with_baseline: !args.without_baseline,
            cluster: None,
        };
        if *kind == Kind::Postgres {
            let cluster = Cluster::start().await?;
            results.machine.postgres = cluster.version().to_owned();
            bench.cluster = Some(cluster);
        }
        measure(&bench, &scenarios, args.runs, &mut results).await?;
        if let Some(cluster) = bench.cluster {
            cluster.stop().await?;
        }
    }
    println!("\n{}", table::table(&results));
    let json = args.json.unwrap_or_else(|| folder.join("delivery.json"));
    std::fs::write(&json, serde_json::to_vec_pretty(&results)?)?;
    println!("All figures: {}", json.display());
    if args.write {
        committed::take(results, args.add)?;
    } else if args.check {
        committed::compare(&results)?;
    }
    Ok(())
}

async fn measure(bench: &Bench, scenarios: &[&Scenario], runs: usize, results: &mut Results) -> anyhow::Result<()> {
    let database = bench.database();
    let revision = machine::revision()?;
    // Run after run rather than scenario after scenario, so that what changes with time meets all of them.
    for run in 1..=runs {
        for scenario in scenarios {
            eprintln!("run {run} of {runs}, {database:?}: {}", scenario.name);
            let figures = (scenario.run)(bench).await?;
            eprintln!("  {}", serde_json::to_string(&figures)?);
            let measured = Measured {
                scenario: scenario.name.to_owned(),
                database,
                revision: revision.clone(),
                runs: vec![figures],
            };
            results.take(measured, run > 1);
        }
    }
    Ok(())
}

impl Bench {
    /// Which database is measured.
    pub(crate) fn database(&self) -> Database {
        if self.cluster.is_some() { Database::Postgres } else { Database::Sqlite }
    }
}
