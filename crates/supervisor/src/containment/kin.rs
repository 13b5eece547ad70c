//! Whether a process is of a run, asked about one process instead of the whole run: for everybody who says so of himself.

use model::RunId;
use sys::datagram::Sender;
use sys::tree;

use super::census::{Member, has_ended};
use super::{Body, Run, Runs};

/// Ancestors that are looked at, and looks that are repeated because an ancestor died meanwhile.
const STEPS: usize = 1024;

/// What is known of somebody who speaks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The main process, or a process of the run.
    Member,
    /// It has ended, so that nobody can say what it was; but it was the run's user, or root.
    Ended,
    /// Anybody else.
    Stranger,
}

impl Runs {
    /// Who this is, for the run on whose socket it spoke.
    pub(crate) fn standing(&mut self, run: RunId, sender: Sender) -> Standing {
        if self.holds(run, sender.pid) {
            return Standing::Member;
        }
        let Some(entry) = self.runs.get(&run) else { return Standing::Stranger };
        let dead = tree::stat(sender.pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'));
        if dead && [0, entry.uid].contains(&sender.uid) { Standing::Ended } else { Standing::Stranger }
    }

    /// Whether the process that has this pid now is of this run, itself or by descent. Zombies count.
    pub(super) fn holds(&mut self, run: RunId, pid: u32) -> bool {
        let Some(entry) = self.runs.get(&run) else { return false };
        if entry.is_root(pid) {
            return true;
        }
        match &entry.leaf {
            Some(leaf) => leaf.holds(pid).unwrap_or(false),
            None => self.descends(run, pid).unwrap_or(false),
        }
    }

    /// Goes up from parent to parent, to a process of the run or out of it. `None` = the process is gone.
    fn descends(&mut self, run: RunId, pid: u32) -> Option<bool> {
        let own = std::process::id();
        let mut child = tree::stat(pid)?;
        for _ in 0..STEPS {
            if self.runs.get(&run)?.is_root(child.pid) {
                return Some(true);
            }
            if child.ppid == own {
                // A main process, or an orphan that was given to us. One that is on its way out may have lost what it is
                // recognized by, but not yet its children.
                let mut owner = self.census.owner(Member::of(&child));
                if owner.is_none() && child.pid != pid {
                    owner = self.census.owner(Member::of(&tree::stat(pid)?));
                }
                return Some(owner == Some(run));
            }
            if child.ppid <= 1 {
                return Some(false);
            }
            let parent = tree::stat(child.ppid);
            // Who is still its parent after the look was its parent at the look, and not another one of that number.
            let now = tree::stat(child.pid).filter(|now| now.start_ticks == child.start_ticks)?;
            child = match parent {
                Some(parent) if parent.pid == now.ppid => parent,
                _ => now,
            };
        }
        None
    }
}

impl Run {
    /// Whether this number means a process of the run for certain: one that keeps its number until we have reaped it, or
    /// that is alive.
    fn is_root(&self, pid: u32) -> bool {
        let main = match &self.body {
            Body::Main(main) if main.pid == pid => pid == self.leader || !has_ended(&main.pidfd),
            Body::Main(_) | Body::Unborn | Body::Remains { .. } => false,
        };
        main || self.former.as_ref().is_some_and(|former| former.pid == pid)
    }
}
