//! Where a spawn failed.

use nix::errno::Errno;

/// The step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Being born in the cgroup.
    Cgroup,
    /// clone3(2).
    Clone,
    /// setsid(2).
    Session,
    /// Placing 0, 1 and 2 and closing the others.
    Descriptors,
    /// setrlimit(2).
    Rlimits,
    /// setpriority(2).
    Nice,
    /// Writing /proc/self/oom_score_adj.
    OomScoreAdj,
    /// setgroups(2).
    Groups,
    /// setresgid(2).
    Gid,
    /// setresuid(2).
    Uid,
    /// chdir(2), as the new user.
    WorkingDir,
    /// capset(2) and prctl(2), PR_CAP_AMBIENT.
    Capabilities,
    /// prctl(2), PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    /// execve(2), as the new user.
    Exec,
}

impl Stage {
    /// Every stage, in the order of the steps.
    pub const ALL: [Self; 14] = [
        Self::Cgroup,
        Self::Clone,
        Self::Session,
        Self::Descriptors,
        Self::Rlimits,
        Self::Nice,
        Self::OomScoreAdj,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::WorkingDir,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Exec,
    ];

    /// What was being done, as words for a message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "entering the cgroup",
            Self::Clone => "creating the process",
            Self::Session => "creating the session",
            Self::Descriptors => "placing the descriptors",
            Self::Rlimits => "setting rlimits",
            Self::Nice => "setting nice",
            Self::OomScoreAdj => "setting oom_score_adj",
            Self::Groups => "setting supplementary groups",
            Self::Gid => "setting the group id",
            Self::Uid => "setting the user id",
            Self::WorkingDir => "entering the working directory",
            Self::Capabilities => "raising ambient capabilities",
            Self::NoNewPrivileges => "setting no_new_privs",
            Self::Exec => "executing the program",
        }
    }
}

/// No process was made. The caller knows the names of the things; this knows the step and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}{}", stage.as_str(), errno.desc(), self.hint())]
pub struct SpawnError {
    /// The step.
    pub stage: Stage,
    /// The kernel's reason.
    pub errno: Errno,
}

impl SpawnError {
    pub(crate) fn at(stage: Stage) -> impl Fn(Errno) -> Self {
        move |errno| Self { stage, errno }
    }

    fn hint(&self) -> &'static str {
        match (self.stage, self.errno) {
            (Stage::Clone, Errno::ENOSYS | Errno::EPERM) => {
                "; clone3(2) is missing: Linux 5.5 or newer is needed, or a seccomp profile forbids it, as those \
                 of old container runtimes do: update the runtime (Docker 20.10.10, libseccomp 2.5)"
            }
            (Stage::Descriptors, Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {
                "; close_range(2) is missing: Linux 5.9 or newer is needed, or a seccomp profile forbids it"
            }
            (Stage::Clone, Errno::EAGAIN) => {
                "; a limit on processes is reached: pids.max of a cgroup (TasksMax=), RLIMIT_NPROC or kernel.pid_max"
            }
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_clone3_is_explained() {
        let error = SpawnError { stage: Stage::Clone, errno: Errno::ENOSYS };
        assert!(error.to_string().contains("creating the process: Function not implemented; clone3(2)"));
        let error = SpawnError { stage: Stage::Exec, errno: Errno::ENOENT };
        assert_eq!(error.to_string(), "executing the program: No such file or directory");
    }
}
