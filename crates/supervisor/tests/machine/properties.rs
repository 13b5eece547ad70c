//! What must hold whatever happens, in any order. `World` asserts the invariants after each input.

use std::sync::Arc;
use std::time::Duration;

use model::*;
use proptest::prelude::*;
use supervisor::machine::{Input, Notice};

use crate::world::{Life, World, name, spec};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Create(usize, bool),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Reload(usize),
    Signal(usize, bool),
    Reset(usize),
    Delete(usize),
    Apply(Vec<(usize, Shape)>),
    Break(usize),
    /// What the world does next to some live run: spawned / failed / exits / leaves something / is gone.
    World(usize, u8),
    /// The same for some helper.
    Helper(usize, u8),
    /// What some live run says of itself.
    Notice(usize, u8),
    Probe(u8),
    Pass(u16),
    Shutdown,
}

/// Which of the many features a definition uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    args: u8,
    kind: u8,
    hooks: u8,
    needs: u8,
    health: u8,
}

const PLAIN: Shape = Shape { args: 1, kind: 0, hooks: 0, needs: 0, health: 0 };

fn hook(program: &str, how: u8) -> Vec<Hook> {
    let one = |n: u8| Hook {
        command: CommandLine { program: format!("/{program}{n}"), args: vec![] },
        timeout: (how & 4 != 0).then_some(Duration::from_millis(1500)),
        ignore_failure: how & 8 != 0,
    };
    (0..how & 3).map(one).collect()
}

fn variant(which: usize, shape: Shape) -> ProcessSpec {
    let Shape { args, kind, hooks, needs, health } = shape;
    let mut s = spec(NAMES[which]);
    s.exec.args = vec![format!("{}", args % 3)];
    s.restart.policy = RestartPolicy::ALL[usize::from(args / 3) % 4];
    s.restart.delay = Duration::from_millis(u64::from(args % 2) * 500);
    s.restart.jitter = 0.5;
    s.restart.limit_burst = 3;
    s.stop.mode = KillMode::ALL[usize::from(args / 7) % 3];
    s.auto_start = args < 200;
    s.start.kind = ProcessType::ALL[usize::from(kind) % 4];
    s.start.remain_after_exit = kind & 4 != 0 && s.start.kind == ProcessType::Oneshot;
    s.start.timeout = (kind & 8 != 0).then_some(Duration::from_secs(2));
    s.start.watchdog = (kind & 16 != 0).then_some(Duration::from_secs(3));
    match hooks >> 4 {
        1 => s.hooks.start_pre = hook("pre", hooks),
        2 => s.hooks.start_post = hook("post", hooks),
        3 => s.hooks.reload = hook("reload", hooks),
        4 => s.hooks.stop = hook("stop", hooks),
        5 => s.hooks.stop_post = hook("last", hooks),
        6 => {
            s.hooks.start_pre = hook("pre", hooks);
            s.hooks.stop = hook("stop", hooks);
            s.hooks.stop_post = hook("last", hooks);
        }
        _ => {}
    }
    if which > 0 {
        let before = name(NAMES[which - 1]);
        let until = (needs & 8 != 0).then_some(Readiness::ALL[usize::from(needs >> 4) % 4]);
        let dependency = vec![Dependency { name: before.clone(), until }];
        match needs % 6 {
            1 => s.after = vec![before],
            2 => s.needs.requires = dependency,
            3 => s.needs.wants = dependency,
            4 => s.needs.binds_to = dependency,
            5 => s.needs.conflicts = vec![before],
            _ => {}
        }
    }
    let probe = match health % 4 {
        1 => Some(Probe::Tcp { address: "127.0.0.1:1".into() }),
        2 => Some(Probe::Exec(CommandLine { program: "/check".into(), args: vec![] })),
        _ => None,
    };
    s.health = probe.map(|probe| HealthSpec {
        restart_after: u32::from(health >> 6),
        retries: 1,
        start_period: Duration::from_secs(u64::from(health & 16)),
        ..HealthSpec::new(probe)
    });
    s
}

