//! A new set of definitions: each process gets exactly what `model::plan` says, and nothing more.

use std::collections::HashSet;
use std::sync::Arc;

use model::{Change, Desired, EventKind, Impact, ProcessName, ProcessSpec, Reason, Reply, plan_one};

use super::order::Order;
use super::process::{Goal, Key, Phase, Rest};
use super::restart;
use super::{Effect, Machine, Ticket, Turn};

impl Machine {
    pub(super) fn on_apply(&mut self, t: &mut Turn<'_>, ticket: Ticket, desired: Desired) {
        let kept: HashSet<ProcessName> = desired
            .specs
            .iter()
            .map(|s| &s.name)
            .chain(desired.invalid.iter().map(|i| &i.spec.name))
            .cloned()
            .collect();
        let gone: Vec<Key> =
            self.processes.iter().filter(|(_, p)| !kept.contains(&p.spec.name)).map(|(k, _)| *k).collect();

        let mut changes = Vec::new();
        let mut fresh = Vec::new();
        for spec in desired.specs {
            let name = spec.name.clone();
            let (impact, keys) = match self.names.get(&name).copied() {
                Some(key) => self.redefine(t, key, spec),
                None => {
                    fresh.push(spec);
                    (Impact::Start, Vec::new())
                }
            };
            if impact != Impact::None {
                changes.push(Change { name, impact, keys });
            }
        }
        for spec in fresh {
            let start = spec.auto_start;
            self.insert(t, spec, start, Rest::Stopped);
        }
        for broken in desired.invalid {
            match self.names.get(&broken.spec.name).copied() {
                Some(key) => self.keep_last_good(t, key, broken.problem),
                None => {
                    self.insert(t, broken.spec, false, Rest::Invalid(broken.problem));
                }
            }
        }
        for key in gone {
            let Some(process) = self.get(key) else { continue };
            if process.goal != Goal::Gone {
                changes.push(Change {
                    name: process.spec.name.clone(),
                    impact: Impact::Stop,
                    keys: Vec::new(),
                });
                self.set_goal(t, key, Goal::Gone, Reason::Removed, "reload");
            }
        }
        // Before anything settles: a new process must see the edges that hold it back.
        self.rebuild_order();
        changes.sort_by(|a, b| a.name.cmp(&b.name));
        t.reply(ticket, Ok(Reply::Applied(changes)));
    }

    /// A definition of a process that is in the table. What a reload does not name stays as it is: a process that
    /// an operator stopped stays stopped.
    fn redefine(
        &mut self,
        t: &mut Turn<'_>,
        key: Key,
        spec: Arc<ProcessSpec>,
    ) -> (Impact, Vec<&'static str>) {
        let Some(process) = self.processes.get_mut(&key) else { return (Impact::None, Vec::new()) };
        let (auto_start, leaving) = (spec.auto_start, process.goal == Goal::Gone);
        let was_invalid = matches!(process.phase, Phase::Down(Rest::Invalid(_)));
        let (impact, keys) =
            if was_invalid || leaving { (Impact::Start, Vec::new()) } else { plan_one(&process.spec, &spec) };
        let had_problem = process.problem.take().is_some();
        process.spec = Arc::clone(&spec);
        if impact == Impact::None {
            if had_problem {
                self.touch(key);
            }
            return (impact, keys);
        }
        if was_invalid {
            self.set_phase(key, Phase::Down(Rest::Stopped));
            self.emit(t, key, EventKind::Created);
        } else {
            self.emit(t, key, EventKind::Updated { keys: keys.clone() });
        }
        if was_invalid || leaving {
            let (goal, cause) =
                if auto_start { (Goal::Up, Reason::Wanted) } else { (Goal::Down, Reason::NotStarted) };
            self.set_goal(t, key, goal, cause, "reload");
        }
        if impact == Impact::Restart {
            self.on_exec_changed(t, key, auto_start);
        }
        self.rejudge_backoff(t, key);
        t.out.push(Effect::Configure { spec });
        self.touch(key);
        (impact, keys)
    }

    fn on_exec_changed(&mut self, t: &mut Turn<'_>, key: Key, auto_start: bool) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let goal = process.goal;
        match &mut process.phase {
            Phase::Up { .. } if goal == Goal::Up => self.replace_run(t, key, Reason::DefinitionChanged),
            Phase::Starting { replace, .. } if goal == Goal::Up => *replace = true,
            Phase::Stopping { unasked, .. } => *unasked = None,
            // The old program crashed; the new one deserves a clean slate, now.
            Phase::Backoff { .. } => {
                process.record.forget();
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            Phase::Down(Rest::Failed(_)) if auto_start => {
                process.record.forget();
                self.set_goal(t, key, Goal::Up, Reason::Wanted, "reload");
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            Phase::Down(_) | Phase::Up { .. } | Phase::Starting { .. } => {}
        }
    }

    /// A pending restart that the new policy would not have scheduled is cancelled.
    fn rejudge_backoff(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        if let Phase::Backoff { ended, .. } = &process.phase
            && !restart::wanted(&process.spec.restart, ended)
        {
            let (reason, success) = (ended.reason(), ended.is_success(&process.spec.restart));
            self.give_up(t, key, reason, success);
        }
    }

    /// The new definition is broken: what is in force stays in force, and the view says so.
    fn keep_last_good(&mut self, t: &mut Turn<'_>, key: Key, problem: String) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        if let Phase::Down(Rest::Invalid(shown)) = &mut process.phase {
            if *shown == problem {
                return;
            }
            shown.clone_from(&problem);
        } else {
            if process.problem.as_ref() == Some(&problem) {
                return;
            }
            process.problem = Some(problem.clone());
        }
        self.emit(t, key, EventKind::Invalid { problem });
        self.touch(key);
    }

    pub(super) fn rebuild_order(&mut self) {
        let names = &self.names;
        let specs = self.processes.iter().map(|(key, p)| (*key, p.spec.as_ref()));
        self.order = Order::build(specs, |name| names.get(name).copied());
    }
}
