//! A cgroup for one container, so that two test runs, or one and what an interrupted one left, never share groups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::eventually_within;

/// Killed processes leave their groups a moment after the signal.
const EMPTY_LIMIT: Duration = Duration::from_secs(10);

/// Followed by the pid of the test run.
const PREFIX: &str = "dd-procmgrd-testbed-";

/// Where systemd-nspawn makes the same directory once more, on machines that mix v1 and v2.
const V1: &str = "/sys/fs/cgroup/systemd";

/// A directory below this program's own cgroup, with everything in it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    mount: PathBuf,
    /// Below the mount point.
    path: PathBuf,
}

impl Cgroup {
    /// Makes it, and ends what an earlier run left that was killed with its container.
    pub(crate) fn new() -> Result<Self> {
        let (mount, own) = own()?;
        for entry in fs::read_dir(mount.join(&own))? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|n| n.strip_prefix(PREFIX));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                drop(Self { mount: mount.clone(), path: own.join(name) });
            }
        }
        let group = Self { path: own.join(format!("{PREFIX}{}", std::process::id())), mount };
        let dir = group.dir();
        fs::create_dir(&dir).with_context(|| format!("making the cgroup {}", dir.display()))?;
        Ok(group)
    }

    fn dir(&self) -> PathBuf {
        self.mount.join(&self.path)
    }

    /// What a process writes its pid to in order to move here.
    pub(crate) fn procs(&self) -> PathBuf {
        self.dir().join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Nothing can be done about a group that stays, and nothing builds on its absence: the next run looks again.
        fs::write(self.dir().join("cgroup.kill"), "1").ok();
        eventually_within(EMPTY_LIMIT, || remove(&self.dir()).ok()).unwrap_or_default();
        remove(&Path::new(V1).join(&self.path)).ok();
    }
}

/// Removes a group and the groups below it; fails while a process is in one of them.
fn remove(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// The mount point of cgroup v2, and this program's own group below it.
fn own() -> Result<(PathBuf, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount =
        mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>()).find(|f| f.get(2) == Some(&"cgroup2"));
    let mount = mount.context("no cgroup v2 is mounted on this machine")?[1].to_owned();
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let group =
        groups.lines().find_map(|l| l.strip_prefix("0::/")).context("this program is in no cgroup v2")?;
    Ok((PathBuf::from(mount), PathBuf::from(group)))
}
