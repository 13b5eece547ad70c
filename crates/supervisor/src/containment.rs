//! "What did this run ever spawn?": its processes, signals to them, and the proof that none is left.
//!
//! Two ways to know. With a delegated cgroup each run has a leaf: what the leaf holds is the answer. Without one
//! (a laptop, a container) the daemon is asked itself: as a subreaper it is given whatever loses its parent, and
//! [`census`] finds out which run that came from.
//!
//! How "nothing is left" is proved without polling. While a run's main process lives, its pidfd is watched and that is
//! all. Once it is dead, every survivor's topmost ancestor within the run is alive, too, and is found by a survey
//! (the kernel gives the children away before it tells of a death). Each survey watches what it found; each death
//! among them causes the next survey. So as long as something is alive, something alive is watched, and a survey that
//! finds nothing is final. SIGKILL is repeated on every survey of a run that is being killed, which catches what was
//! forked between the survey and the signal.
//!
//! The main process need not be the one that was spawned: a program may fork its daemon and end, or name another one
//! ([`main_process`]). Whoever it is has to be a member of the run ([`kin`]).
//!
//! What a turn costs does not grow with the square of what ends in it: all that ended is surveyed together ([`ends`]),
//! over one reading of the list of orphans.

mod census;
mod ends;
mod kin;
mod main_process;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use model::{InvocationId, ProcessName, ResourceLimits, RunId, Signal, Wall};
use sys::cgroup::{Delegated, Leaf};

use crate::machine::Target;
use crate::notify::{Closer, NotifySocket};
use crate::poller::{Poller, Token};
use crate::spawner::{Born, Limited};
pub(crate) use census::Trace;
use census::{Census, Identity};
pub(crate) use ends::Ended;
pub(crate) use kin::Standing;
pub(crate) use main_process::NotAdopted;

/// How the descendants of a run are known.
#[derive(Clone, Debug)]
pub enum Containment {
    /// One cgroup per run, below the one that was delegated to the daemon. Exact.
    Cgroup(Arc<Delegated>),
    /// The daemon adopts orphans. Exact, except for a process that left its session, was orphaned before anybody
    /// looked, and whose environment does not tell where it came from: because it was cleared or overwritten, or
    /// because it is another user's and the daemon is neither root nor has CAP_SYS_PTRACE. Such a one is left alone,
    /// unless the pidfile of its run names it.
    Subreaper,
}

impl Containment {
    /// Why no process with these limits can be started here: the key, what is missing, and the way out. `None` = nothing is
    /// known to be in the way.
    #[must_use]
    pub fn refusal(&self, limits: &ResourceLimits) -> Option<(&'static str, String, &'static str)> {
        crate::spawner::refused(self, limits).map(|missing| (missing.key, missing.why, missing.hint))
    }

    /// The cgroup of a run, whether it is there (still) or not; `None` = runs have none.
    #[must_use]
    pub fn cgroup_of(&self, process: &ProcessName, invocation: InvocationId) -> Option<PathBuf> {
        match self {
            Self::Cgroup(delegated) => Some(delegated.path_of(&leaf_name(process, invocation))),
            Self::Subreaper => None,
        }
    }
}

/// The name of a cgroup. The id keeps it apart from what an earlier daemon may have left under the same name.
pub(crate) fn leaf_name(process: &ProcessName, id: InvocationId) -> String {
    format!("{process}.{id}")
}

/// All runs whose processes may be alive.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: BTreeMap<RunId, Run>,
    census: Census,
    /// Runs whose processes SIGCHLD may tell something about: with leftovers, or with a process that is not watched.
    uneasy: BTreeSet<RunId>,
    /// Cgroups of released runs that the kernel has not emptied yet: a dying task stays in its cgroup a moment longer
    /// than its pidfd shows it alive.
    retired: BTreeMap<RunId, Leaf>,
}

