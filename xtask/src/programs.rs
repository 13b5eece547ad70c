//! The programs that a task tries.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Which build is taken.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// Take the programs beside this one as they are
    #[arg(long)]
    no_build: bool,
}

impl Build {
    /// Builds what is needed, unless that was not wanted.
    pub(crate) fn run(&self) -> Result<()> {
        if self.no_build { Ok(()) } else { build(Path::new(env!("CARGO_MANIFEST_DIR"))) }
    }
}

/// The daemon, its client and the child of the tests, in this profile.
pub(crate) fn build(root: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package=daemon", "--package=cli", "--package=testkit"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(root).status().context("running cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(())
}
