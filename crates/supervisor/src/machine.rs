//! The pure state machine: `step(now, input) -> effects`.
//!
//! It never blocks, reads no clock, does no I/O and can't fail: a command that can't be carried out gets a
//! [`Refusal`]. Everything that takes time comes back as an [`Input`] with the id of its run, and
//! whether that run is still the current one is decided in one place (`Machine::current`).
//!
//! A step has two halves. First the input changes goals and phases of the processes that it names and marks them
//! dirty; then `Machine::settle` brings every dirty process as far as goal, phase and order allow, which may mark
//! its neighbors dirty, until nothing is left to do. A queue instead of recursion: a chain of ten thousand
//! processes must not need ten thousand stack frames.
//!
//! What each (goal, phase) pair means stands at the head of `machine/process.rs`.

mod apply;
mod commands;
mod io;
mod lifecycle;
mod order;
mod process;
mod restart;
mod rng;
mod timers;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Event, EventKind, Mono, ProcessName, ProcessRef, ProcessView, Reason, Refusal, Reply, RunId, Seq, Stamp,
};

pub use io::{Effect, Helper, Input, Notice, Role, Target, Ticket};

use order::Order;
use process::{Goal, Key, Level, Phase, Process, Rest, Want};
use rng::Rng;
use timers::Timers;

/// Time from SIGKILL until what is still alive is reported as surviving. The kernel needs milliseconds; ten
/// seconds of disk trouble are worth waiting for before an operator is told.
pub const KILL_GRACE: Duration = Duration::from_secs(10);

/// The process table and its rules.
#[derive(Debug)]
pub struct Machine {
    processes: BTreeMap<Key, Process>,
    names: HashMap<ProcessName, Key>,
    runs: HashMap<RunId, Key>,
    order: Order,
    timers: Timers,
    /// Processes to settle in this step.
    dirty: VecDeque<Key>,
    /// Processes whose view has to be published.
    changed: BTreeSet<Key>,
    /// Names that left the table since the last publication.
    removed: Vec<ProcessName>,
    /// Callers who wait for the end; `Some` = shutting down.
    shutdown: Option<Vec<Ticket>>,
    rng: Rng,
    next_key: u32,
    next_run: u64,
    seq: Seq,
    stale: u64,
}

/// What every transition needs: the time, and where its effects go.
struct Turn<'a> {
    now: Stamp,
    out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    fn reply(&mut self, ticket: Ticket, result: Result<Reply, Refusal>) {
        self.out.push(Effect::Reply { ticket, result });
    }
}

