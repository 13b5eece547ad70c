//! Transitions of a run: started, up, asked to stop, ended, gone, and what follows.

use model::{
    EventKind, ExitReason, ExitStatus, InvocationId, KillMode, LastExit, OnStartLimit, Reason, Refusal,
    RunId, RunNumber, Signal, SpawnFailure, Usage,
};
use std::sync::Arc;
use std::time::Duration;

use super::process::{Goal, Key, Level, Phase, Rest, Run, Want};
use super::restart::{self, Ended};
use super::{Effect, KILL_GRACE, Machine, Target, Turn};

impl Machine {
    pub(super) fn start(&mut self, t: &mut Turn<'_>, key: Key) {
        let invocation = InvocationId(self.rng.next_u128());
        self.next_run += 1;
        let id = RunId(self.next_run);
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.last_number = RunNumber(process.last_number.0 + 1);
        process.record.started(t.now.mono, &process.spec.restart);
        let (number, spec) = (process.last_number, Arc::clone(&process.spec));
        let run = Run { id, number, invocation };
        self.set_phase(key, Phase::Starting { run, since: t.now.mono, replace: false });
        t.out.push(Effect::Spawn { run: id, number, invocation, spec, helper: None, first: true });
    }

    pub(super) fn on_spawned(&mut self, t: &mut Turn<'_>, run: RunId, pid: u32) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Phase::Starting { run, since, replace } = process.phase else { return };
        process.counters.starts += 1;
        self.set_phase(key, Phase::Up { run, pid, started: t.now });
        self.emit(t, key, EventKind::Started { took: t.now.mono.since(since) });
        if replace {
            self.begin_stop(t, key);
        }
    }

    pub(super) fn on_spawn_failed(&mut self, t: &mut Turn<'_>, run: RunId, failure: SpawnFailure) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Phase::Starting { run, replace, .. } = process.phase else { return };
        let name = process.spec.name.clone();
        process.counters.exits[ExitReason::SpawnFailed as usize] += 1;
        process.exits = std::sync::Arc::new([LastExit {
            run: run.number,
            status: None,
            reason: ExitReason::SpawnFailed,
            at: t.now.wall,
            ran: Duration::ZERO,
            usage: Usage::default(),
            cause: None,
        }]);
        self.emit(t, key, EventKind::SpawnFailed(failure.clone()));
        self.set_phase(key, Phase::Down(Rest::Stopped));
        if replace {
            return; // the definition that failed is not the one in force any more: settle starts the new one
        }
        self.refuse_starters(t, key, &Refusal::StartFailed(name, failure.clone()));
        self.decide(t, key, Ended::SpawnFailed(failure));
    }

    /// Sends the polite signal to a running process and starts the clock.
    pub(super) fn begin_stop(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get(&key) else { return };
        let Phase::Up { run, pid, started } = process.phase else { return };
        let stop = process.spec.stop.clone();
        let until = t.now.mono.after(stop.timeout);
        self.emit(t, key, EventKind::Stopping { signal: stop.signal });
        let target = if stop.mode == KillMode::ControlGroup { Target::All } else { Target::Main };
        self.signal_politely(t, key, target);
        let level = Level::Polite { until, wall: t.now.wall.after(stop.timeout) };
        let phase =
            Phase::Stopping { run, pid: Some(pid), started, leftovers: Vec::new(), unasked: None, level };
        self.set_phase(key, phase);
    }

    fn signal_politely(&mut self, t: &mut Turn<'_>, key: Key, target: Target) {
        let Some(process) = self.processes.get(&key) else { return };
        let Some(run) = process.phase.run().map(|r| r.id) else { return };
        let stop = &process.spec.stop;
        t.out.push(Effect::Signal { run, signal: stop.signal, target });
        if stop.send_sighup {
            t.out.push(Effect::Signal { run, signal: Signal::HUP, target });
        }
        // A stopped (SIGSTOP) process would not see the signal before its timeout.
        t.out.push(Effect::Signal { run, signal: Signal::CONT, target });
    }

