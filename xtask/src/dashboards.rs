//! `cargo xtask dashboards`: the rules for Prometheus in promtool, then every query of every dashboard and rule on a real
//! Prometheus that scrapes a daemon with processes in each state.
//!
//! Needs `prometheus` and `promtool` (Debian: `apt-get install prometheus`), no root and no network but loopback.

mod ask;
mod promql;
mod queries;
mod scene;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::prometheus::Prometheus;
use scene::Scene;

/// The rules, the tests of the rules, and the example for whoever begins.
const RULES: &str = "dashboards/alerts/ddprocmgr.yml";
const RULE_TESTS: &str = "dashboards/alerts/tests";
const EXAMPLE: &str = "examples/prometheus.yml";
/// Explains all of it, with queries as examples.
const GUIDE: &str = "docs/MONITORING.md";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take the debug build as it is
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let root = root.workspace_root.into_std_path_buf();
    if !args.no_build {
        step("debug build", || crate::programs::build(&root))?;
    }
    step("promtool: the rules, their tests and the example", || promtool(&root))?;
    let mut scene = step("a daemon with a process in each state", Scene::start)?;
    let prometheus = step("Prometheus", || Prometheus::start(&scene.target(), Some(&root.join(RULES)), 1))?;
    scene.happen(&prometheus)?;
    step("every query of the dashboards and rules", || ask::everything(&prometheus, &root))?;
    step("alerts that are due, and no others", || scene::alerts_are_right(&prometheus))?;
    step("a restart of the daemon is no alert", || scene.restart(&prometheus))?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "ok  " } else { "FAIL" };
    println!("{verdict}  {:6.2} s  {what}", begin.elapsed().as_secs_f64());
    result
}

fn promtool(root: &Path) -> Result<()> {
    let mut tests: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(root.join(RULE_TESTS)).context(RULE_TESTS)? {
        tests.push(entry?.path());
    }
    ensure!(!tests.is_empty(), "no tests in {RULE_TESTS}");
    check(
        Command::new("promtool").args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(root.join(RULES)),
    )?;
    check(
        Command::new("promtool")
            .args(["check", "config", "--lint=all", "--lint-fatal"])
            .arg(root.join(EXAMPLE)),
    )?;
    check(Command::new("promtool").args(["test", "rules"]).args(&tests))
}

/// Runs a program that has to succeed.
fn check(command: &mut Command) -> Result<()> {
    let done = testkit::run(command)
        .context("promtool can't be executed: apt-get install --no-install-recommends prometheus")?;
    ensure!(done.code == 0, "{done}");
    Ok(())
}
