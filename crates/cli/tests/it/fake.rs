//! A daemon without processes behind the real gRPC server, on a socket of its own, in a thread of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{
    Change, Counters, ExitMatcher, ExitReason, ExitStatus, Impact, InheritEnv, InvocationId, LastExit,
    NextAction, NextActionKind, Origin, Output, ProcessName, ProcessSpec, ProcessView, Reason, Refusal,
    RunId, RunNumber, RunView, Seq, Signal, Snapshot, SpawnFailure, SpawnStage, State, Stream, Usage, Wall,
};
use rpc::{
    BoxFuture, BoxStream, Config, Control, ControlError, Create, DaemonStatus, ErrorKind, Listener,
    ListenerState, LogChunk, LogRequest, LogSource, ReloadReport, ReloadResult, Role, Server, ViewResult,
};
use tokio::sync::{mpsc, oneshot, watch};

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

fn view(name: &str, id: &str, state: State, reason: Reason) -> ProcessView {
    ProcessView {
        spec: Arc::new(spec(&ProcessName::new(name).unwrap(), id)),
        state,
        reason,
        since: at(0),
        wanted_up: true,
        run: None,
        next: None,
        exits: Arc::new([]),
        status: String::new(),
        health: None,
        counters: Counters::default(),
        problem: None,
    }
}

fn run(number: u64, pid: u32) -> Option<RunView> {
    Some(RunView {
        id: RunId(number),
        number: RunNumber(number),
        invocation: InvocationId(0xfeed),
        pid: Some(pid),
        started: at(0),
    })
}

fn last(status: Option<ExitStatus>, reason: ExitReason) -> Arc<[LastExit]> {
    let usage = Usage { user: Duration::from_millis(30), system: Duration::from_millis(3), max_rss: 5 << 20 };
    let (run, ran) = (RunNumber(1), Duration::from_millis(1500));
    Arc::new([LastExit { run, status, cause: None, reason, at: at(0), ran, usage }])
}

fn spawn_failure() -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Exec,
        errno: 2,
        subject: "/usr/bin/db".into(),
        message: "No such file or directory".into(),
        hint: "check that /usr/bin/db exists, and `command` in /etc/dd-procmgrd/processes.yaml:7".into(),
    }
}

