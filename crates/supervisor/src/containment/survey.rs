//! Looking at the processes of one run, and signalling them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::{ExitStatus, RunId, Signal, Usage};
use nix::errno::Errno;
use nix::sys::signal::{Signal as Nix, killpg};
use nix::unistd::Pid;
use sys::pidfd::{self, Wait};

use super::census::{Identity, Look, Member, has_ended};
use super::{Body, Runs};
use crate::poller::{Poller, Token};

/// Survivors watched at a time per run: a prefork server that was killed may leave thousands, and each costs a
/// descriptor. The others are watched as these go.
const WATCHED: usize = 256;

/// What came of one survey.
pub(super) struct Survey {
    /// Nothing is left, as far as a cgroup can tell: it lists no zombies.
    pub(super) over: bool,
    /// False when all that was found died meanwhile, so that it has to be looked again.
    pub(super) settled: bool,
}

impl Runs {
    /// Everything of this run that is alive, but for the main process: that one has a pidfd already. The list of orphans
    /// is read again until that is certain.
    pub(super) fn members(&mut self, run: RunId) -> Vec<Member> {
        loop {
            let look = self.look(run);
            if look.certain {
                return look.members;
            }
            self.census.forget_list();
        }
    }

    /// Whom to signal. When all of them died in this turn, their children may be missing: each of the dead is watched,
    /// and the survey that follows finds them. Reading the list again for each of many runs that are signalled in one
    /// turn would cost the square of their number.
    pub(super) fn audience(&mut self, run: RunId) -> Vec<Member> {
        self.look(run).members
    }

    fn look(&mut self, run: RunId) -> Look {
        let Some(entry) = self.runs.get(&run) else { return Look::nothing() };
        let main = match &entry.body {
            Body::Main(main) => Some(main.pid),
            Body::Unborn | Body::Remains { .. } => None,
        };
        let Some(leaf) = &entry.leaf else {
            return self.census.look(run, main, entry.former.as_ref().map(|former| former.pid));
        };
        let mut pids = leaf.pids().unwrap_or_default();
        pids.retain(|pid| Some(*pid) != main);
        self.census.look_at(pids, main.is_some())
    }

    /// SIGKILL to everything that is there now.
    pub(super) fn strike(&mut self, run: RunId) {
        let Some(entry) = self.runs.get(&run) else { return };
        if let Some(leaf) = &entry.leaf
            && leaf.kill().is_ok()
        {
            return;
        }
        // Looked up before anything dies: what its parent gives away is not in the list that was read already.
        let members = self.audience(run);
        let Some(entry) = self.runs.get(&run) else { return };
        let (leader, uid) = (entry.leader, entry.uid);
        let mut grouped = entry.former.is_some() || members.iter().any(|m| m.group == leader);
        if let Body::Main(main) = &entry.body {
            grouped |= main.pid == leader;
            send(main.pidfd.as_fd(), Signal::KILL, uid);
        }
        // The kernel signals a group in one go: nothing in it can fork its way out, as it could from a list. The
        // number still means this run's group as long as one of its members, a zombie even, is in it.
        if grouped && let Ok(leader) = i32::try_from(leader) {
            let _each_member_follows = killpg(Pid::from_raw(leader), Nix::SIGKILL);
        }
        for member in members {
            deliver(member.id, Signal::KILL, uid);
        }
    }

    /// Finds out what is alive of a run whose main process is gone, watches it, and kills it if that is wanted.
    pub(super) fn survey(&mut self, run: RunId, poller: &Poller) -> Survey {
        self.former_ended(run, poller);
        let Look { members, certain } = self.look(run);
        let nothing = Survey { over: false, settled: true };
        let Some(entry) = self.runs.get_mut(&run) else { return nothing };
        let killing = entry.killing && !members.is_empty();
        let Body::Remains { watched, told } = &mut entry.body else { return nothing };
        if !certain {
            return Survey { over: false, settled: false };
        }
        let over = members.is_empty() && entry.leaf.is_some();
        let dead = watch(run, watched, &members, poller);
        // All of them died before they could be watched: what they forked meanwhile is found by looking again.
        let settled = dead.is_empty() || !watched.is_empty();
        *told = members.iter().map(|m| m.id.pid).filter(|pid| !dead.contains(pid)).collect();
        told.sort_unstable();
        if killing {
            self.strike(run);
        }
        Survey { over, settled }
    }
}

/// Watches `members`, and no more what is not among them. Returns those that died meanwhile.
fn watch(
    run: RunId,
    watched: &mut BTreeMap<Identity, OwnedFd>,
    members: &[Member],
    poller: &Poller,
) -> BTreeSet<u32> {
    let alive: BTreeSet<Identity> = members.iter().map(|m| m.id).collect();
    watched.retain(|id, fd| {
        let stays = alive.contains(id);
        if !stays {
            poller.remove(&*fd);
        }
        stays
    });
    let mut dead = BTreeSet::new();
    for member in members {
        if watched.len() >= WATCHED {
            break;
        }
        if watched.contains_key(&member.id) {
            continue;
        }
        match member.id.open() {
            Ok(fd) => {
                if poller.add(&fd, Token::Leftover(run)).is_ok() {
                    watched.insert(member.id, fd);
                }
            }
            Err(Errno::ESRCH) => {
                dead.insert(member.id.pid);
            }
            // Out of descriptors: SIGCHLD tells of the death of those that were adopted.
            Err(_) => {}
        }
    }
    dead
}

/// Signals a process that may be gone, and never another one that got its pid.
pub(super) fn deliver(id: Identity, signal: Signal, uid: u32) {
    if let Ok(pidfd) = id.open() {
        send(pidfd.as_fd(), signal, uid);
    }
}

/// Signals a process, as the daemon or as `uid`. One that is gone already is no error: its end is on its way. One
/// that may not be signalled at all (it changed its user) is no error either: it stays, and is shown as a survivor.
pub(super) fn send(pidfd: BorrowedFd<'_>, signal: Signal, uid: u32) {
    let _gone_or_out_of_reach = pidfd::send_signal_as(pidfd, signal.number(), uid);
}

/// Takes the status of a dead process; `None` = it is not dead. Of one that is not our child, or whose status somebody
/// else took, only the death is known.
pub(super) fn reap(pidfd: BorrowedFd<'_>) -> Option<(ExitStatus, Usage)> {
    match pidfd::reap(pidfd) {
        Ok(None) => None,
        Ok(Some(exit)) => {
            let usage = Usage { user: exit.user, system: exit.system, max_rss: exit.max_rss };
            Some((status(exit.status), usage))
        }
        Err(_) => has_ended(pidfd).then(|| (ExitStatus::Unknown, Usage::default())),
    }
}

fn status(wait: Wait) -> ExitStatus {
    match wait {
        Wait::Code(code) => u8::try_from(code & 0xff).map_or(ExitStatus::Unknown, ExitStatus::Code),
        Wait::Signal { signo, core } => match Signal::from_number(signo) {
            Some(signal) => ExitStatus::Signal { signal, core },
            None => ExitStatus::Unknown,
        },
    }
}
