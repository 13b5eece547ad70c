//! What must hold whatever happens, in any order. `World` asserts the invariants after each input.

use std::sync::Arc;
use std::time::Duration;

use model::*;
use proptest::prelude::*;

use crate::world::{Life, World, name, spec};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Act {
    Create(usize, bool),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Delete(usize),
    Apply(Vec<(usize, u8, bool)>),
    Break(usize),
    /// What the world does next to some live run: spawned / failed / exits / leaves something / is gone.
    World(usize, u8),
    Pass(u16),
    Shutdown,
}

fn variant(which: usize, args: u8, order: bool) -> ProcessSpec {
    let mut s = spec(NAMES[which]);
    s.exec.args = vec![format!("{}", args % 3)];
    s.restart.policy = RestartPolicy::ALL[usize::from(args / 3) % 4];
    s.restart.delay = Duration::from_millis(u64::from(args % 2) * 500);
    s.restart.jitter = 0.5;
    s.restart.limit_burst = 3;
    s.stop.mode = KillMode::ALL[usize::from(args / 7) % 3];
    s.auto_start = args < 200;
    if order && which > 0 {
        s.after = vec![name(NAMES[which - 1])];
    }
    s
}

fn act() -> impl Strategy<Value = Act> {
    let i = 0..NAMES.len();
    prop_oneof![
        2 => (i.clone(), any::<bool>()).prop_map(|(i, s)| Act::Create(i, s)),
        2 => i.clone().prop_map(Act::Start),
        2 => i.clone().prop_map(Act::Stop),
        1 => i.clone().prop_map(Act::Restart),
        1 => i.clone().prop_map(Act::Delete),
        1 => prop::collection::vec((i.clone(), any::<u8>(), any::<bool>()), 0..4).prop_map(Act::Apply),
        1 => i.clone().prop_map(Act::Break),
        12 => (0_usize..8, any::<u8>()).prop_map(|(r, k)| Act::World(r, k)),
        4 => (0_u16..5000).prop_map(Act::Pass),
        1 => Just(Act::Shutdown),
    ]
}

fn perform(w: &mut World, act: Act) {
    match act {
        Act::Create(i, start) => drop(w.ask(Command::Create { spec: Arc::new(variant(i, 1, false)), start })),
        Act::Start(i) => drop(w.ask(Command::Start(name(NAMES[i])))),
        Act::Stop(i) => drop(w.ask(Command::Stop(name(NAMES[i])))),
        Act::Restart(i) => drop(w.ask(Command::Restart(name(NAMES[i])))),
        Act::Delete(i) => drop(w.ask(Command::Delete(name(NAMES[i])))),
        Act::Apply(mut specs) => {
            specs.sort_by_key(|(i, ..)| *i);
            specs.dedup_by_key(|(i, ..)| *i);
            w.apply(specs.into_iter().map(|(i, args, order)| variant(i, args, order)).collect());
        }
        Act::Break(i) => {
            let broken = InvalidDefinition { spec: Arc::new(spec(NAMES[i])), problem: "broken".into() };
            let specs = w.views.values().filter(|v| v.state != State::Invalid).map(|v| Arc::clone(&v.spec));
            let specs = specs.filter(|s| s.name.as_str() != NAMES[i]).collect();
            w.ask(Command::Apply(Desired { specs, invalid: vec![broken] }));
        }
        Act::World(r, how) => live(w, r, how),
        Act::Pass(ms) => w.pass(Duration::from_millis(ms.into())),
        Act::Shutdown => drop(w.ask(Command::Shutdown)),
    }
}

fn live(w: &mut World, which: usize, how: u8) {
    let Some((process, life)) = w.runs.values().nth(which % w.runs.len().max(1)).cloned() else { return };
    let process = process.as_str();
    match (life, how % 4) {
        (Life::Spawning, 0) => w.spawn_failed(process, 2),
        (Life::Spawning, _) => w.spawned(process),
        (Life::Alive { .. }, 0) => w.exited_leaving(process, ExitStatus::Code(how), vec![5, 6]),
        (Life::Alive { .. }, 1) => w.exited(process, 0),
        (Life::Alive { .. }, _) => {
            w.exited_leaving(process, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
        }
        (Life::MainGone, 0) => w.leftovers(process, vec![6]),
        (Life::MainGone, _) => w.leftovers(process, vec![]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

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
        while !w.runs.is_empty() {
            turns += 1;
            prop_assert!(turns < 200, "does not come to rest: {:?}", w.runs);
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
