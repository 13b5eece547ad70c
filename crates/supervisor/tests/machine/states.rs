//! docs/STATES.md, found out by watching the machine: which states there are, and what leads from one to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use model::State;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::properties::{Act, act, perform};
use crate::world::World;

/// Stories that are watched: so many that another thousand finds no new transition.
const STORIES: usize = 6000;

/// From, to, and the kinds of events that were told on the way.
type Transitions = BTreeMap<(usize, usize), BTreeSet<&'static str>>;

fn index(state: State) -> usize {
    State::ALL.iter().position(|s| *s == state).expect("every state is in ALL")
}

fn watch() -> Transitions {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let stories = proptest::collection::vec(act(), 0..80);
    let mut found = Transitions::new();
    for _ in 0..STORIES {
        let story = stories.new_tree(&mut runner).expect("nothing is filtered").current();
        let mut w = World::new();
        for act in story {
            if matches!(act, Act::Pass(_)) {
                // One deadline at a time, so that each leads to one transition.
                while let Some(due) = w.machine.next_deadline().filter(|d| d.since(w.now.mono).as_secs() < 5)
                {
                    let step = due.since(w.now.mono);
                    note(&mut found, &mut w, |w| w.pass(step));
                }
            } else {
                note(&mut found, &mut w, |w| perform(w, act));
            }
        }
    }
    found
}

/// Compares the states before and after.
fn note(found: &mut Transitions, w: &mut World, change: impl FnOnce(&mut World)) {
    let before: Vec<_> = w.views.values().map(|v| (v.spec.name.clone(), v.state)).collect();
    let told = w.events.len();
    change(w);
    for (name, from) in before {
        let Some(view) = w.views.get(&name).filter(|view| view.state != from) else { continue };
        let events = w.events[told..].iter().filter(|e| e.process.name == name);
        let kinds = found.entry((index(from), index(view.state))).or_default();
        kinds.extend(events.map(|e| e.kind.as_str()));
    }
}

fn render(found: &Transitions) -> String {
    let mut text = String::from(
        "# States\n\nGenerated from the state machine by `UPDATE_DOCS=1 cargo test -p supervisor --test machine`; do not edit.\n\n\
         `pm-cli why NAME` says why a process is in its state and what comes next.\n\n\
         | state | meaning |\n|---|---|\n",
    );
    for state in State::ALL {
        writeln!(text, "| `{state}` | {} |", state.meaning()).expect("writing to a String");
    }
    text.push_str(
        "\n## Transitions\n\nWhat was seen to lead from one state to another within one step of the machine. The events are those of \
         `EVENT=` in the journal that such steps told of the process; a step without one follows from what happened to \
         another process, or from a command.\n\n| from | to | events |\n|---|---|---|\n",
    );
    for ((from, to), kinds) in found {
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
        let (from, to) = (State::ALL[*from], State::ALL[*to]);
        writeln!(text, "| `{from}` | `{to}` | {} |", kinds.join(", ")).expect("writing to a String");
    }
    text
}

#[test]
fn the_documentation_of_the_states_is_what_the_machine_does() {
    let text = render(&watch());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/STATES.md");
    if std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &text).expect("writing docs/STATES.md");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/STATES.md is out of date: UPDATE_DOCS=1 cargo test -p supervisor --test machine"
    );
}
