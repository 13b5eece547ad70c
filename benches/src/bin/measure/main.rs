//! Measures the daemon beside a bare loop that does the same, in one run on one machine, and prints the ratios.
//!
//! `cargo build --release --workspace && cargo run --release --bin measure [spawn] [restart] [pipe] [list] [idle]`

mod daemon;
mod idle;
mod list;
mod pipe;
mod restart;
mod spawn;
mod table;

use anyhow::{Result, bail};

use table::Table;

/// A measurement: its name on the command line and what does it.
type Measurement = (&'static str, fn(&mut Table) -> Result<()>);

const ALL: [Measurement; 5] = [
    ("spawn", spawn::measure),
    ("restart", restart::measure),
    ("pipe", pipe::measure),
    ("list", list::measure),
    ("idle", idle::measure),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|w| !ALL.iter().any(|(name, _)| name == w)) {
        bail!("no measurement is called {unknown}; there are {}", ALL.map(|(name, _)| name).join(", "));
    }
    let mut table = Table::new();
    for (name, measure) in ALL {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            measure(&mut table)?;
        }
    }
    Ok(())
}
