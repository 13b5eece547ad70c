//! Prints how long one exposition takes: `cargo run --release -p metrics --example render [processes]`.
//!
//! Real children (`sleep`), so that reading /proc is part of it. The first rendering is shown apart: it reads
//! the boot time and grows the buffers.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use metrics::{BuildInfo, DaemonFacts, Durations, Exporter, LogStream, SinkStats, Source};
use model::{
    Counters, InvocationId, Origin, ProcessId, ProcessName, ProcessSpec, ProcessView, Reason, RunId,
    RunNumber, RunView, Snapshot, State, Stream, Wall,
};

struct Fleet {
    snapshot: Snapshot,
    streams: Vec<LogStream>,
}

impl Source for Fleet {
    fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }
    fn log_streams(&self) -> Vec<LogStream> {
        self.streams.clone()
    }
    fn daemon(&self) -> DaemonFacts {
        DaemonFacts::default()
    }
    fn ready(&self) -> bool {
        true
    }
}

/// Children that end with the program, however it ends.
#[derive(Default)]
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails only for one that is gone already.
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1000), |n| n.parse())?;
    measure(count, &mut Children::default())
}

fn measure(count: u32, children: &mut Children) -> Result<(), Box<dyn std::error::Error>> {
    let mut fleet = Fleet { snapshot: Snapshot::default(), streams: Vec::new() };
    for index in 0..count {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let name = ProcessName::new(&format!("worker-{index:05}"))?;
        fleet.snapshot.processes.push(Arc::new(view(&name, child.id())?));
        fleet.streams.extend(Stream::ALL.map(|stream| streams(&name, stream)));
        children.0.push(child);
    }
    let exporter = Exporter::new(
        Arc::new(fleet),
        Arc::new(Durations::default()),
        BuildInfo { version: "0", revision: "0" },
    );
    let begun = Instant::now();
    let text = String::from_utf8(exporter.render())?;
    let first = begun.elapsed();
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            let length = exporter.render().len();
            assert!(length > 0, "an exposition is never empty");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let series = text.lines().filter(|l| !l.starts_with('#')).count();
    println!("{count} processes: {series} series, {} bytes", text.len());
    println!("first {first:?}, then median {:?}, worst of 20 {:?}", times[10], times[19]);
    for line in text.lines().filter(|l| l.starts_with("ddprocmgr_scrape_")) {
        println!("{line}");
    }
    Ok(())
}

fn streams(process: &ProcessName, stream: Stream) -> LogStream {
    let sink = SinkStats { written: 1_234_567, bytes: 123_456_789, ..SinkStats::default() };
    LogStream {
        process: process.clone(),
        stream,
        lines: 1_234_567,
        bytes: 123_456_789,
        sinks: [Some(sink), Some(sink), None],
    }
}

fn view(name: &ProcessName, pid: u32) -> Result<ProcessView, Box<dyn std::error::Error>> {
    let started = Wall(u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos())?);
    let run =
        RunView { id: RunId(1), number: RunNumber(1), invocation: InvocationId(1), pid: Some(pid), started };
    Ok(ProcessView {
        spec: Arc::new(spec(name)),
        state: State::Running,
        reason: Reason::Wanted,
        since: started,
        wanted_up: true,
        run: Some(run),
        next: None,
        exits: Arc::new([]),
        status: String::new(),
        health: None,
        counters: Counters { starts: 1, ..Counters::default() },
        problem: None,
    })
}

fn spec(name: &ProcessName) -> ProcessSpec {
    let id = ProcessId::from_digest([0; 6]);
    ProcessSpec::new(name.clone(), id, Origin::Runtime, "/usr/bin/sleep")
}
