//! A thousand processes: until all of them run, until a change of one definition is in force, until all are gone.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::contestants::{Field, Who};
use crate::record::Record;
use crate::rounds::{LIMIT, Options, Turn, play};
use crate::stage::now;

const COUNT: usize = 1_000;
/// What a start leaves to be done is done by then.
const SETTLED: Duration = Duration::from_millis(1_500);

pub(crate) fn measure(options: &Options, field: &Field, all: &[Who], record: &mut Record) -> Result<()> {
    let mut all = all.to_vec();
    let builds: Vec<String> = field.builds.keys().cloned().collect();
    all.extend(builds.into_iter().map(Who::Reloaded));
    let count = options.scaled(COUNT);
    play("starts", count, options, (field, &all, record), turn)
}

fn turn(turn: &mut Turn<'_>) -> Result<()> {
    if let Who::Peer(peer) = turn.who {
        ensure!(turn.count <= peer.most, "it takes no more than {} processes", peer.most);
    }
    let mut round = turn.who.prepare(turn.field, turn.stage, turn.count)?;
    let begin = now();
    round.begin()?;
    let running = turn.stage.await_all(turn.count, LIMIT)?;
    turn.span("all started", begin, running.values().map(|child| child.at).max().unwrap_or(begin))?;
    round.settle()?;
    thread::sleep(SETTLED);
    let change = round.session().and_then(|s| Some((s, s.plan().change.as_ref()?)));
    if let Some((session, change)) = change {
        for (path, text) in &change.files {
            std::fs::write(path, text)?;
        }
        let begin = now();
        let took = session.time(&change.run)?;
        let changed = turn.stage.await_some(1, LIMIT)?;
        ensure!(changed[0].name == "changed", "the reload restarted {}", changed[0].name);
        thread::sleep(SETTLED);
        let others = turn.stage.unexpected();
        ensure!(others == 0, "the reload restarted {others} processes that did not change");
        turn.span("one definition changed, runs anew", begin, changed[0].at)?;
        turn.took("one definition changed, the command", took)?;
    }
    ensure!(turn.stage.unexpected() == 0, "something was started that nobody asked for");
    let begin = now();
    round.end()?;
    let end = turn.stage.await_end(LIMIT)?;
    turn.span("all stopped", begin, end)
}
