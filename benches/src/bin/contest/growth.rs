//! How the daemon's costs grow from a hundred processes to ten thousand, beside the floor where there is one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::contestants::{Field, Who, descriptors_suffice};
use crate::crowd;
use crate::plan::Session;
use crate::processes::Activity;
use crate::record::{Record, say};
use crate::rounds::{LIMIT, Options, Turn, play};
use crate::stage::now;

const COUNTS: [usize; 5] = [100, 300, 1_000, 3_000, 10_000];
const SETTLED: Duration = Duration::from_secs(2);
/// A scrape shows values that are at most a second old; after that it is made anew.
const STALE: Duration = Duration::from_millis(1_100);
const SCRAPES: usize = 3;
const ASKED: usize = 10;
const WATCHED: Duration = Duration::from_secs(3);

pub(crate) fn measure(options: &Options, field: &Field, record: &mut Record) -> Result<()> {
    for count in COUNTS.map(|count| options.scaled(count)) {
        let mut all = vec![Who::Floor];
        for build in field.builds.keys() {
            all.push(Who::Uncaptured(build.clone()));
            match descriptors_suffice(count) {
                Ok(()) => all.push(Who::Ours(build.clone())),
                Err(why) => record.left_out("growth", build, &why)?,
            }
        }
        say(&format!("growth: {count} processes"));
        play("growth", count, options, (field, &all, record), turn)?;
    }
    Ok(())
}

fn turn(turn: &mut Turn<'_>) -> Result<()> {
    let mut round = turn.who.prepare(turn.field, turn.stage, turn.count)?;
    let begin = now();
    round.begin()?;
    let running = turn.stage.await_all(turn.count, LIMIT)?;
    turn.span("all started", begin, running.values().map(|child| child.at).max().unwrap_or(begin))?;
    round.settle()?;
    if let Some(session) = round.session() {
        thread::sleep(SETTLED);
        crowd::idle(turn, round.as_ref(), &running, WATCHED)?;
        crowd::ask(turn, round.as_ref(), ASKED)?;
        scrapes(turn, session)?;
    }
    let begin = now();
    round.end()?;
    let end = turn.stage.await_end(LIMIT)?;
    turn.span("all stopped", begin, end)
}

/// Until the last byte is there, and what it took of the processor.
fn scrapes(turn: &mut Turn<'_>, session: &Session) -> Result<()> {
    let daemon = [session.root().context("the daemon has no pid")?];
    let address = metrics(session)?;
    for _ in 0..SCRAPES {
        thread::sleep(STALE);
        let before = Activity::of(&daemon);
        let begin = Instant::now();
        let bytes = scrape(&address)?;
        let took = begin.elapsed();
        let cpu = Activity::of(&daemon).since(&before).cpu;
        ensure!(bytes > 0, "an empty scrape");
        turn.took("scrape", took)?;
        turn.took("scrape, processor time", cpu)?;
    }
    Ok(())
}

/// Where the daemon's metrics are; the port is one that the kernel chose.
fn metrics(session: &Session) -> Result<String> {
    let mut words = session.plan().ready.clone().context("a daemon has a status")?;
    words.extend(["--output", "json"].map(str::to_owned));
    let status: Value = serde_json::from_str(&session.output(&words)?)?;
    let listeners = status["listeners"].as_array().context("the status tells no listeners")?;
    let found = listeners.iter().find(|l| l["role"] == "metrics" && l["state"] == "listening");
    Ok(found.and_then(|l| l["address"].as_str()).context("the metrics are not served")?.to_owned())
}

fn scrape(address: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(address).context("the metrics port")?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"),
        "the scrape was refused"
    );
    Ok(answer.len())
}
