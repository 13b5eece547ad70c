//! Which run an adopted orphan came from.
//!
//! A process whose parent died is given to the daemon's main thread. It is recognized by, in this order: having been
//! seen below its run's main process when that was signalled; PROCESS_INVOCATION_ID in the environment that it was
//! executed with; belonging to a session of the run (every main process leads one). A process that fits nothing is
//! left alone: killing a stranger is worse than leaving one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};

use model::{InvocationId, RunId};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::{pidfd, tree};

/// A process for its whole life: its pid alone may be given to another one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) pid: u32,
    start: u64,
}

/// A live process of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) id: Identity,
    pub(super) group: u32,
    session: u32,
}

/// The adopted orphans and how they were recognized.
#[derive(Debug, Default)]
pub(super) struct Census {
    traces: HashMap<RunId, Traces>,
    invocations: HashMap<InvocationId, RunId>,
    sessions: HashMap<u32, RunId>,
    seen: BTreeMap<Identity, RunId>,
    /// As of the last look; the owner is kept, so that an environment is read once.
    orphans: BTreeMap<Identity, (Member, Option<RunId>)>,
    /// Whether `orphans` is of this turn.
    fresh: bool,
}

/// What a run is recognized by: the keys of the three indexes that lead to it.
#[derive(Debug)]
struct Traces {
    invocation: InvocationId,
    /// Its own session, and those that its descendants opened.
    sessions: Vec<u32>,
    /// Descendants seen below its main process: whoever of them is orphaned later needs no recognition.
    seen: Vec<Identity>,
}

impl Identity {
    /// A pidfd of exactly this process. ESRCH when it is gone.
    pub(super) fn open(self) -> nix::Result<OwnedFd> {
        let fd = pidfd::open(self.pid)?;
        // Looked at after opening: if it is the same process now, then the descriptor means it, too.
        match tree::stat(self.pid) {
            Some(stat) if stat.start_ticks == self.start => Ok(fd),
            _ => Err(Errno::ESRCH),
        }
    }
}

impl Member {
    /// The process of this pid, unless it is dead.
    pub(super) fn alive(pid: u32) -> Option<Self> {
        let stat = tree::stat(pid)?;
        let id = Identity { pid, start: stat.start_ticks };
        // Z alone is not death: the first thread of a process may end long before the others.
        let dead = match stat.state {
            'Z' => id.open().map_or(true, |fd| has_ended(&fd)),
            'X' => true,
            _ => false,
        };
        (!dead).then_some(Self { id, group: stat.pgrp, session: stat.session })
    }
}

fn has_ended(fd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

impl Census {
    pub(super) fn expect(&mut self, run: RunId, invocation: InvocationId) {
        self.traces.insert(run, Traces { invocation, sessions: Vec::new(), seen: Vec::new() });
        self.invocations.insert(invocation, run);
    }

    /// The session of a new main process. Its number may have been an extinct session's: the newest owner wins.
    pub(super) fn born(&mut self, run: RunId, session: u32) {
        if let Some(traces) = self.traces.get_mut(&run) {
            traces.sessions.push(session);
            self.sessions.insert(session, run);
        }
    }

    pub(super) fn forget_run(&mut self, run: RunId) {
        let Some(traces) = self.traces.remove(&run) else { return };
        self.invocations.remove(&traces.invocation);
        for session in traces.sessions {
            if self.sessions.get(&session) == Some(&run) {
                self.sessions.remove(&session);
            }
        }
        for id in traces.seen {
            self.seen.remove(&id);
        }
    }

    /// A descendant leads or is in this session: its relatives are recognized by it.
    fn learn_session(&mut self, run: RunId, session: u32) {
        if let (Entry::Vacant(vacant), Some(traces)) =
            (self.sessions.entry(session), self.traces.get_mut(&run))
        {
            vacant.insert(run);
            traces.sessions.push(session);
        }
    }

    /// A descendant was seen below its main process: it is known even if it leaves the session later.
    fn learn_member(&mut self, run: RunId, member: Member) {
        self.learn_session(run, member.session);
        if let Some(traces) = self.traces.get_mut(&run)
            && self.seen.insert(member.id, run).is_none()
        {
            traces.seen.push(member.id);
        }
    }

    /// The next question reads the list of orphans anew.
    pub(super) fn forget_list(&mut self) {
        self.fresh = false;
    }

    /// Everything alive below `main` and below the orphans of this run, those included.
    pub(super) fn members(&mut self, run: RunId, main: Option<u32>) -> Vec<Member> {
        loop {
            let listed = self.refresh();
            let orphans = self.orphans.values().filter(|(_, owner)| *owner == Some(run));
            let mut pids: Vec<u32> = orphans.map(|(member, _)| member.id.pid).collect();
            for root in main.into_iter().chain(pids.clone()) {
                tree::descendants(root, &mut pids);
            }
            // One that was given away between the two looks is in both.
            let mut once = BTreeSet::new();
            pids.retain(|pid| once.insert(*pid));
            let found = pids.len();
            let members: Vec<Member> = pids.into_iter().filter_map(Member::alive).collect();
            for member in &members {
                self.learn_member(run, *member);
            }
            if !members.is_empty() || found == 0 || main.is_some() || !listed {
                return members;
            }
            // All of them died after the list was read, and may have left children that are not on it.
            self.forget_list();
        }
    }

    /// Reads the list of orphans unless that was done in this turn: reaps the dead, recognizes the new.
    ///
    /// One read sees every orphan there is: entries leave the list only by being reaped, which nobody else does. But
    /// who dies after the read has given its children away unseen; hence again, until nobody did. False = it can't be
    /// read, for want of descriptors: what was known stays known, and the next turn looks again.
    pub(super) fn refresh(&mut self) -> bool {
        while !self.fresh {
            let Ok(pids) = tree::orphans() else { return false };
            self.fresh = true;
            let known = std::mem::take(&mut self.orphans);
            for pid in pids {
                let Some(member) = Member::alive(pid) else {
                    self.fresh &= !tree::reap_orphan(pid);
                    continue;
                };
                let owner = match known.get(&member.id) {
                    Some((_, Some(owner))) if self.traces.contains_key(owner) => Some(*owner),
                    Some(_) | None => self.owner(member),
                };
                if let Some(owner) = owner {
                    self.learn_session(owner, member.session);
                }
                self.orphans.insert(member.id, (member, owner));
            }
        }
        true
    }

    fn owner(&self, member: Member) -> Option<RunId> {
        let by_sight = || self.seen.get(&member.id);
        let by_environment = || self.invocations.get(&invocation_of(member.id.pid)?);
        let by_session = || self.sessions.get(&member.session);
        by_sight().or_else(by_environment).or_else(by_session).copied()
    }
}

/// PROCESS_INVOCATION_ID of the environment that a process was executed with, if we may read it.
fn invocation_of(pid: u32) -> Option<InvocationId> {
    let value = tree::environ_value(pid, "PROCESS_INVOCATION_ID")?;
    u128::from_str_radix(std::str::from_utf8(&value).ok()?, 16).ok().map(InvocationId)
}
