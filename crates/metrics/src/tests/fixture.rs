//! A daemon with a process in each interesting situation, at one fixed moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Counters, ExitReason, ExitStatus, HealthState, HealthView, InvocationId, LastExit, Mono, NextAction,
    NextActionKind, Origin, ProcessId, ProcessName, ProcessSpec, ProcessView, Reason, RestartPolicy, RunId,
    RunNumber, RunView, Seq, Signal, Snapshot, Stamp, State, Stream, Usage, Wall,
};

use crate::exporter::System;
use crate::names::Detail;
use crate::proc::ProcFs;
use crate::{
    BuildInfo, DaemonFacts, Durations, Exporter, GrpcMethod, Journal, Listener, LogStream, Reload, SinkStats,
    Source, Turns,
};

pub(crate) const BUILD: BuildInfo = BuildInfo { version: "1.2.3", revision: "0123abc" };

/// 2026-11-20T18:37:30.500Z; 10000 s after the fixture machine's start.
pub(crate) const NOW: Wall = Wall(1_795_199_850_500_000_000);
/// The monotonic clock at that moment, which knows nothing of the other one.
pub(crate) const MONO: Mono = Mono(10_000_000_000_000);

fn began(seconds: u64) -> Stamp {
    Stamp { mono: Mono(MONO.0 - seconds * 1_000_000_000), wall: before(seconds) }
}

fn before(seconds: u64) -> Wall {
    Wall(NOW.0 - seconds * 1_000_000_000)
}

/// Says what it is told to say.
pub(crate) struct Fixture {
    pub(crate) processes: Vec<ProcessView>,
    pub(crate) streams: Vec<LogStream>,
    pub(crate) facts: DaemonFacts,
    pub(crate) details: BTreeMap<&'static str, Detail>,
}

impl Source for Fixture {
    fn snapshot(&self) -> Snapshot {
        let detailed = |view: &ProcessView| {
            let mut view = view.clone();
            if let Some(detail) = self.details.get(view.spec.name.as_str()) {
                Arc::make_mut(&mut view.spec).metrics = *detail;
            }
            Arc::new(view)
        };
        let mut processes: Vec<_> = self.processes.iter().map(detailed).collect();
        processes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        Snapshot { seq: Seq(7), processes }
    }
    fn log_streams(&self, each: &mut dyn FnMut(LogStream)) {
        let mut streams = self.streams.clone();
        streams.sort_by(|a, b| a.process.cmp(&b.process));
        streams.into_iter().for_each(each);
    }
    fn daemon(&self) -> DaemonFacts {
        self.facts.clone()
    }
    fn ready(&self) -> bool {
        true
    }
    fn cgroup(&self, process: &ProcessName, invocation: InvocationId) -> Option<PathBuf> {
        Some(format!("{}/{process}.{}", tree("cgroup"), invocation.0).into())
    }
}

/// A directory of made-up files of the kernel.
pub(crate) fn tree(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn exporter(source: impl Source) -> Exporter {
    exporter_on(source, "proc")
}

pub(crate) fn exporter_on(source: impl Source, proc: &str) -> Exporter {
    let proc = ProcFs::at(tree(proc), 1000, 100, Some(4096), false);
    let system =
        System { proc, cgroup: Some(tree("cgroup").into()), now: || Stamp { mono: MONO, wall: NOW } };
    let durations = Durations::default();
    durations.health_check(Duration::from_millis(3), true);
    Exporter::on(Arc::new(source), Arc::new(durations), BUILD, system)
}

/// A process that never did anything.
pub(crate) fn process(name: &str) -> ProcessView {
    let name = ProcessName::new(name).unwrap();
    let bytes = name.as_str().as_bytes();
    let id = ProcessId::from_digest(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default()));
    let mut spec = ProcessSpec::new(name, id, Origin::Runtime, "/usr/bin/sleep");
    spec.exec.args = vec!["secret".to_owned()];
    ProcessView::new(Arc::new(spec), before(10))
}

fn running(name: &str, pid: u32, age: u64) -> ProcessView {
    let mut view = process(name);
    (view.state, view.reason, view.wanted_up) = (State::Running, Reason::Wanted, true);
    view.counters.starts = 1;
    view.run = Some(RunView {
        id: RunId(1),
        number: RunNumber(1),
        invocation: InvocationId(1),
        pid: Some(pid),
        started: began(age),
    });
    view
}

fn exit(status: Option<ExitStatus>, reason: ExitReason, ago: u64) -> Arc<[LastExit]> {
    let ran = Duration::from_millis(1500);
    let (run, usage) = (RunNumber(4), Usage::default());
    Arc::new([LastExit { run, status, cause: None, reason, at: before(ago), ran, usage }])
}

