//! What a process says of itself, its watchdog, and reloads.

use std::sync::Arc;
use std::time::Duration;

use model::{EventKind, ExitReason, HookKind, Mono, ProcessType, Reason, Refusal, RunId};

use super::io::{Notice, Ticket};
use super::process::{Goal, Key, Level, Phase, Stage, Want};
use super::{Effect, Machine, Target, Turn};

/// The longest that one `EXTEND_TIMEOUT_USEC=` gives: a program that asks for more has to ask again.
const LONGEST_EXTENSION: Duration = Duration::from_secs(3600);

/// The watchdog of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watchdog {
    every: Duration,
    /// When it is found to hang.
    pub(super) until: Mono,
}

impl Watchdog {
    pub(super) fn new(every: Duration, now: Mono) -> Self {
        Self { every, until: now.after(every) }
    }
}

/// Whether a run is reading its configuration again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    No,
    /// `exec_reload` runs: the hook of this index.
    Hook {
        next: usize,
    },
    /// It said so, and will say when it is ready.
    Announced,
}

impl Machine {
    pub(super) fn on_notified(&mut self, t: &mut Turn<'_>, run: RunId, notice: Notice) {
        let Some(key) = self.current(run) else { return };
        let Some(process) = self.processes.get_mut(&key) else { return };
        if process.phase.run().is_none_or(|main| main.id != run) {
            return;
        }
        if let Some(status) = notice.status {
            process.status = status;
        }
        if let Some(extend) = notice.extend {
            extend_deadline(&mut process.phase, t.now, extend.min(LONGEST_EXTENSION));
        }
        self.touch(key);
        if let Some(pid) = notice.main_pid {
            self.on_main_named(t, key, pid);
        }
        // In this order: READY=1 ends a reload or a start, RELOADING=1 in the same datagram begins the next one.
        if notice.ready {
            self.on_ready(t, key);
        }
        if notice.reloading {
            self.on_reloading(t, key);
        }
        if notice.watchdog_ping || notice.watchdog_every.is_some() {
            self.on_watchdog(t, key, notice.watchdog_every);
        }
        if notice.watchdog_trigger {
            self.watchdog_expired(t, key);
        }
        if notice.stopping {
            self.announced_stop(t, key);
        }
    }

    fn on_main_named(&mut self, t: &mut Turn<'_>, key: Key, pid: u32) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let forking = process.spec.start.kind == ProcessType::Forking;
        match &mut process.phase {
            Phase::Up(live) if live.pid != Some(pid) => {
                live.pid = Some(pid);
                live.leftovers.clear();
            }
            Phase::Stopping { pid: slot, .. } => {
                *slot = Some(pid);
                return;
            }
            _ => return,
        }
        self.emit(t, key, EventKind::MainProcess { pid });
        if forking {
            self.activated(t, key);
        }
    }

    fn on_ready(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let notify = process.spec.start.kind == ProcessType::Notify;
        let Some(live) = process.live_mut() else { return };
        if live.reload == Reload::Announced {
            live.reload = Reload::No;
            self.emit(t, key, EventKind::Reloaded);
        } else if notify {
            self.activated(t, key);
        }
    }

    fn on_reloading(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(live) = self.processes.get_mut(&key).and_then(|p| p.live_mut()) else { return };
        if live.stage == Stage::Ready && live.reload == Reload::No {
            live.reload = Reload::Announced;
            self.emit(t, key, EventKind::Reloading);
        }
    }

    fn on_watchdog(&mut self, t: &Turn<'_>, key: Key, every: Option<Duration>) {
        let Some(live) = self.processes.get_mut(&key).and_then(|p| p.live_mut()) else { return };
        let Some(watchdog) = &mut live.watchdog else { return };
        *watchdog = Watchdog::new(every.filter(|e| !e.is_zero()).unwrap_or(watchdog.every), t.now.mono);
    }

    pub(super) fn watchdog_expired(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(watchdog) = self.get(key).and_then(|p| p.live()).and_then(|live| live.watchdog) else {
            return;
        };
        let timeout = watchdog.every;
        self.emit(t, key, EventKind::WatchdogExpired { timeout });
        self.fail(t, key, ExitReason::Watchdog, Reason::WatchdogExpired(timeout));
    }

    pub(super) fn on_reload(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let (state, wanted) = (process.state(), process.goal == Goal::Up && process.renew.is_none());
        let Some(live) = process.live_mut().filter(|live| wanted && live.stage == Stage::Ready) else {
            t.reply(ticket, Err(Refusal::NotRunning(spec.name.clone(), state)));
            return;
        };
        if spec.hooks.reload.is_empty() {
            let run = live.run.id;
            self.emit(t, key, EventKind::Reloading);
            t.out.push(Effect::Signal { run, signal: spec.reload_signal, target: Target::Main });
            self.asked.push((ticket, key, spec.name.clone()));
            return;
        }
        let runs_already = matches!(live.reload, Reload::Hook { .. });
        self.wait(key, ticket, Want::Reloaded);
        if !runs_already {
            self.emit(t, key, EventKind::Reloading);
            self.run_reload_hook(t, key, 0);
        }
    }

    fn run_reload_hook(&mut self, t: &mut Turn<'_>, key: Key, next: usize) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let spec = Arc::clone(&process.spec);
        let Some(live) = process.live_mut() else { return };
        if let Some(hook) = spec.hooks.reload.get(next) {
            live.reload = Reload::Hook { next };
            self.run_hook(t, key, HookKind::Reload, hook, false);
            return;
        }
        live.reload = Reload::No;
        self.emit(t, key, EventKind::Reloaded);
        self.answer(t, key, Want::Reloaded);
    }

    pub(super) fn after_reload_hook(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        result: Option<Result<(), String>>,
    ) {
        let Some(live) = self.processes.get_mut(&key).and_then(|p| p.live_mut()) else { return };
        let Reload::Hook { next } = live.reload else { return };
        match result {
            Some(Ok(())) => self.run_reload_hook(t, key, next + 1),
            Some(Err(why)) => {
                live.reload = Reload::No;
                self.touch(key);
                self.refuse(t, key, Want::Reloaded, |name| Refusal::ReloadFailed(name.clone(), why.clone()));
            }
            None => live.reload = Reload::No,
        }
    }
}

/// `EXTEND_TIMEOUT_USEC=`: from now on it has at least this long.
fn extend_deadline(phase: &mut Phase, now: model::Stamp, extend: Duration) {
    let later = now.mono.after(extend);
    match phase {
        Phase::Up(live) => {
            if let Stage::Activating { until: Some(until) } = &mut live.stage {
                *until = later.max(*until);
            }
        }
        Phase::Stopping { level: Level::Polite { until, wall }, .. } if later > *until => {
            *until = later;
            *wall = now.wall.after(extend);
        }
        _ => {}
    }
}
