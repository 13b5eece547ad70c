//! `cargo xtask system-test`: the release build, installed with the commands of the installation guide on a real
//! systemd, beside a real journald and a real Prometheus.

mod bed;
mod cgroup;
mod checks;
pub(crate) mod container;
pub(crate) mod image;
mod journal;
mod listing;
mod prometheus;
mod report;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;

use bed::Bed;
use checks::{CHECKS, Check, packages};
use container::Container;
use report::{Report, Verdict};

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only checks whose `topic: name` holds this text, and those that others build on
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print the checks and do nothing
    #[arg(long)]
    list: bool,
    /// Take the release build as it is
    #[arg(long)]
    no_build: bool,
    /// Try what `cargo xtask package --all` made, in place of the programs
    #[arg(long)]
    packages: bool,
}

/// Where sources and build are.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let wanted = |check: &&Check| args.only.as_ref().is_none_or(|text| check.title().contains(text.as_str()));
    let report = Report::new();
    let checks: &[Check] = if args.packages { &packages::CHECKS } else { &CHECKS };
    if args.list {
        checks.iter().filter(wanted).for_each(|check| report.line(&check.title()));
        return Ok(ExitCode::SUCCESS);
    }
    let last =
        checks.iter().rposition(|check| wanted(&check)).context("no check has that text in its title")?;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the system test boots a container and needs root: sudo -E env PATH=\"$PATH\" cargo xtask system-test"
    );
    let workspace = workspace()?;
    if !args.no_build {
        if args.packages {
            report.step("packages", || crate::package::make_all().map(drop))?;
        } else {
            report.step("release build", || build(&workspace))?;
        }
    }
    let image = report.step("container image", image::prepare)?;
    // The mount point of the second bind, which the first one makes read-only, wherever the build is.
    std::fs::create_dir_all(workspace.root.join("target"))?;
    let binds = [(workspace.root.as_path(), "/src"), (workspace.target.as_path(), "/src/target")];
    let container = report.step("boot", || Container::boot(&image, &binds))?;
    let bed = Bed::new(container);
    // In order, and up to the last one that is wanted: checks build on what the essential ones before them did.
    for check in checks[..=last].iter().filter(|check| check.essential || wanted(check)) {
        let verdict = report.check(check, &bed);
        if verdict == Verdict::Failed && check.essential {
            report.line("the checks after this one build on it and were not run");
            break;
        }
    }
    bed.shut_down();
    Ok(report.end())
}

fn workspace() -> Result<Workspace> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    Ok(Workspace {
        root: metadata.workspace_root.into_std_path_buf(),
        target: metadata.target_directory.into_std_path_buf(),
    })
}

fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "--package=daemon", "--package=cli", "--package=testkit"]);
    let status = cargo.current_dir(&workspace.root).status().context("running cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(())
}
