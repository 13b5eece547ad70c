//! What callers ask for. Each ticket is answered once: here, or when the outcome is reached.

use std::sync::Arc;

use model::{Command, EventKind, Lack, ProcessName, ProcessSpec, Reason, Refusal, Reply, Signal, State};

use super::needs::Pull;
use super::process::{Goal, Key, Phase, Process, Rest, Verdict, Want};
use super::restart::StartRecord;
use super::{Effect, Machine, Target, Ticket, Turn};

impl Machine {
    pub(super) fn on_command(&mut self, t: &mut Turn<'_>, ticket: Ticket, command: Command) {
        if matches!(command, Command::Shutdown) {
            self.on_shutdown(t, ticket);
            return;
        }
        if self.shutdown.is_some() {
            t.reply(ticket, Err(Refusal::ShuttingDown));
            return;
        }
        match command {
            Command::Create { spec, start } => self.on_create(t, ticket, spec, start),
            Command::Start(name) => self.with(t, ticket, &name, Self::on_start),
            Command::Stop(name) => self.with(t, ticket, &name, Self::on_stop),
            Command::Restart(name) => self.with(t, ticket, &name, Self::on_restart),
            Command::Delete(name) => self.with(t, ticket, &name, Self::on_delete),
            Command::AwaitStart(name) => self.with(t, ticket, &name, Self::on_await_start),
            Command::Apply(desired) => self.on_apply(t, ticket, desired),
            Command::Reload(name) => self.with(t, ticket, &name, Self::on_reload),
            Command::Reset(name) => match self.names.get(&name) {
                Some(key) => self.on_reset(ticket, *key),
                None => t.reply(ticket, Err(Refusal::NotFound(name))),
            },
            Command::Signal { name, signal, all } => match self.names.get(&name) {
                Some(key) => self.on_signal(t, ticket, *key, signal, all),
                None => t.reply(ticket, Err(Refusal::NotFound(name))),
            },
            Command::Plan(desired) => self.on_plan(t, ticket, &desired),
            Command::Shutdown => {}
        }
    }

