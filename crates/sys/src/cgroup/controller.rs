//! Controllers: what the kernel accounts and limits in a leaf, once they are enabled above it.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;

/// A controller of cgroup v2 that runs are limited by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Memory and swap; also the pressure of memory, and who was killed for it.
    Memory,
    /// How many processes and threads.
    Pids,
    /// Processor time.
    Cpu,
    /// Disk time.
    Io,
}

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Pids, Self::Cpu, Self::Io];

    /// The kernel's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
        }
    }
}

/// Why a controller can't be had. `Display` is the middle of a sentence: `the memory controller …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is not among those that were delegated, or version 1 holds it.
    #[error("is not delegated to the daemon")]
    NotDelegated,
    /// It is delegated but can't be enabled.
    #[error("can't be enabled: {}", .0.desc())]
    Refused(Errno),
}

/// Enables a controller for the leaves: in the delegated group and in the one that holds the runs. Does nothing where it
/// is enabled already.
pub(super) fn enable(base: &Path, processes: &Path, controller: Controller) -> Result<(), Unavailable> {
    let name = controller.as_str();
    let listed = |dir: &Path, file: &str| {
        fs::read_to_string(dir.join(file))
            .is_ok_and(|text| text.split_ascii_whitespace().any(|word| word == name))
    };
    if !listed(base, "cgroup.controllers") {
        return Err(Unavailable::NotDelegated);
    }
    for dir in [base, processes] {
        if !listed(dir, "cgroup.subtree_control") {
            fs::write(dir.join("cgroup.subtree_control"), format!("+{name}"))
                .map_err(|error| Unavailable::Refused(errno(&error)))?;
        }
    }
    Ok(())
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with the files of a delegated group. What the kernel does on a write is not shown here.
    fn group(controllers: &str, enabled: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("processes")).unwrap();
        fs::write(dir.path().join("cgroup.controllers"), controllers).unwrap();
        for sub in ["", "processes"] {
            fs::write(dir.path().join(sub).join("cgroup.subtree_control"), enabled).unwrap();
        }
        dir
    }

    fn enable_in(dir: &Path, controller: Controller) -> Result<(), Unavailable> {
        enable(dir, &dir.join("processes"), controller)
    }

    #[test]
    fn what_is_delegated_is_enabled_on_both_levels() {
        let dir = group("cpuset cpu io memory pids\n", "");
        enable_in(dir.path(), Controller::Memory).unwrap();
        for sub in ["", "processes"] {
            let written = fs::read_to_string(dir.path().join(sub).join("cgroup.subtree_control")).unwrap();
            assert_eq!(written, "+memory");
        }
    }

    #[test]
    fn what_is_enabled_is_left_alone() {
        let dir = group("cpu memory\n", "cpu memory\n");
        enable_in(dir.path(), Controller::Cpu).unwrap();
        let kept = fs::read_to_string(dir.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(kept, "cpu memory\n");
    }

    #[test]
    fn what_is_not_delegated_says_so() {
        // Hybrid: the controllers are version 1's. And a name is not a part of another one.
        for controllers in ["\n", "cpuset\n"] {
            let dir = group(controllers, "");
            assert_eq!(enable_in(dir.path(), Controller::Cpu), Err(Unavailable::NotDelegated));
        }
        let gone = Path::new("/proc/self");
        assert_eq!(enable_in(gone, Controller::Cpu), Err(Unavailable::NotDelegated));
        let dir = group("memory\n", "");
        fs::remove_dir_all(dir.path().join("processes")).unwrap();
        let refused = enable_in(dir.path(), Controller::Memory).unwrap_err();
        assert_eq!(refused, Unavailable::Refused(Errno::ENOENT));
        assert_eq!(refused.to_string(), "can't be enabled: No such file or directory");
    }
}
