//! What a scrape costs: of 1,000 and of 10,000 processes, beside prometheus-process-exporter on the same processes, in
//! turns. And what it costs others: calls to the daemon meanwhile, and memory over many scrapes.
//!
//! Both show each process on its own. The exporter runs without threads and without smaps, which the daemon does not
//! read either. Debian: `apt-get install prometheus-process-exporter`; without it that column is empty.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;
use rpc::{Client, Target};
use tempfile::NamedTempFile;
use testkit::{TempDaemon, eventually, eventually_within};

use crate::Options;
use crate::daemon;
use crate::idle::pss_kib;
use crate::scrape::{Metrics, STALE};
use crate::table::{Table, percentile, text};

/// Processes, and the CPU time that one scrape of them may take.
const SIZES: [(usize, Duration); 2] =
    [(1_000, Duration::from_millis(10)), (10_000, Duration::from_millis(100))];
/// The longest call meanwhile.
const CALL: Duration = Duration::from_millis(10);
const CONNECT: Duration = Duration::from_secs(10);
/// Until all run: ten thousand take some 15 s on a machine with two processors that does other things too.
const UP: Duration = Duration::from_secs(60);
/// Descriptors of the daemon for each process whose output is captured, with some to spare for what a scrape keeps open.
const DESCRIPTORS: u64 = 8;

/// One exporter's scrapes.
#[derive(Debug, Default)]
struct Scrapes {
    walls: Vec<Duration>,
    cpus: Vec<Duration>,
    series: usize,
    bytes: usize,
    memory: Vec<f64>,
}

/// The exporter of others; killed when it is dropped.
#[derive(Debug)]
struct Other {
    child: Child,
    metrics: Metrics,
    _config: NamedTempFile,
}

impl Drop for Other {
    fn drop(&mut self) {
        // It has nothing to finish.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Other {
    fn start() -> Result<Option<Self>> {
        let mut config = NamedTempFile::new()?;
        config.write_all(b"process_names:\n- name: '{{.PID}}'\n  comm: [sleep]\n")?;
        let address = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let mut command = Command::new("prometheus-process-exporter");
        command.arg(format!("-config.path={}", config.path().display()));
        command.arg(format!("-web.listen-address={address}")).args(["-threads=false", "-gather-smaps=false"]);
        let Ok(child) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        else {
            return Ok(None);
        };
        let other = Self { child, metrics: Metrics::at(address), _config: config };
        eventually("the other exporter to answer", || other.metrics.scrape().ok());
        Ok(Some(other))
    }
}

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    let mut missed = Vec::new();
    for (count, bound) in SIZES {
        let title = format!("scrapes of {count} processes");
        if options.leaves_out(&title) {
            continue;
        }
        table.title(&title);
        let daemon = daemon::idle();
        daemon.write_config(&daemon::config(count, definition(table, count)?));
        daemon.signal(Signal::SIGHUP);
        let all_run = || (daemon::children(daemon.pid()).len() == count).then_some(());
        eventually_within(UP, all_run).ok_or_else(|| anyhow!("not all {count} run after {UP:?}"))?;
        let (cpu, call) = one_size(table, &daemon, count, options.rounds)?;
        if cpu > bound {
            missed.push(format!("{title}: {} of CPU time, more than {bound:?}", text(cpu)));
        }
        if call > CALL {
            missed.push(format!("{title}: a call took {}, more than {CALL:?}", text(call)));
        }
    }
    for line in &missed {
        table.line(&format!("MISSED: {line}"));
    }
    ensure!(missed.is_empty(), "{} of the bounds were missed", missed.len());
    Ok(())
}

/// What `count` processes are: their output is captured where descriptors suffice for that.
fn definition(table: &mut Table, count: usize) -> Result<&'static str> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard >= DESCRIPTORS * count as u64 {
        return Ok("{command: sleep 100000}");
    }
    table.line(&format!(
        "Their output is not captured: with a limit of {hard} descriptors there aren't {DESCRIPTORS} for each."
    ));
    Ok("{command: sleep 100000, stdout: 'null', stderr: 'null'}")
}

