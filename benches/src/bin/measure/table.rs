//! The output.
#![expect(clippy::print_stdout, reason = "a command for developers; this is its output")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

/// Prints a line as soon as it is known.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Whether the heading of the comparisons is there.
    headed: bool,
    /// Where raw values go, a line of JSON each.
    raw: Option<File>,
    /// What they are about.
    title: String,
}

impl Table {
    /// Writes raw values there from now on.
    pub(crate) fn raw_to(&mut self, path: &Path) -> Result<()> {
        self.raw = Some(File::create(path).with_context(|| path.display().to_string())?);
        Ok(())
    }

    /// Every round's value.
    pub(crate) fn raw(&mut self, who: &str, unit: &str, values: &[f64]) -> Result<()> {
        let Some(file) = &mut self.raw else { return Ok(()) };
        for (round, value) in values.iter().enumerate() {
            let line = json!({
                "part": "measure", "what": self.title, "who": who, "round": round, "value": value, "unit": unit,
            });
            writeln!(file, "{line}")?;
        }
        Ok(())
    }

    /// Two times for the same work; a ratio below 1 means that the daemon is faster.
    pub(crate) fn times(&mut self, what: &str, daemon: Duration, bare: Duration) {
        let ratio = daemon.as_secs_f64() / bare.as_secs_f64();
        self.compared(what, &text(daemon), &text(bare), &format!("{ratio:.2}"));
    }

    /// Two rates in bytes per second; a ratio above 1 means that the daemon is faster.
    pub(crate) fn rates(&mut self, what: &str, daemon: f64, bare: f64) {
        let text = |rate: f64| format!("{:.0} MB/s", rate / 1e6);
        self.compared(what, &text(daemon), &text(bare), &format!("{:.2}", daemon / bare));
    }

    /// A number that has no bare counterpart.
    pub(crate) fn number(&mut self, what: &str, value: &str) {
        self.compared(what, value, "", "");
    }

    fn compared(&mut self, what: &str, daemon: &str, bare: &str, ratio: &str) {
        if !self.headed {
            self.headed = true;
            println!("{:<52} {:>12} {:>12} {:>8}", "what", "daemon", "bare", "ratio");
        }
        let line = format!("{what:<52} {daemon:>12} {bare:>12} {ratio:>8}");
        println!("{}", line.trim_end());
    }

    /// What the rows that follow are about.
    pub(crate) fn title(&mut self, text: &str) {
        self.headed = false;
        text.clone_into(&mut self.title);
        println!("\n{text}\n");
    }

    /// The heading of a table of its own, in Markdown.
    pub(crate) fn head(&mut self, names: &[&str]) {
        println!("| {} |", names.join(" | "));
        println!("|{}", "---|".repeat(names.len()));
    }

    /// One row of it.
    pub(crate) fn row(&mut self, cells: &[String]) {
        println!("| {} |", cells.join(" | "));
    }

    /// Something said beside it.
    pub(crate) fn line(&mut self, text: &str) {
        println!("{text}");
    }
}

/// `0.123 ms`, `1234 ms`
pub(crate) fn text(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 100.0 { format!("{ms:.3} ms") } else { format!("{ms:.0} ms") }
}

/// The value that this share of the samples does not exceed; `share` from 0.0 to 1.0.
pub(crate) fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let wanted = share * samples.len() as f64;
    let rank = samples.iter().zip(1_u32..).find(|(_, n)| f64::from(*n) >= wanted);
    rank.map_or(Duration::ZERO, |(time, _)| *time)
}
