//! `cargo xtask package`: a .deb, an archive with a static build, and what a container image is made from.

mod container;
mod contents;
mod deb;
mod source;
mod tarball;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};

use source::Source;

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the Debian package
    #[arg(long)]
    deb: bool,
    /// Make the archive with static programs and install.sh, and the files of the container images
    #[arg(long)]
    tarball: bool,
    /// Make everything
    #[arg(long, conflicts_with_all = ["deb", "tarball"])]
    all: bool,
    /// Take the release builds as they are
    #[arg(long)]
    no_build: bool,
    /// Take the programs in this directory, for example target/debug, for the Debian package
    #[arg(long, value_name = "DIR", conflicts_with_all = ["all", "tarball"])]
    programs: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    make(args)?.iter().for_each(|path| show(path));
    Ok(ExitCode::SUCCESS)
}

fn make(args: &Args) -> Result<Vec<PathBuf>> {
    ensure!(args.deb || args.tarball || args.all, "nothing to make\n\nhint: --deb, --tarball or --all");
    let source = Source::read()?;
    let mut made = Vec::new();
    if args.deb || args.all {
        if !args.no_build && args.programs.is_none() {
            source.build(None)?;
        }
        let programs = args.programs.clone().unwrap_or_else(|| source.programs(None));
        made.push(deb::make(&source, &programs)?);
    }
    if args.tarball || args.all {
        if !args.no_build {
            source.build(Some(source::STATIC))?;
        }
        made.push(tarball::make(&source)?);
        made.push(container::make(&source)?);
    }
    Ok(made)
}

/// Builds and packs everything.
pub(crate) fn make_all() -> Result<Vec<PathBuf>> {
    make(&Args { deb: false, tarball: false, all: true, no_build: false, programs: None })
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn show(path: &Path) {
    println!("{}", path.display());
}
