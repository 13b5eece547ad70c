//! What readers see of a process: state, reason and next action, derived from goal and phase.

use std::sync::Arc;

use model::{
    HookKind, LastExit, NextAction, NextActionKind, ProcessName, ProcessView, Reason, RunView, Signal, Stamp,
    State,
};

use super::Machine;
use super::health::Health;
use super::needs::Blocker;
use super::notice::Reload;
use super::process::{Goal, Key, Level, Phase, Process, Rest, Stage, Verdict};

impl Process {
    /// The visible state.
    pub(super) fn state(&self) -> State {
        let wanted = self.goal == Goal::Up;
        let staying = wanted && self.renew.is_none();
        match &self.phase {
            Phase::Down(Rest::Invalid(_)) => State::Invalid,
            Phase::Down(_) if wanted => State::Waiting,
            Phase::Down(Rest::Stopped) => State::Stopped,
            Phase::Down(Rest::Exited(_)) => State::Exited,
            Phase::Down(Rest::Failed(_)) => State::Failed,
            Phase::Down(Rest::Skipped(_)) => State::Skipped,
            Phase::Preparing { .. } | Phase::Starting { .. } if staying => State::Starting,
            Phase::Up(live) if staying => match (live.stage, live.reload) {
                (Stage::Activating { .. } | Stage::Post { .. }, _) => State::Starting,
                (Stage::Ready, Reload::No) => State::Running,
                (Stage::Ready, Reload::Hook { .. } | Reload::Announced) => State::Reloading,
            },
            // Also while it waits for those that go down before it: nothing of it is alive.
            Phase::Remaining { .. } => State::Exited,
            Phase::Preparing { .. }
            | Phase::Starting { .. }
            | Phase::Up(_)
            | Phase::Stopping { .. }
            | Phase::Finishing { .. } => State::Stopping,
            Phase::Backoff { crash_loop: false, .. } => State::Backoff,
            Phase::Backoff { crash_loop: true, .. } => State::CrashLoop,
        }
    }

    pub(super) fn is_invalid(&self) -> bool {
        matches!(self.phase, Phase::Down(Rest::Invalid(_)))
    }

    /// Remembers how a run ended, and counts it.
    pub(super) fn note_exit(&mut self, exit: LastExit) {
        self.counters.exits[exit.reason as usize] += 1;
        let before = self.exits.iter().take(ProcessView::EXITS - 1).cloned();
        self.exits = std::iter::once(exit).chain(before).collect();
    }

    fn next(&self) -> Option<NextAction> {
        match &self.phase {
            Phase::Backoff { wall, .. } => Some(NextAction { kind: NextActionKind::Start, at: *wall }),
            Phase::Stopping { level: Level::Polite { wall, .. }, .. } => {
                Some(NextAction { kind: NextActionKind::Kill, at: *wall })
            }
            _ => None,
        }
    }

    fn run(&self) -> Option<RunView> {
        let run = self.phase.run()?;
        let started = match &self.phase {
            Phase::Up(live) => live.started,
            Phase::Stopping { started, .. } => *started,
            Phase::Starting { since, .. } => *since,
            _ => self.shown.1,
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
            since: process.shown.1.wall,
            wanted_up: process.goal == Goal::Up,
            run: process.run(),
            next: process.next(),
            exits: Arc::clone(&process.exits),
            status: process.status.clone(),
            health: process.live().and_then(|live| live.health.as_ref()).map(Health::view),
            counters: process.counters,
            problem: process.problem.clone(),
            degraded: process.live().and_then(|live| live.limits.degraded.clone()),
        }
    }

    /// The view for an answer in the middle of a step.
    pub(super) fn fresh_view(&mut self, now: Stamp, key: Key) -> Option<Arc<ProcessView>> {
        self.note_shown_state(now, key);
        self.get(key).map(|process| Arc::new(self.view(key, process)))
    }

