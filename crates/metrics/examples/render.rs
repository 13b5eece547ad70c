//! Prints what one exposition costs: `cargo run --release -p metrics --example render [processes]`.
//!
//! Real children (`sleep`), so that reading /proc is part of it; `render 10000 down` does without. The first rendering is
//! shown apart: it reads the boot time and all strangers, and grows the buffers.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metrics::{BuildInfo, DaemonFacts, Durations, Exporter, LogStream, SinkStats, Source};
use model::{
    Counters, InvocationId, Mono, Origin, ProcessId, ProcessName, ProcessSpec, ProcessView, Reason, RunId,
    RunNumber, RunView, Snapshot, Stamp, State, Stream, Wall,
};

struct Fleet {
    snapshot: Snapshot,
    streams: Vec<LogStream>,
}

impl Source for Fleet {
    fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }
    fn log_streams(&self, each: &mut dyn FnMut(LogStream)) {
        self.streams.iter().cloned().for_each(each);
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

/// Renderings that are measured, after the first one.
const ROUNDS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(1000), |n| n.parse())?;
    let up = arguments.next().is_none_or(|word| word != "down");
    measure(count, up, &mut Children::default())
}

fn measure(count: u32, up: bool, children: &mut Children) -> Result<(), Box<dyn std::error::Error>> {
    let mut fleet = Fleet { snapshot: Snapshot::default(), streams: Vec::new() };
    for index in 0..count {
        let name = ProcessName::new(&format!("worker-{index:05}"))?;
        let mut pid = None;
        if up {
            // In a session of its own, as the daemon starts it.
            let mut command = Command::new("setsid");
            command.args(["sleep", "3600"]).stdin(Stdio::null()).stdout(Stdio::null());
            let child = command.spawn()?;
            pid = Some(child.id());
            children.0.push(child);
        }
        fleet.snapshot.processes.push(Arc::new(view(&name, index, pid)?));
        fleet.streams.extend(Stream::ALL.map(|stream| streams(&name, stream)));
    }
    let exporter = Exporter::new(
        Arc::new(fleet),
        Arc::new(Durations::default()),
        BuildInfo { version: "0", revision: "0" },
        now,
    );
    let (first, text) = timed(|| exporter.render())?;
    let series = text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !l.starts_with(b"#")).count();
    println!("{count} processes: {series} series, {} bytes; the first took {first}", text.len());
    drop(text);
    print_all("a scrape in plain text", || {
        drop(exporter.render());
        Ok(())
    })?;
    print_all("a scrape of a Prometheus (OpenMetrics, gzip)", || {
        drop(exporter.render_packed());
        Ok(())
    })?;
    print_all("of it the least of system calls", || {
        children.0.iter().try_for_each(|child| look_at(child.id()))
    })?;
    Ok(())
}

/// The wall clock for both: nobody sets it meanwhile.
fn now() -> Stamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    Stamp { mono: Mono(nanos), wall: Wall(nanos) }
}

/// CPU time of this thread: on a busy machine the clock on the wall tells how busy it is.
#[derive(Clone, Copy)]
struct Cost {
    /// In the program and in the kernel.
    total: Duration,
    faults: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2?} ({} page faults)", self.total, self.faults)
    }
}

fn print_all(
    what: &str,
    mut work: impl FnMut() -> std::io::Result<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let (cost, result) = timed(&mut work)?;
        result?;
        costs.push(cost);
    }
    costs.sort_unstable_by_key(|cost| cost.total);
    println!("{what}: best {}, median {}", costs[0], costs[ROUNDS / 2]);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> Result<(Cost, T), Box<dyn std::error::Error>> {
    let before = (cpu_time()?, faults()?);
    let done = work();
    Ok((Cost { total: cpu_time()?.saturating_sub(before.0), faults: faults()? - before.1 }, done))
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

/// What this thread has run.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().ok_or("schedstat is empty")?.parse()?))
}

/// Pages that the kernel had to find for this thread.
fn faults() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/stat")?;
    let (_, fields) = text.rsplit_once(") ").ok_or("stat is cut off")?;
    Ok(fields.split(' ').nth(7).ok_or("stat is cut off")?.parse()?)
}

fn streams(process: &ProcessName, stream: Stream) -> LogStream {
    let sink = SinkStats { written: 1_234_567, bytes: 123_456_789, ..SinkStats::default() };
    LogStream {
        process: process.clone(),
        stream,
        lines: 1_234_567,
        bytes: 123_456_789,
        sinks: [Some(sink), Some(sink), None],
        lag: Default::default(),
    }
}

fn view(name: &ProcessName, index: u32, pid: Option<u32>) -> Result<ProcessView, Box<dyn std::error::Error>> {
    let started = now();
    let run = |pid| RunView {
        id: RunId(index.into()),
        number: RunNumber(1),
        invocation: InvocationId(1),
        pid: Some(pid),
        started,
    };
    Ok(ProcessView {
        state: if pid.is_some() { State::Running } else { State::Stopped },
        reason: Reason::Wanted,
        wanted_up: true,
        run: pid.map(run),
        counters: Counters { starts: 1, ..Counters::default() },
        ..ProcessView::new(Arc::new(spec(name)), started.wall)
    })
}

fn spec(name: &ProcessName) -> ProcessSpec {
    let id = ProcessId::from_digest([0; 6]);
    ProcessSpec::new(name.clone(), id, Origin::Runtime, "/usr/bin/sleep")
}
