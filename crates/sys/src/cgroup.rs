//! cgroup v2, where a part of the tree was delegated to the daemon (systemd: `Delegate=yes`).
//!
//! ```text
//! <base>                    delegated: the unit's cgroup
//! ├── supervisor            the daemon itself
//! └── processes
//!     ├── web.4f2a…         a leaf: one run of one process, with everything that it ever spawned
//!     └── …
//! ```
//! The kernel wants processes in leaves only, as soon as a controller is enabled for the children of a group: that is
//! why the daemon has one of its own. No controller is needed to know what a leaf holds and to kill it.
//!
//! The controllers of memory and of pids are enabled from the start, as they cost little and tell much. Those of
//! processors and of disks change how time is shared as soon as they are there, so they are enabled when the first run
//! asks for them.

mod controller;
mod detect;
mod leaf;
mod member;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use controller::{Controller, Unavailable};
use detect::Place;
pub use leaf::Leaf;

/// Where the daemon lives.
const SUPERVISOR: &str = "supervisor";
/// Where the runs live.
const PROCESSES: &str = "processes";

/// The delegated cgroup exists but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path:?}: {source}; without Delegate=yes in the unit the daemon does without cgroups")]
pub struct CgroupError {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// The part of the cgroup tree that is ours.
#[derive(Debug)]
pub struct Delegated {
    base: PathBuf,
    /// What came of enabling each controller, once it was tried.
    enabled: [OnceLock<Result<(), Unavailable>>; Controller::ALL.len()],
}

impl Delegated {
    /// Looks whether this process is in a delegated cgroup, and if so, makes the two groups and moves itself into
    /// the sub-group. `None` = not delegated, or no cgroup v2 here. `declared` = whoever started us says that the
    /// cgroup was delegated; needed below systemd's user manager, which leaves no mark to see it by.
    ///
    /// # Errors
    /// [`CgroupError`] when it is delegated but the kernel refuses what delegation promises.
    pub fn detect(declared: bool) -> Result<Option<Self>, CgroupError> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| failed("reading", Path::new(path), e));
        let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
        let Some(own) = detect::own_directory(&own, &mounts) else { return Ok(None) };
        match detect::place(&own, declared) {
            Place::Elsewhere => Ok(None),
            Place::Base => Self::prepare(own, Some(SUPERVISOR)),
            // By systemd (DelegateSubgroup=), or by ourselves before a re-execution.
            Place::Subgroup => match own.parent() {
                Some(base) => Self::prepare(base.into(), None),
                None => Ok(None),
            },
        }
    }

    fn prepare(base: PathBuf, move_to: Option<&str>) -> Result<Option<Self>, CgroupError> {
        if let Some(subgroup) = move_to {
            let path = make(base.join(subgroup))?;
            let procs = path.join("cgroup.procs");
            // 0 = the writer, with all its threads.
            fs::write(&procs, "0").map_err(|e| failed("moving the daemon to", &path, e))?;
        }
        make(base.join(PROCESSES))?;
        let delegated = Self { base, enabled: Default::default() };
        for controller in [Controller::Memory, Controller::Pids] {
            // Without it runs are not accounted for; who asks for a limit is told why there is none.
            let _asked_again_when_needed = delegated.enable(controller);
        }
        Ok(Some(delegated))
    }

    /// The delegated directory.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Enables a controller for all runs, those that are there included. Tried once.
    ///
    /// # Errors
    /// [`Unavailable`]: runs can't be limited by it.
    pub fn enable(&self, controller: Controller) -> Result<(), Unavailable> {
        let try_it = || controller::enable(&self.base, &self.base.join(PROCESSES), controller);
        *self.enabled[controller as usize].get_or_init(try_it)
    }

    /// Makes a group for one run. The name must be new: two runs never share a leaf.
    ///
    /// # Errors
    /// AlreadyExists; InvalidInput for a name that is no single path component; ENOSPC or EAGAIN at
    /// cgroup.max.descendants.
    pub fn leaf(&self, name: &str) -> io::Result<Leaf> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\n']) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name:?} cannot name a cgroup: it must be one path component without a leading dot"),
            ));
        }
        Leaf::create(self.path_of(name), self.enable(Controller::Memory).is_ok())
    }

    /// Writes a setting of the leaf with this name, for example `memory.max`. May take as long as the kernel needs to take
    /// memory back.
    ///
    /// # Errors
    /// NotFound when there is no such leaf, or the kernel has no such setting; those of write(2).
    pub fn set(&self, leaf: &str, setting: &str, value: &str) -> io::Result<()> {
        fs::write(self.path_of(leaf).join(setting), value)
    }

    /// The directory of the leaf with this name, whether there is one or not.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.base.join(PROCESSES).join(name)
    }
}

fn make(path: PathBuf) -> Result<PathBuf, CgroupError> {
    match fs::create_dir(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed("creating", &path, e)),
        Ok(()) | Err(_) => Ok(path),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CgroupError {
    CgroupError { action, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let delegated = Delegated::prepare(dir.path().into(), None).unwrap().unwrap();
        for name in ["", ".", "..", ".hidden", "a/b", "/a", "a\nb"] {
            assert_eq!(delegated.leaf(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        // The directory is made; the files are the kernel's, and this is no cgroup.
        assert_eq!(delegated.leaf("web.1").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(dir.path().join("processes/web.1").is_dir());
        assert_eq!(delegated.leaf("web.1").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_refusal_names_the_place_and_the_way_out() {
        let error = Delegated::prepare("/proc/self".into(), Some(SUPERVISOR)).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("creating \"/proc/self/supervisor\": "), "{said}");
        assert!(said.contains("Delegate=yes"), "{said}");
    }
}
