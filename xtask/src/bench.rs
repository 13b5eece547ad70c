//! `cargo xtask bench`: everything side by side, in one run, and the tables of docs/BENCHMARKS.md from it.
//!
//! It builds the release, boots a systemd where it can, runs the measuring programs of `benches`, and makes tables, a file of
//! all raw values and pictures of them. It installs nothing: whoever is missing is named with the command that installs it.

mod against;
mod build;
mod curves;
mod document;
mod parts;
mod raw;
mod svg;
mod tables;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::system_test::container::Container;
use crate::system_test::image;
use build::Builds;
use parts::{Part, Ran};
use raw::Raw;

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only parts with this text in their name: starts, crowd, growth, file, fifty, journald, scrapes
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Rounds that a number is the median of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Only these peers, with commas; `none` for the daemon and the floor alone
    #[arg(long, value_name = "NAMES")]
    peers: Option<String>,
    /// A tenth of everything, to see that it works
    #[arg(long)]
    quick: bool,
    /// Compare with another revision, which is built in a worktree below target/, in place of peers
    #[arg(long, value_name = "REVISION")]
    against: Option<String>,
    /// Put tables and pictures of the parts that ran into docs/
    #[arg(long, conflicts_with_all = ["quick", "against"])]
    write: bool,
    /// Take the release build as it is
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let parts = Part::chosen(args.only.as_deref(), args.against.is_some())?;
    let builds = Builds::make(args.no_build, args.against.as_deref())?;
    let out = builds.target.join("bench");
    fs::create_dir_all(&out)?;
    // The same path in a container, and short enough for the sockets in it.
    let base = tempfile::Builder::new().prefix("pm-bench-").tempdir_in(base_dir())?;
    let announce = base.path().join("announce");
    fs::copy(&builds.announce, &announce).context("the child of all contestants")?;
    let wanted = |name: &str| args.peers.as_ref().is_none_or(|names| names.split(',').any(|n| n == name));
    let peers = args.against.is_none() && parts.iter().any(|part| part.has_peers());
    let container = if peers && wanted("systemd") { booted(base.path()) } else { None };
    let mut ran = Vec::new();
    for part in &parts {
        say(&format!("\n== {}", part.name()));
        let peers = if args.against.is_some() { Some("none") } else { args.peers.as_deref() };
        let done = part.run(&parts::Setting {
            builds: &builds,
            base: base.path(),
            announce: &announce,
            out: &out,
            init: container.as_ref().map(Container::init),
            rounds: args.rounds,
            quick: args.quick,
            peers,
        });
        // The other parts are measured all the same.
        let done = done.unwrap_or_else(|error| Ran {
            part: *part,
            raw: Raw::failed(&format!("{error:#}")),
            failed: true,
        });
        ran.push(done);
    }
    drop(container);
    let text = match &args.against {
        Some(revision) => against::tables(&ran, revision),
        None => tables::all(&ran),
    };
    fs::write(out.join("tables.md"), &text)?;
    fs::write(out.join("raw.json"), raw::together(&ran)?)?;
    say(&format!("\n{text}"));
    for (name, picture) in curves::pictures(&ran) {
        fs::write(out.join(&name), &picture)?;
        if args.write {
            fs::create_dir_all(builds.root.join("docs/benchmarks"))?;
            fs::write(builds.root.join("docs/benchmarks").join(&name), &picture)?;
        }
    }
    if args.write {
        document::write(&builds.root.join("docs/BENCHMARKS.md"), &ran)?;
    }
    say(&format!("tables.md, raw.json and pictures are in {}", out.display()));
    let failed: Vec<&str> = ran.iter().filter(|ran| ran.failed).map(|ran| ran.part.name()).collect();
    if !failed.is_empty() {
        say(&format!("parts that failed: {}", failed.join(", ")));
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A systemd that sees the directory, or why there is none.
fn booted(base: &std::path::Path) -> Option<Container> {
    let boot = || -> Result<Container> {
        ensure!(nix::unistd::geteuid().is_root(), "it needs root");
        let image = image::prepare()?;
        let path = base.to_str().context("the directory's name is no text")?;
        Container::boot(&image, &[(base, path)])
    };
    boot().map_err(|error| say(&format!("systemd is not booted: {error:#}"))).ok()
}

fn base_dir() -> std::path::PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), Into::into)
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}
