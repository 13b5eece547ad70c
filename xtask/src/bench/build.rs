//! What is measured: the release build of this tree, the child, and for a comparison the release build of another revision.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Builds {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The child of all contestants, linked statically.
    pub(crate) announce: PathBuf,
    /// Directories with programs, by name: this tree first.
    pub(crate) programs: Vec<(String, PathBuf)>,
}

/// What this tree is called.
pub(crate) const OURS: &str = "dd-procmgrd";

impl Builds {
    pub(crate) fn make(no_build: bool, against: Option<&str>) -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
        let root = metadata.workspace_root.into_std_path_buf();
        let target = metadata.target_directory.into_std_path_buf();
        let release = target.join("release");
        let announce = target.join("bench/announce");
        if !no_build {
            cargo(
                &root,
                &target,
                [
                    "build",
                    "--quiet",
                    "--release",
                    "--package=daemon",
                    "--bin=dd-procmgrd",
                    "--package=cli",
                    "--bin=pm-cli",
                    "--package=testkit",
                    "--bin=probe",
                    "--package=benches",
                    "--bins",
                ],
            )?;
            // With a directory of its own: other flags would have the next build made anew.
            let own = target.join("bench/static");
            cargo(
                &root,
                &own,
                [
                    "rustc",
                    "--quiet",
                    "--release",
                    "--package=benches",
                    "--bin=announce",
                    "--",
                    "-Ctarget-feature=+crt-static",
                    "-Crelocation-model=static",
                ],
            )?;
            fs::copy(own.join("release/announce"), &announce).context("the child")?;
        }
        let mut programs = vec![(OURS.to_owned(), release)];
        if let Some(revision) = against {
            programs.push((revision.to_owned(), other(&root, &target, revision, no_build)?));
        }
        Ok(Self { root, target, announce, programs })
    }

    /// A program of this tree.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }
}

/// Builds a revision in a worktree of its own, which stays, so that the next time is faster.
fn other(root: &Path, target: &Path, revision: &str, no_build: bool) -> Result<PathBuf> {
    let git = |dir: &Path, words: &[&OsStr]| -> Result<String> {
        let output = Command::new("git").arg("-C").arg(dir).args(words).output().context("running git")?;
        ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = format!("{revision}^{{commit}}");
    let commit =
        git(root, &["rev-parse".as_ref(), "--verify".as_ref(), "--end-of-options".as_ref(), commit.as_ref()])
            .with_context(|| format!("{revision} is no revision of this repository"))?;
    let tree = target.join("bench/against");
    if tree.join(".git").exists() {
        git(&tree, &["checkout".as_ref(), "--quiet".as_ref(), "--detach".as_ref(), commit.as_ref()])?;
    } else {
        // One whose directory was deleted is still known.
        git(root, &["worktree".as_ref(), "prune".as_ref()])?;
        let words: [&OsStr; 5] =
            ["worktree".as_ref(), "add".as_ref(), "--detach".as_ref(), tree.as_os_str(), commit.as_ref()];
        git(root, &words)?;
    }
    let own = target.join("bench/against-target");
    if !no_build {
        let words = ["--package=daemon", "--bin=dd-procmgrd", "--package=cli", "--bin=pm-cli"];
        cargo(&tree, &own, ["build", "--quiet", "--release", words[0], words[1], words[2], words[3]])?;
    }
    Ok(own.join("release"))
}

fn cargo<const N: usize>(dir: &Path, target: &Path, words: [&str; N]) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).env("CARGO_TARGET_DIR", target).current_dir(dir);
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "cargo {}: {status}", words.join(" "));
    Ok(())
}
