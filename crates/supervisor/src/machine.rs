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
mod finish;
mod graph;
mod health;
mod helper;
mod io;
mod limits;
mod needs;
mod notice;
mod past;
mod process;
mod restart;
mod rng;
mod start;
mod stop;
mod timers;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Counters, Event, EventKind, Mono, ProcessId, ProcessName, ProcessRef, ProcessView, Reason, Refusal,
    Reply, RunId, Seq, Stamp,
};

pub use io::{Effect, Helper, Input, Notice, Role, Target, Ticket};

use graph::Graph;
use past::Past;
use process::{Goal, Key, Level, Phase, Process, Rest, Stage, Want};
use rng::Rng;
use timers::Timers;

/// Time from SIGKILL until what is still alive is reported as surviving. The kernel needs milliseconds; ten
/// seconds of disk trouble are worth waiting for before an operator is told.
pub const KILL_GRACE: Duration = Duration::from_secs(10);

/// The process table and its rules.
#[derive(Debug)]
pub struct Machine {
    /// Counts of processes that are not in the table.
    past: Past,
    /// Boxed: a node of the map has room for eleven, and keys that only grow leave it half empty.
    processes: BTreeMap<Key, Box<Process>>,
    names: HashMap<ProcessName, Key>,
    runs: HashMap<RunId, Key>,
    graph: Graph,
    timers: Timers,
    /// Processes to settle in this step.
    dirty: VecDeque<Key>,
    /// Callers who are told how a process is once this step is over.
    asked: Vec<(Ticket, Key, ProcessName)>,
    /// Processes that this step changed, some of them more than once.
    touched: Vec<Key>,
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
        Self::with_past(seed, BTreeMap::new())
    }

    /// An empty table whose processes go on counting where they were when they are defined for the first time.
    #[must_use]
    pub fn with_past(seed: u64, past: BTreeMap<ProcessId, Counters>) -> Self {
        Self {
            past: Past::new(past),
            processes: BTreeMap::new(),
            names: HashMap::new(),
            runs: HashMap::new(),
            graph: Graph::default(),
            timers: Timers::default(),
            dirty: VecDeque::new(),
            asked: Vec::new(),
            touched: Vec::new(),
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
            Input::Skipped { run, condition } => self.on_skipped(t, run, condition),
            Input::Notified { run, notice } => self.on_notified(t, run, notice),
            Input::MainFound { run, pid } => self.on_main_found(t, run, pid),
            Input::MainNotFound { run, problem } => self.on_main_not_found(t, run, problem),
            Input::Probed { run, result } => self.on_probed(t, run, result),
            Input::Leftovers { run, pids } => self.on_leftovers(t, run, pids),
            Input::OomKilled { run, kills } => self.on_oom_killed(t, run, kills),
            Input::Limited { run, limits, degraded } => self.on_limited(t, run, limits, degraded),
            Input::Deadline => {
                for key in self.timers.due(now.mono) {
                    self.on_deadline(t, key);
                }
            }
        }
        self.settle(t);
        for (ticket, key, name) in std::mem::take(&mut self.asked) {
            let view = self.fresh_view(now, key);
            // It may have been removed in this very step.
            t.reply(ticket, view.map(Reply::Done).ok_or(Refusal::NotFound(name)));
        }
        self.close_step(now);
        self.answer_shutdown(t);
    }

    /// Timers and visible states of everything that this step changed.
    fn close_step(&mut self, now: Stamp) {
        for key in std::mem::take(&mut self.touched) {
            self.note_shown_state(now, key);
            if let Some(process) = self.processes.get_mut(&key) {
                let deadline = process.deadline();
                self.timers.replace(key, process.timer, deadline);
                process.timer = deadline;
                self.changed.insert(key);
            }
        }
    }

    /// The earliest of a process's moments has come: whichever it was.
    fn on_deadline(&mut self, t: &mut Turn<'_>, key: Key) {
        self.time_out_helpers(t, key);
        let now = t.now.mono;
        let due = |at: Option<Mono>| at.is_some_and(|at| at <= now);
        match self.get(key).map(|p| &p.phase) {
            Some(Phase::Backoff { until, .. }) if *until <= now => self.backoff_over(key),
            Some(Phase::Stopping { .. }) => self.stop_deadline(t, key),
            Some(Phase::Up(live)) => {
                let health = due(live.health.as_ref().and_then(health::Health::due));
                match live.stage {
                    Stage::Activating { until } if due(until) => self.start_timed_out(t, key),
                    _ if due(live.watchdog.map(|w| w.until)) => self.watchdog_expired(t, key),
                    _ if health => self.check_health(t, key),
                    _ => {}
                }
            }
            _ => {}
        }
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
        self.processes.get(&key).map(Box::as_ref)
    }

    /// Marks for settling, for its timer and for publication.
    fn touch(&mut self, key: Key) {
        self.dirty.push_back(key);
        self.touched.push(key);
    }

    /// What others may do depends on it, too.
    fn touch_with_neighbors(&mut self, key: Key) {
        self.touch(key);
        let neighbors: Vec<Key> = [self.graph.before(key), self.graph.after(key)].concat();
        for neighbor in neighbors.into_iter().chain(self.graph.conflicts(key).collect::<Vec<_>>()) {
            self.touch(neighbor);
        }
    }

    /// The only way to change a phase: keeps the run index in step and wakes the neighbors.
    fn set_phase(&mut self, key: Key, phase: Phase) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (old, new) = (process.phase.run().map(|r| r.id), phase.run().map(|r| r.id));
        process.phase = phase;
        if old != new {
            old.map(|run| self.runs.remove(&run));
            new.map(|run| self.runs.insert(run, key));
        }
        self.touch_with_neighbors(key);
    }

    /// Changes what is wanted. A caller who waited for the opposite is told who took over.
    fn set_goal(&mut self, t: &mut Turn<'_>, key: Key, goal: Goal, cause: Reason, by: &'static str) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let goes_down = process.goal == Goal::Up && goal != Goal::Up;
        process.goal = goal;
        process.cause = cause;
        let name = process.spec.name.clone();
        let keeps = |want: Want| match want {
            Want::Up => goal == Goal::Up,
            Want::Down => goal != Goal::Up,
            Want::Gone => goal == Goal::Gone,
            Want::Reloaded => goal == Goal::Up,
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
        // When everything goes down, each has its own goal.
        if goes_down && self.shutdown.is_none() {
            self.pull_down(key, false);
        }
        self.touch_with_neighbors(key);
    }

    fn emit(&mut self, t: &mut Turn<'_>, key: Key, kind: EventKind) {
        let Some(process) = self.processes.get(&key) else { return };
        self.seq = Seq(self.seq.0 + 1);
        t.out.push(Effect::Emit(Event {
            seq: self.seq,
            at: t.now,
            process: ProcessRef { name: process.spec.name.clone(), id: process.spec.id },
            run: process.phase.context().map(|r| (r.number, r.invocation)),
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
                (Goal::Up, Phase::Down(_)) => match self.start_blockers(key) {
                    blockers if blockers.is_empty() => self.start(t, key),
                    blockers => self.hold(t, key, &blockers),
                },
                (Goal::Up, Phase::Preparing { .. } | Phase::Up(_) | Phase::Remaining { .. }) => {
                    self.settle_up(t, key);
                }
                (
                    Goal::Down | Goal::Gone,
                    Phase::Preparing { .. } | Phase::Up(_) | Phase::Remaining { .. },
                ) => {
                    self.take_down(t, key);
                }
                (Goal::Down, Phase::Backoff { .. }) => self.set_phase(key, Phase::Down(Rest::Stopped)),
                (Goal::Gone, Phase::Down(_) | Phase::Backoff { .. }) => self.remove(t, key),
                (Goal::Down, Phase::Down(_)) => self.answer(t, key, Want::Down),
                (_, Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Finishing { .. })
                | (Goal::Up, Phase::Backoff { .. }) => {}
            }
        }
    }

    /// One that is wanted up and is on its way or there: it stays, unless its run is to be replaced or somebody that it
    /// is bound to is gone.
    fn settle_up(&mut self, t: &mut Turn<'_>, key: Key) {
        if let Some(name) = self.must_yield_to(key)
            && let Some(process) = self.processes.get_mut(&key)
            && process.renew.is_none()
        {
            process.renew = Some(Reason::StoppedWith(name));
            self.pull_down(key, false);
            self.touch_with_neighbors(key);
        }
        let Some(process) = self.get(key) else { return };
        if process.renew.is_some() {
            self.take_down(t, key);
        } else if process.phase.is_up() && !process.live().is_some_and(|live| live.limits.changing()) {
            self.answer(t, key, Want::Up);
        }
    }

    /// Stops what is up or on its way, once nobody holds it back.
    fn take_down(&mut self, t: &mut Turn<'_>, key: Key) {
        if !self.stop_blockers(key).is_empty() {
            return;
        }
        match self.get(key).map(|p| &p.phase) {
            Some(Phase::Preparing { .. }) => self.abort_preparation(t, key),
            Some(Phase::Up(_)) => self.begin_stop(t, key),
            Some(Phase::Remaining { .. }) => self.finish_remaining(t, key),
            _ => {}
        }
    }

    /// Tells everybody who waits for this that it won't be.
    fn refuse(&mut self, t: &mut Turn<'_>, key: Key, want: Want, refusal: impl Fn(&ProcessName) -> Refusal) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (refused, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut process.waiters).into_iter().partition(|(_, w)| *w == want);
        process.waiters = rest;
        let name = process.spec.name.clone();
        for (ticket, _) in refused {
            t.reply(ticket, Err(refusal(&name)));
        }
    }

    fn answer_shutdown(&mut self, t: &mut Turn<'_>) {
        let Some(tickets) = &mut self.shutdown else { return };
        let quiet = self.processes.values().all(|p| match &p.phase {
            Phase::Down(_) => true,
            Phase::Stopping { level, .. } => *level == Level::Surviving,
            _ => false,
        });
        if quiet {
            for ticket in std::mem::take(tickets) {
                t.reply(ticket, Ok(Reply::ShutDown));
            }
        }
    }
}
