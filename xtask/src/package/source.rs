//! What packages are made from: the tree, the builds, the version, and a time that does not depend on the clock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::MetadataCommand;
use testkit::run;

/// The target of static programs.
pub(super) const STATIC: &str = "x86_64-unknown-linux-musl";

/// Where everything is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) root: PathBuf,
    target: PathBuf,
    pub(super) version: String,
    /// Seconds since 1970 that every file in a package gets: the same tree gives the same package.
    pub(super) epoch: u64,
}

impl Source {
    pub(super) fn read() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
        let daemon = metadata.packages.iter().find(|package| package.name.as_str() == "daemon");
        let version = daemon.context("the workspace has no package `daemon`")?.version.to_string();
        let root = metadata.workspace_root.into_std_path_buf();
        let epoch = epoch(&root)?;
        Ok(Self { root, target: metadata.target_directory.into_std_path_buf(), version, epoch })
    }

    /// Where packages go.
    pub(super) fn output(&self) -> Result<PathBuf> {
        let dir = self.target.join("package");
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// A directory of this name in there, empty.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let dir = self.output()?.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// Where the release build of a target has its programs.
    pub(super) fn programs(&self, target: Option<&str>) -> PathBuf {
        target.map_or_else(|| self.target.clone(), |triple| self.target.join(triple)).join("release")
    }

    /// The release build, for this machine's own target or for another one.
    pub(super) fn build(&self, target: Option<&str>) -> Result<()> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet", "--locked", "--package=daemon", "--package=cli"]);
        cargo.args(target.map(|triple| format!("--target={triple}")));
        let status = cargo.current_dir(&self.root).status().context("running cargo")?;
        let hint = target.map(|t| format!("\n\nhint: rustup target add {t}")).unwrap_or_default();
        ensure!(status.success(), "cargo build: {status}{hint}");
        Ok(())
    }
}

/// `SOURCE_DATE_EPOCH`, else the time of the last commit.
fn epoch(root: &Path) -> Result<u64> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH={text:?} is no number of seconds"));
    }
    let text = output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root));
    let text =
        text.context("the time of the last commit is the time in the package; or set SOURCE_DATE_EPOCH")?;
    text.trim().parse().with_context(|| format!("git told no time: {text:?}"))
}

/// Standard output of a command that has to succeed.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = run(command).with_context(|| format!("{name} can't be run"))?;
    if done.code == 0 { Ok(done.stdout) } else { bail!("{name} failed: {done}") }
}
