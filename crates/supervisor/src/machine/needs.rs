//! What a process needs of others: who holds it back, who goes down with it, whom it pulls up.

use std::collections::BTreeSet;

use model::{EventKind, HealthState, Lack, ProcessName, ProcessType, Readiness, Reason, Refusal};

use super::graph::{Graph, Strength};
use super::process::{Goal, Key, Level, Phase, Process, Rest, Stage, Want};
use super::{Machine, Turn};

/// How far somebody is who is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Reached,
    OnItsWay,
    Lacks(Lack),
}

/// Why a process that is wanted up can't be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocker {
    /// It comes first and is on its way.
    First(ProcessName),
    /// It is needed, and won't be there by itself soon.
    Lacks(ProcessName, Lack),
    /// It can't be up at the same time, and is still alive.
    Conflicts(ProcessName),
}

/// Whom a process pulls up together with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// Its definition says that it is wanted up: those that it needs, but for what an operator had stopped and for jobs
    /// that are done.
    Definition,
    /// Somebody asked for it, and it is up or gets a new run: also what had been stopped.
    NewRun,
    /// Somebody asked for it while it was down: also jobs, which are done again.
    Start,
}

impl Process {
    /// Whether it is wanted up and is down, or about to be.
    fn is_held_down(&self) -> bool {
        let down = !matches!(
            self.phase,
            Phase::Preparing { .. } | Phase::Starting { .. } | Phase::Up(_) | Phase::Remaining { .. }
        );
        self.goal == Goal::Up && (down || self.renew.is_some())
    }

    /// How far it is on the way to `until`; `None` = healthy where it has a health check, else ready.
    fn standing(&self, until: Option<Readiness>) -> Standing {
        let wanted = self.goal == Goal::Up;
        let moving = if wanted { Standing::OnItsWay } else { Standing::Lacks(Lack::Stopped) };
        match &self.phase {
            Phase::Remaining { .. } if wanted && self.renew.is_none() => Standing::Reached,
            Phase::Up(_) if !wanted || self.renew.is_some() => moving,
            Phase::Up(live) => {
                let ready = live.stage == Stage::Ready;
                match (until, live.health.as_ref().map(|h| h.state)) {
                    (Some(Readiness::Started), _) => Standing::Reached,
                    (Some(Readiness::Completed), _) => Standing::OnItsWay,
                    (None | Some(Readiness::Healthy), Some(HealthState::Unhealthy)) => {
                        Standing::Lacks(Lack::Unhealthy)
                    }
                    (None | Some(Readiness::Healthy), Some(HealthState::Starting)) => Standing::OnItsWay,
                    _ if ready => Standing::Reached,
                    _ => Standing::OnItsWay,
                }
            }
            Phase::Down(Rest::Invalid(_)) => Standing::Lacks(Lack::Invalid),
            Phase::Down(_) if wanted => Standing::OnItsWay,
            // What does not apply to this machine is no reason to keep others down (systemd.unit(5), Condition…=).
            Phase::Down(Rest::Skipped(_)) => Standing::Reached,
            Phase::Down(Rest::Exited(_)) => {
                let job = self.spec.start.kind == ProcessType::Oneshot;
                if job || until == Some(Readiness::Completed) {
                    Standing::Reached
                } else {
                    Standing::Lacks(Lack::Ended)
                }
            }
            Phase::Down(Rest::Failed(_)) => Standing::Lacks(Lack::Failed),
            Phase::Down(Rest::Stopped) => Standing::Lacks(Lack::Stopped),
            Phase::Backoff { .. } => Standing::Lacks(Lack::Restarting),
            Phase::Preparing { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Remaining { .. } => moving,
        }
    }

    /// Whether somebody who is bound to it may stay up.
    fn holds_the_bound(&self) -> bool {
        match &self.phase {
            Phase::Up(_) | Phase::Remaining { .. } => true,
            Phase::Down(Rest::Exited(_)) => self.spec.start.kind == ProcessType::Oneshot,
            Phase::Down(Rest::Skipped(_)) => true,
            _ => false,
        }
    }
}

impl Machine {
    /// Everything that keeps a process from being started.
    pub(super) fn start_blockers(&self, key: Key) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        for process in self.graph.first(key).iter().filter_map(|k| self.get(*k)) {
            // One that failed or waits for its restart had its chance: order is no need.
            let on_its_way = process.standing(Some(Readiness::Ready)) == Standing::OnItsWay;
            if on_its_way && process.goal == Goal::Up {
                blockers.push(Blocker::First(process.spec.name.clone()));
            }
        }
        for need in self.graph.needs(key) {
            let Some(process) = need.key.and_then(|k| self.get(k)) else {
                if need.strength != Strength::Wants {
                    blockers.push(Blocker::Lacks(need.name.clone(), Lack::NotDefined));
                }
                continue;
            };
            let blocker = match process.standing(need.until) {
                Standing::Reached => continue,
                Standing::OnItsWay => Blocker::First(need.name.clone()),
                Standing::Lacks(_) if need.strength == Strength::Wants => continue,
                Standing::Lacks(lack) => Blocker::Lacks(need.name.clone(), lack),
            };
            if !blockers.contains(&blocker) {
                blockers.push(blocker);
            }
        }
        for process in self.graph.conflicts(key).filter_map(|k| self.get(k)) {
            if process.phase.is_busy() || matches!(process.phase, Phase::Remaining { .. }) {
                blockers.push(Blocker::Conflicts(process.spec.name.clone()));
            }
        }
        blockers
    }

