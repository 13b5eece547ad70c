//! A new set of definitions: each process gets exactly what `model::plan` says, and nothing more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Change, Desired, EventKind, Impact, ProcessName, ProcessSpec, Reason, Reply, plan_one};

use super::graph::Graph;
use super::needs::Pull;
use super::process::{Goal, Key, Phase, Rest, Verdict};
use super::restart;
use super::{Effect, Machine, Ticket, Turn};

/// A process whose definition was exchanged.
struct Redefined {
    key: Key,
    old: Arc<ProcessSpec>,
    impact: Impact,
    keys: Vec<&'static str>,
}

impl Machine {
    pub(super) fn on_plan(&self, t: &mut Turn<'_>, ticket: Ticket, desired: &Desired) {
        t.reply(ticket, Ok(Reply::Applied(self.plan(desired))));
    }

    /// What a set of definitions does to each process. The only place where that is decided: `on_apply` does it.
    fn plan(&self, desired: &Desired) -> Vec<Change> {
        let mut changes: BTreeMap<ProcessName, Change> = BTreeMap::new();
        let mut note = |name: &ProcessName, impact: Impact, keys: Vec<&'static str>| {
            changes.entry(name.clone()).or_insert(Change { name: name.clone(), impact, keys });
        };
        let mut down: Vec<(Key, bool)> = Vec::new();
        for spec in &desired.specs {
            let key = self.names.get(&spec.name).copied();
            let (impact, keys) = key.map_or((Impact::of_new(spec), Vec::new()), |key| self.impact(key, spec));
            match impact {
                Impact::None => continue,
                Impact::Restart => down.extend(key.map(|key| (key, true))),
                Impact::Hot | Impact::Start | Impact::Add | Impact::Stop => {}
            }
            note(&spec.name, impact, keys);
        }
        for key in self.undefined(desired) {
            let Some(process) = self.get(key).filter(|p| p.goal != Goal::Gone) else { continue };
            note(&process.spec.name, Impact::Stop, Vec::new());
            down.push((key, false));
        }
        // Those that go down with them, unless they have a reason of their own. What would be applied to a live run comes
        // with the new one. Who needs whom is what the new definitions say.
        let graph = self.graph_with(desired);
        for (key, bound_only) in down {
            for (follower, because) in self.followers(&graph, key, bound_only) {
                let Some(name) = self.get(follower).map(|p| p.spec.name.clone()) else { continue };
                let none = Change { name: name.clone(), impact: Impact::Hot, keys: Vec::new() };
                let change = changes.entry(name).or_insert(none);
                if change.impact == Impact::Hot {
                    change.impact = Impact::Restart;
                    if !change.keys.contains(&because) {
                        change.keys.push(because);
                    }
                }
            }
        }
        changes.into_values().collect()
    }

    /// Who needs whom once this set is in force. What is new is not up, and says nothing of those that are.
    fn graph_with(&self, desired: &Desired) -> Graph {
        let new: HashMap<Key, &ProcessSpec> =
            desired.specs.iter().filter_map(|s| Some((*self.names.get(&s.name)?, s.as_ref()))).collect();
        let specs = self.processes.iter().map(|(key, p)| (*key, new.get(key).copied().unwrap_or(&p.spec)));
        Graph::build(specs, |name| self.names.get(name).copied())
    }

    /// What a definition does to a process that is in the table.
    fn impact(&self, key: Key, spec: &ProcessSpec) -> (Impact, Vec<&'static str>) {
        match self.get(key) {
            Some(process) if process.is_invalid() || process.goal == Goal::Gone => {
                (Impact::of_new(spec), Vec::new())
            }
            Some(process) => plan_one(&process.spec, spec),
            None => (Impact::None, Vec::new()),
        }
    }

    /// The processes that have no definition any more.
    fn undefined(&self, desired: &Desired) -> Vec<Key> {
        let broken = desired.invalid.iter().map(|i| &i.spec.name);
        let kept: HashSet<&ProcessName> = desired.specs.iter().map(|s| &s.name).chain(broken).collect();
        self.processes.iter().filter(|(_, p)| !kept.contains(&p.spec.name)).map(|(k, _)| *k).collect()
    }

    pub(super) fn on_apply(&mut self, t: &mut Turn<'_>, ticket: Ticket, desired: Desired) {
        let changes = self.plan(&desired);
        let gone = self.undefined(&desired);
        let (mut fresh, mut redefined) = (Vec::new(), Vec::new());
        for spec in desired.specs {
            match self.names.get(&spec.name).copied() {
                Some(key) => redefined.extend(self.redefine(key, spec)),
                None => fresh.push(self.insert(t, spec, Rest::Stopped)),
            }
        }
        for broken in desired.invalid {
            match self.names.get(&broken.spec.name).copied() {
                Some(key) => self.keep_last_good(t, key, broken.problem),
                None => {
                    self.insert(t, broken.spec, Rest::Invalid(broken.problem));
                }
            }
        }
        // Before anything follows from it: who goes up or down with whom is what all the new definitions say.
        self.rebuild_graph();
        for new in redefined {
            if matches!(new.impact, Impact::Start | Impact::Add) {
                fresh.push(new.key);
            }
            self.apply_new(t, new);
        }
        for key in gone {
            if self.get(key).is_some_and(|p| p.goal != Goal::Gone) {
                self.set_goal(t, key, Goal::Gone, Reason::Removed, "reload");
            }
        }
        for key in fresh {
            self.start_by_definition(t, key);
        }
        t.reply(ticket, Ok(Reply::Applied(changes)));
    }

    /// A process came into the table: `auto_start` says whether it is wanted up. Of two that can't be up together the
    /// first one stays.
    fn start_by_definition(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let (goal, cause) = match self.conflict(key) {
            _ if !process.spec.auto_start => (Goal::Down, Reason::NotStarted),
            Some(other) => (Goal::Down, Reason::ConflictsWith(other)),
            None => (Goal::Up, Reason::Wanted),
        };
        // Somebody who needs it may have pulled it up before its turn.
        if process.goal == Goal::Up && goal == Goal::Down {
            return;
        }
        self.set_goal(t, key, goal, cause, "reload");
        if goal == Goal::Up {
            self.pull_up(t, key, Pull::Definition);
        }
    }

    /// Exchanges the definition of a process that is in the table. `None` = it is the same.
    fn redefine(&mut self, key: Key, spec: Arc<ProcessSpec>) -> Option<Redefined> {
        let (impact, keys) = self.impact(key, &spec);
        let process = self.processes.get_mut(&key)?;
        let had_problem = process.problem.take().is_some();
        // Also of one that is the same: the place of the definition may have moved.
        let old = std::mem::replace(&mut process.spec, spec);
        if impact == Impact::None {
            if had_problem {
                self.touch(key);
            }
            return None;
        }
        Some(Redefined { key, old, impact, keys })
    }

    /// What follows from a new definition. What a reload does not name stays as it is: a process that an operator stopped
    /// stays stopped.
    fn apply_new(&mut self, t: &mut Turn<'_>, new: Redefined) {
        let Redefined { key, old, impact, keys } = new;
        let Some(process) = self.get(key) else { return };
        let spec = Arc::clone(&process.spec);
        if process.is_invalid() {
            self.set_phase(key, Phase::Down(Rest::Stopped));
            self.emit(t, key, EventKind::Created);
        } else {
            self.emit(t, key, EventKind::Updated { keys });
        }
        if impact == Impact::Restart {
            self.on_exec_changed(t, key, spec.auto_start);
        }
        self.apply_limits(t, key);
        if old.health != spec.health {
            self.restart_health(t, key);
        }
        self.rejudge(t, key, &old);
        t.out.push(Effect::Configure { spec });
        self.touch(key);
    }

    fn on_exec_changed(&mut self, t: &mut Turn<'_>, key: Key, auto_start: bool) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let wanted = process.goal == Goal::Up;
        match &mut process.phase {
            Phase::Up(_) | Phase::Starting { .. } | Phase::Preparing { .. } | Phase::Remaining { .. }
                if wanted =>
            {
                self.renew(key, Reason::DefinitionChanged, true);
            }
            Phase::Stopping { verdict, .. } | Phase::Finishing { verdict, .. } => {
                *verdict = Verdict::Asked;
            }
            // The old program crashed; the new one deserves a clean slate, now.
            Phase::Backoff { .. } => {
                process.record.forget();
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            Phase::Down(Rest::Failed(_)) if auto_start => {
                self.try_again(t, key);
            }
            _ => {}
        }
    }

    /// What had given up deserves a clean slate with its new definition, and what it needs with it.
    fn try_again(&mut self, t: &mut Turn<'_>, key: Key) {
        self.want_up(t, key, Reason::Wanted, "reload");
        self.pull_up(t, key, Pull::Definition);
    }

    /// What waits for its time or for a condition is judged by the new definition.
    fn rejudge(&mut self, t: &mut Turn<'_>, key: Key, old: &ProcessSpec) {
        let Some(process) = self.get(key) else { return };
        let spec = Arc::clone(&process.spec);
        match &process.phase {
            Phase::Backoff { ended, .. } if !restart::wanted(&spec.restart, ended) => {
                let ended = ended.clone();
                self.give_up(t, key, &ended);
            }
            Phase::Backoff { .. } if old.auto_start && !spec.auto_start => {
                self.set_goal(t, key, Goal::Down, Reason::NotStarted, "disable");
            }
            Phase::Backoff { ended, crash_loop, .. }
                if cured(&ended.reason(), old, &spec) || (*crash_loop && other_start_limit(old, &spec)) =>
            {
                if let Some(process) = self.processes.get_mut(&key) {
                    process.record.forget();
                }
                self.set_phase(key, Phase::Down(Rest::Stopped));
            }
            Phase::Down(Rest::Failed(reason)) if spec.auto_start && cured(reason, old, &spec) => {
                self.try_again(t, key);
            }
            Phase::Down(Rest::Skipped(_))
                if old.start.conditions != spec.start.conditions && spec.auto_start =>
            {
                self.try_again(t, key);
            }
            _ => {}
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

    pub(super) fn rebuild_graph(&mut self) {
        let names = &self.names;
        let specs = self.processes.iter().map(|(key, p)| (*key, p.spec.as_ref()));
        self.graph = Graph::build(specs, |name| names.get(name).copied());
    }
}

/// Whether the new definition differs in exactly what the last attempt failed for, so that the next one need not wait.
/// Keys that the program itself sees need no mention: they mean a new run anyway.
fn cured(reason: &Reason, old: &ProcessSpec, new: &ProcessSpec) -> bool {
    match reason {
        Reason::SpawnFailed(_) | Reason::OutOfMemory(_) => old.limits != new.limits,
        Reason::HookFailed(kind, _) => old.hooks.of(*kind) != new.hooks.of(*kind),
        Reason::StartTimedOut(_) => old.start.timeout != new.start.timeout,
        Reason::Unhealthy(_) => old.health != new.health,
        Reason::StartLimit { last, .. } => other_start_limit(old, new) || cured(last, old, new),
        _ => false,
    }
}

fn other_start_limit(old: &ProcessSpec, new: &ProcessSpec) -> bool {
    let limit = |spec: &ProcessSpec| (spec.restart.limit_burst, spec.restart.limit_interval);
    limit(old) != limit(new)
}
