//! Health checks: when to ask, and what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use model::{
    EventKind, ExitReason, HealthSpec, HealthState, HealthView, Mono, Probe, Reason, RunId, Stamp, Wall,
};

use super::io::Role;
use super::process::{Key, Stage};
use super::{Effect, Machine, Turn};

/// How often a process is asked that has not been healthy yet and is in its start period.
const QUICK: Duration = Duration::from_secs(1);

/// The health of a run that is up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Health {
    pub(super) state: HealthState,
    /// Since when it is in this state.
    changed: Wall,
    /// When the checks began.
    since: Mono,
    failures: u32,
    successes: u32,
    /// What the last failure said.
    message: String,
    /// Checks of this run, by result.
    passed: u64,
    failed: u64,
    /// How long the last one took.
    took: Option<Duration>,
    /// When the one that is out began.
    begun: Mono,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The next check is due then.
    At(Mono),
    /// A check over the network is out. An exec check is a helper.
    Out(Option<RunId>),
}

impl Health {
    /// The first check is due at once.
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            state: HealthState::Starting,
            changed: now.wall,
            since: now.mono,
            failures: 0,
            successes: 0,
            message: String::new(),
            passed: 0,
            failed: 0,
            took: None,
            begun: now.mono,
            next: Next::At(now.mono),
        }
    }

    /// When the next check is due.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.next {
            Next::At(at) => Some(at),
            Next::Out(_) => None,
        }
    }

    pub(super) fn view(&self) -> HealthView {
        HealthView {
            state: self.state,
            since: self.changed,
            failures: self.failures,
            message: self.message.clone(),
            passed: self.passed,
            failed: self.failed,
            took: self.took,
        }
    }

    /// Takes in an answer. Whether the state changed.
    fn learn(&mut self, spec: &HealthSpec, now: Stamp, result: Result<(), String>) -> bool {
        let before = self.state;
        self.took = Some(now.mono.since(self.begun));
        *(if result.is_ok() { &mut self.passed } else { &mut self.failed }) += 1;
        let settling = self.state == HealthState::Starting && now.mono.since(self.since) < spec.start_period;
        match result {
            Ok(()) => {
                self.failures = 0;
                self.message.clear();
                self.successes = self.successes.saturating_add(1);
                if self.successes >= spec.success_threshold {
                    self.state = HealthState::Healthy;
                }
            }
            Err(message) => {
                self.successes = 0;
                self.message = message;
                if !settling {
                    self.failures = self.failures.saturating_add(1);
                }
                if self.failures >= spec.retries {
                    self.state = HealthState::Unhealthy;
                }
            }
        }
        let pause = if settling && self.state == HealthState::Starting {
            spec.interval.min(QUICK)
        } else {
            spec.interval
        };
        self.next = Next::At(now.mono.after(pause));
        let changed = before != self.state;
        if changed {
            self.changed = now.wall;
        }
        changed
    }
}

impl Machine {
    /// A check is due.
    pub(super) fn check_health(&mut self, t: &mut Turn<'_>, key: Key) {
        let run = self.new_run_id();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(spec) = process.spec.health.clone() else { return };
        let Some(health) = process.live_mut().and_then(|live| live.health.as_mut()) else { return };
        health.begun = t.now.mono;
        if let Probe::Exec(command) = spec.probe {
            health.next = Next::Out(None);
            self.help(t, key, Role::HealthCheck, command, Some(spec.timeout), false);
        } else {
            health.next = Next::Out(Some(run));
            self.runs.insert(run, key);
            t.out.push(Effect::Probe { run, probe: spec.probe, timeout: spec.timeout });
            self.touch(key);
        }
    }

    pub(super) fn on_probed(&mut self, t: &mut Turn<'_>, run: RunId, result: Result<(), String>) {
        let Some(key) = self.current(run) else { return };
        self.runs.remove(&run);
        self.on_health_result(t, key, run, result);
    }

    /// The answer of a check: `run` is the id of a probe or of a helper.
    pub(super) fn on_health_result(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        run: RunId,
        result: Result<(), String>,
    ) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(spec) = process.spec.health.clone() else { return };
        let Some(health) = process.live_mut().and_then(|live| live.health.as_mut()) else { return };
        // One that was made for an earlier definition speaks of something else.
        if !matches!(health.next, Next::Out(out) if out.is_none_or(|id| id == run)) {
            return;
        }
        let changed = health.learn(&spec, t.now, result);
        let (state, failures, message) = (health.state, health.failures, health.message.clone());
        self.touch(key);
        if changed {
            self.touch_with_neighbors(key);
            self.emit(t, key, EventKind::Health { state, message: message.clone() });
        }
        if spec.restart_after > 0 && failures >= spec.restart_after {
            self.fail(t, key, ExitReason::Unhealthy, Reason::Unhealthy(message));
        }
    }

    /// The run is not up any more: an answer that is out is nobody's.
    pub(super) fn forget_probe(&mut self, key: Key) {
        let Some(live) = self.get(key).and_then(|p| p.live()) else { return };
        if let Some(Health { next: Next::Out(Some(run)), .. }) = live.health {
            self.runs.remove(&run);
        }
    }

    /// The definition of the check changed: it begins anew.
    pub(super) fn restart_health(&mut self, t: &mut Turn<'_>, key: Key) {
        self.forget_probe(key);
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let checks: Vec<RunId> =
            process.helpers.iter().filter(|h| h.role == Role::HealthCheck).map(|h| h.run).collect();
        let Some(live) = process.live_mut().filter(|live| live.stage == Stage::Ready) else { return };
        live.health = spec.health.as_ref().map(|_| Health::new(t.now));
        self.abort(t, key, &checks);
    }
}
