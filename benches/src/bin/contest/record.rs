//! Raw values, a line of JSON each: nothing is averaged here.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The file.
#[derive(Debug)]
pub(crate) struct Record {
    file: File,
}

/// Where a value belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) part: &'a str,
    /// Processes.
    pub(crate) count: usize,
    pub(crate) round: usize,
    pub(crate) who: &'a str,
}

impl Record {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: File::create(path).with_context(|| path.display().to_string())? })
    }

    pub(crate) fn value(&mut self, place: Place<'_>, what: &str, value: f64, unit: &str) -> Result<()> {
        let Place { part, count, round, who } = place;
        self.line(&json!({
            "part": part, "count": count, "round": round, "who": who, "what": what, "value": value, "unit": unit,
        }))
    }

    pub(crate) fn version(&mut self, who: &str, version: &str) -> Result<()> {
        self.line(&json!({ "who": who, "version": version }))
    }

    pub(crate) fn machine(&mut self, machine: &str) -> Result<()> {
        self.line(&json!({ "machine": machine }))
    }

    pub(crate) fn left_out(&mut self, part: &str, who: &str, why: &str) -> Result<()> {
        say(&format!("{part}: {who} left out: {why}"));
        self.line(&json!({ "part": part, "who": who, "left_out": why }))
    }

    /// Written at once: an interrupted run keeps what it has.
    fn line(&mut self, value: &Value) -> Result<()> {
        Ok(writeln!(self.file, "{value}")?)
    }
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
