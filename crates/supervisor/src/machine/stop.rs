//! A run coming down: hooks, the polite signal, SIGKILL, until nothing is left.

use std::sync::Arc;

use model::{
    EventKind, ExitReason, ExitStatus, HookKind, KillMode, LastExit, ProcessType, Reason, Refusal, RunId,
    RunNumber, Signal, Usage,
};

use super::process::{Key, Level, Live, Phase, Stage, Verdict, Want};
use super::restart::Ended;
use super::{Effect, KILL_GRACE, Machine, Target, Turn};

impl Machine {
    /// Stops a run because somebody asked for it.
    pub(super) fn begin_stop(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let Some(live) = process.live() else { return };
        let signal = process.spec.stop.signal;
        // A hook that stops it from the inside needs it to be there and up.
        let hooked = live.stage == Stage::Ready && live.pid.is_some();
        self.stop(t, key, Verdict::Asked, signal, hooked);
    }

    /// Stops a run because it failed: the restart policy decides what follows.
    pub(super) fn fail(&mut self, t: &mut Turn<'_>, key: Key, counts: ExitReason, reason: Reason) {
        let Some(process) = self.get(key) else { return };
        let Some(live) = process.live() else { return };
        let name = process.spec.name.clone();
        // A core dump shows where it hangs.
        let hangs = counts == ExitReason::Watchdog;
        let signal = if hangs { Signal::ABRT } else { process.spec.stop.signal };
        let hooked = counts == ExitReason::Unhealthy;
        let ran = t.now.mono.since(live.started.mono);
        let refusal = Refusal::NotStarted(name, reason.to_string());
        let ended = Ended::Failed { reason, counts, status: None, ran };
        self.stop(t, key, Verdict::Ended(ended), signal, hooked);
        self.refuse_starters(t, key, &refusal);
    }

    fn stop(&mut self, t: &mut Turn<'_>, key: Key, verdict: Verdict, signal: Signal, hooked: bool) {
        let Some(Phase::Up(live)) = self.get(key).map(|p| &p.phase) else { return };
        let Live { run, pid, started, leftovers, .. } = (**live).clone();
        self.leave_up(t, key);
        self.emit(t, key, EventKind::Stopping { signal });
        let next = 0;
        let stopping = Phase::Stopping { run, pid, started, leftovers, verdict, level: Level::Hook { next } };
        self.set_phase(key, stopping);
        if hooked {
            self.run_stop_hook(t, key, next);
        } else {
            self.ask_politely(t, key, signal);
        }
    }

    /// What a run that was up leaves behind in here: its helpers, its check, callers who wait for its reload.
    fn leave_up(&mut self, t: &mut Turn<'_>, key: Key) {
        self.abort_helpers(t, key);
        self.forget_probe(key);
        self.refuse(t, key, Want::Reloaded, |name| {
            Refusal::ReloadFailed(name.clone(), "it is ending".to_owned())
        });
    }

    fn run_stop_hook(&mut self, t: &mut Turn<'_>, key: Key, index: usize) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let Phase::Stopping { level, pid, .. } = &mut process.phase else { return };
        let alive = pid.is_some();
        match spec.hooks.stop.get(index) {
            Some(hook) if alive => {
                *level = Level::Hook { next: index };
                self.run_hook(t, key, HookKind::Stop, hook, false);
            }
            _ => self.ask_politely(t, key, spec.stop.signal),
        }
    }

    pub(super) fn after_stop_hook(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        if let Phase::Stopping { level: Level::Hook { next }, .. } = process.phase {
            self.run_stop_hook(t, key, next + 1);
        }
    }

    /// Sends the polite signal to what is alive and starts the clock.
    fn ask_politely(&mut self, t: &mut Turn<'_>, key: Key, signal: Signal) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let timeout = process.spec.stop.timeout;
        let mode = process.spec.stop.mode;
        let Phase::Stopping { level, pid, leftovers, .. } = &mut process.phase else { return };
        let polite = Level::Polite { until: t.now.mono.after(timeout), wall: t.now.wall.after(timeout) };
        *level = polite;
        let (main_gone, nothing_left) = (pid.is_none(), pid.is_none() && leftovers.is_empty());
        self.touch(key);
        if nothing_left {
            self.gone_if_nothing_is_left(t, key);
        } else if main_gone && mode == KillMode::Mixed {
            self.kill(t, key);
        } else {
            let all = main_gone || mode == KillMode::ControlGroup;
            self.send_politely(t, key, signal, if all { Target::All } else { Target::Main });
        }
    }

