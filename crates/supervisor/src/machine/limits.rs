//! Limits of a live run: changed while it runs, and what becomes of it when memory runs out.

use std::time::Duration;

use model::{EventKind, ExitStatus, Mono, Reason, ResourceLimits, RunId, Signal};

use super::process::{Key, Live};
use super::{Effect, Machine, Turn};

/// For so long after the kernel killed a process of a run, the main process's death by SIGKILL is taken for that. A process
/// with much memory takes a while to be gone.
const DIES_WITHIN: Duration = Duration::from_secs(10);

/// What a live run is limited to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// What is in force, or being set.
    pub(super) set: ResourceLimits,
    /// Whether an answer is outstanding: there is only one change at a time, as two would race.
    changing: bool,
    /// What of it is not in force.
    pub(super) degraded: Option<String>,
    /// When the kernel last killed a process of it.
    oom: Option<Mono>,
}

impl Limits {
    pub(super) fn new(set: ResourceLimits) -> Self {
        Self { set, ..Self::default() }
    }

    /// Whether it is not known yet what holds. Who waits for the process to be up hears that, too.
    pub(super) fn changing(&self) -> bool {
        self.changing
    }
}

impl Machine {
    /// Brings the limits of a live run to what its definition says.
    pub(super) fn apply_limits(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (name, new) = (process.spec.name.clone(), process.spec.limits);
        let Some(live) = process.live_mut() else { return };
        let old = live.limits.set;
        if live.limits.changing || old == new {
            return;
        }
        live.limits.changing = true;
        live.limits.set = new;
        let (run, invocation) = (live.run.id, live.run.invocation);
        t.out.push(Effect::Limit { run, process: name, invocation, old, new });
    }

    pub(super) fn on_limited(
        &mut self,
        t: &mut Turn<'_>,
        run: RunId,
        limits: ResourceLimits,
        degraded: Option<String>,
    ) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        // A hook's leaf is its own, and gone soon.
        let Some(live) = process.live_mut().filter(|live| live.run.id == run) else { return };
        if live.limits.set == limits {
            live.limits.changing = false;
        }
        let news = degraded.clone().filter(|_| live.limits.degraded != degraded);
        live.limits.degraded = degraded;
        if let Some(problem) = news {
            self.emit(t, key, EventKind::Degraded { problem });
        }
        self.touch(key);
        // The definition may have changed once more meanwhile.
        self.apply_limits(t, key);
    }

    pub(super) fn on_oom_killed(&mut self, t: &mut Turn<'_>, run: RunId, kills: u64) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.counters.oom_kills += kills;
        if let Some(live) = process.live_mut().filter(|live| live.run.id == run) {
            live.limits.oom = Some(t.now.mono);
        }
        self.emit(t, key, EventKind::OomKilled { kills });
        self.touch(key);
    }

    /// Whether the kernel ended this run for lack of memory.
    pub(super) fn out_of_memory(live: &Live, status: ExitStatus, now: Mono) -> Option<Reason> {
        let killed = matches!(status, ExitStatus::Signal { signal: Signal::KILL, .. });
        let recent = live.limits.oom.is_some_and(|at| now.since(at) <= DIES_WITHIN);
        let limit = live.limits.set.memory_max.and_then(model::Ceiling::value);
        (killed && recent).then_some(Reason::OutOfMemory(limit))
    }
}