    pub(super) fn on_exited(
        &mut self,
        t: &mut Turn<'_>,
        run: RunId,
        status: ExitStatus,
        usage: Usage,
        leftovers: Vec<u32>,
    ) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (run, started, asked, level) = match &process.phase {
            Phase::Up { run, started, .. } => (*run, *started, false, None),
            Phase::Stopping { run, started, level, .. } => (*run, *started, true, Some(*level)),
            Phase::Down(_) | Phase::Starting { .. } | Phase::Backoff { .. } => return,
        };
        let ran = t.now.mono.since(started.mono);
        let reason = match status {
            _ if asked => ExitReason::Stopped,
            _ if process.spec.restart.is_success(status) => ExitReason::Success,
            ExitStatus::Signal { .. } => ExitReason::Signal,
            ExitStatus::Code(_) | ExitStatus::Unknown => ExitReason::ExitCode,
        };
        process.counters.exits[reason as usize] += 1;
        process.counters.cpu += usage.user + usage.system;
        process.exits = Arc::new([LastExit {
            run: run.number,
            status: Some(status),
            cause: None,
            reason,
            at: t.now.wall,
            ran,
            usage,
        }]);
        let stop = process.spec.stop.clone();
        self.emit(t, key, EventKind::Exited { status, reason, ran, usage });