    fn send_politely(&mut self, t: &mut Turn<'_>, key: Key, signal: Signal, target: Target) {
        let Some(process) = self.get(key) else { return };
        let Some(run) = process.phase.run().map(|r| r.id) else { return };
        t.out.push(Effect::Signal { run, signal, target });
        if process.spec.stop.send_sighup {
            t.out.push(Effect::Signal { run, signal: Signal::HUP, target });
        }
        // A stopped (SIGSTOP) process would not see the signal before its timeout.
        t.out.push(Effect::Signal { run, signal: Signal::CONT, target });
    }

    /// It said that it is stopping: nothing is sent to it, but it has no longer than a stop that was asked for.
    pub(super) fn announced_stop(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let Some(live) = process.live() else { return };
        let Live { run, pid, started, leftovers, .. } = live.clone();
        let timeout = process.spec.stop.timeout;
        let level = Level::Polite { until: t.now.mono.after(timeout), wall: t.now.wall.after(timeout) };
        self.leave_up(t, key);
        let verdict = Verdict::Announced;
        self.set_phase(key, Phase::Stopping { run, pid, started, leftovers, verdict, level });
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
        let Some(process) = self.get(key) else { return };
        if process.phase.run().is_none_or(|main| main.id != run) {
            self.on_helper_exited(t, key, run, status, &leftovers);
            return;
        }
        let spec = Arc::clone(&process.spec);
        let (started, verdict, level) = match &process.phase {
            Phase::Up(live) => {
                let early = Self::ended_before_ready(live, spec.start.kind, status);
                let forked = early.is_some()
                    && spec.start.kind == ProcessType::Forking
                    && status.is_zero()
                    && live.leftovers.is_empty();
                if forked && process.renew.is_none() && process.goal == super::process::Goal::Up {
                    self.on_forked(t, key, leftovers);
                    return;
                }
                let ran = t.now.mono.since(live.started.mono);
                let oom = Self::out_of_memory(live, status, t.now.mono).map(|why| (why, ExitReason::Oom));
                let failed = oom.or(early.map(|why| (why, ExitReason::NotReady)));
                let verdict = match failed {
                    _ if process.renew.is_some() => Verdict::Asked,
                    Some((reason, counts)) => {
                        Verdict::Ended(Ended::Failed { reason, counts, status: Some(status), ran })
                    }
                    None => Verdict::Ended(Ended::Exit { status, ran }),
                };
                (live.started, verdict, None)
            }
            Phase::Stopping { started, verdict, level, .. } => {
                let ran = t.now.mono.since(started.mono);
                let verdict = match verdict {
                    Verdict::Announced => Verdict::Ended(Ended::Exit { status, ran }),
                    Verdict::Asked | Verdict::Ended(_) => verdict.clone(),
                };
                (*started, verdict, Some(*level))
            }
            _ => return,
        };
        let was_up = level.is_none();
        let ran = t.now.mono.since(started.mono);
        let (reason, cause) = match &verdict {
            Verdict::Asked if !was_up => (ExitReason::Stopped, None),
            Verdict::Ended(Ended::Failed { reason, counts, .. }) => (*counts, Some(reason.clone())),
            _ if spec.restart.is_success(status) => (ExitReason::Success, None),
            _ if matches!(status, ExitStatus::Signal { .. }) => (ExitReason::Signal, None),
            _ => (ExitReason::ExitCode, None),
        };
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.counters.cpu += usage.user + usage.system;
        let number = RunNumber(process.counters.runs);
        process.note_exit(LastExit {
            run: number,
            status: Some(status),
            cause,
            reason,
            at: t.now.wall,
            ran,
            usage,
        });
        self.emit(t, key, EventKind::Exited { status, reason, ran, usage });
        if was_up {
            self.leave_up(t, key);
        }
        if !leftovers.is_empty() {
            self.emit(t, key, EventKind::LeftoversKilled { pids: leftovers.clone() });
        }
        self.main_gone(t, key, started, leftovers, verdict, level);
    }

