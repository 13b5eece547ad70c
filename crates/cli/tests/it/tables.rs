//! Processes that look different, at a time that stands still.

use std::sync::Arc;
use std::time::Duration;

use model::{
    Capabilities, Ceiling, CommandLine, Compression, Counters, Dependency, EnvironmentFile, ExitMatcher,
    ExitReason, ExitStatus, HealthSpec, HealthState, HealthView, Hook, HookKind, InheritEnv, InvocationId,
    Lack, LastExit, LimitPair, LineParser, LogFormat, LogSpec, Mono, Multiline, NextAction, NextActionKind,
    Origin, Output, Overflow, PathCondition, Probe, ProcessName, ProcessSpec, ProcessType, ProcessView,
    RateLimit, Readiness, Reason, ResourceLimits, Rlimit, RunId, RunNumber, RunView, Signal, SpawnFailure,
    SpawnStage, Stamp, State, Usage, Wall,
};

/// 2026-11-20 18:37:30 UTC
const T0: u64 = 1_795_199_850;

pub fn at(seconds: u64) -> Wall {
    Wall((T0 + seconds) * 1_000_000_000)
}

/// What the commands see as the time: two hours and five minutes after everything happened.
pub fn now() -> Wall {
    at(7_500)
}

fn spec(name: &ProcessName, id: &str) -> ProcessSpec {
    let origin = Origin::File { path: "/etc/dd-procmgrd/processes.yaml".into(), line: 7 };
    let mut spec = ProcessSpec::new(name.clone(), id.parse().unwrap(), origin, format!("/usr/bin/{name}"));
    spec.exec.args = vec!["--greeting".into(), "hello you".into()];
    spec.exec.env = [("PORT".to_owned(), "80".to_owned()), ("TOKEN".to_owned(), "hunter2".to_owned())].into();
    spec.exec.inherit_env = InheritEnv::Names(vec!["LANG".into()]);
    spec.output.stderr = Output::File("/var/log/errors".into());
    spec.output.log.max_size = 1 << 20;
    spec.output.log.max_line = 1024;
    spec
}

pub fn view(name: &str, id: &str, state: State, reason: Reason) -> ProcessView {
    ProcessView {
        state,
        reason,
        wanted_up: true,
        ..ProcessView::new(Arc::new(spec(&ProcessName::new(name).unwrap(), id)), at(0))
    }
}

pub fn run(number: u64, pid: u32) -> Option<RunView> {
    Some(RunView {
        id: RunId(number),
        number: RunNumber(number),
        invocation: InvocationId(0xfeed),
        pid: Some(pid),
        started: Stamp { mono: Mono(0), wall: at(0) },
    })
}

fn last(status: Option<ExitStatus>, reason: ExitReason) -> Arc<[LastExit]> {
    let usage = Usage { user: Duration::from_millis(30), system: Duration::from_millis(3), max_rss: 5 << 20 };
    let (run, ran) = (RunNumber(1), Duration::from_millis(1500));
    Arc::new([LastExit { run, status, cause: None, reason, at: at(0), ran, usage }])
}

pub fn spawn_failure() -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Exec,
        errno: 2,
        subject: "/usr/bin/db".into(),
        message: "No such file or directory".into(),
        hint: "check that /usr/bin/db exists, and `command` in /etc/dd-procmgrd/processes.yaml:7".into(),
    }
}

/// Each key below `log:` with a value that is not the usual one.
fn unusual(log: &LogSpec) -> LogSpec {
    LogSpec {
        journald: false,
        file: log.file,
        max_size: log.max_size,
        max_age: Duration::from_secs(7 * 24 * 60 * 60),
        max_files: 30,
        max_total_size: 1 << 30,
        compress: Compression::Gzip,
        format: LogFormat::Prefixed,
        max_line: log.max_line,
        overflow: Overflow::DropOldest,
        journald_overflow: Overflow::Block,
        file_rate_limit: Some(RateLimit { lines: 60_000, interval: Duration::from_secs(60) }),
        rate_limit: Some(RateLimit { lines: 100, interval: Duration::from_secs(90) }),
        multiline: Multiline::Start("^\\d{4}-".into()),
        parse: LineParser::Json,
        json_fields: vec!["trace_id".into(), "user.id".into()],
        redact: vec!["password=\\S+".into(), "a\u{1b}[31mb".into()],
    }
}

