//! What readers see of a process: state, reason and next action, derived from goal and phase.

use std::sync::Arc;

use model::{NextAction, NextActionKind, ProcessName, ProcessView, Reason, RunView, Signal, Stamp, State};

use super::Machine;
use super::process::{Goal, Key, Level, Phase, Process, Rest};

impl Process {
    /// The visible state.
    pub(super) fn state(&self) -> State {
        match (&self.phase, self.goal) {
            (Phase::Down(Rest::Invalid(_)), _) => State::Invalid,
            (Phase::Down(_), Goal::Up) => State::Waiting,
            (Phase::Down(Rest::Stopped), Goal::Down | Goal::Gone) => State::Stopped,
            (Phase::Down(Rest::Exited(_)), Goal::Down | Goal::Gone) => State::Exited,
            (Phase::Down(Rest::Failed(_)), Goal::Down | Goal::Gone) => State::Failed,
            (Phase::Starting { .. }, Goal::Up) => State::Starting,
            (Phase::Up { .. }, Goal::Up) => State::Running,
            (Phase::Starting { .. } | Phase::Up { .. }, Goal::Down | Goal::Gone)
            | (Phase::Stopping { .. }, _) => State::Stopping,
            (Phase::Backoff { crash_loop: false, .. }, _) => State::Backoff,
            (Phase::Backoff { crash_loop: true, .. }, _) => State::CrashLoop,
        }
    }

    fn next(&self) -> Option<NextAction> {
        match &self.phase {
            Phase::Backoff { wall, .. } => Some(NextAction { kind: NextActionKind::Start, at: *wall }),
            Phase::Stopping { level: Level::Polite { wall, .. }, .. } => {
                Some(NextAction { kind: NextActionKind::Kill, at: *wall })
            }
            Phase::Stopping { .. } | Phase::Down(_) | Phase::Starting { .. } | Phase::Up { .. } => None,
        }
    }

    fn run(&self) -> Option<RunView> {
        let run = self.phase.run()?;
        let started = match &self.phase {
            Phase::Up { started, .. } | Phase::Stopping { started, .. } => started.wall,
            Phase::Starting { .. } | Phase::Down(_) | Phase::Backoff { .. } => self.shown.1,
        };
        Some(RunView {
            id: run.id,
            number: run.number,
            invocation: run.invocation,
            pid: self.phase.pid(),
            started,
        })
    }
}

impl Machine {
    pub(super) fn view(&self, key: Key, process: &Process) -> ProcessView {
        ProcessView {
            spec: Arc::clone(&process.spec),
            state: process.shown.0,
            reason: self.reason(key, process),
            since: process.shown.1,
            wanted_up: process.goal == Goal::Up,
            run: process.run(),
            next: process.next(),
            exits: Arc::clone(&process.exits),
            status: String::new(),
            health: None,
            counters: process.counters,
            problem: process.problem.clone(),
        }
    }

    /// The view for an answer in the middle of a step.
    pub(super) fn fresh_view(&mut self, now: Stamp, key: Key) -> Option<Arc<ProcessView>> {
        self.note_shown_state(now, key);
        self.get(key).map(|process| Arc::new(self.view(key, process)))
    }

    fn reason(&self, key: Key, process: &Process) -> Reason {
        match &process.phase {
            Phase::Down(Rest::Invalid(problem)) => Reason::Invalid(problem.clone()),
            Phase::Down(_) if process.goal == Goal::Up => {
                Reason::WaitsFor(self.names_of(&self.start_blockers(key)))
            }
            Phase::Down(Rest::Exited(reason) | Rest::Failed(reason)) => reason.clone(),
            Phase::Up { .. } if process.goal != Goal::Up => {
                Reason::WaitsForStopOf(self.names_of(&self.stop_blockers(key)))
            }
            Phase::Stopping { pid: None, leftovers, .. } => Reason::Leftovers(leftovers.clone()),
            Phase::Stopping { level: Level::Killed { .. } | Level::Surviving, .. } => {
                Reason::StopTimedOut(Signal::KILL)
            }
            Phase::Backoff { ended, crash_loop: false, .. } => ended.reason(),
            Phase::Backoff { ended, crash_loop: true, .. } => Reason::StartLimit {
                burst: process.spec.restart.limit_burst,
                interval: process.spec.restart.limit_interval,
                last: Box::new(ended.reason()),
            },
            Phase::Down(Rest::Stopped)
            | Phase::Starting { .. }
            | Phase::Up { .. }
            | Phase::Stopping { .. } => process.cause.clone(),
        }
    }

    fn names_of(&self, keys: &[Key]) -> Vec<ProcessName> {
        keys.iter().filter_map(|k| self.get(*k)).map(|p| p.spec.name.clone()).collect()
    }

    /// Stamps the moment at which the visible state of a process changed.
    fn note_shown_state(&mut self, now: Stamp, key: Key) {
        if let Some(process) = self.processes.get_mut(&key) {
            let state = process.state();
            if process.shown.0 != state {
                process.shown = (state, now.wall);
            }
        }
    }

    pub(super) fn note_shown_states(&mut self, now: Stamp) {
        let changed: Vec<Key> = self.changed.iter().copied().collect();
        for key in changed {
            self.note_shown_state(now, key);
        }
    }
}