#[derive(Debug)]
struct Run {
    /// The process that was spawned: also the id of its session and of its process group. 0 until it is born.
    leader: u32,
    /// Who it runs as: whom to become for a signal that the daemon itself may not send.
    uid: u32,
    /// When it was about to be spawned: a file that is older is not its work.
    since: Wall,
    leaf: Option<Leaf>,
    /// Processes that the kernel killed for lack of memory, as far as the machine was told.
    oom_kills: u64,
    /// Where it says how it is.
    notify: Option<NotifySocket>,
    /// Whether everything that is found gets SIGKILL.
    killing: bool,
    body: Body,
    /// The process that was spawned, when another one is the main process and this one is not reaped yet.
    former: Option<Process>,
}

#[derive(Debug)]
enum Body {
    /// A spawner is at it.
    Unborn,
    /// The main process is there. When epoll has no memory for its pidfd, SIGCHLD finds its end.
    Main(Process),
    /// The main process is gone; these are watched, and `told` is what the machine knows to be alive.
    Remains { watched: BTreeMap<Identity, OwnedFd>, told: Vec<u32> },
}

/// One process, for its whole life.
#[derive(Debug)]
struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Runs {
    /// A new turn: what was seen of the process tree in the last one is out of date.
    pub(crate) fn new_turn(&mut self) {
        self.census.forget_list();
    }

    /// A run that is about to be spawned.
    pub(crate) fn expect(&mut self, run: RunId, trace: Trace, now: Wall) {
        self.census.expect(run, trace);
        let unborn = Run {
            leader: 0,
            uid: 0,
            since: now,
            leaf: None,
            oom_kills: 0,
            notify: None,
            killing: false,
            body: Body::Unborn,
            former: None,
        };
        self.runs.insert(run, unborn);
    }

    /// It runs. Its end is not watched before [`Runs::arm`].
    /// What came of its limits is handed on.
    pub(crate) fn born(&mut self, run: RunId, born: Born) -> Option<Limited> {
        let entry = self.runs.get_mut(&run)?;
        entry.leader = born.child.pid;
        entry.uid = born.uid;
        entry.leaf = born.leaf;
        entry.notify = born.notify;
        entry.body = Body::Main(Process { pid: born.child.pid, pidfd: born.child.pidfd });
        self.census.born(run, entry.leader);
        if entry.killing {
            self.kill(run);
        }
        Some(born.limited)
    }

    /// It never began.
    pub(crate) fn unborn(&mut self, run: RunId) {
        self.runs.remove(&run);
        self.census.forget_run(run);
    }

    /// Watches the main process for its end.
    pub(crate) fn arm(&mut self, run: RunId, poller: &Poller) {
        if let Some(Run { body: Body::Main(main), .. }) = self.runs.get(&run)
            && poller.add(&main.pidfd, Token::Main(run)).is_err()
        {
            self.uneasy.insert(run);
        }
        if let Some(memory) = self.runs.get(&run).and_then(|r| r.leaf.as_ref()?.memory_events()) {
            // When epoll has no memory for it, the count is read once its main process has ended.
            let _counted_later = poller.add(memory, Token::Memory(run));
        }
    }

    /// How many of its processes the kernel has killed for lack of memory since it was asked last.
    pub(crate) fn oom_kills(&mut self, run: RunId) -> u64 {
        let Some(entry) = self.runs.get_mut(&run) else { return 0 };
        let Some(Ok(Some(kills))) = entry.leaf.as_ref().map(Leaf::oom_kills) else { return 0 };
        let new = kills.saturating_sub(entry.oom_kills);
        entry.oom_kills = kills;
        new
    }

    /// Listens to what is said on its socket. False when that is not possible now.
    pub(crate) fn listen(&self, run: RunId, poller: &Poller) -> bool {
        let socket = self.runs.get(&run).and_then(|entry| entry.notify.as_ref());
        socket.is_none_or(|socket| poller.add(socket, Token::Notify(run)).is_ok())
    }

    /// Whether its main process is there, or its end was not told yet.
    pub(crate) fn has_main(&self, run: RunId) -> bool {
        matches!(self.runs.get(&run), Some(Run { body: Body::Main(_), .. }))
    }

    /// Sends a signal once. A run that is not born yet or gone gets none.
    pub(crate) fn signal(&mut self, run: RunId, signal: Signal, target: Target) {
        let Some(entry) = self.runs.get(&run) else { return };
        match (target, &entry.body) {
            (Target::Main, Body::Main(main)) => survey::send(main.pidfd.as_fd(), signal, entry.uid),
            (Target::Main, Body::Unborn | Body::Remains { .. }) => {}
            (Target::All, _) => {
                // Looked up before the first signal: a main process that dies of it at once gives its children away,
                // and the list of orphans that was read earlier in this turn does not have them.
                let members = self.audience(run);
                let Some(entry) = self.runs.get(&run) else { return };
                // The main process first: it may want to tell its workers itself.
                if let Body::Main(main) = &entry.body {
                    survey::send(main.pidfd.as_fd(), signal, entry.uid);
                }
                for member in members {
                    survey::deliver(member.id, signal, entry.uid);
                }
            }
        }
    }

    /// SIGKILL to everything of this run, now and on every survey from now on. One that is not born yet is killed as
    /// soon as it is.
    pub(crate) fn kill(&mut self, run: RunId) {
        let Some(entry) = self.runs.get_mut(&run) else { return };
        entry.killing = true;
        self.strike(run);
    }

    /// SIGCHLD: reaps adopted orphans. Returns what to look at again, as if its pidfd had fired.
    pub(crate) fn child_died(&mut self) -> Vec<Token> {
        self.census.refresh();
        let mut again = Vec::new();
        for run in &self.uneasy {
            let Some(entry) = self.runs.get(run) else { continue };
            again.extend(match &entry.body {
                Body::Unborn => None,
                Body::Main(_) => Some(Token::Main(*run)),
                Body::Remains { .. } => Some(Token::Leftover(*run)),
            });
            again.extend(entry.former.as_ref().map(|_| Token::Former(*run)));
        }
        again
    }

    /// Lets go of a run. Whether it was ever born.
    pub(crate) fn release(&mut self, run: RunId, poller: &Poller, closer: &mut Closer) -> bool {
        let Some(entry) = self.runs.remove(&run) else { return false };
        match &entry.body {
            Body::Unborn => {}
            Body::Main(main) => {
                poller.remove(&main.pidfd);
                self.census.let_go(main.pid);
            }
            Body::Remains { watched, .. } => watched.values().for_each(|fd| poller.remove(fd)),
        }
        if let Some(former) = &entry.former {
            poller.remove(&former.pidfd);
            let _alive_after_all = survey::reap(former.pidfd.as_fd());
        }
        if let Some(socket) = entry.notify {
            poller.remove(&socket);
            socket.retire(closer);
        }
        self.census.forget_run(run);
        self.uneasy.remove(&run);
        if let Some(memory) = entry.leaf.as_ref().and_then(Leaf::memory_events) {
            poller.remove(memory);
        }
        if let Some(leaf) = entry.leaf
            && leaf.remove().is_err()
            && poller.add(leaf.events(), Token::Cgroup(run)).is_ok()
        {
            self.retired.insert(run, leaf);
        }
        entry.leader != 0
    }

    /// A retired cgroup changed: removes it once it is empty.
    pub(crate) fn cgroup_changed(&mut self, run: RunId, poller: &Poller) {
        let Some(leaf) = self.retired.get(&run) else { return };
        if !leaf.populated().unwrap_or(false) {
            poller.remove(leaf.events());
            let _somebody_else_is_in_it = leaf.remove();
            self.retired.remove(&run);
        }
    }

    /// The socket of a run, for as long as it is read; [`Runs::give_socket`] takes it back.
    pub(crate) fn take_socket(&mut self, run: RunId) -> Option<NotifySocket> {
        self.runs.get_mut(&run)?.notify.take()
    }

    /// See [`Runs::take_socket`].
    pub(crate) fn give_socket(&mut self, run: RunId, socket: NotifySocket) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.notify = Some(socket);
        }
    }

    /// When this run was about to be spawned.
    pub(crate) fn since(&self, run: RunId) -> Option<Wall> {
        self.runs.get(&run).map(|entry| entry.since)
    }

    /// How many processes were looked at so far, and how often their list was read: what a turn mostly costs.
    pub(crate) fn looks(&self) -> u64 {
        self.census.looks()
    }
}

#[cfg(test)]
pub(crate) mod tests;
