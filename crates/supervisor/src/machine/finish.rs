//! After a run: nothing of it is alive, its last hooks run, then goal and policy decide what follows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::{
    EventKind, ExitReason, ExitStatus, Hook, HookKind, OnStartLimit, ProcessType, Reason, Refusal, Reply,
};

use super::process::{Goal, Key, Phase, Rest, Run, Verdict, Want};
use super::restart::{self, Ended};
use super::{Effect, Machine, Turn};

impl Machine {
    /// The run is over, or never began.
    pub(super) fn finish(&mut self, t: &mut Turn<'_>, key: Key, run: Run, verdict: Verdict) {
        let Some(process) = self.get(key) else { return };
        let noted = process.exits.first().is_some_and(|exit| exit.run == run.number);
        if let (false, Verdict::Ended(Ended::Failed { reason, counts, .. })) = (noted, &verdict) {
            // No exit told of this: the first process of a forking program had ended well.
            self.never_began(t, key, run, *counts, Some(reason.clone()));
        }
        let Some(process) = self.get(key) else { return };
        let spec = &process.spec;
        let done = match &verdict {
            Verdict::Ended(Ended::Exit { status, .. }) => spec.restart.is_success(*status),
            _ => false,
        };
        let done = done && spec.start.kind == ProcessType::Oneshot && process.goal == Goal::Up;
        let remain = done && spec.start.remain_after_exit;
        let tagged = |kind: HookKind| spec.hooks.of(kind).iter().cloned().map(move |hook| (kind, hook));
        let mut hooks: VecDeque<(HookKind, Hook)> = VecDeque::new();
        if done {
            hooks.extend(tagged(HookKind::StartPost));
        }
        if !remain {
            hooks.extend(tagged(HookKind::StopPost));
        }
        self.run_final_hooks(t, key, run, hooks, verdict, remain);
    }

    /// A oneshot that counted as up is stopped.
    pub(super) fn finish_remaining(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let Phase::Remaining { run, .. } = process.phase else { return };
        let hooks = [HookKind::Stop, HookKind::StopPost];
        let hooks = hooks
            .into_iter()
            .flat_map(|kind| process.spec.hooks.of(kind).iter().cloned().map(move |hook| (kind, hook)))
            .collect();
        self.run_final_hooks(t, key, run, hooks, Verdict::Asked, false);
    }

    /// Runs the first of these hooks; with none left, what follows is decided.
    fn run_final_hooks(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        run: Run,
        hooks: VecDeque<(HookKind, Hook)>,
        verdict: Verdict,
        remain: bool,
    ) {
        let Some((kind, hook)) = hooks.front().cloned() else {
            self.conclude(t, key, run, verdict, remain);
            return;
        };
        self.set_phase(key, Phase::Finishing { run, hooks, verdict, remain });
        self.run_hook(t, key, kind, &hook, false);
    }

    pub(super) fn after_final_hook(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        kind: HookKind,
        result: Option<Result<(), String>>,
    ) {
        let Some(process) = self.get(key) else { return };
        let Phase::Finishing { run, hooks, verdict, remain } = process.phase.clone() else { return };
        let (mut hooks, mut verdict, mut remain) = (hooks, verdict, remain);
        hooks.pop_front();
        if let (HookKind::StartPost, Some(Err(why))) = (kind, result) {
            // Its work was done, but it is not up: the rest of its start is dropped, what follows an end is not.
            let ran = match &verdict {
                Verdict::Ended(Ended::Exit { ran, .. }) => *ran,
                _ => Duration::ZERO,
            };
            let (reason, counts) = (Reason::HookFailed(kind, why), ExitReason::HookFailed);
            hooks.retain(|(kind, _)| *kind == HookKind::StopPost);
            if remain {
                let last = process.spec.hooks.stop_post.iter().cloned();
                hooks.extend(last.map(|hook| (HookKind::StopPost, hook)));
            }
            verdict = Verdict::Ended(Ended::Failed { reason, counts, status: None, ran });
            remain = false;
        }
        self.run_final_hooks(t, key, run, hooks, verdict, remain);
    }

