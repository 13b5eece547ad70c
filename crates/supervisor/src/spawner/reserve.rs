//! The last descriptors of the daemon, which no start may take: calls, scrapes, rotation and reloads need some, most of
//! all when there are few.
//!
//! Nothing is counted. The kernel gives out the lowest number that is free, so a new descriptor with a high number says
//! that all below it are taken.

use std::os::fd::{AsRawFd, RawFd};

use model::{HookKind, SpawnFailure, SpawnStage};
use nix::errno::Errno;
use sys::limits::{self, Resource};

use crate::machine::Role;
use crate::stdio::{ChildStdio, RunInfo};

/// Left by a start of a process.
const KEPT: u64 = 32;

/// Fails when the descriptors of this run are among the last ones.
pub(super) fn check(info: &RunInfo, stdio: &ChildStdio) -> Result<(), SpawnFailure> {
    // Asked for each time, which costs less than a microsecond: prlimit(1) may change it.
    let Ok(limit) = limits::own(Resource::Nofile) else { return Ok(()) };
    let highest = [&stdio.stdin, &stdio.stdout, &stdio.stderr].map(AsRawFd::as_raw_fd).into_iter().max();
    let role = info.helper.as_ref().map(|helper| helper.role);
    match kept(role, limit.soft) {
        kept if highest.is_some_and(|highest| is_beyond(highest, limit.soft, kept)) => {
            Err(failure(kept, limit.soft))
        }
        _ => Ok(()),
    }
}

/// How many are left to others. What serves a process that is up may take half of what a start must leave: near the
/// limit a process is not to be found unhealthy, or stopped without its hooks, for the sake of further ones.
fn kept(role: Option<Role>, limit: u64) -> u64 {
    let all = KEPT.min(limit / 4);
    match role {
        None | Some(Role::Hook(HookKind::StartPre)) => all,
        Some(Role::Hook(_) | Role::HealthCheck) => all / 2,
    }
}

fn is_beyond(highest: RawFd, limit: u64, kept: u64) -> bool {
    u64::try_from(highest).is_ok_and(|highest| highest >= limit - kept)
}

fn failure(kept: u64, limit: u64) -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Stdio,
        errno: Errno::EMFILE as i32,
        subject: String::new(),
        message: format!("{}: the last {kept} of {limit} are kept for control", Errno::EMFILE.desc()),
        hint: "raise LimitNOFILE= of the daemon's unit, or have it run fewer processes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_not_for_starts() {
        let start = kept(None, 128);
        assert_eq!(start, 32);
        assert!(!is_beyond(95, 128, start));
        assert!(is_beyond(96, 128, start));
        assert!(!is_beyond(1000, u64::MAX, kept(None, u64::MAX)), "there is no limit");
    }

    #[test]
    fn what_is_up_may_take_some_that_starts_may_not() {
        let [start, pre, post, stop, check] = [
            None,
            Some(Role::Hook(HookKind::StartPre)),
            Some(Role::Hook(HookKind::StartPost)),
            Some(Role::Hook(HookKind::Stop)),
            Some(Role::HealthCheck),
        ]
        .map(|role| kept(role, 1024));
        assert_eq!([start, pre, post, stop, check], [32, 32, 16, 16, 16]);
    }

    #[test]
    fn a_tiny_limit_leaves_room_for_starts() {
        assert_eq!(kept(None, 40), 10);
        assert!(!is_beyond(29, 40, kept(None, 40)));
        // Lowered below what is open: nothing can be started, and nothing overflows.
        assert!(is_beyond(40, 16, kept(None, 16)));
        assert!(is_beyond(40, 0, kept(None, 0)));
    }

    #[test]
    fn the_failure_says_what_to_raise() {
        let failure = failure(32, 128);
        assert_eq!(
            failure.to_string(),
            "opening standard output: Too many open files: the last 32 of 128 are kept for control"
        );
        assert!(failure.hint.contains("LimitNOFILE="));
    }
}