    /// The main process is gone: its leftovers are next.
    fn main_gone(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        started: model::Stamp,
        leftovers: Vec<u32>,
        verdict: Verdict,
        level: Option<Level>,
    ) {
        let Some(process) = self.get(key) else { return };
        let Some(run) = process.phase.run() else { return };
        let stop = process.spec.stop.clone();
        let timeout = stop.timeout;
        let level = level.unwrap_or_else(|| Level::Polite {
            until: t.now.mono.after(timeout),
            wall: t.now.wall.after(timeout),
        });
        let nothing_left = leftovers.is_empty();
        self.set_phase(key, Phase::Stopping { run, pid: None, started, leftovers, verdict, level });
        match (nothing_left, level, stop.mode) {
            (true, ..) => self.gone_if_nothing_is_left(t, key),
            (false, Level::Polite { .. }, KillMode::Mixed) => self.kill(t, key),
            // Also when they were asked before: one that was forked while the signals went round has not heard it.
            (false, Level::Polite { .. }, KillMode::ControlGroup) => {
                self.send_politely(t, key, stop.signal, Target::All);
            }
            (false, ..) => {}
        }
    }

    pub(super) fn on_leftovers(&mut self, t: &mut Turn<'_>, run: RunId, pids: Vec<u32>) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        match &mut process.phase {
            Phase::Stopping { run: main, leftovers, .. } if main.id == run => {
                *leftovers = pids;
                self.touch(key);
                self.gone_if_nothing_is_left(t, key);
            }
            // The daemon of a forking program is looked for: whoever is gone can't be it.
            Phase::Up(live) if live.run.id == run => {
                live.leftovers = pids;
                let nothing_left = live.pid.is_none() && live.leftovers.is_empty();
                self.touch(key);
                if nothing_left {
                    let problem = "all that its first process left behind has ended".to_owned();
                    self.fail(t, key, ExitReason::NotReady, Reason::NoMainProcess(problem));
                }
            }
            _ => self.on_helper_leftovers(t, key, run, &pids),
        }
    }

    /// SIGKILL to everything that the run ever spawned.
    pub(super) fn kill(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Phase::Stopping { run, level, .. } = &mut process.phase else { return };
        *level = Level::Killed { until: t.now.mono.after(KILL_GRACE) };
        t.out.push(Effect::Kill { run: run.id });
        self.touch(key);
    }

    /// The moment of a stop has come: the next level.
    pub(super) fn stop_deadline(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let timeout = process.spec.stop.timeout;
        let Phase::Stopping { pid, leftovers, level, .. } = &mut process.phase else { return };
        match level {
            Level::Polite { until, .. } if *until <= t.now.mono => {
                self.emit(t, key, EventKind::StopTimedOut { timeout });
                self.kill(t, key);
            }
            Level::Killed { until } if *until <= t.now.mono => {
                *level = Level::Surviving;
                let pids = pid.iter().chain(leftovers.iter()).copied().collect();
                self.emit(t, key, EventKind::Survivors { pids });
                self.touch_with_neighbors(key);
            }
            Level::Hook { .. } | Level::Polite { .. } | Level::Killed { .. } | Level::Surviving => {}
        }
    }

    /// When nothing of the run is alive any more, neither of it nor of its helpers: lets go of it.
    pub(super) fn gone_if_nothing_is_left(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let Phase::Stopping { run, pid: None, leftovers, verdict, level, .. } = &process.phase else {
            return;
        };
        let hook_runs = matches!(level, Level::Hook { .. });
        if !leftovers.is_empty() || !process.helpers.is_empty() || hook_runs {
            return;
        }
        let (run, verdict) = (*run, verdict.clone());
        t.out.push(Effect::Release { run: run.id });
        self.finish(t, key, run, verdict);
    }
}