    fn with(
        &mut self,
        t: &mut Turn<'_>,
        ticket: Ticket,
        name: &ProcessName,
        then: fn(&mut Self, &mut Turn<'_>, Ticket, Key),
    ) {
        match self.names.get(name) {
            Some(key) => then(self, t, ticket, *key),
            None => t.reply(ticket, Err(Refusal::NotFound(name.clone()))),
        }
    }

    pub(super) fn wait(&mut self, key: Key, ticket: Ticket, want: Want) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.waiters.push((ticket, want));
        }
        self.touch(key);
    }

    fn on_create(&mut self, t: &mut Turn<'_>, ticket: Ticket, spec: Arc<ProcessSpec>, start: bool) {
        if self.names.contains_key(&spec.name) {
            t.reply(ticket, Err(Refusal::AlreadyExists(spec.name.clone())));
            return;
        }
        let key = self.insert(t, spec, Rest::Stopped);
        self.rebuild_graph();
        if start {
            self.on_start(t, ticket, key);
        } else {
            self.wait(key, ticket, Want::Down);
        }
    }

    /// Puts a new process into the table, at rest.
    pub(super) fn insert(&mut self, t: &mut Turn<'_>, spec: Arc<ProcessSpec>, rest: Rest) -> Key {
        let key = Key(self.next_key);
        self.next_key += 1;
        self.names.insert(spec.name.clone(), key);
        let event = match &rest {
            Rest::Invalid(problem) => EventKind::Invalid { problem: problem.clone() },
            Rest::Stopped | Rest::Exited(_) | Rest::Failed(_) | Rest::Skipped(_) => EventKind::Created,
        };
        let counters = self.past.take(spec.id);
        self.processes.insert(
            key,
            Box::new(Process {
                spec,
                goal: Goal::Down,
                cause: Reason::NotStarted,
                renew: None,
                phase: Phase::Down(rest),
                helpers: Vec::new(),
                timer: None,
                shown: (State::Stopped, t.now),
                status: String::new(),
                directories: false,
                held: None,
                record: StartRecord::default(),
                counters,
                exits: Arc::new([]),
                waiters: Vec::new(),
                problem: None,
            }),
        );
        self.emit(t, key, event);
        // Also for the counters of its output: they must exist, at zero, before the first line.
        if let Some(process) = self.get(key) {
            t.out.push(Effect::Configure { spec: Arc::clone(&process.spec) });
        }
        self.touch(key);
        key
    }

    fn on_start(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        let Some(process) = self.get(key) else { return };
        if let Phase::Down(Rest::Invalid(problem)) = &process.phase {
            let refusal = Refusal::Invalid(process.spec.name.clone(), problem.clone());
            t.reply(ticket, Err(refusal));
            return;
        }
        if process.goal == Goal::Gone {
            t.reply(ticket, Err(Refusal::BeingRemoved(process.spec.name.clone())));
            return;
        }
        let up = process.goal == Goal::Up && matches!(process.phase, Phase::Up(_) | Phase::Remaining { .. });
        self.want_up(t, key, Reason::Wanted, "start");
        self.pull_up(t, key, if up { Pull::NewRun } else { Pull::Start });
        self.wait(key, ticket, Want::Up);
    }

    fn on_await_start(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        let Some(process) = self.get(key) else { return };
        let rests = matches!(process.phase, Phase::Backoff { .. } | Phase::Down(Rest::Invalid(_)));
        // What is held by something that won't come by itself was told to those who waited then.
        let held = process.held.as_ref().filter(|_| matches!(process.phase, Phase::Down(_)));
        let held = held.filter(|reason| !matches!(reason, Reason::Lacks(_, Lack::Restarting))).cloned();
        let name = process.spec.name.clone();
        match held {
            _ if process.goal != Goal::Up || rests => self.asked.push((ticket, key, name)),
            Some(reason) => t.reply(ticket, Err(Refusal::NotStarted(name, format!("it {reason}")))),
            None => self.wait(key, ticket, Want::Up),
        }
    }

    /// It is wanted up now, with a clean slate.
    pub(super) fn want_up(&mut self, t: &mut Turn<'_>, key: Key, cause: Reason, by: &'static str) {
        self.set_goal(t, key, Goal::Up, cause, by);
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.record.forget();
        process.held = None;
        match &mut process.phase {
            Phase::Backoff { .. } | Phase::Down(_) => self.set_phase(key, Phase::Down(Rest::Stopped)),
            // What is being cleaned up after a crash is started again at once instead of after its delay.
            Phase::Stopping { verdict, .. } | Phase::Finishing { verdict, remain: false, .. } => {
                *verdict = Verdict::Asked;
            }
            Phase::Preparing { .. }
            | Phase::Starting { .. }
            | Phase::Up(_)
            | Phase::Finishing { .. }
            | Phase::Remaining { .. } => {}
        }
    }

    fn on_stop(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        // One that is being removed is being stopped already, and stays to be removed.
        if self.get(key).is_some_and(|p| p.goal != Goal::Gone) {
            self.set_goal(t, key, Goal::Down, Reason::StoppedByOperator, "stop");
        }
        self.forget_end(key);
        self.wait(key, ticket, Want::Down);
    }

    /// One that rests because of how it ended is just stopped from now on.
    fn forget_end(&mut self, key: Key) {
        if let Some(process) = self.get(key)
            && matches!(process.phase, Phase::Down(Rest::Exited(_) | Rest::Failed(_) | Rest::Skipped(_)))
        {
            self.set_phase(key, Phase::Down(Rest::Stopped));
        }
    }

    fn on_restart(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        let Some(process) = self.get(key) else { return };
        let running = matches!(process.phase, Phase::Up(_) | Phase::Remaining { .. });
        if !running || process.goal == Goal::Gone {
            self.on_start(t, ticket, key);
            return;
        }
        self.want_up(t, key, Reason::Wanted, "restart");
        self.pull_up(t, key, Pull::NewRun);
        self.renew(key, Reason::RestartRequested, false);
        self.wait(key, ticket, Want::Up);
    }

    /// The current run is to be replaced by a new one, and those that go down with it first.
    pub(super) fn renew(&mut self, key: Key, why: Reason, bound_only: bool) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.renew = Some(why);
        }
        self.pull_down(key, bound_only);
        self.touch_with_neighbors(key);
    }

    fn on_signal(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key, signal: Signal, all: bool) {
        let Some(process) = self.get(key) else { return };
        let run = match &process.phase {
            Phase::Up(live) => Some(live.run.id),
            Phase::Stopping { run, .. } => Some(run.id),
            _ => None,
        };
        let Some(run) = run.filter(|_| all || process.phase.pid().is_some()) else {
            t.reply(ticket, Err(Refusal::NotRunning(process.spec.name.clone(), process.state())));
            return;
        };
        let target = if all { Target::All } else { Target::Main };
        self.asked.push((ticket, key, process.spec.name.clone()));
        t.out.push(Effect::Signal { run, signal, target });
    }

    fn on_reset(&mut self, ticket: Ticket, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let name = process.spec.name.clone();
        process.record.forget();
        match process.phase {
            Phase::Backoff { .. } => self.set_phase(key, Phase::Down(Rest::Stopped)),
            Phase::Down(Rest::Failed(_) | Rest::Skipped(_)) => {
                process.cause = Reason::Reset;
                self.forget_end(key);
            }
            _ => {}
        }
        self.asked.push((ticket, key, name));
    }

    fn on_delete(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        self.set_goal(t, key, Goal::Gone, Reason::Removed, "delete");
        self.wait(key, ticket, Want::Gone);
    }

    /// Takes a process that is down out of the table.
    pub(super) fn remove(&mut self, t: &mut Turn<'_>, key: Key) {
        self.set_phase(key, Phase::Down(Rest::Stopped));
        self.emit(t, key, EventKind::Removed);
        let last = self.fresh_view(t.now, key);
        let Some(process) = self.processes.remove(&key) else { return };
        self.timers.replace(key, process.timer, None);
        self.past.delete(process.spec.id, process.counters.runs);
        let name = process.spec.name.clone();
        for (ticket, want) in process.waiters {
            let result = match (want, &last) {
                (Want::Gone, _) => Ok(Reply::Deleted),
                (Want::Down, Some(view)) => Ok(Reply::Done(Arc::clone(view))),
                (Want::Up | Want::Reloaded, _) | (Want::Down, None) => {
                    Err(Refusal::Superseded(name.clone(), "delete"))
                }
            };
            t.reply(ticket, result);
        }
        self.names.remove(&name);
        self.changed.remove(&key);
        self.removed.push(name.clone());
        // Edges to a key that is gone name nobody, so the graph needs no rebuild here.
        t.out.push(Effect::Forget { name });
    }

    fn on_shutdown(&mut self, t: &mut Turn<'_>, ticket: Ticket) {
        if let Some(tickets) = &mut self.shutdown {
            tickets.push(ticket);
            return;
        }
        self.shutdown = Some(vec![ticket]);
        // Reverse order of definition; `settle` holds back each one that others were started after.
        let keys: Vec<Key> = self.processes.keys().rev().copied().collect();
        for key in keys {
            let leaving = self.get(key).is_some_and(|p| p.goal == Goal::Gone);
            if !leaving {
                self.set_goal(t, key, Goal::Down, Reason::Shutdown, "shutdown");
            }
        }
    }
}
