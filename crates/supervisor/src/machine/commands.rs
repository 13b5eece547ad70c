//! What callers ask for. Each ticket is answered once: here, or when the outcome is reached.

use std::sync::Arc;

use model::{
    Command, Counters, EventKind, ProcessName, ProcessSpec, Reason, Refusal, Reply, RunNumber, State,
};

use super::process::{Goal, Key, Phase, Process, Rest, Want};
use super::restart::StartRecord;
use super::{Effect, Machine, Ticket, Turn};

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
            Command::Apply(desired) => self.on_apply(t, ticket, desired),
            Command::Reload(_)
            | Command::Signal { .. }
            | Command::Reset(_)
            | Command::Plan(_)
            | Command::Shutdown => {}
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

    fn wait(&mut self, key: Key, ticket: Ticket, want: Want) {
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
        let key = self.insert(t, spec, start, Rest::Stopped);
        self.rebuild_order();
        self.wait(key, ticket, if start { Want::Up } else { Want::Down });
    }

    /// Puts a new process into the table.
    pub(super) fn insert(
        &mut self,
        t: &mut Turn<'_>,
        spec: Arc<ProcessSpec>,
        start: bool,
        rest: Rest,
    ) -> Key {
        let key = Key(self.next_key);
        self.next_key += 1;
        self.names.insert(spec.name.clone(), key);
        let event = match &rest {
            Rest::Invalid(problem) => EventKind::Invalid { problem: problem.clone() },
            Rest::Stopped | Rest::Exited(_) | Rest::Failed(_) => EventKind::Created,
        };
        self.processes.insert(
            key,
            Process {
                spec,
                goal: if start { Goal::Up } else { Goal::Down },
                cause: if start { Reason::Wanted } else { Reason::NotStarted },
                phase: Phase::Down(rest),
                shown: (State::Stopped, t.now.wall),
                last_number: RunNumber(0),
                record: StartRecord::default(),
                counters: Counters::default(),
                exits: Arc::new([]),
                waiters: Vec::new(),
                problem: None,
            },
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
        self.want_up(t, key, "start");
        self.wait(key, ticket, Want::Up);
    }

    /// An operator wants it up: now, with a clean slate.
    fn want_up(&mut self, t: &mut Turn<'_>, key: Key, by: &'static str) {
        self.set_goal(t, key, Goal::Up, Reason::Wanted, by);
        let Some(process) = self.processes.get_mut(&key) else { return };
        process.record.forget();
        match &mut process.phase {
            Phase::Backoff { .. } | Phase::Down(_) => self.set_phase(key, Phase::Down(Rest::Stopped)),
            // What is being cleaned up after a crash is started again at once instead of after its delay.
            Phase::Stopping { unasked, .. } => *unasked = None,
            Phase::Starting { .. } | Phase::Up { .. } => {}
        }
    }

    fn on_stop(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        // One that is being removed is being stopped already, and stays to be removed.
        if self.get(key).is_some_and(|p| p.goal != Goal::Gone) {
            self.set_goal(t, key, Goal::Down, Reason::StoppedByOperator, "stop");
        }
        if let Some(process) = self.get(key)
            && matches!(process.phase, Phase::Down(Rest::Exited(_) | Rest::Failed(_)))
        {
            self.set_phase(key, Phase::Down(Rest::Stopped));
        }
        self.wait(key, ticket, Want::Down);
    }

    fn on_restart(&mut self, t: &mut Turn<'_>, ticket: Ticket, key: Key) {
        let Some(process) = self.get(key) else { return };
        let running = matches!(process.phase, Phase::Up { .. }) && process.goal != Goal::Gone;
        if !running {
            self.on_start(t, ticket, key);
            return;
        }
        self.want_up(t, key, "restart");
        self.replace_run(t, key, Reason::RestartRequested);
        self.wait(key, ticket, Want::Up);
    }

    /// Stops the current run; goal stays up, so a new one follows.
    pub(super) fn replace_run(&mut self, t: &mut Turn<'_>, key: Key, cause: Reason) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.cause = cause;
        }
        self.begin_stop(t, key);
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
        let name = process.spec.name.clone();
        for (ticket, want) in process.waiters {
            let result = match (want, &last) {
                (Want::Gone, _) => Ok(Reply::Deleted),
                (Want::Down, Some(view)) => Ok(Reply::Done(Arc::clone(view))),
                (Want::Up, _) | (Want::Down, None) => Err(Refusal::Superseded(name.clone(), "delete")),
            };
            t.reply(ticket, result);
        }
        self.names.remove(&name);
        self.changed.remove(&key);
        self.removed.push(name.clone());
        // Order edges to a key that is gone name nobody, so the graph needs no rebuild here.
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
