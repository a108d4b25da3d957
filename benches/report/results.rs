//! All figures of a machine: what `docs/performance.json` holds.

use serde::{Deserialize, Serialize};

use super::figures::{Figures, median};

/// A database that Tidings runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// Where figures were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: u64,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// The file system that the databases are on, and its device.
    pub(crate) disk: String,
    pub(crate) rustc: String,
    /// The version of Postgres; empty where none was measured.
    pub(crate) postgres: String,
}

/// The runs of one scenario on one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) scenario: String,
    pub(crate) database: Database,
    /// The commit that was measured; with a `+` if files differed from it.
    pub(crate) revision: String,
    pub(crate) runs: Vec<Figures>,
}

/// All figures of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) measured: Vec<Measured>,
}

impl Machine {
    /// Whether figures of the two may stand side by side. One may not know a Postgres that the other does.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let postgres = self.postgres.is_empty() || other.postgres.is_empty() || self.postgres == other.postgres;
        let others = |machine: &Self| Self { postgres: String::new(), ..machine.clone() };
        postgres && others(self) == others(other)
    }
}

impl Results {
    /// The median over the runs of a scenario.
    pub(crate) fn median(&self, scenario: &str, database: Database, figure: &str) -> Option<f64> {
        let measured = self.find(scenario, database)?;
        median(measured.runs.iter().filter_map(|run| run.get(figure)).collect())
    }

    /// The runs of a scenario.
    pub(crate) fn find(&self, scenario: &str, database: Database) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.scenario == scenario && measured.database == database)
    }

    /// Takes in a scenario's runs: instead of those that are there, or with `add` besides those of the same revision.
    pub(crate) fn take(&mut self, newer: Measured, add: bool) {
        let same = |old: &Measured| old.scenario == newer.scenario && old.database == newer.database;
        match self.measured.iter_mut().find(|old| same(old)) {
            Some(old) if add && old.revision == newer.revision => old.runs.extend(newer.runs),
            Some(old) => *old = newer,
            None => self.measured.push(newer),
        }
    }
}
