//! `cargo xtask system-test`: the release build, installed with the commands of the installation guide on a real
//! systemd, beside a real journald and a real Prometheus. Each suite has a container of its own.

mod bed;
mod cgroup;
mod checks;
pub(crate) mod container;
pub(crate) mod image;
mod journal;
mod listing;
mod prometheus;
mod report;
mod typed;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;

use bed::Bed;
use checks::{PACKAGES, SUITES, Suite};
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
    /// Take the programs in this directory, for example target/debug, in place of the release build
    #[arg(long, value_name = "DIR", conflicts_with = "packages")]
    programs: Option<PathBuf>,
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
    let only = args.only.as_deref().unwrap_or_default();
    let report = Report::new();
    let suites: &[Suite] = if args.packages { &PACKAGES } else { &SUITES };
    let suites: Vec<&Suite> = suites.iter().filter(|suite| suite.wants(only)).collect();
    ensure!(!suites.is_empty(), "no check has that text in its title");
    if args.list {
        suites.iter().flat_map(|suite| suite.titles(only)).for_each(|title| report.line(&title));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the system test boots a container and needs root: sudo -E env PATH=\"$PATH\" cargo xtask system-test"
    );
    let workspace = workspace()?;
    if args.packages && !args.no_build {
        report.step("packages", || crate::package::make_all().map(drop))?;
    } else if !args.no_build && args.programs.is_none() {
        report.step("release build", || build(&workspace))?;
    }
    let image = report.step("container image", image::prepare)?;
    let (built, place) = if args.packages {
        (workspace.target.clone(), "/src/target")
    } else {
        let programs = args.programs.clone().unwrap_or_else(|| workspace.target.join("release"));
        (programs, "/src/target/release")
    };
    let built = built.canonicalize().with_context(|| format!("there is no {}", built.display()))?;
    // The mount point of the second bind, which the first one makes read-only, wherever the build is.
    std::fs::create_dir_all(workspace.root.join("target/release"))?;
    let binds = [(workspace.root.as_path(), "/src"), (built.as_path(), place)];
    for suite in suites {
        let container = report.step(&format!("boot: {}", suite.name), || Container::boot(&image, &binds))?;
        let bed = Bed::new(container, suite.variant);
        try_all(suite, only, &bed, &report);
        bed.shut_down();
    }
    Ok(report.end())
}

/// In order, and up to the last one that is wanted: checks build on what the essential ones before them did.
fn try_all(suite: &Suite, only: &str, bed: &Bed, report: &Report) {
    for check in suite.up_to_the_last(only) {
        let verdict = report.check(&suite.title(check), check, bed);
        if verdict == Verdict::Failed && check.essential {
            report.line("the checks after this one build on it and were not run");
            break;
        }
    }
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
