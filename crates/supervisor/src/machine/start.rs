//! A run coming up: hooks, exec, readiness as its type says, hooks, up.

use std::sync::Arc;
use std::time::Duration;

use model::{
    EventKind, ExitReason, ExitStatus, HookKind, InvocationId, LastExit, ProcessType, Reason, Refusal, RunId,
    RunNumber, SpawnFailure, Stamp, Usage,
};

use super::health::Health;
use super::limits::Limits;
use super::notice::{Reload, Watchdog};
use super::process::{Goal, Key, Live, Phase, Rest, Run, Stage, Verdict};
use super::restart::Ended;
use super::{Effect, Machine, Turn};

impl Live {
    pub(super) fn hook_index(&self, kind: HookKind) -> Option<usize> {
        match (kind, self.stage, self.reload) {
            (HookKind::StartPost, Stage::Post { next }, _) | (HookKind::Reload, _, Reload::Hook { next }) => {
                Some(next)
            }
            _ => None,
        }
    }
}

impl Machine {
    pub(super) fn new_run_id(&mut self) -> RunId {
        self.next_run += 1;
        RunId(self.next_run)
    }

    /// Begins a new run.
    pub(super) fn start(&mut self, t: &mut Turn<'_>, key: Key) {
        let invocation = InvocationId(self.rng.next_u128());
        let id = self.new_run_id();
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.counters.runs += 1;
        process.record.started(t.now.mono, &process.spec.restart);
        process.status.clear();
        process.held = None;
        process.directories |= !process.spec.exec.isolation.runtime_directories.is_empty();
        let run = Run { id, number: RunNumber(process.counters.runs), invocation };
        self.prepare(t, key, run, t.now, 0);
    }

    /// Runs the `exec_start_pre` of this index, or executes the program when there is none.
    fn prepare(&mut self, t: &mut Turn<'_>, key: Key, run: Run, since: Stamp, next: usize) {
        let Some(process) = self.get(key) else { return };
        let spec = Arc::clone(&process.spec);
        let first = next == 0;
        if let Some(hook) = spec.hooks.start_pre.get(next) {
            self.set_phase(key, Phase::Preparing { run, since, next });
            self.run_hook(t, key, HookKind::StartPre, hook, first);
            return;
        }
        self.set_phase(key, Phase::Starting { run, since, limits: spec.limits });
        let Run { id, number, invocation } = run;
        t.out.push(Effect::Spawn { run: id, number, invocation, spec, helper: None, first });
    }

    /// What follows a hook. `None` = it was killed because nobody needs its outcome.
    pub(super) fn after_hook(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        kind: HookKind,
        result: Option<Result<(), String>>,
    ) {
        let Some(process) = self.get(key) else { return };
        match (&process.phase, kind) {
            (Phase::Preparing { run, since, next }, HookKind::StartPre) => {
                let (run, since, next) = (*run, *since, *next);
                let unwanted = process.goal != Goal::Up || process.renew.is_some();
                match result {
                    Some(Err(why)) if !unwanted => self.preparation_failed(t, key, run, why),
                    Some(_) if !unwanted => self.prepare(t, key, run, since, next + 1),
                    _ => self.finish(t, key, run, Verdict::Asked),
                }
            }
            (Phase::Up(live), HookKind::StartPost) => match (result, live.stage) {
                (Some(Ok(())), Stage::Post { next }) => self.run_start_post(t, key, next + 1),
                (Some(Err(why)), Stage::Post { .. }) => {
                    self.fail(t, key, ExitReason::HookFailed, Reason::HookFailed(kind, why));
                }
                _ => {}
            },
            (Phase::Up(_), HookKind::Reload) => self.after_reload_hook(t, key, result),
            (Phase::Stopping { .. }, HookKind::Stop) => self.after_stop_hook(t, key),
            (Phase::Finishing { .. }, _) => self.after_final_hook(t, key, kind, result),
            _ => {}
        }
    }