impl Default for Fixture {
    fn default() -> Self {
        let mut api = running("api@1.blue", 4242, 500);
        let spec = Arc::make_mut(&mut api.spec);
        spec.exec.user = Some("www-data".to_owned());
        spec.restart.policy = RestartPolicy::Always;
        api.counters = Counters {
            runs: 3,
            restarts: 3,
            starts: 5,
            exits: [1, 2, 0, 1, 0, 0, 0, 0, 0, 0],
            cpu: Duration::from_millis(12_500),
            oom_kills: 0,
        };
        api.health = Some(HealthView {
            state: HealthState::Unhealthy,
            since: before(3),
            failures: 4,
            message: "GET /: connection refused".to_owned(),
            passed: 20,
            failed: 4,
            took: Some(Duration::from_millis(12)),
        });
        api.exits = exit(Some(ExitStatus::Code(3)), ExitReason::ExitCode, 501);

        let mut crasher = process("crasher");
        (crasher.state, crasher.wanted_up) = (State::CrashLoop, true);
        crasher.counters = Counters {
            runs: 42,
            restarts: 41,
            starts: 42,
            exits: [0, 0, 42, 0, 0, 0, 0, 0, 0, 0],
            cpu: Duration::ZERO,
            oom_kills: 0,
        };
        crasher.exits =
            exit(Some(ExitStatus::Signal { signal: Signal::KILL, core: false }), ExitReason::Signal, 2);
        crasher.next =
            Some(NextAction { kind: NextActionKind::Start, at: NOW.after(Duration::from_millis(7250)) });

        let mut no_program = process("no-program");
        no_program.state = State::Failed;
        no_program.counters.exits = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        no_program.exits = exit(None, ExitReason::SpawnFailed, 30);

        let mut odd = process("odd");
        let spec = Arc::make_mut(&mut odd.spec);
        spec.exec.program = format!("/opt/\"back\\slash\"\n{}", "ä".repeat(100));
        spec.exec.user = Some("{user=\"x\"} 1 # HELP".to_owned());

        // Its main process is dead, something it left behind is being killed.
        let mut stopping = running("stopping", 1, 60);
        (stopping.state, stopping.wanted_up) = (State::Stopping, false);
        stopping.next =
            Some(NextAction { kind: NextActionKind::Kill, at: NOW.after(Duration::from_secs(3)) });
        stopping.counters.cpu = Duration::from_secs(2);
        stopping.run.as_mut().unwrap().pid = None;

        let mut gone = running("gone", 4245, 60);
        gone.counters.cpu = Duration::from_secs(9);
        let mut zombie = running("zombie", 4246, 300);
        zombie.counters.cpu = Duration::from_secs(1);

        Self {
            processes: vec![
                running("adopted", 4243, 100),
                api,
                crasher,
                gone,
                no_program,
                odd,
                running("reused", 4244, 100),
                stopping,
                zombie,
            ],
            streams: vec![
                stream("api@1.blue", Stream::Stdout, 10),
                stream("api@1.blue", Stream::Stderr, 0),
                LogStream { sinks: [None; 3], ..stream("crasher", Stream::Stdout, 9_007_199_254_740_993) },
            ],
            facts: DaemonFacts {
                reload: Reload { successful: false, last_success: Some(before(3600)) },
                turns: Turns {
                    count: 12_345,
                    total: Duration::from_micros(678_901),
                    longest: Duration::from_millis(7),
                    took: vec![(Duration::from_micros(10), 12_000), (Duration::from_millis(1), 344)],
                },
                journal: Some(Journal { connected: true, errors: 3, events_dropped: 0 }),
                listeners: vec![
                    Listener { name: "control_socket", up: true },
                    Listener { name: "control_tcp", up: false },
                ],
                grpc: vec![
                    calls("ListProcesses", false, 12),
                    calls("StreamLogs", true, 1),
                    calls("CreateProcess", false, 0),
                ],
            },
            details: BTreeMap::new(),
        }
    }
}

fn calls(name: &'static str, streams: bool, ended: u64) -> GrpcMethod {
    GrpcMethod {
        service: "ddprocmgr.v1.ProcessManagerService",
        name,
        streams,
        started: ended + u64::from(streams),
        handled: vec![("OK", ended - ended.min(1)), ("PermissionDenied", ended.min(1))],
        took: vec![(Duration::from_millis(1), ended - ended.min(1)), (Duration::from_secs(60), 0)],
        total: Duration::from_secs(70) * u32::from(ended > 0),
    }
}

fn stream(process: &str, stream: Stream, lines: u64) -> LogStream {
    let sink = |dropped: u64| {
        let (dropped, truncated) = (dropped.min(lines), lines.min(1));
        SinkStats {
            written: lines - dropped - truncated,
            bytes: (lines - dropped).saturating_mul(120),
            dropped,
            truncated,
            queued: 0,
            errors: dropped,
        }
    };
    LogStream {
        process: ProcessName::new(process).unwrap(),
        stream,
        lines,
        bytes: lines.saturating_mul(100),
        sinks: [Some(sink(0)), Some(sink(2)), None],
        lag: [Duration::ZERO, Duration::from_millis(1_500), Duration::ZERO],
    }
}