impl Machine {
    /// An empty table. `seed` feeds invocation ids and jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            processes: BTreeMap::new(),
            names: HashMap::new(),
            runs: HashMap::new(),
            order: Order::default(),
            timers: Timers::default(),
            dirty: VecDeque::new(),
            changed: BTreeSet::new(),
            removed: Vec::new(),
            shutdown: None,
            rng: Rng::new(seed),
            next_key: 0,
            next_run: 0,
            seq: Seq(0),
            stale: 0,
        }
    }

    /// Applies one input; effects are appended to `out` in the order in which they must be carried out.
    pub fn step(&mut self, now: Stamp, input: Input, out: &mut Vec<Effect>) {
        let mut turn = Turn { now, out };
        let t = &mut turn;
        match input {
            Input::Command { ticket, command } => self.on_command(t, ticket, command),
            Input::Spawned { run, pid } => self.on_spawned(t, run, pid),
            Input::SpawnFailed { run, failure } => self.on_spawn_failed(t, run, failure),
            Input::Exited { run, status, usage, leftovers } => {
                self.on_exited(t, run, status, usage, leftovers);
            }
            Input::Skipped { .. }
            | Input::Notified { .. }
            | Input::MainFound { .. }
            | Input::MainNotFound { .. }
            | Input::Probed { .. } => {}
            Input::Leftovers { run, pids } => self.on_leftovers(t, run, pids),
            Input::Deadline => {
                for key in self.timers.due(now.mono) {
                    self.on_deadline(t, key);
                }
            }
        }
        self.settle(t);
        self.note_shown_states(now);
        self.answer_shutdown(t);
    }

    /// The earliest moment at which `Input::Deadline` must be delivered; `None` = sleep until something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// The views that changed since the last call; `None` = the process left the table.
    pub fn take_changes(&mut self) -> Vec<(ProcessName, Option<Arc<ProcessView>>)> {
        let gone = std::mem::take(&mut self.removed);
        // A name that was removed and created again in one step is in both lists: the removal comes first.
        let mut changes: Vec<_> = gone.into_iter().map(|name| (name, None)).collect();
        for key in std::mem::take(&mut self.changed) {
            if let Some(process) = self.processes.get(&key) {
                changes.push((process.spec.name.clone(), Some(Arc::new(self.view(key, process)))));
            }
        }
        changes
    }

    /// Number of the last event.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Inputs that belonged to an earlier run and were dropped.
    #[must_use]
    pub fn stale_inputs(&self) -> u64 {
        self.stale
    }

    /// The process whose current run this is. The one place where staleness is decided.
    fn current(&mut self, run: RunId) -> Option<Key> {
        let key = self.runs.get(&run).copied();
        if key.is_none() {
            self.stale += 1;
        }
        key
    }

    fn get(&self, key: Key) -> Option<&Process> {
        self.processes.get(&key)
    }

    /// Marks for settling and for publication.
    fn touch(&mut self, key: Key) {
        self.dirty.push_back(key);
        self.changed.insert(key);
    }

    /// The only way to change a phase: keeps the timers and the run index in step and wakes the neighbors.
    fn set_phase(&mut self, key: Key, phase: Phase) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        self.timers.replace(key, process.phase.deadline(), phase.deadline());
        let (old, new) = (process.phase.run().map(|r| r.id), phase.run().map(|r| r.id));
        process.phase = phase;
        if old != new {
            old.map(|run| self.runs.remove(&run));
            new.map(|run| self.runs.insert(run, key));
        }
        self.touch(key);
        let neighbors: Vec<Key> = [self.order.before(key), self.order.after(key)].concat();
        for neighbor in neighbors {
            self.touch(neighbor);
        }
    }

    /// Changes what is wanted. A caller who waited for the opposite is told who took over.
    fn set_goal(&mut self, t: &mut Turn<'_>, key: Key, goal: Goal, cause: Reason, by: &'static str) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.goal = goal;
        process.cause = cause;
        let name = process.spec.name.clone();
        let keeps = |want: Want| match want {
            Want::Up => goal == Goal::Up,
            Want::Down => goal != Goal::Up,
            Want::Gone => goal == Goal::Gone,
        };
        let (stay, leave): (Vec<_>, Vec<_>) =
            std::mem::take(&mut process.waiters).into_iter().partition(|(_, want)| keeps(*want));
        process.waiters = stay;
        let refusal = match process.cause {
            Reason::Shutdown => Refusal::ShuttingDown,
            _ => Refusal::Superseded(name, by),
        };
        for (ticket, _) in leave {
            t.reply(ticket, Err(refusal.clone()));
        }
        self.touch(key);
        let neighbors: Vec<Key> = self.order.before(key).to_vec();
        for neighbor in neighbors {
            self.touch(neighbor);
        }
    }

    fn emit(&mut self, t: &mut Turn<'_>, key: Key, kind: EventKind) {
        let Some(process) = self.processes.get(&key) else { return };
        self.seq = Seq(self.seq.0 + 1);
        t.out.push(Effect::Emit(Event {
            seq: self.seq,
            at: t.now,
            process: ProcessRef { name: process.spec.name.clone(), id: process.spec.id },
            run: process.phase.run().map(|r| (r.number, r.invocation)),
            pid: process.phase.pid(),
            kind,
        }));
    }

    /// Brings every dirty process as far as goal, phase and order allow.
    fn settle(&mut self, t: &mut Turn<'_>) {
        while let Some(key) = self.dirty.pop_front() {
            let Some(process) = self.processes.get(&key) else { continue };
            match (process.goal, &process.phase) {
                (Goal::Up, Phase::Down(Rest::Invalid(_))) => {}
                (Goal::Up, Phase::Down(_)) => {
                    if self.start_blockers(key).is_empty() {
                        self.start(t, key);
                    }
                }
                (Goal::Down | Goal::Gone, Phase::Up { .. }) => {
                    if self.stop_blockers(key).is_empty() {
                        self.begin_stop(t, key);
                    }
                }
                (Goal::Down, Phase::Backoff { .. }) => self.set_phase(key, Phase::Down(Rest::Stopped)),
                (Goal::Gone, Phase::Down(_) | Phase::Backoff { .. }) => self.remove(t, key),
                (Goal::Up | Goal::Down, Phase::Up { .. } | Phase::Down(_)) => self.answer_waiters(t, key),
                (_, Phase::Starting { .. } | Phase::Stopping { .. }) | (Goal::Up, Phase::Backoff { .. }) => {}
            }
        }
    }

    /// Predecessors that are wanted up and not settled yet. One in backoff is settled: it had its chance.
    fn start_blockers(&self, key: Key) -> Vec<Key> {
        let on_its_way = |p: &Process| {
            p.goal == Goal::Up
                && match &p.phase {
                    Phase::Down(rest) => !matches!(rest, Rest::Invalid(_)),
                    Phase::Starting { .. } | Phase::Stopping { .. } => true,
                    Phase::Up { .. } | Phase::Backoff { .. } => false,
                }
        };
        self.order.before(key).iter().copied().filter(|k| self.get(*k).is_some_and(on_its_way)).collect()
    }

    /// Successors that are to go down and are still alive. One that survives SIGKILL holds up nobody.
    fn stop_blockers(&self, key: Key) -> Vec<Key> {
        let alive = |p: &Process| {
            p.goal != Goal::Up
                && match &p.phase {
                    Phase::Starting { .. } | Phase::Up { .. } => true,
                    Phase::Stopping { level, .. } => *level != Level::Surviving,
                    Phase::Down(_) | Phase::Backoff { .. } => false,
                }
        };
        self.order.after(key).iter().copied().filter(|k| self.get(*k).is_some_and(alive)).collect()
    }

    /// Answers callers whose outcome is reached.
    fn answer_waiters(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let reached = match process.phase {
            Phase::Up { .. } => Want::Up,
            Phase::Down(_) => Want::Down,
            Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Backoff { .. } => return,
        };
        let (done, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut process.waiters).into_iter().partition(|(_, want)| *want == reached);
        process.waiters = rest;
        for (ticket, _) in done {
            if let Some(view) = self.fresh_view(t.now, key) {
                t.reply(ticket, Ok(Reply::Done(view)));
            }
        }
    }

    fn answer_shutdown(&mut self, t: &mut Turn<'_>) {
        let quiet = self.processes.values().all(|p| match &p.phase {
            Phase::Down(_) => true,
            Phase::Stopping { level, .. } => *level == Level::Surviving,
            Phase::Starting { .. } | Phase::Up { .. } | Phase::Backoff { .. } => false,
        });
        if let Some(tickets) = &mut self.shutdown
            && quiet
        {
            for ticket in std::mem::take(tickets) {
                t.reply(ticket, Ok(Reply::ShutDown));
            }
        }
    }
}