fn shape() -> impl Strategy<Value = Shape> {
    any::<(u8, u8, u8, u8, u8)>().prop_map(|(args, kind, hooks, needs, health)| Shape {
        args,
        kind,
        hooks,
        needs,
        health,
    })
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    let i = 0..NAMES.len();
    prop_oneof![
        2 => (i.clone(), any::<bool>()).prop_map(|(i, s)| Act::Create(i, s)),
        2 => i.clone().prop_map(Act::Start),
        2 => i.clone().prop_map(Act::Stop),
        1 => i.clone().prop_map(Act::Restart),
        1 => i.clone().prop_map(Act::Reload),
        1 => (i.clone(), any::<bool>()).prop_map(|(i, all)| Act::Signal(i, all)),
        1 => i.clone().prop_map(Act::Reset),
        1 => i.clone().prop_map(Act::Delete),
        2 => prop::collection::vec((i.clone(), shape()), 0..5).prop_map(Act::Apply),
        1 => i.clone().prop_map(Act::Break),
        14 => (0_usize..8, any::<u8>()).prop_map(|(r, k)| Act::World(r, k)),
        8 => (0_usize..8, any::<u8>()).prop_map(|(r, k)| Act::Helper(r, k)),
        4 => (0_usize..8, any::<u8>()).prop_map(|(r, k)| Act::Notice(r, k)),
        3 => any::<u8>().prop_map(Act::Probe),
        4 => (0_u16..5000).prop_map(Act::Pass),
        1 => Just(Act::Shutdown),
    ]
}

pub(crate) fn perform(w: &mut World, act: Act) {
    match act {
        Act::Create(i, start) => drop(w.ask(Command::Create { spec: Arc::new(variant(i, PLAIN)), start })),
        Act::Start(i) => drop(w.ask(Command::Start(name(NAMES[i])))),
        Act::Stop(i) => drop(w.ask(Command::Stop(name(NAMES[i])))),
        Act::Restart(i) => drop(w.ask(Command::Restart(name(NAMES[i])))),
        Act::Reload(i) => drop(w.ask(Command::Reload(name(NAMES[i])))),
        Act::Signal(i, all) => {
            let _ = w.ask(Command::Signal { name: name(NAMES[i]), signal: Signal::HUP, all });
        }
        Act::Reset(i) => drop(w.ask(Command::Reset(name(NAMES[i])))),
        Act::Delete(i) => drop(w.ask(Command::Delete(name(NAMES[i])))),
        Act::Apply(mut specs) => {
            specs.sort_by_key(|(i, ..)| *i);
            specs.dedup_by_key(|(i, ..)| *i);
            let specs = specs.into_iter().map(|(i, shape)| Arc::new(variant(i, shape))).collect();
            apply_as_planned(w, Desired { specs, invalid: vec![] });
        }
        Act::Break(i) => {
            let broken = InvalidDefinition { spec: Arc::new(spec(NAMES[i])), problem: "broken".into() };
            let specs = w.views.values().filter(|v| v.state != State::Invalid).map(|v| Arc::clone(&v.spec));
            let specs = specs.filter(|s| s.name.as_str() != NAMES[i]).collect();
            apply_as_planned(w, Desired { specs, invalid: vec![broken] });
        }
        Act::World(r, how) => live(w, r, how),
        Act::Helper(r, how) => help(w, r, how),
        Act::Notice(r, how) => speak(w, r, how),
        Act::Probe(how) if !w.probes.is_empty() => {
            w.probed(if how & 1 == 0 { Ok(()) } else { Err("connection refused") });
        }
        Act::Probe(_) => {}
        Act::Pass(ms) => w.pass(Duration::from_millis(ms.into())),
        Act::Shutdown => drop(w.ask(Command::Shutdown)),
    }
}

/// A plan changes nothing, and what is applied is what was planned.
fn apply_as_planned(w: &mut World, desired: Desired) {
    let before = (w.views.clone(), w.events.len(), w.spawns.len());
    let planned = w.ask(Command::Plan(desired.clone()));
    assert_eq!(before, (w.views.clone(), w.events.len(), w.spawns.len()), "a plan changed something");
    let applied = w.ask(Command::Apply(desired));
    assert_eq!(w.replies[&planned], w.replies[&applied], "applied is not what was planned");
}