        let unasked = (!asked).then_some(Ended::Exit { status, ran });
        let level = level.unwrap_or_else(|| Level::Polite {
            until: t.now.mono.after(stop.timeout),
            wall: t.now.wall.after(stop.timeout),
        });
        let nothing_left = leftovers.is_empty();
        if !nothing_left {
            self.emit(t, key, EventKind::LeftoversKilled { pids: leftovers.clone() });
        }
        self.set_phase(key, Phase::Stopping { run, pid: None, started, leftovers, unasked, level });
        match (nothing_left, level, stop.mode) {
            (true, ..) => self.gone(t, key),
            (false, Level::Polite { .. }, KillMode::Mixed) => self.kill(t, key),
            // Also when they were asked before: one that was forked while the signals went round has not heard it.
            (false, Level::Polite { .. }, KillMode::ControlGroup) => {
                self.signal_politely(t, key, Target::All);
            }
            (false, ..) => {}
        }
    }

    pub(super) fn on_leftovers(&mut self, t: &mut Turn<'_>, run: RunId, pids: Vec<u32>) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Phase::Stopping { pid: None, leftovers, .. } = &mut process.phase else { return };
        *leftovers = pids;
        if leftovers.is_empty() {
            self.gone(t, key);
        } else {
            self.touch(key);
        }
    }

    /// SIGKILL to everything that the run ever spawned.
    fn kill(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get(&key) else { return };
        let Phase::Stopping { run, pid, started, leftovers, unasked, .. } = process.phase.clone() else {
            return;
        };
        t.out.push(Effect::Kill { run: run.id });
        let level = Level::Killed { until: t.now.mono.after(KILL_GRACE) };
        self.set_phase(key, Phase::Stopping { run, pid, started, leftovers, unasked, level });
    }

    pub(super) fn on_deadline(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        match process.phase.clone() {
            Phase::Backoff { .. } => {
                process.counters.restarts += 1;
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            Phase::Stopping { level: Level::Polite { .. }, .. } => {
                let timeout = process.spec.stop.timeout;
                self.emit(t, key, EventKind::StopTimedOut { timeout });
                self.kill(t, key);
            }
            Phase::Stopping { run, pid, started, leftovers, unasked, level: Level::Killed { .. } } => {
                let pids = pid.into_iter().chain(leftovers.iter().copied()).collect();
                self.emit(t, key, EventKind::Survivors { pids });
                let level = Level::Surviving;
                self.set_phase(key, Phase::Stopping { run, pid, started, leftovers, unasked, level });
            }
            Phase::Stopping { level: Level::Surviving, .. }
            | Phase::Down(_)
            | Phase::Starting { .. }
            | Phase::Up { .. } => {}
        }
    }

    /// Nothing of the run is alive any more.
    fn gone(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get(&key) else { return };
        let Phase::Stopping { run, unasked, .. } = &process.phase else { return };
        let (run, unasked, goal) = (run.id, unasked.clone(), process.goal);
        t.out.push(Effect::Release { run });
        match (goal, unasked) {
            (Goal::Up, Some(ended)) => {
                self.set_phase(key, Phase::Down(Rest::Stopped));
                self.decide(t, key, ended);
            }
            (Goal::Up, None) => self.set_phase(key, Phase::Down(Rest::Stopped)),
            (Goal::Down | Goal::Gone, _) => {
                self.emit(t, key, EventKind::Stopped);
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
        }
    }

    /// A run ended that nobody had asked to end: restart at once, later, or not at all.
    fn decide(&mut self, t: &mut Turn<'_>, key: Key, ended: Ended) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        if process.goal != Goal::Up {
            return;
        }
        let spec = Arc::clone(&process.spec);
        let spec = &spec.restart;
        process.record.ended(&ended, spec);
        if !restart::wanted(spec, &ended) {
            self.give_up(t, key, ended.reason(), ended.is_success(spec));
            return;
        }
        let delay = process.record.delay(spec, &mut self.rng);
        if process.record.limit_reached(t.now.mono.after(delay), spec) {
            self.limit(t, key, ended);
            return;
        }
        let restarts = process.counters.restarts + 1;
        self.emit(t, key, EventKind::RestartScheduled { delay, restarts });
        if delay.is_zero() {
            // Phase is Down and the goal Up: settle starts it in this very step.
            if let Some(process) = self.processes.get_mut(&key) {
                process.counters.restarts = restarts;
            }
        } else {
            self.back_off(t, key, delay, ended, false);
        }
    }

    fn limit(&mut self, t: &mut Turn<'_>, key: Key, ended: Ended) {
        let Some(process) = self.processes.get(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let spec = &spec.restart;
        let (burst, interval) = (spec.limit_burst, spec.limit_interval);
        let cooldown = match spec.on_limit {
            OnStartLimit::Cooldown => Some(restart::cooldown(spec, &mut self.rng)),
            OnStartLimit::Fail => None,
        };
        self.emit(t, key, EventKind::StartLimitReached { burst, interval, cooldown });
        match cooldown {
            Some(delay) => self.back_off(t, key, delay, ended, true),
            None => {
                let reason = Reason::StartLimit { burst, interval, last: Box::new(ended.reason()) };
                self.give_up(t, key, reason, false);
            }
        }
    }

    fn back_off(&mut self, t: &Turn<'_>, key: Key, delay: Duration, ended: Ended, crash_loop: bool) {
        let (until, wall) = (t.now.mono.after(delay), t.now.wall.after(delay));
        self.set_phase(key, Phase::Backoff { until, wall, ended, crash_loop });
    }

    /// No restart: the process rests, and whoever waited for it to be up is told why.
    pub(super) fn give_up(&mut self, t: &mut Turn<'_>, key: Key, reason: Reason, success: bool) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.goal = Goal::Down;
        let refusal = Refusal::NotStarted(process.spec.name.clone(), reason.to_string());
        self.set_phase(key, Phase::Down(if success { Rest::Exited(reason) } else { Rest::Failed(reason) }));
        self.refuse_starters(t, key, &refusal);
    }

    /// Tells everybody who waits for `up` that it won't be.
    fn refuse_starters(&mut self, t: &mut Turn<'_>, key: Key, refusal: &Refusal) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (starters, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut process.waiters).into_iter().partition(|(_, want)| *want == Want::Up);
        process.waiters = rest;
        for (ticket, _) in starters {
            t.reply(ticket, Err(refusal.clone()));
        }
    }
}