/// One process of each kind that looks different.
pub fn table() -> Vec<ProcessView> {
    let segv = ExitStatus::Signal { signal: Signal::from_number(11).unwrap(), core: true };
    let mut web = view("web", "cccc00000001", State::Running, Reason::Wanted);
    web.run = run(2, 4242);
    web.exits = last(Some(segv), ExitReason::Signal);
    web.counters = Counters {
        runs: 3,
        restarts: 1,
        starts: 2,
        exits: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        cpu: Duration::from_millis(33),
        oom_kills: 0,
    };
    let mut full = (*web.spec).clone();
    full.description = "the shop's front".into();
    full.exec.user = Some("www-data".into());
    full.exec.group = Some("www".into());
    full.after = vec![ProcessName::new("db").unwrap()];
    full.restart.success = vec![ExitMatcher::Code(3), ExitMatcher::Signal(Signal::TERM)];
    web.spec = Arc::new(full);

    let mut api = view("api", "aaaa00000001", State::Backoff, Reason::Exited(ExitStatus::Code(3)));
    api.next = Some(NextAction { kind: NextActionKind::Start, at: at(7_502) });
    api.exits = last(Some(ExitStatus::Code(3)), ExitReason::ExitCode);
    api.counters = Counters {
        runs: 42,
        restarts: 41,
        starts: 42,
        exits: [0, 42, 0, 0, 0, 0, 0, 0, 0, 0],
        cpu: Duration::ZERO,
        oom_kills: 0,
    };

    let mut db = view("db", "bbbb00000001", State::Failed, Reason::SpawnFailed(spawn_failure()));
    db.exits = last(None, ExitReason::SpawnFailed);

    let mut job = view("job", "bbbb00000002", State::Stopped, Reason::NotStarted);
    job.wanted_up = false;
    job.spec = Arc::new(ProcessSpec { origin: Origin::Runtime, ..(*job.spec).clone() });
    job.problem = Some("processes.yaml:12:5: unknown key `restrat`".into());
    vec![api, db, job, web]
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn change(view: &mut ProcessView, edit: impl FnOnce(&mut ProcessSpec)) {
    let mut spec = (*view.spec).clone();
    edit(&mut spec);
    view.spec = Arc::new(spec);
}

fn hook(program: &str, args: &[&str], ignore_failure: bool, timeout: Option<u64>) -> Hook {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Hook {
        command: CommandLine { program: program.into(), args },
        timeout: timeout.map(Duration::from_secs),
        ignore_failure,
    }
}

/// Finished runs, the newest first: a crash, an end that the supervisor asked for, and one before it was up.
fn history() -> Arc<[LastExit]> {
    let usage =
        Usage { user: Duration::from_millis(310), system: Duration::from_millis(20), max_rss: 61 << 20 };
    let exit = |run: u64, status, cause, reason, ago: u64, ran: u64| LastExit {
        run: RunNumber(run),
        status,
        cause,
        reason,
        at: at(7_500 - ago),
        ran: Duration::from_millis(ran),
        usage,
    };
    let killed = ExitStatus::Signal { signal: Signal::KILL, core: false };
    let refused = Reason::Unhealthy("GET http://127.0.0.1:5432/: connection refused".into());
    Arc::new([
        exit(9, Some(ExitStatus::Code(3)), None, ExitReason::ExitCode, 5, 3_240),
        exit(8, Some(killed), Some(refused), ExitReason::Unhealthy, 61, 300_000),
        exit(
            7,
            Some(ExitStatus::Code(0)),
            Some(Reason::EndedBeforeReady(ProcessType::Notify, ExitStatus::Code(0))),
            ExitReason::NotReady,
            400,
            20,
        ),
        exit(
            6,
            None,
            Some(Reason::HookFailed(HookKind::StartPre, "ended with exit code 1".into())),
            ExitReason::HookFailed,
            500,
            0,
        ),
        exit(5, None, Some(Reason::SpawnFailed(spawn_failure())), ExitReason::SpawnFailed, 600, 0),
    ])
}

/// Processes that need each other, in groups, with everything that one can have.
pub fn crowd() -> Vec<ProcessView> {
    let mut web =
        view("web", "cccc00000001", State::Waiting, Reason::WaitsFor(vec![name("api"), name("cache")]));
    change(&mut web, |spec| {
        spec.groups = vec!["front".into(), "shop".into()];
        spec.needs.requires = vec![
            Dependency { name: name("api"), until: None },
            Dependency { name: name("migrate"), until: Some(Readiness::Completed) },
        ];
        spec.needs.wants = vec![Dependency { name: name("cache"), until: Some(Readiness::Healthy) }];
        spec.needs.conflicts = vec![name("old")];
        spec.start.conditions = vec![PathCondition { path: "/run/maintenance".into(), negated: true }];
        spec.exec.environment_files =
            vec![EnvironmentFile { path: "/etc/default/web".into(), optional: true }];
        spec.hooks.start_pre = vec![
            hook("/bin/mkdir", &["-p", "/run/my web"], true, None),
            hook("/usr/bin/web", &["--check"], false, Some(5)),
        ];
        spec.hooks.reload = vec![hook("/usr/bin/web", &["--reload"], false, None)];
        spec.health = Some(HealthSpec {
            restart_after: 5,
            ..HealthSpec::new(Probe::Http { url: "http://127.0.0.1:80/".into() })
        });
        spec.critical = true;
        spec.output.pty = true;
        spec.output.log = unusual(&spec.output.log);
        spec.limits = ResourceLimits {
            memory_max: Some(Ceiling::At(512 << 20)),
            memory_high: Some(Ceiling::Max),
            cpu_max: Some(Ceiling::At(1500)),
            pids_max: Some(Ceiling::At(200)),
            ..ResourceLimits::default()
        };
        let isolation = &mut spec.exec.isolation;
        isolation.rlimits.insert(Rlimit::Nofile, LimitPair { soft: 1024, hard: LimitPair::UNLIMITED });
        isolation.nice = Some(-5);
        isolation.ambient_capabilities = Capabilities::default().with("CAP_NET_BIND_SERVICE").unwrap();
        isolation.runtime_directories = vec!["web".into()];
    });

    let mut api = view("api", "aaaa00000001", State::Waiting, Reason::Lacks(name("db"), Lack::Restarting));
    change(&mut api, |spec| {
        spec.groups = vec!["shop".into()];
        spec.auto_start = false;
    });

    let mut cache = view("cache", "bbbb00000001", State::Running, Reason::WantedBy(name("web")));
    cache.run = run(1, 4_300);
    cache.status = "serving 12 of 16 shards".into();
    cache.health = Some(HealthView {
        state: HealthState::Unhealthy,
        since: at(7_380),
        failures: 4,
        message: "connection refused".into(),
        passed: 20,
        failed: 4,
        took: Some(Duration::from_millis(12)),
    });
    cache.counters = Counters { starts: 1, oom_kills: 2, ..Counters::default() };
    cache.degraded =
        Some("resource_limits.cpu_max is not in force: the cpu controller is not delegated".into());
    change(&mut cache, |spec| {
        spec.groups = vec!["shop".into()];
        spec.health =
            Some(HealthSpec::new(Probe::Grpc { address: "127.0.0.1:6379".into(), service: "cache".into() }));
    });

    let mut db = view("db", "bbbb00000002", State::Backoff, Reason::Exited(ExitStatus::Code(3)));
    db.next = Some(NextAction { kind: NextActionKind::Start, at: Wall(at(7_503).0 + 200_000_000) });
    db.exits = history();
    db.counters = Counters { restarts: 8, starts: 7, ..Counters::default() };
    change(&mut db, |spec| {
        spec.start.kind = ProcessType::Notify;
        spec.start.watchdog = Some(Duration::from_secs(30));
    });

    let mut migrate = view("migrate", "dddd00000001", State::Exited, Reason::Exited(ExitStatus::Code(0)));
    change(&mut migrate, |spec| {
        spec.start.kind = ProcessType::Oneshot;
        spec.start.remain_after_exit = true;
        spec.start.timeout = None;
    });

    let mut old = view("old", "eeee00000001", State::Stopped, Reason::ConflictsWith(name("web")));
    old.wanted_up = false;
    let ghost =
        view("ghost", "ffff00000001", State::Waiting, Reason::Lacks(name("nobody"), Lack::NotDefined));
    vec![api, cache, db, ghost, migrate, old, web]
}

/// What a process may print, answer or send to make a terminal lie.
pub const EVIL: &str = "EVIL\x1b[2J\x1b[31m\x07\u{9b}1m\u{202e}\r\x7f\nEVIL: running (pid 1)";

/// A process whose every text is hostile.
pub fn hostile() -> Vec<ProcessView> {
    let evil = || EVIL.to_owned();
    let mut web = view("web", "cccc00000001", State::Failed, Reason::Unhealthy(evil()));
    web.run = run(2, 4242);
    web.status = evil();
    web.problem = Some(evil());
    web.health = Some(HealthView {
        state: HealthState::Unhealthy,
        since: at(0),
        failures: 1,
        message: evil(),
        passed: 0,
        failed: 1,
        took: None,
    });
    let usage = Usage::default();
    let failed = Some(Reason::HookFailed(HookKind::StartPre, evil()));
    let (run, ran) = (RunNumber(1), Duration::ZERO);
    let exit =
        LastExit { run, status: None, cause: failed, reason: ExitReason::HookFailed, at: at(0), ran, usage };
    web.exits = Arc::new([exit.clone(), exit]);
    change(&mut web, |spec| {
        spec.description = evil();
        spec.groups = vec![evil()];
        spec.exec.program = evil();
        spec.exec.args = vec![evil()];
        spec.exec.working_dir = Some(EVIL.into());
        spec.exec.env = [(evil(), evil())].into();
        spec.exec.environment_files = vec![EnvironmentFile { path: EVIL.into(), optional: false }];
        spec.exec.inherit_env = InheritEnv::Names(vec![evil()]);
        spec.exec.user = Some(evil());
        spec.exec.group = Some(evil());
        spec.exec.supplementary_groups = Some(vec![evil()]);
        spec.start.kind = ProcessType::Forking;
        spec.start.pidfile = Some(EVIL.into());
        spec.start.conditions = vec![PathCondition { path: EVIL.into(), negated: false }];
        spec.hooks.stop_post = vec![hook(EVIL, &[EVIL], false, None)];
        spec.health = Some(HealthSpec::new(Probe::Grpc { address: evil(), service: evil() }));
        spec.output.stdout = Output::File(EVIL.into());
        spec.output.stderr = Output::Direct(EVIL.into());
        spec.origin = Origin::File { path: EVIL.into(), line: 1 };
    });
    vec![web]
}
