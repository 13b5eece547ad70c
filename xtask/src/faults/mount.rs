//! A small file system of its own on a directory, gone at the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A tmpfs on a directory.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// With these options of mount(8).
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Result<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "pm-faults"]).arg(at);
        let output = command.output().context("mount(8) can't be executed")?;
        ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(Self(at.to_owned()))
    }

    /// Takes it away.
    pub(crate) fn end(self) {}
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a daemon that still has files open there must not keep it from being gone.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}