fn one_size(
    table: &mut Table,
    daemon: &TempDaemon,
    count: usize,
    rounds: usize,
) -> Result<(Duration, Duration)> {
    let (own, other) = (Metrics::of(daemon), Other::start()?);
    if other.is_none() {
        table.line("prometheus-process-exporter can't be executed: its column is left out");
    }
    let (mut ours, mut theirs, mut calls) = (Scrapes::default(), Scrapes::default(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut client = runtime.block_on(Client::connect(&Target::Unix(daemon.socket()), CONNECT))?;
    for _ in 0..rounds {
        thread::sleep(STALE);
        ours.add(daemon.pid(), &own)?;
        if let Some(other) = &other {
            theirs.add(other.child.id(), &other.metrics)?;
        }
        // Apart, so that the calls don't count as the scrape's.
        thread::sleep(STALE);
        thread::scope(|scope| -> Result<()> {
            let scrape = scope.spawn(|| own.scrape());
            while !scrape.is_finished() {
                let begin = Instant::now();
                runtime.block_on(client.get("p0"))?;
                calls.push(begin.elapsed());
            }
            scrape.join().ok().context("the scrape panicked")?.map(drop)
        })?;
    }
    for (who, scrapes) in [("dd-procmgrd", &ours), ("process-exporter", &theirs)] {
        let walls: Vec<f64> = scrapes.walls.iter().map(|wall| wall.as_secs_f64() * 1e3).collect();
        table.raw(who, "ms", &walls)?;
    }
    table.head(&["", "dd-procmgrd", "process-exporter"]);
    let mut row = |what: &str, of: &dyn Fn(&mut Scrapes) -> String| {
        let theirs = if theirs.walls.is_empty() { String::new() } else { of(&mut theirs) };
        table.row(&[what.to_owned(), of(&mut ours), theirs]);
    };
    let cpu = |s: &mut Scrapes| percentile(s.cpus.get_mut(1..).unwrap_or_default(), 0.5);
    row("CPU time of a scrape, p50", &|s| text(cpu(s)));
    row("of the first one, which opens files and looks at all processes of the machine", &|s| {
        text(s.cpus.first().copied().unwrap_or_default())
    });
    row("time until it is there, p50", &|s| text(percentile(&mut s.walls, 0.5)));
    row("the same, longest", &|s| text(percentile(&mut s.walls, 1.0)));
    row("series", &|s| s.series.to_string());
    row("bytes", &|s| s.bytes.to_string());
    let first = |s: &Scrapes| s.memory.first().copied().unwrap_or_default() / 1024.0;
    let last = |s: &Scrapes| s.memory.last().copied().unwrap_or_default() / 1024.0;
    row("PSS after the first scrape", &|s| format!("{:.1} MB", first(s)));
    row("PSS after the last one", &|s| format!("{:.1} MB", last(s)));
    let longest = percentile(&mut calls, 1.0);
    table.line(&format!(
        "\n{rounds} rounds. {} calls of GetProcess while {count} processes were scraped: p50 {}, longest {}",
        calls.len(),
        text(percentile(&mut calls, 0.5)),
        text(longest)
    ));
    Ok((cpu(&mut ours), longest))
}

impl Scrapes {
    fn add(&mut self, pid: u32, metrics: &Metrics) -> Result<()> {
        let (cpu, begin) = (cpu_time(pid)?, Instant::now());
        let exposition = metrics.scrape()?;
        self.walls.push(begin.elapsed());
        self.cpus.push(cpu_time(pid)?.saturating_sub(cpu));
        self.series = exposition.text().lines().filter(|line| !line.starts_with('#')).count();
        self.bytes = exposition.text().len();
        self.memory.push(pss_kib(pid)?);
        Ok(())
    }
}

/// What all threads of a process have run, to the nanosecond.
fn cpu_time(pid: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
    // One that ends meanwhile has nothing to tell.
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanos = texts.map(|text| text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0));
    Ok(Duration::from_nanos(nanos.sum()))
}
