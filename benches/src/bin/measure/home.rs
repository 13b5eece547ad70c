//! A daemon that tracks what it starts in one of the two ways that it knows: as a subreaper, or by cgroup.
//!
//! A delegated cgroup is made here: a private group below the one that this program is in, into which this program
//! moves itself for as long as it takes to start the daemon. Making it needs to be root, or a delegated cgroup of one's
//! own; where it can't be had that is said, and the measurement goes on without.

use std::fmt;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::{TempDaemon, eventually_within};

/// How long the kernel may take to empty a group after its last process ended.
const EMPTIED: Duration = Duration::from_secs(5);

/// How the daemon knows what a run has spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Containment {
    /// It is given whatever loses its parent.
    Subreaper,
    /// A cgroup for each run.
    Cgroup,
}

impl Containment {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Subreaper, Self::Cgroup];
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subreaper => "subreaper",
            Self::Cgroup => "cgroup",
        })
    }
}

/// A daemon and its cgroup, where it has one. Both are gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    // Dropped first: a group is removed when nothing is in it.
    daemon: TempDaemon,
    group: Option<Group>,
}

impl Home {
    /// A daemon without any process. `log` is the level of its own log: at info it writes a line for each event.
    ///
    /// # Errors
    /// Where there is no cgroup to be had for it.
    pub(crate) fn start(containment: Containment, log: &str) -> Result<Self> {
        let builder = TempDaemon::builder().env("RUST_LOG", log);
        let (daemon, group) = match containment {
            Containment::Subreaper => (builder.start(), None),
            Containment::Cgroup => {
                let group = Group::make().context("no cgroup could be delegated to the daemon")?;
                group.enter()?;
                let daemon = builder.env("PM_CGROUP_DELEGATED", "1").start();
                group.leave()?;
                (daemon, Some(group))
            }
        };
        let home = Self { daemon, group };
        let status = home.daemon.pm(&["status", "--output", "json"]).json();
        anyhow::ensure!(
            status["containment"] == containment.to_string(),
            "the daemon uses {} for containment, not {containment}",
            status["containment"]
        );
        Ok(home)
    }

    /// Groups of runs that are there now.
    pub(crate) fn leaves(&self) -> usize {
        self.group.as_ref().map_or(0, |group| count_dirs(&group.path.join("processes")))
    }

    /// SIGKILL to every process of every run in one go; false without a cgroup.
    pub(crate) fn kill_all_runs(&self) -> Result<bool> {
        let Some(group) = &self.group else { return Ok(false) };
        fs::write(group.path.join("processes/cgroup.kill"), "1").context("cgroup.kill")?;
        Ok(true)
    }
}

impl Deref for Home {
    type Target = TempDaemon;

    fn deref(&self) -> &TempDaemon {
        &self.daemon
    }
}

/// A private cgroup below our own.
#[derive(Debug)]
struct Group {
    own: PathBuf,
    path: PathBuf,
}

impl Group {
    fn make() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let own = own_group()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = own.join(format!("pm-measure-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { own, path })
    }

    /// Moves this program into it: what it starts then is born there.
    fn enter(&self) -> Result<()> {
        move_to(&self.path)
    }

    fn leave(&self) -> Result<()> {
        move_to(&self.own)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let gone = |dir: &Path| fs::remove_dir(dir).is_ok() || !dir.exists();
        let all = ["processes", "supervisor", ""].map(|name| self.path.join(name));
        // A leaf that the daemon left behind is in the verdict; here it just stays.
        let _left = eventually_within(EMPTIED, || all.iter().all(|dir| gone(dir)).then_some(()));
    }
}

fn own_group() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let point = mounts.lines().rev().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4))?
    });
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).context("no cgroup v2")?;
    Ok(Path::new(point.context("cgroup v2 is not mounted")?).join(own))
}

fn move_to(group: &Path) -> Result<()> {
    // 0 = the writer, with all its threads.
    fs::write(group.join("cgroup.procs"), "0").with_context(|| format!("moving to {}", group.display()))
}

pub(crate) fn count_dirs(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).count()
}