fn live(w: &mut World, which: usize, how: u8) {
    let Some((process, life)) = w.runs.values().nth(which % w.runs.len().max(1)).cloned() else { return };
    let process = process.as_str();
    let searched = w.searches.contains(&w.run_of(process));
    match (life, how % 4) {
        (Life::Spawning, 0) => w.spawn_failed(process, 2),
        (Life::Spawning, 1) if how & 64 != 0 => w.skipped(process, "/etc/x"),
        (Life::Spawning, _) => w.spawned(process),
        (Life::Alive { .. }, 0) => w.exited_leaving(process, ExitStatus::Code(how & 7), vec![5, 6]),
        (Life::Alive { .. }, 1) => w.exited(process, 0),
        (Life::Alive { .. }, _) => {
            w.exited_leaving(process, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
        }
        (Life::MainGone, 0) => w.leftovers(process, vec![6]),
        (Life::MainGone, 1 | 2) if searched => w.main_found(process, 6),
        (Life::MainGone, 3) if searched => {
            let run = w.run_of(process);
            w.searches.retain(|r| *r != run);
            w.feed(Input::MainNotFound { run, problem: "several".into() });
        }
        (Life::MainGone, _) => w.leftovers(process, vec![]),
    }
}

fn help(w: &mut World, which: usize, how: u8) {
    let Some((run, aid)) = w.helpers.iter().nth(which % w.helpers.len().max(1)) else { return };
    let (run, life) = (*run, aid.life.clone());
    match (life, how % 4) {
        (Life::Spawning, 0) => w.helper_failed(run),
        (Life::Spawning, _) => w.helper_spawned(run),
        (Life::Alive { .. }, 0) => w.helper_exited(run, ExitStatus::Code(1), vec![]),
        (Life::Alive { .. }, 1) => w.helper_exited(run, ExitStatus::Code(0), vec![9]),
        (Life::Alive { .. }, _) => w.helper_exited(run, ExitStatus::Code(0), vec![]),
        (Life::MainGone, _) => w.feed(Input::Leftovers { run, pids: vec![] }),
    }
}

fn speak(w: &mut World, which: usize, how: u8) {
    let alive = w.runs.iter().filter(|(_, (_, life))| matches!(life, Life::Alive { .. }));
    let Some(run) = alive.map(|(run, _)| *run).nth(which % w.runs.len().max(1)) else { return };
    let notice = Notice {
        ready: how & 1 != 0,
        reloading: how & 6 == 6,
        stopping: how & 24 == 24,
        status: (how & 32 != 0).then(|| format!("status {how}")),
        main_pid: None,
        watchdog_ping: how & 64 != 0,
        watchdog_trigger: how & 192 == 192,
        watchdog_every: None,
        extend: (how & 130 == 130).then_some(Duration::from_secs(2)),
    };
    w.feed(Input::Notified { run, notice });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_shrink_iters: 3000, ..ProptestConfig::default() })]

    /// Any story ends, after a shutdown and a world that lets go, with nothing alive, no timer and every caller
    /// answered once.
    #[test]
    fn every_story_ends_in_quiescence(acts in prop::collection::vec(act(), 0..60)) {
        let mut w = World::new();
        for act in acts {
            perform(&mut w, act);
        }
        w.ask(Command::Shutdown);
        let spawned_before = w.spawns.len();
        let mut turns = 0;
        while !w.runs.is_empty() || !w.helpers.is_empty() {
            turns += 1;
            prop_assert!(turns < 200, "does not come to rest: {:?} {:?}", w.runs, w.helpers);
            for (run, aid) in w.helpers.clone() {
                match aid.life {
                    Life::Spawning => w.helper_spawned(run),
                    Life::Alive { .. } => w.helper_exited(run, ExitStatus::Code(0), vec![]),
                    Life::MainGone => w.feed(Input::Leftovers { run, pids: vec![] }),
                }
            }
            for (process, life) in w.runs.values().cloned().collect::<Vec<_>>() {
                let process = process.as_str();
                let asked = w.views[process].state == State::Stopping;
                match life {
                    Life::Spawning => w.spawned(process),
                    Life::Alive { .. } if asked => w.exited(process, 0),
                    Life::Alive { .. } => {}
                    Life::MainGone => w.leftovers(process, vec![]),
                }
            }
        }
        prop_assert_eq!(w.spawns.len(), spawned_before, "a spawn during the shutdown");
        prop_assert_eq!(w.machine.next_deadline(), None);
        prop_assert_eq!(w.replies.len(), w.asked.len(), "a caller was left without an answer");
    }

    /// Starts within the window never exceed the burst, unless somebody asked for them.
    #[test]
    fn automatic_starts_respect_the_burst(crashes in prop::collection::vec((any::<u8>(), 0_u64..3000), 1..80)) {
        let mut s = spec("a");
        s.restart.delay = Duration::ZERO;
        s.restart.policy = RestartPolicy::Always;
        s.restart.jitter = 0.3;
        let mut w = World::new();
        w.apply(vec![s.clone()]);
        for (how, ms) in crashes {
            if !w.runs.is_empty() {
                live(&mut w, 0, how);
            }
            w.pass(Duration::from_millis(ms));
        }
        for (i, (at, ..)) in w.spawns.iter().enumerate() {
            let within = w.spawns[..=i].iter().filter(|(t, ..)| at.since(*t) < s.restart.limit_interval).count();
            prop_assert!(within <= s.restart.limit_burst as usize, "{within} starts within the window");
        }
    }

    /// The same inputs give the same effects: a recorded input log can be replayed.
    #[test]
    fn replay_gives_the_same_story(acts in prop::collection::vec(act(), 0..40)) {
        let tell = |acts: &[Act]| {
            let mut w = World::new();
            for act in acts {
                perform(&mut w, act.clone());
            }
            (w.events, w.signals, w.kills, w.spawns)
        };
        prop_assert_eq!(tell(&acts), tell(&acts));
    }
}
