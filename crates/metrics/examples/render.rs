//! Prints what one exposition costs: `cargo run --release -p metrics --example render [processes]`.
//!
//! Real children (`sleep`), so that reading /proc is part of it. The first rendering is shown apart: it reads
//! the boot time and all strangers, and grows the buffers.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
    let mut texts: Vec<(Duration, String)> = Vec::new();
    for _ in 0..20 {
        let before = cpu_time()?;
        let text = exporter.render();
        let took = cpu_time()?.saturating_sub(before);
        texts.push((took, String::from_utf8(text.into())?));
    }
    let first = texts[0].0;
    texts.sort_unstable();
    let (best, text) = &texts[0];
    let series = text.lines().filter(|l| !l.starts_with('#')).count();
    println!("{count} processes: {series} series, {} bytes", text.len());
    println!("CPU time: first {first:?}, then best {best:?}, median {:?}", texts[10].0);
    let mut floors = Vec::new();
    for _ in 0..20 {
        let before = cpu_time()?;
        children.0.iter().try_for_each(|child| look_at(child.id()))?;
        floors.push(cpu_time()?.saturating_sub(before));
    }
    println!("of which the system calls for /proc alone take {:?}", floors.iter().min());
    Ok(())
}

/// The least that can be asked of the kernel about one process.
fn look_at(pid: u32) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    for file in ["stat", "io"] {
        let length = File::open(format!("/proc/{pid}/{file}"))?.read(&mut buffer)?;
        assert!(length > 0, "a file of /proc is never empty");
    }
    std::fs::metadata(format!("/proc/{pid}/fd")).map(drop)
}

/// What this thread has run: on a busy machine the clock on the wall tells how busy it is.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().ok_or("schedstat is empty")?.parse()?))
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
        degraded: None,
    })
}

fn spec(name: &ProcessName) -> ProcessSpec {
    let id = ProcessId::from_digest([0; 6]);
    ProcessSpec::new(name.clone(), id, Origin::Runtime, "/usr/bin/sleep")
}
