//! Hooks and exec health checks: commands that run for a process, each a run of its own.
//!
//! A helper ends when nothing of it is left: what it leaves behind is killed, as nobody would ever stop it otherwise.
//! So whoever hears of its outcome knows that it is gone, and a process without helpers has nothing alive beside its
//! main run.

use std::sync::Arc;
use std::time::Duration;

use model::{
    CommandLine, ExitReason, ExitStatus, Hook, HookKind, InvocationId, LastExit, Mono, RunId, SpawnFailure,
};

use super::io::{Helper, Role};
use super::process::{Key, Level, Phase, Process};
use super::{Effect, Machine, Turn};

/// A helper that is alive, or of which something is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HelperRun {
    pub(super) run: RunId,
    pub(super) role: Role,
    /// When it is killed.
    pub(super) until: Option<Mono>,
    limit: Option<Duration>,
    cut: Option<Cut>,
    /// How it ended; `None` while it lives.
    outcome: Option<Result<(), String>>,
}

/// Why a helper was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    TimedOut,
    /// Nobody needs its outcome any more.
    Aborted,
}

/// What became of a helper.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Done(Result<(), String>),
    Aborted,
}

impl Machine {
    /// Starts a helper. `first` = it is the first thing that a start executes.
    pub(super) fn help(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        role: Role,
        command: CommandLine,
        limit: Option<Duration>,
        first: bool,
    ) {
        let id = InvocationId(self.rng.next_u128());
        let run = self.new_run_id();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(of) = process.phase.context() else { return };
        let env = environment(process, role);
        let command = with_main_pid(command, process.phase.pid());
        let until = limit.map(|limit| t.now.mono.after(limit));
        process.helpers.push(HelperRun { run, role, until, limit, cut: None, outcome: None });
        self.runs.insert(run, key);
        t.out.push(Effect::Spawn {
            run,
            number: of.number,
            invocation: of.invocation,
            spec: Arc::clone(&process.spec),
            helper: Some(Helper { id, role, command, env }),
            first,
        });
        self.touch(key);
    }

    /// Starts a hook with the time that it has.
    pub(super) fn run_hook(&mut self, t: &mut Turn<'_>, key: Key, kind: HookKind, hook: &Hook, first: bool) {
        let Some(process) = self.get(key) else { return };
        let limit = hook.timeout.or(match kind {
            HookKind::StartPre | HookKind::StartPost | HookKind::Reload => process.spec.start.timeout,
            HookKind::Stop | HookKind::StopPost => Some(process.spec.stop.timeout),
        });
        self.help(t, key, Role::Hook(kind), hook.command.clone(), limit, first);
    }

    /// Kills all helpers of a process; their outcome is not waited for by anybody, but their end is.
    pub(super) fn abort_helpers(&mut self, t: &mut Turn<'_>, key: Key) {
        let all: Vec<RunId> = self.get(key).map_or(Vec::new(), |p| p.helpers.iter().map(|h| h.run).collect());
        self.abort(t, key, &all);
    }

    /// The process is not wanted any more while its hooks run: they are killed, and their end decides.
    pub(super) fn abort_preparation(&mut self, t: &mut Turn<'_>, key: Key) {
        let aborted = |h: &HelperRun| h.cut == Some(Cut::Aborted);
        if self.get(key).is_some_and(|p| !p.helpers.iter().all(aborted)) {
            self.abort_helpers(t, key);
        }
    }

    /// Kills some helpers of a process.
    pub(super) fn abort(&mut self, t: &mut Turn<'_>, key: Key, runs: &[RunId]) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let meant = |h: &&mut HelperRun| runs.contains(&h.run) && h.cut != Some(Cut::Aborted);
        for helper in process.helpers.iter_mut().filter(meant) {
            let killed = helper.cut.replace(Cut::Aborted).is_some();
            helper.until = None;
            if !killed {
                t.out.push(Effect::Kill { run: helper.run });
            }
        }
        self.touch(key);
    }

    /// Kills the helpers whose time is over.
    pub(super) fn time_out_helpers(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let now = t.now.mono;
        for helper in process.helpers.iter_mut().filter(|h| h.until.is_some_and(|at| at <= now)) {
            helper.until = None;
            helper.cut.get_or_insert(Cut::TimedOut);
            t.out.push(Effect::Kill { run: helper.run });
        }
        self.touch(key);
    }

    fn helper(&mut self, key: Key, run: RunId) -> Option<&mut HelperRun> {
        self.processes.get_mut(&key)?.helpers.iter_mut().find(|h| h.run == run)
    }

    pub(super) fn on_helper_failed(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        run: RunId,
        failure: &SpawnFailure,
    ) {
        let Some(helper) = self.helper(key, run) else { return };
        let hint = if failure.hint.is_empty() { String::new() } else { format!(" ({})", failure.hint) };
        helper.outcome = Some(Err(format!("could not start: {failure}{hint}")));
        self.helper_gone(t, key, run, false);
    }

    pub(super) fn on_helper_exited(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        run: RunId,
        status: ExitStatus,
        leftovers: &[u32],
    ) {
        let Some(helper) = self.helper(key, run) else { return };
        let timed_out = helper.limit.filter(|_| helper.cut == Some(Cut::TimedOut));
        helper.outcome = Some(match timed_out {
            Some(limit) => Err(format!("did not end within {} s", limit.as_secs_f64())),
            None if status.is_zero() => Ok(()),
            None => Err(status.to_string()),
        });
        helper.until = None;
        if leftovers.is_empty() {
            self.helper_gone(t, key, run, true);
        } else {
            t.out.push(Effect::Kill { run });
            self.touch(key);
        }
    }

