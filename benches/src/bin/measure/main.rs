//! Measures the daemon on this machine, each number in one run beside what it is compared with, and prints tables.
//!
//! ```text
//! cargo build --release --workspace
//! cargo run --release --bin measure [NAME...] [--restarts N] [--only TEXT]
//! ```
//! Without a name it does those that take seconds: spawn, restart, pipe, list and idle, beside a bare loop that does the
//! same. By name only, since they take minutes or fill the machine: `endurance` (`--restarts` of each kind, 100,000),
//! `latency`, `exits`, `reload`. `--only` leaves out whatever has not this text in its title.

mod daemon;
mod endurance;
mod exits;
mod home;
mod idle;
mod latency;
mod list;
mod pipe;
mod reload;
mod restart;
mod scrape;
mod spawn;
mod table;

use anyhow::{Context as _, Result, bail};

use table::Table;

/// What may be asked for beside names.
#[derive(Debug)]
pub(crate) struct Options {
    /// Crash-restarts of each kind that [`endurance`] goes through.
    pub(crate) restarts: u64,
    only: Option<String>,
}

impl Options {
    /// Whether this part of a measurement was not asked for.
    pub(crate) fn leaves_out(&self, title: &str) -> bool {
        self.only.as_ref().is_some_and(|only| !title.contains(only.as_str()))
    }
}

/// A measurement: its name on the command line, whether it is done unasked, and what does it.
type Measurement = (&'static str, bool, fn(&mut Table, &Options) -> Result<()>);

const ALL: [Measurement; 9] = [
    ("spawn", true, |table, _| spawn::measure(table)),
    ("restart", true, |table, _| restart::measure(table)),
    ("pipe", true, |table, _| pipe::measure(table)),
    ("list", true, |table, _| list::measure(table)),
    ("idle", true, |table, _| idle::measure(table)),
    ("endurance", false, endurance::measure),
    ("latency", false, latency::measure),
    ("exits", false, exits::measure),
    ("reload", false, reload::measure),
];

fn main() -> Result<()> {
    let mut options = Options { restarts: 100_000, only: None };
    let mut wanted = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} takes a value"));
        match word.as_str() {
            "--restarts" => options.restarts = value()?.parse().context("--restarts takes a number")?,
            "--only" => options.only = Some(value()?),
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
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    table.line(&format!(
        "{cores} processors, load average {load}: what others do meanwhile is in every number"
    ));
    for (name, unasked, measure) in ALL {
        if wanted.iter().any(|w| w == name) || wanted.is_empty() && unasked {
            measure(&mut table, &options)?;
        }
    }
    Ok(())
}
