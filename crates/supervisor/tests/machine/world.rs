//! A world made by hand around the machine: it keeps the driver's promises and checks the machine's.

#![expect(clippy::unwrap_used, reason = "a world that is not as it should be fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::*;
use supervisor::machine::{Effect, Helper, Input, Machine, Notice, Role, Target, Ticket};

/// A definition with the documented defaults, no jitter, so that delays can be asserted.
pub(crate) fn spec(name: &str) -> ProcessSpec {
    let name = ProcessName::new(name).unwrap();
    let digest = name.as_str().bytes().fold([0_u8; 6], |mut d, b| {
        d.rotate_left(1);
        d[0] = d[0].wrapping_mul(31).wrapping_add(b);
        d
    });
    let mut spec = ProcessSpec::new(name, ProcessId::from_digest(digest), Origin::Runtime, "/bin/true");
    spec.restart.jitter = 0.0;
    spec
}

pub(crate) fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn failure(errno: i32) -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Exec,
        errno,
        subject: "/bin/true".into(),
        message: "No such file or directory".into(),
        hint: String::new(),
    }
}

/// A run as the operating system would see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Life {
    Spawning,
    Alive { pid: u32 },
    MainGone,
}

/// A hook or a check as the operating system would see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aid {
    pub(crate) of: ProcessName,
    pub(crate) what: Helper,
    pub(crate) life: Life,
    pub(crate) killed: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) now: Stamp,
    pub(crate) runs: BTreeMap<RunId, (ProcessName, Life)>,
    pub(crate) helpers: BTreeMap<RunId, Aid>,
    /// Checks over the network that are out.
    pub(crate) probes: BTreeMap<RunId, Probe>,
    /// Runs whose daemon is looked for.
    pub(crate) searches: Vec<RunId>,
    pub(crate) views: BTreeMap<ProcessName, Arc<ProcessView>>,
    pub(crate) replies: BTreeMap<Ticket, Result<Reply, Refusal>>,
    pub(crate) asked: BTreeSet<Ticket>,
    pub(crate) events: Vec<Event>,
    pub(crate) signals: Vec<(RunId, Signal, Target)>,
    pub(crate) kills: Vec<RunId>,
    pub(crate) limits: Vec<(RunId, ResourceLimits)>,
    pub(crate) cleaned: Vec<(ProcessName, RunNumber)>,
    pub(crate) spawns: Vec<(Mono, ProcessName, RunId)>,
    pub(crate) forgotten: Vec<ProcessName>,
    /// The counters last seen, which never go down while a process is in the table.
    counted: BTreeMap<ProcessName, Counters>,
    next_ticket: u64,
    next_pid: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::new(7),
            now: Stamp { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000_000) },
            runs: BTreeMap::new(),
            helpers: BTreeMap::new(),
            probes: BTreeMap::new(),
            searches: vec![],
            views: BTreeMap::new(),
            replies: BTreeMap::new(),
            asked: BTreeSet::new(),
            events: vec![],
            signals: vec![],
            kills: vec![],
            limits: vec![],
            cleaned: vec![],
            spawns: vec![],
            forgotten: vec![],
            counted: BTreeMap::new(),
            next_ticket: 0,
            next_pid: 100,
        }
    }

    /// Feeds one input, carries out the effects and checks what must hold at any time.
    pub(crate) fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        for effect in out {
            self.carry_out(effect);
        }
        for (name, view) in self.machine.take_changes() {
            match view {
                Some(view) => drop(self.views.insert(name, view)),
                None => {
                    self.views.remove(&name);
                    self.counted.remove(&name);
                }
            }
        }
        self.check();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { run, spec, helper: Some(what), .. } => {
                let hooks = self.helpers.values().filter(|a| a.of == spec.name && !a.killed);
                let check = what.role == Role::HealthCheck;
                let same = hooks.filter(|a| (a.what.role == Role::HealthCheck) == check);
                assert_eq!(same.count(), 0, "two hooks or two checks of {} at once", spec.name);
                let aid = Aid { of: spec.name.clone(), what, life: Life::Spawning, killed: false };
                self.helpers.insert(run, aid);
            }
            Effect::FindMain { run, .. } => self.searches.push(run),
            Effect::Probe { run, probe, .. } => drop(self.probes.insert(run, probe)),
            Effect::Spawn { run, spec, .. } => {
                let alive = self.helpers.values().find(|a| a.of == spec.name);
                assert_eq!(alive, None, "{} is executed beside a helper", spec.name);
                let twin = self.runs.iter().find(|(_, (n, _))| *n == spec.name);
                assert_eq!(twin, None, "a second run of {} beside a live one", spec.name);
                self.runs.insert(run, (spec.name.clone(), Life::Spawning));
                self.spawns.push((self.now.mono, spec.name.clone(), run));
            }
            Effect::Signal { run, signal, target } => {
                assert!(self.runs.contains_key(&run), "signal to a run that is gone");
                self.signals.push((run, signal, target));
            }
            Effect::Kill { run } => {
                if let Some(aid) = self.helpers.get_mut(&run) {
                    aid.killed = true;
                } else {
                    assert!(self.runs.contains_key(&run), "kill of a run that is gone");
                    self.kills.push(run);
                }
            }
            Effect::Release { run } if self.helpers.contains_key(&run) => {
                let aid = self.helpers.remove(&run).unwrap();
                assert_eq!(aid.life, Life::MainGone, "released while it lives");
            }
            Effect::Release { run } => {
                let life = self.runs.remove(&run).expect("release of an unknown run").1;
                assert_eq!(life, Life::MainGone, "released while its main process lives");
            }
            Effect::Limit { run, new, .. } => {
                assert!(self.runs.contains_key(&run), "limits of a run that is gone");
                self.limits.push((run, new));
            }
            Effect::CleanUp { process, run } => self.cleaned.push((process, run)),
            Effect::Configure { .. } => {}
            Effect::Forget { name } => self.forgotten.push(name),
            Effect::Emit(event) => {
                assert_eq!(event.seq.0, self.events.len() as u64 + 1, "gap in the event numbers");
                self.events.push(event);
            }
            Effect::Reply { ticket, result } => {
                assert!(self.asked.contains(&ticket), "answer to a question nobody asked");
                assert_eq!(self.replies.insert(ticket, result), None, "two answers to one question");
            }
        }
    }

    fn check(&mut self) {
        self.counted.retain(|name, _| self.views.contains_key(name));
        let mut runs: BTreeMap<&ProcessName, Vec<(RunId, &Life)>> = BTreeMap::new();
        for (run, (of, life)) in &self.runs {
            runs.entry(of).or_default().push((*run, life));
        }
        for (name, view) in &self.views {
            if !self.counted.contains_key(name) {
                self.counted.insert(name.clone(), Counters::default());
            }
            let (Some(old), new) = (self.counted.get_mut(name), view.counters) else { continue };
            let kept = new.restarts >= old.restarts
                && new.starts >= old.starts
                && new.cpu >= old.cpu
                && new.oom_kills >= old.oom_kills;
            assert!(
                kept && new.exits.iter().zip(old.exits).all(|(n, o)| *n >= o),
                "{name}: {old:?} became {new:?}"
            );
            *old = new;
            let live = runs.get(name).map_or(&[][..], Vec::as_slice);
            let down = matches!(
                view.state,
                State::Stopped
                    | State::Exited
                    | State::Failed
                    | State::Waiting
                    | State::Backoff
                    | State::CrashLoop
                    | State::Invalid
                    | State::Skipped
            );
            let aids: Vec<_> = self.helpers.values().filter(|a| a.of == *name).collect();
            let nothing = live.is_empty() && aids.is_empty();
            assert_eq!(nothing, down, "{name} is shown as {} but has {live:?} and {aids:?}", view.state);
            assert_eq!(
                view.run.as_ref().map(|r| r.id),
                live.first().map(|(id, _)| *id),
                "{name} shows another run"
            );
            let next_due = matches!(view.state, State::Backoff | State::CrashLoop);
            if next_due {
                assert!(view.next.is_some(), "{name} waits without saying until when");
            }
        }
    }

    pub(crate) fn ask(&mut self, command: Command) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.asked.insert(ticket);
        self.feed(Input::Command { ticket, command });
        ticket
    }

    pub(crate) fn apply(&mut self, specs: Vec<ProcessSpec>) -> Ticket {
        self.ask(Command::Apply(Desired {
            specs: specs.into_iter().map(Arc::new).collect(),
            invalid: vec![],
        }))
    }

    pub(crate) fn run_of(&self, process: &str) -> RunId {
        *self
            .runs
            .iter()
            .find(|(_, (n, _))| n.as_str() == process)
            .unwrap_or_else(|| panic!("{process} has no run"))
            .0
    }

    pub(crate) fn spawned(&mut self, process: &str) {
        let run = self.run_of(process);
        self.next_pid += 1;
        let pid = self.next_pid;
        let life = &mut self.runs.get_mut(&run).unwrap().1;
        assert_eq!(*life, Life::Spawning);
        *life = Life::Alive { pid };
        self.feed(Input::Spawned { run, pid });
    }

    pub(crate) fn spawn_failed(&mut self, process: &str, errno: i32) {
        let run = self.run_of(process);
        self.runs.remove(&run);
        self.feed(Input::SpawnFailed { run, failure: failure(errno) });
    }

    /// The main process ends and leaves `leftovers` alive.
    pub(crate) fn exited_leaving(&mut self, process: &str, status: ExitStatus, leftovers: Vec<u32>) {
        let run = self.run_of(process);
        self.runs.get_mut(&run).unwrap().1 = Life::MainGone;
        self.feed(Input::Exited { run, status, usage: Usage::default(), leftovers });
    }

    pub(crate) fn exited(&mut self, process: &str, code: u8) {
        self.exited_leaving(process, ExitStatus::Code(code), vec![]);
    }

    pub(crate) fn leftovers(&mut self, process: &str, pids: Vec<u32>) {
        let run = self.run_of(process);
        self.feed(Input::Leftovers { run, pids });
    }

    /// Time passes; deadlines fire when they are due, in order.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.mono.after(time);
        let end_wall = self.now.wall.after(time);
        while let Some(due) = self.machine.next_deadline().filter(|d| *d <= end) {
            let step = due.since(self.now.mono);
            self.now = Stamp { mono: self.now.mono.after(step), wall: self.now.wall.after(step) };
            self.feed(Input::Deadline);
            assert!(self.machine.next_deadline() != Some(due), "a deadline that stays due would spin");
        }
        self.now = Stamp { mono: end, wall: end_wall };
    }

    pub(crate) fn seconds(&mut self, s: f64) {
        self.pass(Duration::from_secs_f64(s));
    }

    pub(crate) fn state(&self, process: &str) -> State {
        self.view(process).state
    }

    pub(crate) fn view(&self, process: &str) -> &ProcessView {
        self.views.get(process).unwrap_or_else(|| panic!("{process} is not in the table"))
    }

    /// One process, up and running.
    pub(crate) fn running(spec: ProcessSpec) -> Self {
        let mut w = Self::new();
        let process = spec.name.clone();
        w.apply(vec![spec]);
        w.spawned(process.as_str());
        w
    }

    /// The one helper of a process that is not being killed.
    pub(crate) fn helper_of(&self, process: &str) -> RunId {
        let mut found = self.helpers.iter().filter(|(_, a)| a.of.as_str() == process && !a.killed);
        let run = *found.next().unwrap_or_else(|| panic!("{process} has no helper")).0;
        assert_eq!(found.next(), None, "{process} has several helpers");
        run
    }

    pub(crate) fn helper_spawned(&mut self, run: RunId) {
        self.next_pid += 1;
        let pid = self.next_pid;
        self.helpers.get_mut(&run).unwrap().life = Life::Alive { pid };
        self.feed(Input::Spawned { run, pid });
    }

    pub(crate) fn helper_exited(&mut self, run: RunId, status: ExitStatus, leftovers: Vec<u32>) {
        self.helpers.get_mut(&run).unwrap().life = Life::MainGone;
        self.feed(Input::Exited { run, status, usage: Usage::default(), leftovers });
    }

    pub(crate) fn helper_failed(&mut self, run: RunId) {
        self.helpers.remove(&run);
        self.feed(Input::SpawnFailed { run, failure: failure(2) });
    }

    /// The helper of a process runs and ends with this code. Returns what was executed.
    pub(crate) fn helped(&mut self, process: &str, code: u8) -> String {
        let run = self.helper_of(process);
        let command = self.helpers[&run].what.command.to_string();
        self.helper_spawned(run);
        self.helper_exited(run, ExitStatus::Code(code), vec![]);
        command
    }

    /// A condition does not hold.
    pub(crate) fn skipped(&mut self, process: &str, condition: &str) {
        let main = self.runs.iter().find(|(_, (n, _))| n.as_str() == process).map(|(run, _)| *run);
        let run = main.unwrap_or_else(|| self.helper_of(process));
        self.runs.remove(&run);
        self.helpers.remove(&run);
        self.feed(Input::Skipped { run, condition: condition.into() });
    }

    pub(crate) fn notified(&mut self, process: &str, notice: Notice) {
        let run = self.run_of(process);
        self.feed(Input::Notified { run, notice });
    }

    pub(crate) fn ready(&mut self, process: &str) {
        self.notified(process, Notice { ready: true, ..Notice::default() });
    }

    /// The daemon of a forking program is found.
    pub(crate) fn main_found(&mut self, process: &str, pid: u32) {
        let run = self.run_of(process);
        self.searches.retain(|r| *r != run);
        self.runs.get_mut(&run).unwrap().1 = Life::Alive { pid };
        self.feed(Input::MainFound { run, pid });
    }

    /// The check that is out is answered.
    pub(crate) fn probed(&mut self, result: Result<(), &str>) {
        let run = *self.probes.first_key_value().expect("no check is out").0;
        self.probes.remove(&run);
        self.feed(Input::Probed { run, result: result.map_err(str::to_owned) });
    }

    pub(crate) fn last_events(&self, n: usize) -> Vec<&'static str> {
        let from = self.events.len().saturating_sub(n);
        self.events[from..].iter().map(|e| e.kind.as_str()).collect()
    }
}
