//! What the container images of packaging/container are made from: the root of the image, and directories that a user
//! without rights may write to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::Result;

use super::contents::Tree;
use super::source::{STATIC, Source};

/// Where the daemon writes.
const WRITABLE: [&str; 3] = ["run/dd-procmgrd", "var/lib/dd-procmgrd", "var/log/dd-procmgrd"];

/// Makes the directory that is the context of `docker build`; its path.
pub(super) fn make(source: &Source) -> Result<PathBuf> {
    let dir = source.fresh("container")?;
    let tree = Tree { source, dir: dir.clone() };
    let programs = source.programs(Some(STATIC));
    for program in ["dd-procmgrd", "pm-cli"] {
        tree.put(&programs.join(program), &format!("rootfs/usr/bin/{program}"), 0o755)?;
    }
    symlink("pm-cli", dir.join("rootfs/usr/bin/dd-procmgr-cli"))?;
    let files = source.root.join("packaging");
    tree.put(&files.join("processes.yaml"), "rootfs/etc/dd-procmgrd/processes.yaml", 0o644)?;
    for file in ["passwd", "group"] {
        tree.put(&files.join("container").join(file), &format!("rootfs/etc/{file}"), 0o644)?;
    }
    for path in WRITABLE {
        fs::create_dir_all(dir.join("rootfs").join(path))?;
        fs::create_dir_all(dir.join("writable").join(path))?;
    }
    tree.settle()?;
    Ok(dir)
}
