//! Joins the collectors into one exposition.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use model::{HealthState, ProcessName, ProcessView, Stamp, State};

use crate::collect::proc::{Memory, Usage};
use crate::collect::{Collected, Health, Report, cgroups, daemon, grpc, logs, proc, processes, self_process};
use crate::durations::Durations;
use crate::fleet::Fleet;
use crate::history::{History, Point};
use crate::names::{Group, SCRAPE_DURATION};
use crate::proc::{ProcFs, Reader, parse};
use crate::source::Source;
use crate::text::{Format, Text};

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version, for example `0.1.0`.
    pub version: &'static str,
    /// Source revision, or empty.
    pub revision: &'static str,
}

/// Everything that /metrics shows.
pub struct Exporter {
    source: Arc<dyn Source>,
    durations: Arc<Durations>,
    build: BuildInfo,
    system: System,
    memory: Memory,
    leaves: cgroups::Leaves,
    history: History,
    health: Health,
}

/// Where to look: the machine's own, or a test's.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) proc: ProcFs,
    /// The daemon's own cgroup, managed processes included.
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) now: fn() -> Stamp,
}

/// All processes, with what the kernel knows of them, at one moment.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) fleet: Fleet,
    pub(crate) usage: Usage,
    took: Duration,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("build", &self.build).finish_non_exhaustive()
    }
}

impl Exporter {
    /// An exporter of the system that it runs on. `now` tells the time in the terms of the source's views: both clocks.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        durations: Arc<Durations>,
        build: BuildInfo,
        now: fn() -> Stamp,
    ) -> Self {
        let proc = ProcFs::detect();
        let cgroup = own_cgroup(&proc);
        Self::on(source, durations, build, System { proc, cgroup, now })
    }

    /// An exporter of the given one.
    pub(crate) fn on(
        source: Arc<dyn Source>,
        durations: Arc<Durations>,
        build: BuildInfo,
        system: System,
    ) -> Self {
        Self {
            source,
            durations,
            build,
            system,
            memory: Memory::default(),
            leaves: cgroups::Leaves::default(),
            history: History::default(),
            health: Health::default(),
        }
    }

    /// The exposition in the text format 0.0.4. Blocks for as long as /proc takes (some 10 µs per live process): not for
    /// an I/O thread.
    #[must_use]
    pub fn render(&self) -> Bytes {
        self.write(&self.sample(), Text::whole(Format::Text, false))
    }

    /// The same as a Prometheus asks for it: OpenMetrics, compressed.
    #[must_use]
    pub fn render_packed(&self) -> Bytes {
        self.write(&self.sample(), Text::whole(Format::OpenMetrics, true))
    }

    /// Looks at all processes. Blocks for as long as /proc takes.
    pub(crate) fn sample(&self) -> Sample {
        let begun = Instant::now();
        let fleet = Fleet::of(&*self.source, self.system.now);
        let usage = self.memory.read(&fleet, &self.system.proc);
        let sample = Sample { fleet, usage, took: begun.elapsed() };
        self.history.add(sample.fleet.now.wall, self.points(&sample));
        sample
    }

    fn points<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = (&'a ProcessName, Point)> {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        sample.fleet.rows.iter().enumerate().map(move |(place, row)| {
            let bytes = sample.usage.resident_pages(place).and_then(|pages| self.system.proc.pages(pages));
            let (kib, restarts) = (small(bytes.unwrap_or(0) / 1024), small(row.counters.restarts));
            (&row.view.spec.name, Point { kib, restarts })
        })
    }

    /// Writes a sample, and everything that is not of a process. What was written, unless it went to a client.
    pub(crate) fn write(&self, sample: &Sample, mut out: Text) -> Bytes {
        let begun = Instant::now();
        let (fleet, proc) = (&sample.fleet, &self.system.proc);
        let mut report = Report::default();
        let mut watch = |group, spent, collect: &mut dyn FnMut(&mut Text) -> Collected| {
            self.health.watch(&mut report, group, spent, &mut out, collect);
        };
        let none = Duration::ZERO;
        watch(Group::Processes, none, &mut |out| {
            processes::write(fleet, out);
            Ok(())
        });
        watch(Group::Proc, sample.usage.took, &mut |out| proc::write(fleet, &sample.usage, proc, out));
        watch(Group::Cgroups, none, &mut |out| {
            let own = self.system.cgroup.as_deref();
            cgroups::write(fleet, &*self.source, own, &self.leaves, &mut Reader::new(proc), out)
        });
        watch(Group::Logs, none, &mut |out| {
            logs::write(fleet, &*self.source, out);
            Ok(())
        });
        watch(Group::Durations, none, &mut |out| {
            self.durations.write(out);
            Ok(())
        });
        let mut calls = Vec::new();
        watch(Group::Daemon, none, &mut |out| {
            let facts = self.source.daemon();
            daemon::write(&facts, self.build, out);
            calls = facts.grpc;
            Ok(())
        });
        watch(Group::Grpc, none, &mut |out| {
            grpc::write(&calls, out);
            Ok(())
        });
        watch(Group::SelfProcess, none, &mut |out| self_process::write(proc, out));
        report.write(&mut out);
        out.single(&SCRAPE_DURATION, sample.took + begun.elapsed());
        out.finish()
    }

    /// Whether everything that is started by itself is ready.
    pub(crate) fn readiness(&self) -> Result<(), NotReady> {
        if !self.source.ready() {
            return Err(NotReady::Daemon);
        }
        let snapshot = self.source.snapshot();
        let late: Vec<ProcessName> = snapshot
            .processes
            .iter()
            .filter(|view| is_late(view))
            .map(|view| view.spec.name.clone())
            .collect();
        if late.is_empty() { Ok(()) } else { Err(NotReady::Processes(late)) }
    }

    /// What the status page shows beside a sample.
    pub(crate) fn parts(&self) -> (BuildInfo, &ProcFs, &History) {
        (self.build, &self.system.proc, &self.history)
    }
}

/// Why `/readyz` says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The daemon has not finished its start.
    Daemon,
    /// These are started by themselves and are not up.
    Processes(Vec<ProcessName>),
}

/// Whether a process that is started by itself is not up, or not healthy. One that an operator stopped is as it shall be.
fn is_late(view: &ProcessView) -> bool {
    let ready = match view.state {
        State::Running | State::Reloading => {
            view.health.as_ref().is_none_or(|health| health.state == HealthState::Healthy)
        }
        State::Exited | State::Skipped | State::Stopped => true,
        State::Stopping => !view.wanted_up,
        State::Starting
        | State::Backoff
        | State::CrashLoop
        | State::Failed
        | State::Waiting
        | State::Invalid => false,
    };
    view.spec.auto_start && !ready
}

/// The cgroup that the daemon was started in: the unit's, which holds all that the daemon starts. The daemon itself may
/// have moved to a part of it.
fn own_cgroup(proc: &ProcFs) -> Option<PathBuf> {
    let path = Reader::new(proc).file(&"/proc/self/cgroup", parse::cgroup).ok()??;
    let path = path.strip_suffix("/supervisor").unwrap_or(&path);
    let own = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    own.join("memory.events").exists().then_some(own)
}