    /// A process that is wanted up can't be started: says so, and refuses callers when waiting won't help.
    pub(super) fn hold(&mut self, t: &mut Turn<'_>, key: Key, blockers: &[Blocker]) {
        let lacks = |b: &Blocker| match b {
            Blocker::Lacks(name, lack) => Some(Reason::Lacks(name.clone(), *lack)),
            Blocker::First(_) | Blocker::Conflicts(_) => None,
        };
        let reason = blockers.iter().find_map(lacks);
        let Some(process) = self.processes.get_mut(&key) else { return };
        let told = process.held == reason;
        process.held.clone_from(&reason);
        let Some(reason) = reason else { return };
        let name = process.spec.name.clone();
        let will_be_retried = matches!(reason, Reason::Lacks(_, Lack::Restarting));
        if !told {
            self.emit(t, key, EventKind::Held { reason: reason.clone() });
        }
        if !will_be_retried {
            self.refuse_starters(t, key, &Refusal::NotStarted(name, format!("it {reason}")));
        }
    }

    /// The one on whose account a process that is up has to go down: it is bound to that, and that is not up.
    pub(super) fn must_yield_to(&self, key: Key) -> Option<ProcessName> {
        let bound = self.graph.needs(key).iter().filter(|need| need.strength == Strength::BindsTo);
        let mut lost = bound.filter(|need| {
            need.key.and_then(|k| self.get(k)).is_some_and(|process| !process.holds_the_bound())
        });
        lost.next().map(|need| need.name.clone())
    }

