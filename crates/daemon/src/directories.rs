//! The directories that the daemon needs, made with their final modes.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::settings::Settings;

/// Makes what is missing. An existing directory keeps the mode that its owner gave it.
pub(crate) fn prepare(settings: &Settings) -> Result<()> {
    make(&settings.state_dir, 0o755)?;
    make(&settings.layout.runtime_dir, 0o700)?;
    make(&settings.layout.log_dir, 0o750)?;
    // Everybody may connect to the socket in it; who may do what is decided by credentials.
    make(&settings.runtime_dir, 0o755)?;
    own(&settings.runtime_dir)
}

fn make(path: &Path, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).with_context(|| failed(parent))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.with_context(|| failed(path)),
    }
}

fn failed(path: &Path) -> String {
    format!("making the directory {}", path.display())
}

/// The fallback runtime directory is in /tmp, where anybody may have made it first and waits for our token.
fn own(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    let me = nix::unistd::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != me {
        bail!(
            "{} does not belong to the daemon's user (uid {me})\n\nhint: remove it, or set RUNTIME_DIRECTORY to a directory of your own",
            path.display()
        );
    }
    Ok(())
}