    fn conclude(&mut self, t: &mut Turn<'_>, key: Key, run: Run, verdict: Verdict, remain: bool) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.renew = None;
        if process.directories && !(remain && process.goal == Goal::Up) {
            process.directories = false;
            t.out.push(Effect::CleanUp { process: process.spec.name.clone(), run: run.number });
        }
        if verdict == Verdict::Asked {
            // What it said of itself may explain why it failed; of one that was stopped it is just out of date.
            process.status.clear();
        }
        match (process.goal, verdict) {
            (Goal::Up, Verdict::Ended(Ended::Exit { status, ran })) if remain => {
                self.set_phase(key, Phase::Remaining { run, status });
                self.emit(t, key, EventKind::Ready { took: ran });
            }
            (Goal::Up, Verdict::Ended(ended)) => {
                self.set_phase(key, Phase::Down(Rest::Stopped));
                self.decide(t, key, ended);
            }
            (Goal::Up, Verdict::Asked | Verdict::Announced) => {
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            (Goal::Down | Goal::Gone, _) => {
                self.emit(t, key, EventKind::Stopped);
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
        }
    }

    /// A run ended that nobody had asked to end: restart at once, later, or not at all.
    fn decide(&mut self, t: &mut Turn<'_>, key: Key, ended: Ended) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let spec = &spec.restart;
        process.record.ended(&ended, spec);
        let name = process.spec.name.clone();
        if !ended.is_success(spec) {
            // Whoever still waits for it to be up hears that this start failed, whatever the policy makes of it.
            self.refuse_starters(t, key, &Refusal::NotStarted(name, ended.reason().to_string()));
        }
        if !restart::wanted(spec, &ended) {
            self.give_up(t, key, &ended);
            return;
        }
        let Some(process) = self.processes.get_mut(&key) else { return };
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
        let Some(process) = self.get(key) else { return };
        let spec = Arc::clone(&process.spec);
        let spec = &spec.restart;
        let (burst, interval) = (spec.limit_burst, spec.limit_interval);
        let cooldown = match spec.on_limit {
            OnStartLimit::Cooldown => Some(restart::cooldown(spec, &ended, &mut self.rng)),
            OnStartLimit::Fail => None,
        };
        self.emit(t, key, EventKind::StartLimitReached { burst, interval, cooldown });
        match cooldown {
            Some(delay) => self.back_off(t, key, delay, ended, true),
            None => {
                let reason = Reason::StartLimit { burst, interval, last: Box::new(ended.reason()) };
                self.rest(t, key, Rest::Failed(reason.clone()), &reason, Some(ended.code()));
            }
        }
    }

    fn back_off(&mut self, t: &Turn<'_>, key: Key, delay: Duration, ended: Ended, crash_loop: bool) {
        let (until, wall) = (t.now.mono.after(delay), t.now.wall.after(delay));
        self.set_phase(key, Phase::Backoff { until, wall, ended, crash_loop });
    }

    /// The delay is over: an automatic restart.
    pub(super) fn backoff_over(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.counters.restarts += 1;
        self.set_phase(key, Phase::Down(Rest::Stopped));
    }

    /// No restart: the process rests, and whoever waited for it is told.
    pub(super) fn give_up(&mut self, t: &mut Turn<'_>, key: Key, ended: &Ended) {
        let Some(process) = self.get(key) else { return };
        let reason = ended.reason();
        let success = ended.is_success(&process.spec.restart);
        let oneshot = process.spec.start.kind == ProcessType::Oneshot;
        let rest = if success { Rest::Exited(reason.clone()) } else { Rest::Failed(reason.clone()) };
        if success && oneshot {
            // Its work is done, which is what a caller of start waits for.
            if let Some(process) = self.processes.get_mut(&key) {
                process.goal = Goal::Down;
            }
            self.set_phase(key, Phase::Down(rest.clone()));
            self.answer(t, key, Want::Up);
        }
        self.rest(t, key, rest, &reason, Some(ended.code()));
    }

    /// Brings a process to rest by itself. `code` is what the daemon ends with when it is a critical one; `None` = it
    /// has not ended, as it never began.
    pub(super) fn rest(&mut self, t: &mut Turn<'_>, key: Key, rest: Rest, reason: &Reason, code: Option<u8>) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.goal = Goal::Down;
        let critical = process.spec.critical;
        let refusal = Refusal::NotStarted(process.spec.name.clone(), reason.to_string());
        let failed = matches!(rest, Rest::Failed(_));
        self.set_phase(key, Phase::Down(rest));
        if failed {
            self.refuse_starters(t, key, &refusal);
        } else {
            // Those that need it may go on: a job that is done, or that does not apply here, keeps nobody down. Who
            // can't is told so when it is held.
            self.refuse(t, key, Want::Up, |_| refusal.clone());
        }
        if let (true, Some(code)) = (critical, code) {
            self.emit(t, key, EventKind::CriticalEnded { code });
        }
    }

    /// Answers everybody who waits for this.
    pub(super) fn answer(&mut self, t: &mut Turn<'_>, key: Key, reached: Want) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let (done, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut process.waiters).into_iter().partition(|(_, want)| *want == reached);
        process.waiters = rest;
        for (ticket, _) in done {
            if let Some(view) = self.fresh_view(t.now, key) {
                t.reply(ticket, Ok(Reply::Done(view)));
            }
        }
    }
}

impl Ended {
    /// The exit code that stands for it, 128 + signal for a signal.
    fn code(&self) -> u8 {
        match self {
            Self::Exit { status, .. } | Self::Failed { status: Some(status), .. } => status.shell_code(),
            Self::Failed { status: None, .. } | Self::SpawnFailed(_) => ExitStatus::Code(1).shell_code(),
        }
    }
}
