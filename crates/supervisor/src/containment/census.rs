//! Which run an adopted orphan came from.
//!
//! A process whose parent died is given to the daemon's main thread. It is recognized by, in this order: having been
//! seen below its run's main process when that was signalled; PROCESS_HELPER_ID, then PROCESS_INVOCATION_ID in the
//! environment that it was executed with; belonging to a session of the run (every main process leads one). A process
//! that fits nothing is left alone: killing a stranger is worse than leaving one.

mod process;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;

use model::{InvocationId, RunId};
use sys::tree;

pub(super) use process::{Identity, Member, has_ended};

/// What the descendants of a run are recognized by, wherever they went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trace {
    /// PROCESS_INVOCATION_ID. Helpers of the run carry it, too.
    Run(InvocationId),
    /// PROCESS_HELPER_ID.
    Helper(InvocationId),
}

/// The adopted orphans and how they were recognized.
#[derive(Debug, Default)]
pub(super) struct Census {
    runs: HashMap<RunId, Known>,
    invocations: HashMap<InvocationId, RunId>,
    helpers: HashMap<InvocationId, RunId>,
    sessions: HashMap<u32, RunId>,
    seen: BTreeMap<Identity, RunId>,
    /// As of the last reading of the list. By pid: who is on the list stays on it until he is reaped, which nobody else
    /// does, so that the same number is the same process.
    orphans: BTreeMap<u32, Orphan>,
    /// The same by owner.
    owned: HashMap<RunId, Vec<u32>>,
    /// Main processes that were not spawned here. Their status is for those who hold their pidfds, should they be
    /// orphans.
    kept: BTreeSet<u32>,
    /// Whether `orphans` is of this turn.
    fresh: bool,
    /// Readings of the list and of /proc, and tries to reap: each some microseconds.
    looks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Orphan {
    member: Member,
    owner: Option<RunId>,
}

/// What is known of a run: the keys of the indexes that lead to it.
#[derive(Debug)]
struct Known {
    trace: Trace,
    /// Its own session, and those that its descendants opened.
    sessions: Vec<u32>,
    /// Descendants seen below its main process: whoever of them is orphaned later needs no recognition.
    seen: Vec<Identity>,
}

/// One look at a run.
#[derive(Debug)]
pub(super) struct Look {
    /// Who is alive.
    pub(super) members: Vec<Member>,
    /// False when all that was found died before it was looked at, and may have left children that were not found.
    pub(super) certain: bool,
}

impl Look {
    pub(super) fn nothing() -> Self {
        Self { members: Vec::new(), certain: true }
    }
}

impl Census {
    pub(super) fn expect(&mut self, run: RunId, trace: Trace) {
        self.runs.insert(run, Known { trace, sessions: Vec::new(), seen: Vec::new() });
        let (ids, id) = self.index(trace);
        ids.insert(id, run);
    }

    /// Apart, as a helper carries the id of the run that it helps as well.
    fn index(&mut self, trace: Trace) -> (&mut HashMap<InvocationId, RunId>, InvocationId) {
        match trace {
            Trace::Run(id) => (&mut self.invocations, id),
            Trace::Helper(id) => (&mut self.helpers, id),
        }
    }

    /// The session of a new main process. Its number may have been an extinct session's: the newest owner wins.
    pub(super) fn born(&mut self, run: RunId, session: u32) {
        if let Some(known) = self.runs.get_mut(&run) {
            known.sessions.push(session);
            self.sessions.insert(session, run);
        }
    }

    pub(super) fn forget_run(&mut self, run: RunId) {
        let Some(known) = self.runs.remove(&run) else { return };
        let (ids, id) = self.index(known.trace);
        ids.remove(&id);
        for session in known.sessions {
            if self.sessions.get(&session) == Some(&run) {
                self.sessions.remove(&session);
            }
        }
        for id in known.seen {
            self.seen.remove(&id);
        }
    }

    /// This process is a main process from now on: whoever holds its pidfd reaps it.
    pub(super) fn keep(&mut self, run: RunId, member: Member) {
        self.kept.insert(member.id.pid);
        self.learn_member(run, member);
    }

    /// This one is no main process any more: it was reaped, or it is like any other orphan.
    pub(super) fn let_go(&mut self, pid: u32) {
        if self.kept.remove(&pid) {
            // Its number may be another one's the next time that the list is read.
            self.orphans.remove(&pid);
            self.forget_list();
        }
    }

    /// A descendant leads or is in this session: its relatives are recognized by it.
    fn learn_session(&mut self, run: RunId, session: u32) {
        if let (Entry::Vacant(vacant), Some(known)) = (self.sessions.entry(session), self.runs.get_mut(&run))
        {
            vacant.insert(run);
            known.sessions.push(session);
        }
    }

    /// A descendant was seen below its main process: it is known even if it leaves the session later.
    fn learn_member(&mut self, run: RunId, member: Member) {
        self.learn_session(run, member.session);
        if let Some(known) = self.runs.get_mut(&run)
            && self.seen.insert(member.id, run).is_none()
        {
            known.seen.push(member.id);
        }
    }

    /// The next question reads the list of orphans anew.
    pub(super) fn forget_list(&mut self) {
        self.fresh = false;
    }

    /// Everything alive below `main` and below the orphans of this run, and those; with `former` as one of them, and
    /// without `main` itself.
    pub(super) fn look(&mut self, run: RunId, main: Option<u32>, former: Option<u32>) -> Look {
        let listed = self.refresh();
        let mut pids = self.owned.get(&run).cloned().unwrap_or_default();
        pids.extend(former);
        for root in main.into_iter().chain(pids.clone()) {
            self.looks += 1;
            tree::descendants(root, &mut pids);
        }
        // One that was given away between the two looks is in both.
        let mut once: BTreeSet<u32> = main.into_iter().collect();
        pids.retain(|pid| once.insert(*pid));
        let look = self.look_at(pids, main.is_some() || !listed);
        for member in &look.members {
            self.learn_member(run, *member);
        }
        look
    }

