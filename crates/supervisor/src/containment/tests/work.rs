//! What many ends at once cost: as much as as many single ones, and not their square.

use std::collections::BTreeSet;
use std::io::pipe;

use model::RunId;

use super::{Kid, Special, World, is_gone};
use crate::poller::Token;

const MANY: u64 = 1000;

/// Looks per run, for all of its story; a look at each of the others would be a thousand.
const PER_RUN: u64 = 20;

/// Main processes end in the same moment, each with a child that is an orphan then and is killed.
#[test]
fn a_thousand_ends_in_one_turn() {
    let mut world = World::new();
    let (stdin, input) = pipe().unwrap();
    let mut kids: Vec<Kid> = (0..MANY)
        .map(|_| {
            let stdin = stdin.try_clone().unwrap().into();
            let script = "sleep 1000 & echo $!; read x";
            let (kid, born) = world.nursery.bear_with(&mut world.runs, script, Special::default(), stdin);
            world.runs.born(kid.run, born);
            world.runs.arm(kid.run, &world.poller);
            kid
        })
        .collect();
    drop(stdin);
    let children: Vec<u32> = kids.iter_mut().map(Kid::line_pid).collect();
    let all: BTreeSet<RunId> = kids.iter().map(|kid| kid.run).collect();
    let before = world.runs.looks();

    drop(input);
    all.iter().for_each(|run| world.wait_for(Token::Main(*run)));
    let ends = world.runs.mains_ended(&all, &world.poller);
    assert_eq!(ends.len(), all.len());
    assert_eq!(ends.iter().map(|end| end.leftovers.len()).sum::<usize>(), children.len());

    all.iter().for_each(|run| world.runs.kill(*run));
    let mut left = all.clone();
    while let Some(run) = left.first() {
        world.wait_for(Token::Leftover(*run));
        for (run, pids) in world.runs.leftovers_changed(left.clone(), &world.poller) {
            assert!(pids.is_empty() && left.remove(&run));
        }
    }
    assert!(children.iter().all(|pid| is_gone(*pid)));
    all.iter().for_each(|run| world.release(*run));
    let looks = world.runs.looks() - before;
    assert!(looks <= PER_RUN * MANY, "{looks} looks at processes for {MANY} runs");
}
