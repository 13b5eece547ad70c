//! Three hundred processes that run: what the supervisor costs meanwhile, how fast it answers, and how fast it brings back one
//! of them, and all of them at once.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};

use crate::contestants::{Field, Round, Who};
use crate::plan::{Root, pid};
use crate::processes::{Activity, helpers, pss};
use crate::record::Record;
use crate::rounds::{LIMIT, Options, Turn, play};
use crate::stage::{Announced, now};

const COUNT: usize = 300;
/// Those who bring back at once only what has run for a second do so after that.
const SETTLED: Duration = Duration::from_millis(1_500);
/// How long its wake-ups are counted.
const WATCHED: Duration = Duration::from_secs(10);
/// It takes long, and hardly differs from one round to the next.
const IDLE_ROUNDS: usize = 2;
/// Commands of a kind.
const ASKED: usize = 20;
/// Processes that are killed one after the other; fewer if they take longer than the limit together.
const KILLS: usize = 100;
const KILLING: Duration = Duration::from_secs(5);

/// Those that run now, by name.
type Crowd = HashMap<String, Announced>;

pub(crate) fn measure(options: &Options, field: &Field, all: &[Who], record: &mut Record) -> Result<()> {
    play("crowd", options.scaled(COUNT), options, (field, all, record), turn)
}

fn turn(turn: &mut Turn<'_>) -> Result<()> {
    let mut round = turn.who.prepare(turn.field, turn.stage, turn.count)?;
    round.begin()?;
    let mut crowd = turn.stage.await_all(turn.count, LIMIT)?;
    round.settle()?;
    thread::sleep(SETTLED);
    if turn.round() < IDLE_ROUNDS {
        idle(turn, round.as_ref(), &crowd, WATCHED)?;
    }
    ask(turn, round.as_ref(), ASKED)?;
    kill_each(turn, round.as_mut(), &mut crowd)?;
    thread::sleep(SETTLED);
    kill_all(turn, round.as_mut(), &crowd)?;
    // Not asked to end, which is measured elsewhere: killed, from the top.
    drop(round);
    turn.stage.await_end(LIMIT).map(drop)
}

/// Memory of the supervisor and its helpers, and what they do when there is nothing to do.
pub(crate) fn idle(turn: &mut Turn<'_>, round: &dyn Round, crowd: &Crowd, watched: Duration) -> Result<()> {
    let Some(session) = round.session() else { return Ok(()) };
    let root = session.root().context("the supervisor has no pid")?;
    let supervised: HashSet<u32> = crowd.values().map(|child| child.pid).collect();
    let watched = if turn.options.quick { watched / 5 } else { watched };
    let all = match session.plan().root {
        // What else a container runs is not part of the supervisor.
        Root::Pid(_) => vec![root],
        Root::Own | Root::File(_) => helpers(root, &supervised),
    };
    let before = Activity::of(&all);
    thread::sleep(watched);
    let done = Activity::of(&all).since(&before);
    // Afterwards: reading smaps takes the memory's lock.
    turn.value("memory (PSS)", pss(&all), "MB")?;
    turn.value("its processes", all.len() as f64, "")?;
    let seconds = watched.as_secs_f64();
    turn.value("wake-ups", done.wakeups as f64 / seconds, "/s")?;
    turn.value("processor time", done.cpu.as_secs_f64() * 1e3 / seconds, "ms/s")
}

/// Whole commands.
pub(crate) fn ask(turn: &mut Turn<'_>, round: &dyn Round, times: usize) -> Result<()> {
    let Some(session) = round.session() else { return Ok(()) };
    let plan = session.plan();
    for (what, command) in [("list", &plan.list), ("status of one", &plan.status)] {
        let Some(words) = command else {
            turn.left_out(what, "it has no such command")?;
            continue;
        };
        let begin = Instant::now();
        for _ in 0..turn.options.scaled(times) {
            turn.took(what, session.time(words)?)?;
            if begin.elapsed() > KILLING {
                break;
            }
        }
    }
    Ok(())
}

/// One after the other, each a process that has run for a while.
fn kill_each(turn: &mut Turn<'_>, round: &mut dyn Round, crowd: &mut Crowd) -> Result<()> {
    let begin = Instant::now();
    for n in 0..turn.options.scaled(KILLS) {
        let name = format!("p{}", n % crowd.len());
        let old = crowd.get(&name).context("a name that was announced")?.pid;
        let killed = now();
        kill(pid(old), Signal::SIGKILL)?;
        round.react(1)?;
        let mut back = turn.stage.await_some(1, LIMIT)?;
        let back = back.pop().context("one was awaited")?;
        ensure!(back.name == name, "{name} was killed, and {} began", back.name);
        turn.span("restart", killed, back.at)?;
        crowd.insert(name, back);
        if begin.elapsed() > KILLING {
            break;
        }
    }
    Ok(())
}

fn kill_all(turn: &mut Turn<'_>, round: &mut dyn Round, crowd: &Crowd) -> Result<()> {
    let begin = now();
    for child in crowd.values() {
        kill(pid(child.pid), Signal::SIGKILL)?;
    }
    round.react(crowd.len())?;
    let back = turn.stage.await_all(crowd.len(), LIMIT)?;
    turn.span(
        "all killed at once, all back",
        begin,
        back.values().map(|child| child.at).max().unwrap_or(begin),
    )
}
