//! `cargo xtask sanitize`: the tests of the crates that have `unsafe` or count bytes, with AddressSanitizer. By hand: it builds
//! everything anew.

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
    let mut cargo = fuzz::cargo();
    cargo.current_dir(workspace.workspace_root.as_std_path()).env("RUSTFLAGS", "-Zsanitizer=address");
    cargo.args(["test", "--locked", "--no-fail-fast", "--package", "sys", "--package", "logpipe"]);
    cargo.args(["--target", &fuzz::triple(), "--target-dir"]);
    cargo.arg(workspace.target_directory.as_std_path().join("sanitize/address"));
    let status = cargo.status().context("running cargo")?;
    let word = if status.success() { "ok" } else { "BROKE" };
    say(&format!(
        "{word}: AddressSanitizer, sys and logpipe, {:.0} s; {LIMITS}",
        begin.elapsed().as_secs_f64()
    ));
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}