    fn reason(&self, key: Key, process: &Process) -> Reason {
        let going_down = process.goal != Goal::Up || process.renew.is_some();
        let why = || process.renew.clone().unwrap_or_else(|| process.cause.clone());
        let hook =
            |kind: HookKind, next: usize| Reason::RunsHook(kind, next + 1, process.spec.hooks.of(kind).len());
        match &process.phase {
            Phase::Down(Rest::Invalid(problem)) => Reason::Invalid(problem.clone()),
            Phase::Down(_) if process.goal == Goal::Up => self.held_by(key),
            Phase::Down(Rest::Exited(reason) | Rest::Failed(reason)) => reason.clone(),
            Phase::Down(Rest::Skipped(condition)) => Reason::ConditionFailed(condition.clone()),
            Phase::Down(Rest::Stopped) => process.cause.clone(),
            Phase::Up(_) | Phase::Remaining { .. } if going_down => {
                match self.names_of(&self.stop_blockers(key)) {
                    names if names.is_empty() => why(),
                    names => Reason::WaitsForStopOf(names),
                }
            }
            Phase::Preparing { next, .. } => hook(HookKind::StartPre, *next),
            Phase::Up(live) => match (live.stage, live.reload) {
                (Stage::Activating { .. }, _) => Reason::NotReadyYet(process.spec.start.kind),
                (Stage::Post { next }, _) => hook(HookKind::StartPost, next),
                (Stage::Ready, Reload::Hook { next }) => hook(HookKind::Reload, next),
                (Stage::Ready, Reload::No | Reload::Announced) => process.cause.clone(),
            },
            Phase::Remaining { status, .. } => Reason::Exited(*status),
            Phase::Stopping { level: Level::Hook { next }, .. } => hook(HookKind::Stop, *next),
            Phase::Stopping { pid: None, leftovers, .. } if !leftovers.is_empty() => {
                Reason::Leftovers(leftovers.clone())
            }
            Phase::Stopping { level: Level::Killed { .. } | Level::Surviving, .. } => {
                Reason::StopTimedOut(Signal::KILL)
            }
            Phase::Stopping { verdict, .. } if !going_down => match verdict {
                Verdict::Ended(ended) => ended.reason(),
                Verdict::Announced => Reason::StopAnnounced,
                Verdict::Asked => why(),
            },
            Phase::Finishing { hooks, .. } => match hooks.front() {
                Some((kind, _)) => {
                    let left = hooks.iter().filter(|(other, _)| other == kind).count();
                    // The definition may have fewer of them by now.
                    let of = process.spec.hooks.of(*kind).len().max(left);
                    Reason::RunsHook(*kind, of - left + 1, of)
                }
                None => why(),
            },
            Phase::Backoff { ended, crash_loop: false, .. } => ended.reason(),
            Phase::Backoff { ended, crash_loop: true, .. } => Reason::StartLimit {
                burst: process.spec.restart.limit_burst,
                interval: process.spec.restart.limit_interval,
                last: Box::new(ended.reason()),
            },
            Phase::Starting { .. } | Phase::Stopping { .. } => why(),
        }
    }

    /// What keeps a process from being started: what won't pass by itself first.
    fn held_by(&self, key: Key) -> Reason {
        let (mut first, mut conflicting) = (Vec::new(), Vec::new());
        for blocker in self.start_blockers(key) {
            match blocker {
                Blocker::Lacks(name, lack) => return Reason::Lacks(name, lack),
                Blocker::First(name) => first.push(name),
                Blocker::Conflicts(name) => conflicting.push(name),
            }
        }
        if conflicting.is_empty() { Reason::WaitsFor(first) } else { Reason::WaitsForStopOf(conflicting) }
    }

    fn names_of(&self, keys: &[Key]) -> Vec<ProcessName> {
        keys.iter().filter_map(|k| self.get(*k)).map(|p| p.spec.name.clone()).collect()
    }

    /// Stamps the moment at which the visible state of a process changed.
    pub(super) fn note_shown_state(&mut self, now: Stamp, key: Key) {
        if let Some(process) = self.processes.get_mut(&key) {
            let state = process.state();
            if process.shown.0 != state {
                process.shown = (state, now);
            }
        }
    }
}
