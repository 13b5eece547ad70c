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

mod census;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use model::{ExitStatus, InvocationId, RunId, Signal, Usage};
use sys::cgroup::{Delegated, Leaf};

use crate::machine::Target;
use crate::poller::{Poller, Token};
use crate::spawner::Born;
use census::{Census, Identity};

/// How the descendants of a run are known.
#[derive(Clone, Debug)]
pub enum Containment {
    /// One cgroup per run, below the one that was delegated to the daemon. Exact.
    Cgroup(Arc<Delegated>),
    /// The daemon adopts orphans. Exact, except for a process that left its session, was orphaned before anybody
    /// looked, and whose environment does not tell where it came from: because it was cleared, or because it is
    /// another user's and the daemon is neither root nor has CAP_SYS_PTRACE. Such a one is left alone.
    Subreaper,
}

/// All runs whose processes may be alive.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: BTreeMap<RunId, Run>,
    census: Census,
    /// Runs whose processes SIGCHLD may tell something about: with leftovers, or with a main process unarmed.
    uneasy: BTreeSet<RunId>,
    /// Cgroups of released runs that the kernel has not emptied yet: a dying task stays in its cgroup a moment longer
    /// than its pidfd shows it alive.
    retired: BTreeMap<RunId, Leaf>,
}

#[derive(Debug)]
struct Run {
    /// Its main process: also the id of its session and of its process group. 0 until it is born.
    leader: u32,
    /// Who it runs as: whom to become for a signal that the daemon itself may not send.
    uid: u32,
    leaf: Option<Leaf>,
    /// Whether everything that is found gets SIGKILL.
    killing: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// A spawner is at it.
    Unborn,
    /// The main process is there. `armed` is false when epoll had no memory for its pidfd: then SIGCHLD finds its end.
    Main { pidfd: OwnedFd, armed: bool },
    /// The main process is gone; these are watched, and `told` is what the machine knows to be alive.
    Remains { watched: BTreeMap<Identity, OwnedFd>, told: Vec<u32> },
}

/// The end of a main process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) usage: Usage,
    pub(crate) leftovers: Vec<u32>,
}

impl Runs {
    /// A new turn: what was seen of the process tree in the last one is out of date.
    pub(crate) fn new_turn(&mut self) {
        self.census.forget_list();
    }

    /// A run that is about to be spawned.
    pub(crate) fn expect(&mut self, run: RunId, invocation: InvocationId) {
        self.census.expect(run, invocation);
        self.runs.insert(run, Run { leader: 0, uid: 0, leaf: None, killing: false, body: Body::Unborn });
    }

    /// It runs. Its end is not watched before [`Runs::arm`].
    pub(crate) fn born(&mut self, run: RunId, born: Born) {
        let Some(entry) = self.runs.get_mut(&run) else { return };
        entry.leader = born.child.pid;
        entry.uid = born.uid;
        entry.leaf = born.leaf;
        entry.body = Body::Main { pidfd: born.child.pidfd, armed: false };
        self.census.born(run, entry.leader);
        if entry.killing {
            self.kill(run);
        }
    }

    /// It never began.
    pub(crate) fn unborn(&mut self, run: RunId) {
        self.runs.remove(&run);
        self.census.forget_run(run);
    }

    /// Watches the main process for its end.
    pub(crate) fn arm(&mut self, run: RunId, poller: &Poller) {
        if let Some(Run { body: Body::Main { pidfd, armed }, .. }) = self.runs.get_mut(&run) {
            *armed = poller.add(&*pidfd, Token::Main(run)).is_ok();
            if !*armed {
                self.uneasy.insert(run);
            }
        }
    }

    /// Sends a signal once. A run that is not born yet or gone gets none.
    pub(crate) fn signal(&mut self, run: RunId, signal: Signal, target: Target) {
        let Some(entry) = self.runs.get(&run) else { return };
        match (target, &entry.body) {
            (Target::Main, Body::Main { pidfd, .. }) => survey::send(pidfd.as_fd(), signal, entry.uid),
            (Target::Main, Body::Unborn | Body::Remains { .. }) => {}
            (Target::All, _) => {
                // Looked up before the first signal: a main process that dies of it at once gives its children away,
                // and the list of orphans that was read earlier in this turn does not have them.
                let members = self.members(run);
                let Some(entry) = self.runs.get(&run) else { return };
                // The main process first: it may want to tell its workers itself.
                if let Body::Main { pidfd, .. } = &entry.body {
                    survey::send(pidfd.as_fd(), signal, entry.uid);
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

    /// The main process's pidfd fired: reaps it and looks what it left behind. `None` = it is alive after all.
    pub(crate) fn main_ended(&mut self, run: RunId, poller: &Poller) -> Option<Ended> {
        let entry = self.runs.get_mut(&run)?;
        let Body::Main { pidfd, .. } = &entry.body else { return None };
        let (status, usage) = survey::reap(pidfd.as_fd())?;
        poller.remove(pidfd);
        entry.body = Body::Remains { watched: BTreeMap::new(), told: Vec::new() };
        self.survey(run, poller);
        let leftovers = self.told(run).cloned().unwrap_or_default();
        if leftovers.is_empty() {
            self.uneasy.remove(&run);
        } else {
            self.uneasy.insert(run);
        }
        Some(Ended { status, usage, leftovers })
    }

    /// What is left of this run, when that changed since it was told last.
    pub(crate) fn leftovers_changed(&mut self, run: RunId, poller: &Poller) -> Option<Vec<u32>> {
        let before = self.told(run)?.clone();
        self.survey(run, poller);
        self.told(run).filter(|now| **now != before).cloned()
    }

    /// SIGCHLD: reaps adopted orphans. Returns what to look at again, as if its pidfd had fired.
    pub(crate) fn child_died(&mut self) -> Vec<Token> {
        self.census.refresh();
        let token = |run: &RunId| match &self.runs.get(run)?.body {
            Body::Unborn => None,
            Body::Main { .. } => Some(Token::Main(*run)),
            Body::Remains { .. } => Some(Token::Leftover(*run)),
        };
        self.uneasy.iter().filter_map(token).collect()
    }

    /// Lets go of a run. Whether it was ever born.
    pub(crate) fn release(&mut self, run: RunId, poller: &Poller) -> bool {
        let Some(entry) = self.runs.remove(&run) else { return false };
        self.census.forget_run(run);
        self.uneasy.remove(&run);
        match &entry.body {
            Body::Unborn => {}
            Body::Main { pidfd, .. } => poller.remove(pidfd),
            Body::Remains { watched, .. } => watched.values().for_each(|fd| poller.remove(fd)),
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

    fn told(&self, run: RunId) -> Option<&Vec<u32>> {
        match &self.runs.get(&run)?.body {
            Body::Remains { told, .. } => Some(told),
            Body::Unborn | Body::Main { .. } => None,
        }
    }
}