/// One process of each kind that looks different.
pub fn table() -> Vec<ProcessView> {
    let segv = ExitStatus::Signal { signal: Signal::from_number(11).unwrap(), core: true };
    let mut web = view("web", "cccc00000001", State::Running, Reason::Wanted);
    web.run = run(2, 4242);
    web.exits = last(Some(segv), ExitReason::Signal);
    web.counters = Counters {
        restarts: 1,
        starts: 2,
        exits: [0, 0, 1, 0, 0, 0, 0, 0, 0],
        cpu: Duration::from_millis(33),
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
    api.counters =
        Counters { restarts: 41, starts: 42, exits: [0, 42, 0, 0, 0, 0, 0, 0, 0], cpu: Duration::ZERO };

    let mut db = view("db", "bbbb00000001", State::Failed, Reason::SpawnFailed(spawn_failure()));
    db.exits = last(None, ExitReason::SpawnFailed);

    let mut job = view("job", "bbbb00000002", State::Stopped, Reason::NotStarted);
    job.wanted_up = false;
    job.spec = Arc::new(ProcessSpec { origin: Origin::Runtime, ..(*job.spec).clone() });
    job.problem = Some("processes.yaml:12:5: unknown key `restrat`".into());
    vec![api, db, job, web]
}

#[derive(Debug)]
struct Fake {
    table: Mutex<Vec<Arc<ProcessView>>>,
    created: Mutex<Vec<Create>>,
    problems: Vec<String>,
}

impl Fake {
    fn get(&self, name: &ProcessName) -> Arc<ProcessView> {
        Arc::clone(self.table.lock().unwrap().iter().find(|v| v.spec.name == *name).unwrap())
    }

    fn up(&self, name: &ProcessName) -> ViewResult {
        if name.as_str().starts_with("db") {
            return Err(Refusal::StartFailed(name.clone(), spawn_failure()).into());
        }
        let view = ProcessView {
            state: State::Running,
            reason: Reason::Wanted,
            run: run(3, 5_000),
            ..(*self.get(name)).clone()
        };
        Ok(Arc::new(view))
    }
}

impl Control for Fake {
    fn snapshot(&self) -> Snapshot {
        Snapshot { seq: Seq(17), processes: self.table.lock().unwrap().clone() }
    }

    fn status(&self) -> DaemonStatus {
        let listener = |role: &str, address: &str, state| Listener {
            role: role.to_owned(),
            address: address.to_owned(),
            state,
        };
        DaemonStatus {
            version: "0.1.0".into(),
            pid: 77,
            uid: 0,
            started: at(0),
            config_path: PathBuf::from("/etc/dd-procmgrd/processes.yaml"),
            last_reload: Some(ReloadResult { at: at(0), problems: self.problems.clone() }),
            listeners: vec![
                listener("control socket", "/run/dd-procmgrd/control.sock", ListenerState::Listening),
                listener("control tcp", "", ListenerState::Disabled),
                listener("metrics", "127.0.0.1:9090", ListenerState::Failed("Address already in use".into())),
            ],
            containment: "subreaper".into(),
        }
    }

    fn create(&self, create: Create) -> BoxFuture<ViewResult> {
        let name = create.name.clone();
        let result = if self.table.lock().unwrap().iter().any(|v| v.spec.name == name) {
            Err(Refusal::AlreadyExists(name).into())
        } else {
            let mut made = view(name.as_str(), "dddd00000001", State::Stopped, Reason::NotStarted);
            let mut spec = (*made.spec).clone();
            spec.exec.program = create.definition.command.clone().unwrap();
            spec.exec.args = create.definition.args.clone().unwrap_or_default();
            made.spec = Arc::new(spec);
            let made = Arc::new(made);
            self.table.lock().unwrap().push(Arc::clone(&made));
            if create.start { self.up(&name) } else { Ok(made) }
        };
        self.created.lock().unwrap().push(create);
        Box::pin(std::future::ready(result))
    }

    fn start(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        Box::pin(std::future::ready(self.up(&name)))
    }

    fn stop(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        if name.as_str() == "db" {
            // Never ends, as a process in state D does.
            return Box::pin(std::future::pending());
        }
        let view = ProcessView {
            state: State::Stopped,
            reason: Reason::StoppedByOperator,
            run: None,
            ..(*self.get(&name)).clone()
        };
        Box::pin(std::future::ready(Ok(Arc::new(view))))
    }

    fn restart(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.start(name)
    }

    fn delete(&self, name: ProcessName) -> BoxFuture<Result<(), ControlError>> {
        let result = if name.as_str() == "web" {
            let error = "web is defined in /etc/dd-procmgrd/processes.yaml:7";
            Err(ControlError::new(ErrorKind::FailedPrecondition, error)
                .with_hint("remove it there, then: pm-cli reload-config"))
        } else {
            self.table.lock().unwrap().retain(|v| v.spec.name != name);
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn reload(&self) -> BoxFuture<Result<ReloadReport, ControlError>> {
        let change =
            |name: &str, impact, keys| Change { name: ProcessName::new(name).unwrap(), impact, keys };
        let changes = if self.table.lock().unwrap().is_empty() {
            vec![]
        } else {
            vec![change("new", Impact::Start, vec![]), change("web", Impact::Restart, vec!["args", "env"])]
        };
        Box::pin(std::future::ready(Ok(ReloadReport { changes, problems: self.problems.clone() })))
    }
}

impl LogSource for Fake {
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogChunk, ControlError>>, ControlError> {
        if request.name.as_str() == "job" {
            return Err(ControlError::new(ErrorKind::FailedPrecondition, "job keeps no log")
                .with_hint("its stdout and stderr go to null"));
        }
        // The line shows what was asked for.
        let asked =
            format!("lines={} follow={} stream={:?}\n", request.lines, request.follow, request.stream);
        let chunks = [
            Ok(LogChunk { data: asked.into_bytes(), stream: Some(Stream::Stdout), dropped: 0 }),
            Ok(LogChunk { data: b"tw\xffo\nthree\n".to_vec(), stream: None, dropped: 3 }),
        ];
        Ok(Box::pin(tokio_stream::iter(chunks)))
    }
}

fn mask(key: &str, value: &str) -> String {
    if key == "TOKEN" { "***".to_owned() } else { value.to_owned() }
}

/// A served fake; ends when dropped.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub tcp: String,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Dropping it would not change the state, but the sender belongs to the daemon.
    _ready: watch::Sender<bool>,
}

impl Daemon {
    pub fn start(table: Vec<ProcessView>, problems: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = rpc::Token::create(&dir.path().join("token"), None).unwrap();
        let config = Config {
            unix: Some(dir.path().join("control.sock")),
            tcp: Some(([127, 0, 0, 1], 0).into()),
            tcp_retry: Duration::from_secs(10),
            daemon_uid: rustix::process::geteuid().as_raw(),
            operators: None,
            token: Some(token),
            token_role: Role::Operator,
            mask,
            log_dir: "/var/log/dd-procmgrd".into(),
            drain: Duration::ZERO,
        };
        let fake = Arc::new(Fake {
            table: Mutex::new(table.into_iter().map(Arc::new).collect()),
            created: Mutex::default(),
            problems: problems.iter().map(|p| (*p).to_owned()).collect(),
        });
        let ready = watch::Sender::new(true);
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, mut addresses) = mpsc::channel(1);
        let (control, logs, readiness) = (Arc::clone(&fake), Arc::clone(&fake), ready.subscribe());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(config).await.unwrap();
                let state = server.tcp_state().borrow().clone();
                bound.send(state).await.unwrap();
                let end = async move { stopped.await.unwrap_or(()) };
                server.serve(control, logs, readiness, end).await.unwrap();
            });
        });
        let Some(rpc::ListenState::Listening(address)) = addresses.blocking_recv() else { panic!("no port") };
        let tcp = address.to_string();
        Self { dir, tcp, fake, stop: Some(stop), thread: Some(thread), _ready: ready }
    }

    pub fn socket(&self) -> String {
        self.dir.path().join("control.sock").to_str().unwrap().to_owned()
    }

    pub fn created(&self) -> Vec<Create> {
        self.fake.created.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let told = self.stop.take().is_some_and(|stop| stop.send(()).is_ok());
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || (told && ended.is_ok()), "the server ended badly");
    }
}