    /// Those that go down when `key` is stopped or restarted on purpose (or, with `bound_only`, when it goes down at
    /// all), each with the key of its definition that says so.
    pub(super) fn followers(&self, graph: &Graph, key: Key, bound_only: bool) -> Vec<(Key, &'static str)> {
        let mut found: Vec<(Key, &'static str)> = Vec::new();
        let mut queue = vec![(key, bound_only)];
        while let Some((key, bound_only)) = queue.pop() {
            for (by, strength) in graph.needed_by(key) {
                let follows = match strength {
                    Strength::Wants => false,
                    Strength::Requires => !bound_only,
                    Strength::BindsTo => true,
                };
                let up = self.get(*by).is_some_and(|p| {
                    p.goal == Goal::Up
                        && matches!(
                            p.phase,
                            Phase::Preparing { .. }
                                | Phase::Starting { .. }
                                | Phase::Up(_)
                                | Phase::Remaining { .. }
                        )
                });
                if follows && up && !found.iter().any(|(k, _)| k == by) {
                    found.push((*by, strength.as_str()));
                    // From here on it is a stop on purpose.
                    queue.push((*by, false));
                }
            }
        }
        found
    }

    /// Those that need `key` have to go down with it. They stay wanted, and come back when it does.
    pub(super) fn pull_down(&mut self, key: Key, bound_only: bool) {
        let Some(name) = self.get(key).map(|p| p.spec.name.clone()) else { return };
        for (follower, _) in self.followers(&self.graph, key, bound_only) {
            if let Some(process) = self.processes.get_mut(&follower) {
                process.renew.get_or_insert_with(|| Reason::StoppedWith(name.clone()));
            }
            self.touch_with_neighbors(follower);
        }
    }

    /// A process is wanted up, and so is all that it needs; what it can't stand goes down.
    pub(super) fn pull_up(&mut self, t: &mut Turn<'_>, key: Key, pull: Pull) {
        let mut seen = BTreeSet::from([key]);
        let mut queue = vec![key];
        while let Some(key) = queue.pop() {
            self.put_down_conflicting(t, key);
            let Some(name) = self.get(key).map(|p| p.spec.name.clone()) else { continue };
            let needed: Vec<Key> = self.graph.needs(key).iter().filter_map(|need| need.key).collect();
            for key in needed {
                let Some(process) = self.get(key) else { continue };
                let stopped = matches!(process.cause, Reason::StoppedByOperator | Reason::Reset);
                let done = matches!(process.phase, Phase::Down(Rest::Exited(_) | Rest::Skipped(_)));
                let broken = matches!(process.phase, Phase::Down(Rest::Invalid(_)));
                let wake = match pull {
                    Pull::Definition => !stopped && !done,
                    Pull::NewRun => !done,
                    Pull::Start => true,
                };
                if process.goal == Goal::Down && !broken && wake {
                    self.want_up(t, key, Reason::WantedBy(name.clone()), "start");
                    queue.push(key);
                } else if pull != Pull::Definition && process.is_held_down() && seen.insert(key) {
                    // What it waits for may be what an operator had stopped.
                    queue.push(key);
                }
            }
        }
    }

    fn put_down_conflicting(&mut self, t: &mut Turn<'_>, key: Key) {
        let Some(name) = self.get(key).map(|p| p.spec.name.clone()) else { return };
        let others: Vec<Key> = self.graph.conflicts(key).collect();
        for other in others {
            if self.get(other).is_some_and(|p| p.goal == Goal::Up) {
                self.set_goal(t, other, Goal::Down, Reason::ConflictsWith(name.clone()), "conflicts");
            }
        }
    }

    /// Somebody it can't be up together with and who is wanted up already.
    pub(super) fn conflict(&self, key: Key) -> Option<ProcessName> {
        let mut others = self.graph.conflicts(key).filter_map(|k| self.get(k));
        others.find(|p| p.goal == Goal::Up).map(|p| p.spec.name.clone())
    }

    /// Successors that are to go down and are still alive. One that survives SIGKILL holds up nobody.
    pub(super) fn stop_blockers(&self, key: Key) -> Vec<Key> {
        let alive = |p: &Process| {
            (p.goal != Goal::Up || p.renew.is_some())
                && match &p.phase {
                    Phase::Preparing { .. }
                    | Phase::Starting { .. }
                    | Phase::Up(_)
                    | Phase::Finishing { .. }
                    | Phase::Remaining { .. } => true,
                    Phase::Stopping { level, .. } => *level != Level::Surviving,
                    Phase::Down(_) | Phase::Backoff { .. } => false,
                }
        };
        self.graph.after(key).iter().copied().filter(|k| self.get(*k).is_some_and(alive)).collect()
    }

    /// Tells everybody who waits for `up` that it won't be, and everybody who waits for somebody that needs it.
    pub(super) fn refuse_starters(&mut self, t: &mut Turn<'_>, key: Key, refusal: &Refusal) {
        self.refuse(t, key, Want::Up, |_| refusal.clone());
        let Some(name) = self.get(key).map(|p| p.spec.name.clone()) else { return };
        let mut seen = vec![key];
        let mut queue = vec![(key, name)];
        while let Some((key, name)) = queue.pop() {
            let by: Vec<Key> = self.graph.needed_by(key).iter().map(|(by, _)| *by).collect();
            for by in by {
                let Some(process) = self.get(by) else { continue };
                let waits = process.goal == Goal::Up && matches!(process.phase, Phase::Down(_));
                let needs = |n: &&super::graph::Need| n.key == Some(key) && n.strength != Strength::Wants;
                if !waits || seen.contains(&by) || self.graph.needs(by).iter().find(needs).is_none() {
                    continue;
                }
                let own_name = process.spec.name.clone();
                self.refuse(t, by, Want::Up, |own| {
                    Refusal::NotStarted(own.clone(), format!("it needs {name}: {refusal}"))
                });
                seen.push(by);
                queue.push((by, own_name));
            }
        }
    }
}
