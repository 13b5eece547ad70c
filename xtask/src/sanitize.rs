//! `cargo xtask sanitize`: the tests of the crates that have `unsafe` or count bytes, with AddressSanitizer. By hand: it builds
//! everything anew.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

use crate::fuzz;

/// Said with each result.
const LIMITS: &str = "not seen: the standard library and C, what the kernel writes, and programs after exec";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let workspace = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let begin = Instant::now();
    let place = workspace.target_directory.as_std_path().join("sanitize");
    // What it says goes into files, one for each process: a child on a stack of its own makes it print a warning where a test reads
    // what the child's program printed.
    let reports = place.join("reports");
    if reports.exists() {
        fs::remove_dir_all(&reports).with_context(|| format!("removing {}", reports.display()))?;
    }
    fs::create_dir_all(&reports).with_context(|| format!("creating {}", reports.display()))?;
    let mut cargo = fuzz::cargo();
    cargo.env("ASAN_OPTIONS", format!("log_path={}", reports.join("of").display()));
    cargo.current_dir(workspace.workspace_root.as_std_path()).env("RUSTFLAGS", "-Zsanitizer=address");
    cargo.args(["test", "--locked", "--no-fail-fast", "--package", "sys", "--package", "logpipe"]);
    cargo.args(["--target", &fuzz::triple(), "--target-dir"]);
    cargo.arg(place.join("address"));
    let status = cargo.status().context("running cargo")?;
    let found = errors(&reports)?;
    found.iter().for_each(|report| say(report));
    let good = status.success() && found.is_empty();
    let word = if good { "ok" } else { "BROKE" };
    say(&format!(
        "{word}: AddressSanitizer, sys and logpipe, {:.0} s; {LIMITS}",
        begin.elapsed().as_secs_f64()
    ));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The reports that tell of a defect, also of a process whose end no test looked at.
fn errors(reports: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(reports).with_context(|| format!("reading {}", reports.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        if text.contains("ERROR: AddressSanitizer") {
            found.push(text);
        }
    }
    Ok(found)
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_defect_is_found_among_warnings() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("of.1"),
            "==1==WARNING: ASan is ignoring requested __asan_handle_no_return\n",
        )
        .unwrap();
        assert!(errors(dir.path()).unwrap().is_empty());
        fs::write(dir.path().join("of.2"), "==2==ERROR: AddressSanitizer: heap-use-after-free\n").unwrap();
        assert_eq!(errors(dir.path()).unwrap().len(), 1);
    }
}