    /// Who of these is alive. `enough` = it need not be certain that nobody is.
    pub(super) fn look_at(&mut self, pids: Vec<u32>, enough: bool) -> Look {
        let found = pids.len();
        self.looks += found as u64;
        let members: Vec<Member> = pids.into_iter().filter_map(Member::alive).collect();
        let certain = enough || found == 0 || !members.is_empty();
        Look { members, certain }
    }

    /// Reads the list of orphans unless that was done in this turn: reaps the dead, recognizes the new.
    ///
    /// One read sees every orphan there is: entries leave the list only by being reaped, which nobody else does. But
    /// who dies after the read has given its children away unseen; hence again, until nobody did. False = it can't be
    /// read, for want of descriptors: what was known stays known, and the next turn looks again.
    pub(super) fn refresh(&mut self) -> bool {
        while !self.fresh {
            self.looks += 1;
            let Ok(pids) = tree::orphans() else { return false };
            self.fresh = true;
            let mut known = std::mem::take(&mut self.orphans);
            self.owned.clear();
            for pid in pids {
                self.looks += 1;
                if let Some(orphan) = self.examine(pid, known.remove(&pid)) {
                    self.orphans.insert(pid, orphan);
                    if let Some(owner) = orphan.owner {
                        self.learn_session(owner, orphan.member.session);
                        self.owned.entry(owner).or_default().push(pid);
                    }
                }
            }
        }
        true
    }

    /// Reaps an orphan that is dead; recognizes one that is alive, unless it is known already.
    fn examine(&mut self, pid: u32, known: Option<Orphan>) -> Option<Orphan> {
        let member = match known {
            Some(orphan) if self.kept.contains(&pid) || !self.reap(pid) => orphan.member,
            Some(_) => return None,
            None => self.alive(pid)?,
        };
        let owner = match known {
            Some(Orphan { owner: Some(owner), .. }) if self.runs.contains_key(&owner) => Some(owner),
            // What its environment says is known already, and its session was not any run's.
            Some(Orphan { owner: None, .. }) => self.by_relatives(member),
            // New, or its run was released, which a run that it carries the trace of as well was not.
            Some(_) | None => self.owner(member).or_else(|| self.by_offspring(member)),
        };
        if owner.is_none() {
            // If it gave its children away meanwhile, they are not on the list that was read.
            self.alive(pid)?;
        }
        Some(Orphan { member, owner })
    }

    /// A process that ends loses its environment before it gives its children away: for some microseconds, or until it
    /// gets a processor again, only they tell where it came from. (The one between the two forks of a daemon.)
    fn by_offspring(&mut self, member: Member) -> Option<RunId> {
        let mut below = Vec::new();
        self.looks += 1;
        tree::descendants(member.id.pid, &mut below);
        below.into_iter().filter_map(Member::alive).find_map(|child| self.owner(child))
    }

    /// The orphan of this pid, if it is alive. Else it is reaped, unless that is somebody else's to do.
    fn alive(&mut self, pid: u32) -> Option<Member> {
        let alive = Member::alive(pid);
        if alive.is_none() && !self.kept.contains(&pid) {
            self.reap(pid);
        }
        alive
    }

    fn reap(&mut self, pid: u32) -> bool {
        let reaped = tree::reap_orphan(pid);
        self.fresh &= !reaped;
        reaped
    }

    fn by_relatives(&self, member: Member) -> Option<RunId> {
        self.seen.get(&member.id).or_else(|| self.sessions.get(&member.session)).copied()
    }

    /// Whose a process is that lost its parent.
    pub(super) fn owner(&mut self, member: Member) -> Option<RunId> {
        if let Some(run) = self.seen.get(&member.id) {
            return Some(*run);
        }
        self.looks += 1;
        let named = |ids: &HashMap<InvocationId, RunId>, variable| {
            ids.get(&trace_of(member.id.pid, variable)?).copied()
        };
        // Helpers are few at a time, and as a rule none: then one reading of the environment is enough.
        let helper = if self.helpers.is_empty() { None } else { named(&self.helpers, "PROCESS_HELPER_ID") };
        helper
            .or_else(|| named(&self.invocations, "PROCESS_INVOCATION_ID"))
            .or_else(|| self.sessions.get(&member.session).copied())
    }

    /// Takes an orphan that nothing else tells of for one of this run, on the word of its pidfile, if it is the user's
    /// that the run is, or the run is root's.
    pub(super) fn claim(&mut self, run: RunId, pid: u32, uid: u32) -> bool {
        self.forget_list();
        self.refresh();
        let Some(orphan) = self.orphans.get_mut(&pid) else { return false };
        // Of a process that may not be looked into (prctl(2), PR_SET_DUMPABLE) this is root.
        let its_user = || fs::metadata(format!("/proc/{pid}")).map(|process| process.uid());
        if orphan.owner.is_some() || !(uid == 0 || its_user().is_ok_and(|its| its == uid)) {
            return false;
        }
        orphan.owner = Some(run);
        let member = orphan.member;
        self.owned.entry(run).or_default().push(pid);
        self.learn_member(run, member);
        true
    }

    pub(super) fn looks(&self) -> u64 {
        self.looks
    }
}

/// An id in the environment that a process was executed with, if we may read it.
fn trace_of(pid: u32, variable: &str) -> Option<InvocationId> {
    let value = tree::environ_value(pid, variable)?;
    u128::from_str_radix(std::str::from_utf8(&value).ok()?, 16).ok().map(InvocationId)
}
