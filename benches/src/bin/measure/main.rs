//! Measures the daemon on this machine, each number in one run beside what it is compared with, and prints tables.
//!
//! ```text
//! cargo build --release --workspace
//! cargo run --release --bin measure [NAME...] [--restarts N] [--rounds N] [--lines N] [--gigabytes N] [--only TEXT]
//! ```
//! Without a name it does those that take seconds: spawn, restart, pipe, list and idle, beside a bare loop that does the
//! same. By name only, since they take minutes or fill the machine: `endurance` (`--restarts` of each kind, 100,000),
//! `latency`, `exits`, `reload`, `scrapes` and `watchers` (`--rounds`), `hostile`, `logs` (`--rounds` of `--lines` each, a flood of `--gigabytes`). `--only` leaves out whatever has not this text in its title, and
//! `--raw FILE` keeps the values of `logs` and `scrapes` before anything is averaged.

mod daemon;
mod endurance;
mod exits;
mod home;
mod hostile;
mod idle;
mod latency;
mod list;
mod logs;
mod pipe;
mod reload;
mod restart;
mod scrape;
mod scrapes;
mod spawn;
mod table;
mod watchers;

use anyhow::{Context as _, Result, bail};

use table::Table;

/// What may be asked for beside names.
#[derive(Debug)]
pub(crate) struct Options {
    /// Crash-restarts of each kind that [`endurance`] goes through.
    pub(crate) restarts: u64,
    /// Rounds that a number of [`logs`] is the median of.
    pub(crate) rounds: usize,
    /// Lines of 100 bytes in each round there.
    pub(crate) lines: u64,
    /// How much a child prints in the flood there; 10^9 bytes each.
    pub(crate) gigabytes: u64,
    only: Option<String>,
}

impl Options {
    /// Whether this part of a measurement was not asked for.
    pub(crate) fn leaves_out(&self, title: &str) -> bool {
        self.only.as_ref().is_some_and(|only| !title.contains(only.as_str()))
    }
}

/// What does a measurement.
pub(crate) type Measure = fn(&mut Table, &Options) -> Result<()>;
/// A measurement: its name on the command line, whether it is done unasked, and what does it.
type Measurement = (&'static str, bool, Measure);

const ALL: [Measurement; 13] = [
    ("spawn", true, |table, _| spawn::measure(table)),
    ("restart", true, |table, _| restart::measure(table)),
    ("pipe", true, |table, _| pipe::measure(table)),
    ("list", true, |table, _| list::measure(table)),
    ("idle", true, |table, _| idle::measure(table)),
    ("endurance", false, endurance::measure),
    ("latency", false, latency::measure),
    ("exits", false, exits::measure),
    ("reload", false, reload::measure),
    ("logs", false, logs::measure),
    ("scrapes", false, scrapes::measure),
    ("watchers", false, watchers::measure),
    ("hostile", false, hostile::measure),
];

fn main() -> Result<()> {
    let mut options = Options { restarts: 100_000, rounds: 5, lines: 5_000_000, gigabytes: 10, only: None };
    let (mut wanted, mut raw) = (Vec::new(), None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} takes a value"));
        match word.as_str() {
            "--restarts" => options.restarts = value()?.parse().context("--restarts takes a number")?,
            "--rounds" => options.rounds = value()?.parse().context("--rounds takes a number")?,
            "--lines" => options.lines = value()?.parse().context("--lines takes a number")?,
            "--gigabytes" => options.gigabytes = value()?.parse().context("--gigabytes takes a number")?,
            "--only" => options.only = Some(value()?),
            "--raw" => raw = Some(value()?),
            name if ALL.iter().any(|(known, ..)| known == &name) => wanted.push(word),
            unknown => {
                bail!(
                    "no measurement is called {unknown}; there are {}",
                    ALL.map(|(name, ..)| name).join(", ")
                )
            }
        }
    }
    let mut table = Table::default();
    if let Some(path) = raw {
        table.raw_to(path.as_ref())?;
    }
    table.line(&benches::machine::describe());
    for (name, unasked, measure) in ALL {
        if wanted.iter().any(|w| w == name) || wanted.is_empty() && unasked {
            measure(&mut table, &options)?;
        }
    }
    Ok(())
}