    fn preparation_failed(&mut self, t: &mut Turn<'_>, key: Key, run: Run, why: String) {
        let reason = Reason::HookFailed(HookKind::StartPre, why);
        let name = self.get(key).map(|p| p.spec.name.clone());
        if let Some(name) = name {
            self.refuse_starters(t, key, &Refusal::NotStarted(name, reason.to_string()));
        }
        let ended =
            Ended::Failed { reason, counts: ExitReason::HookFailed, status: None, ran: Duration::ZERO };
        self.finish(t, key, run, Verdict::Ended(ended));
    }

    /// Notes a run of which there is no exit to tell.
    pub(super) fn never_began(
        &mut self,
        t: &Turn<'_>,
        key: Key,
        run: Run,
        reason: ExitReason,
        cause: Option<Reason>,
    ) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (number, at) = (run.number, t.now.wall);
        let (ran, usage) = (Duration::ZERO, Usage::default());
        process.note_exit(LastExit { run: number, status: None, cause, reason, at, ran, usage });
    }

    pub(super) fn on_spawned(&mut self, t: &mut Turn<'_>, run: RunId, pid: u32) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Phase::Starting { run, since, limits } = process.phase else { return };
        process.counters.starts += 1;
        let wanted = process.goal == Goal::Up && process.renew.is_none();
        let until = process.spec.start.timeout.map(|timeout| t.now.mono.after(timeout));
        let kind = process.spec.start.kind;
        let live = Live {
            run,
            pid: Some(pid),
            since,
            started: t.now,
            stage: Stage::Activating { until },
            leftovers: Vec::new(),
            health: None,
            watchdog: None,
            reload: Reload::No,
            limits: Limits::new(limits),
        };
        self.set_phase(key, Phase::Up(Box::new(live)));
        self.emit(t, key, EventKind::Started { took: t.now.mono.since(since.mono) });
        // They may have changed on the way.
        self.apply_limits(t, key);
        if wanted && kind == ProcessType::Simple {
            self.activated(t, key);
        }
    }

    pub(super) fn on_spawn_failed(&mut self, t: &mut Turn<'_>, run: RunId, failure: SpawnFailure) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.get(key) else { return };
        let Phase::Starting { run: main, .. } = process.phase else {
            self.on_helper_failed(t, key, run, &failure);
            return;
        };
        if main.id != run {
            self.on_helper_failed(t, key, run, &failure);
            return;
        }
        let (name, renewed) = (process.spec.name.clone(), process.renew.is_some());
        self.never_began(t, key, main, ExitReason::SpawnFailed, Some(Reason::SpawnFailed(failure.clone())));
        self.emit(t, key, EventKind::SpawnFailed(failure.clone()));
        if renewed {
            // The definition that failed is not the one in force any more: the new one gets its chance at once.
            self.finish(t, key, main, Verdict::Asked);
            return;
        }
        self.refuse_starters(t, key, &Refusal::StartFailed(name, failure.clone()));
        self.finish(t, key, main, Verdict::Ended(Ended::SpawnFailed(failure)));
    }

    pub(super) fn on_skipped(&mut self, t: &mut Turn<'_>, run: RunId, condition: String) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.get(key) else { return };
        match process.phase {
            Phase::Starting { run: main, .. } if main.id == run => self.skip(t, key, condition),
            _ => self.on_helper_skipped(t, key, run, condition),
        }
    }

    /// A condition does not hold: nothing was executed, and nothing will be until somebody asks again.
    pub(super) fn skip(&mut self, t: &mut Turn<'_>, key: Key, condition: String) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let renewed = process.renew.take().is_some();
        if process.goal != Goal::Up || renewed {
            self.set_phase(key, Phase::Down(Rest::Stopped));
            return;
        }
        self.emit(t, key, EventKind::Skipped { condition: condition.clone() });
        let reason = Reason::ConditionFailed(condition.clone());
        self.rest(t, key, Rest::Skipped(condition), &reason, None);
    }

    /// It is up as its type says; what is left are the hooks.
    pub(super) fn activated(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let waiting = process.live().is_some_and(|l| matches!(l.stage, Stage::Activating { .. }));
        if waiting && process.goal == Goal::Up && process.renew.is_none() {
            self.run_start_post(t, key, 0);
        }
    }

    /// Runs the `exec_start_post` of this index; with none left the process is up.
    fn run_start_post(&mut self, t: &mut Turn<'_>, key: Key, next: usize) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let Some(live) = process.live_mut() else { return };
        let since = live.since.mono;
        if let Some(hook) = spec.hooks.start_post.get(next) {
            live.stage = Stage::Post { next };
            self.run_hook(t, key, HookKind::StartPost, hook, false);
            return;
        }
        live.stage = Stage::Ready;
        live.health = spec.health.as_ref().map(|_| Health::new(t.now));
        live.watchdog = spec.start.watchdog.map(|every| Watchdog::new(every, t.now.mono));
        self.touch_with_neighbors(key);
        let plain = spec.start.kind == ProcessType::Simple
            && spec.hooks.start_pre.is_empty()
            && spec.hooks.start_post.is_empty();
        if !plain {
            self.emit(t, key, EventKind::Ready { took: t.now.mono.since(since) });
        }
    }

    /// The first process of a forking program ended well: its daemon is what it left behind.
    pub(super) fn on_forked(&mut self, t: &mut Turn<'_>, key: Key, leftovers: Vec<u32>) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let pidfile = process.spec.start.pidfile.clone();
        let Some(live) = process.live_mut() else { return };
        live.pid = None;
        if leftovers.is_empty() {
            self.no_main_process(t, key, "nothing is left after its first process ended".to_owned());
            return;
        }
        live.leftovers = leftovers;
        let run = live.run.id;
        t.out.push(Effect::FindMain { run, pidfile });
        self.touch(key);
    }

    pub(super) fn on_main_found(&mut self, t: &mut Turn<'_>, run: RunId, pid: u32) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        match &mut process.phase {
            Phase::Up(live) if live.run.id == run => {
                live.pid = Some(pid);
                live.leftovers.clear();
            }
            // The stop has begun meanwhile, and has to wait for this one, too.
            Phase::Stopping { run: main, pid: slot, .. } if main.id == run => {
                *slot = Some(pid);
                self.touch(key);
                return;
            }
            _ => return,
        }
        self.emit(t, key, EventKind::MainProcess { pid });
        self.activated(t, key);
    }

    pub(super) fn on_main_not_found(&mut self, t: &mut Turn<'_>, run: RunId, problem: String) {
        let Some(key) = self.current(run) else { return };
        if self.get(key).and_then(|p| p.live()).is_some_and(|live| live.run.id == run) {
            self.no_main_process(t, key, problem);
        }
    }

    fn no_main_process(&mut self, t: &mut Turn<'_>, key: Key, problem: String) {
        self.fail(t, key, ExitReason::NotReady, Reason::NoMainProcess(problem));
    }

    /// `start_timeout` is over: the one that held when it was executed, and what it asked for since.
    pub(super) fn start_timed_out(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(live) = self.get(key).and_then(|p| p.live()) else { return };
        let Stage::Activating { until: Some(until) } = live.stage else { return };
        // What it was given, and not when that was noticed: a user knows the number again.
        let given = until.since(live.started.mono);
        let timeout = Duration::new(given.as_secs(), given.subsec_millis() * 1_000_000);
        self.emit(t, key, EventKind::StartTimedOut { timeout });
        self.fail(t, key, ExitReason::NotReady, Reason::StartTimedOut(timeout));
    }

    /// A start that ends before it was up: what its type makes of the status. `None` = an end like any other.
    pub(super) fn ended_before_ready(live: &Live, kind: ProcessType, status: ExitStatus) -> Option<Reason> {
        let early = matches!(live.stage, Stage::Activating { .. });
        (early && matches!(kind, ProcessType::Notify | ProcessType::Forking))
            .then_some(Reason::EndedBeforeReady(kind, status))
    }
}