    pub(super) fn on_helper_leftovers(&mut self, t: &mut Turn<'_>, key: Key, run: RunId, pids: &[u32]) {
        if pids.is_empty() {
            self.helper_gone(t, key, run, true);
        }
    }

    /// Nothing of a helper is left: lets go of it and tells who waits.
    fn helper_gone(&mut self, t: &mut Turn<'_>, key: Key, run: RunId, spawned: bool) {
        self.runs.remove(&run);
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(index) = process.helpers.iter().position(|h| h.run == run) else { return };
        let helper = process.helpers.remove(index);
        if spawned {
            t.out.push(Effect::Release { run });
        }
        self.touch(key);
        let outcome = match helper.outcome {
            _ if helper.cut == Some(Cut::Aborted) => Outcome::Aborted,
            Some(outcome) => Outcome::Done(outcome),
            None => Outcome::Aborted,
        };
        match helper.role {
            Role::HealthCheck => {
                if let Outcome::Done(result) = outcome {
                    self.on_health_result(t, key, run, result);
                }
            }
            Role::Hook(kind) => self.on_hook_result(t, key, kind, outcome),
        }
        // An end may have waited for this helper alone.
        self.gone_if_nothing_is_left(t, key);
    }

    /// A start's first command was not executed: a condition does not hold.
    pub(super) fn on_helper_skipped(&mut self, t: &mut Turn<'_>, key: Key, run: RunId, condition: String) {
        self.runs.remove(&run);
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.helpers.retain(|h| h.run != run);
        self.skip(t, key, condition);
    }

    fn on_hook_result(&mut self, t: &mut Turn<'_>, key: Key, kind: HookKind, outcome: Outcome) {
        let Some(process) = self.get(key) else { return };
        let index = match (&process.phase, kind) {
            (Phase::Preparing { next, .. }, HookKind::StartPre)
            | (Phase::Stopping { level: Level::Hook { next }, .. }, HookKind::Stop) => *next,
            (Phase::Up(live), HookKind::StartPost | HookKind::Reload) => live.hook_index(kind).unwrap_or(0),
            _ => 0,
        };
        let hook = match &process.phase {
            Phase::Finishing { hooks, .. } => hooks.front().map(|(_, hook)| hook),
            _ => process.spec.hooks.of(kind).get(index),
        };
        let ignore = hook.is_some_and(|hook| hook.ignore_failure);
        // A process may have several: which one it was tells where to look.
        let outcome = match (outcome, hook) {
            (Outcome::Done(Err(why)), Some(hook)) => {
                Outcome::Done(Err(format!("{why} ({})", brief(&hook.command))))
            }
            (outcome, _) => outcome,
        };
        if let Outcome::Done(Err(why)) = &outcome {
            // What runs after the end can't make it any worse.
            let ignored = ignore || matches!(kind, HookKind::Stop | HookKind::StopPost);
            let why = why.clone();
            self.emit(t, key, model::EventKind::HookFailed { hook: kind, why, ignored });
        }
        let result = match outcome {
            Outcome::Aborted => None,
            Outcome::Done(Err(_)) if ignore => Some(Ok(())),
            Outcome::Done(result) => Some(result),
        };
        self.after_hook(t, key, kind, result);
    }
}

/// A command for a sentence: its program alone, since arguments may be secret and reasons are for everybody.
fn brief(command: &CommandLine) -> String {
    const LONGEST: usize = 120;
    let mut text: String =
        command.program.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !command.args.is_empty() || command.program.chars().nth(LONGEST).is_some() {
        text.push_str(" …");
    }
    format!("`{text}`")
}

/// `kill -HUP $MAINPID` is how half of all unit files reload: no shell runs, so that it is put in here. Everything else
/// that looks like a variable is an argument like any other.
fn with_main_pid(mut command: CommandLine, pid: Option<u32>) -> CommandLine {
    if let Some(pid) = pid {
        for arg in command.args.iter_mut().filter(|arg| matches!(arg.as_str(), "$MAINPID" | "${MAINPID}")) {
            *arg = pid.to_string();
        }
    }
    command
}

/// The word for the end of a run: systemd's where it has one, so that scripts can be taken over.
fn service_result(last: &LastExit) -> String {
    match (last.reason, last.status) {
        (ExitReason::Stopped, _) => "success".to_owned(),
        (ExitReason::Oom, _) => "oom-kill".to_owned(),
        (ExitReason::Signal, Some(ExitStatus::Signal { core: true, .. })) => "core-dump".to_owned(),
        (reason, _) => reason.as_str().replace('_', "-"),
    }
}

/// What a hook is told of the process, with systemd's names (systemd.exec(5)).
fn environment(process: &Process, role: Role) -> Vec<(&'static str, String)> {
    let mut env = Vec::new();
    if let Some(pid) = process.phase.pid() {
        env.push(("MAINPID", pid.to_string()));
    }
    if matches!(role, Role::Hook(HookKind::StopPost | HookKind::Stop))
        && let Phase::Finishing { run, .. } = &process.phase
    {
        // One that was stopped before it began has no end of its own, and an earlier run's is not to be taken for it.
        let last = process.exits.first().filter(|exit| exit.run == run.number);
        env.push(("SERVICE_RESULT", last.map_or("success".to_owned(), service_result)));
        match last.and_then(|last| last.status) {
            Some(ExitStatus::Code(code)) => {
                env.push(("EXIT_CODE", "exited".to_owned()));
                env.push(("EXIT_STATUS", code.to_string()));
            }
            Some(ExitStatus::Signal { signal, core }) => {
                env.push(("EXIT_CODE", if core { "dumped" } else { "killed" }.to_owned()));
                env.push(("EXIT_STATUS", signal.to_string().trim_start_matches("SIG").to_owned()));
            }
            Some(ExitStatus::Unknown) | None => {}
        }
    }
    env
}
