//! A daemon without processes: a fake `Control` and `LogSource` behind the real server, on a socket of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{
    Change, Counters, Event, EventKind, ExitReason, ExitStatus, HealthState, HealthView, Impact,
    InvocationId, LastExit, Mono, NextAction, NextActionKind, Origin, Output, ProcessId, ProcessName,
    ProcessRef, ProcessSpec, ProcessView, Reason, Refusal, RunId, RunNumber, RunView, Seq, Signal, Snapshot,
    SpawnFailure, SpawnStage, Stamp, State, Usage, Wall,
};
use rpc::{
    BoxFuture, BoxStream, Client, Config, Control, ControlError, Create, Created, DaemonStatus, EventRing,
    Fragment, Listener, ListenerState, LogBatch, LogPart, LogRequest, LogSource, Member, OverrideText,
    ReloadReport, ReloadResult, Role, Server, SetOverride, Severity, Stats, StatsRequest, Target, Token,
    Update, Updated, ViewResult, Wording,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use rpc::v1::process_manager_service_client::ProcessManagerServiceClient;

pub const AT: Wall = Wall(1_795_199_850_000_000_000);
/// Longer than any step of a test takes; reached only when the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

pub fn view(text: &str, id: &str) -> ProcessView {
    let origin = Origin::File { path: "/etc/dd-procmgrd/processes.yaml".into(), line: 7 };
    let mut spec = ProcessSpec::new(name(text), id.parse().unwrap(), origin, "/usr/bin/web");
    spec.description = "a web server".into();
    spec.groups = vec!["front".into()];
    spec.exec.args = vec!["--greeting".into(), "hello you".into()];
    spec.exec.env =
        [("PORT".to_owned(), "80".to_owned()), ("API_KEY".to_owned(), "hunter2".to_owned())].into();
    spec.exec.user = Some("www-data".into());
    spec.output.stderr = Output::File("/var/log/web.err".into());
    spec.output.log.max_size = 0;
    spec.output.log.max_line = 1024;
    ProcessView {
        spec: Arc::new(spec),
        state: State::Running,
        reason: Reason::Wanted,
        since: AT,
        wanted_up: true,
        run: Some(RunView {
            id: RunId(9),
            number: RunNumber(2),
            invocation: InvocationId(0xfeed),
            pid: Some(4242),
            started: Stamp { mono: Mono(0), wall: AT },
        }),
        next: Some(NextAction { kind: NextActionKind::Kill, at: AT }),
        exits: Arc::new([
            exit(2, ExitReason::Signal, None),
            exit(1, ExitReason::Watchdog, Some(Reason::WatchdogExpired(Duration::from_secs(3)))),
        ]),
        status: "serving 7 clients".into(),
        health: Some(HealthView {
            state: HealthState::Unhealthy,
            since: AT,
            failures: 4,
            message: "status 503".into(),
            passed: 20,
            failed: 4,
            took: Some(Duration::from_millis(12)),
        }),
        counters: Counters {
            runs: 3,
            restarts: 1,
            starts: 2,
            exits: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            cpu: Duration::from_millis(3),
            oom_kills: 0,
        },
        problem: None,
        degraded: None,
    }
}

fn exit(run: u64, reason: ExitReason, cause: Option<Reason>) -> LastExit {
    LastExit {
        run: RunNumber(run),
        status: Some(ExitStatus::Signal { signal: Signal::KILL, core: false }),
        reason,
        at: AT,
        ran: Duration::from_millis(1500),
        usage: Usage { user: Duration::from_millis(3), system: Duration::ZERO, max_rss: 4096 },
        cause,
    }
}

/// What the fake was asked to do, and a gate that holds back the process `slow`.
#[derive(Debug)]
pub struct Fake {
    pub table: Mutex<Vec<Arc<ProcessView>>>,
    pub created: Mutex<Vec<Create>>,
    pub opened: Mutex<Vec<LogRequest>>,
    pub updated: Mutex<Vec<Update>>,
    pub overridden: Mutex<Vec<SetOverride>>,
    /// `dry_run` of each reload.
    pub reloaded: Mutex<Vec<bool>>,
    pub gate: watch::Sender<bool>,
    pub ring: Arc<EventRing>,
    /// Whether a verb breaks off.
    pub faulty: AtomicBool,
    /// Every verb that began.
    pub verbs: Mutex<Vec<String>>,
    /// Number of the last event.
    pub happened: AtomicU64,
    /// Name of the last verb that began, and of the last that ended.
    pub began: watch::Sender<String>,
    pub ended: watch::Sender<String>,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        let table = vec![
            Arc::new(view("broken", "aaaa00000001")),
            Arc::new(view("slow", "bbbb00000001")),
            Arc::new(view("twin", "bbbb00000002")),
            Arc::new(view("web", "cccc00000001")),
        ];
        Arc::new(Self {
            table: Mutex::new(table),
            created: Mutex::default(),
            opened: Mutex::default(),
            updated: Mutex::default(),
            overridden: Mutex::default(),
            reloaded: Mutex::default(),
            gate: watch::Sender::new(false),
            ring: past(),
            faulty: AtomicBool::new(false),
            verbs: Mutex::default(),
            happened: AtomicU64::new(6),
            began: watch::Sender::default(),
            ended: watch::Sender::default(),
        })
    }

    fn verb(&self, verb: &str, name: &ProcessName) -> BoxFuture<ViewResult> {
        let found = self.table.lock().unwrap().iter().find(|v| v.spec.name == *name).cloned();
        let label = format!("{verb} {name}");
        self.verbs.lock().unwrap().push(label.clone());
        self.began.send_replace(label.clone());
        let (ended, mut gate) = (self.ended.clone(), self.gate.subscribe());
        let (name, faulty) = (name.clone(), self.faulty.load(Ordering::Relaxed));
        Box::pin(async move {
            assert!(!faulty, "a fault that the test asked for");
            if name.as_str() == "slow" {
                gate.wait_for(|open| *open).await.unwrap();
            }
            ended.send_replace(label);
            match name.as_str() {
                "broken" => Err(Refusal::StartFailed(name, spawn_failure()).into()),
                _ => Ok(found.unwrap()),
            }
        })
    }
}

impl Fake {
    /// A process changes, and an event says so.
    pub fn change(&self, text: &str, change: impl FnOnce(&mut ProcessView), kind: Option<EventKind>) {
        {
            let mut table = self.table.lock().unwrap();
            let view = table.iter_mut().find(|v| v.spec.name.as_str() == text).unwrap();
            change(Arc::make_mut(view));
        }
        match kind {
            Some(kind) => self.happen(text, kind),
            None => self.ring.changed(),
        }
    }

    /// An event after all others.
    pub fn happen(&self, text: &str, kind: EventKind) {
        let number = self.happened.fetch_add(1, Ordering::Relaxed) + 1;
        self.ring.push(&event(number, text, kind));
    }

    /// A process is gone.
    pub fn remove(&self, text: &str) {
        self.table.lock().unwrap().retain(|v| v.spec.name.as_str() != text);
        self.ring.changed();
    }
}

/// What a change of `twin` does is nothing, and of the others a little.
fn updated(table: &[Arc<ProcessView>], name: &ProcessName) -> Updated {
    let view = table.iter().find(|v| v.spec.name == *name).cloned().unwrap();
    let change = Change { name: name.clone(), impact: Impact::Hot, keys: vec!["restart"] };
    let warnings = vec!["`restart`: think twice".to_owned()];
    Updated { view, change: (name.as_str() != "twin").then_some(change), warnings }
}

/// Usage of three processes, of which one is a zombie; nothing of one that is down.
fn usage(view: &ProcessView, members: bool) -> rpc::Usage {
    let Some(pid) = view.run.as_ref().and_then(|run| run.pid) else { return rpc::Usage::default() };
    let member = |pid, parent, state, command_line: &str| Member {
        pid,
        parent,
        name: view.spec.name.to_string(),
        command_line: command_line.to_owned(),
        resident_bytes: if state == 'Z' { 0 } else { 20 << 20 },
        cpu: Duration::from_millis(1500),
        started: AT,
        state,
    };
    let all = vec![
        member(pid, 77, 'S', &format!("/usr/bin/{} --secret hunter2", view.spec.name)),
        member(pid + 1, pid, 'R', "worker: \u{1b}[31mred"),
        member(pid + 2, pid + 1, 'Z', ""),
    ];
    rpc::Usage {
        processes: 2,
        resident_bytes: 40 << 20,
        cpu: Duration::from_millis(4500),
        main_resident_bytes: 20 << 20,
        main_cpu: Duration::from_millis(1500),
        threads: 9,
        fds: Some(12),
        io: (view.spec.name.as_str() != "db").then_some([4096, 1 << 20]),
        members: if members { all } else { Vec::new() },
    }
}

/// What happened so far.
fn past() -> Arc<EventRing> {
    let severity = |kind: &EventKind| match kind {
        EventKind::Exited { .. } => Severity::Warning,
        EventKind::StartLimitReached { .. } => Severity::Error,
        _ => Severity::Info,
    };
    let describe = |event: &Event| format!("{} {}", event.process.name, event.kind.as_str());
    let ring = EventRing::new("5eed".into(), Wording { describe, severity });
    let second = Duration::from_secs(1);
    let kinds = [
        ("web", EventKind::Created),
        ("web", EventKind::Started { took: Duration::from_millis(3) }),
        ("db", EventKind::Started { took: second }),
        (
            "web",
            EventKind::Exited {
                status: ExitStatus::Signal { signal: Signal::KILL, core: false },
                reason: ExitReason::Signal,
                ran: second * 90,
                usage: Usage::default(),
            },
        ),
        ("web", EventKind::RestartScheduled { delay: second, restarts: 4 }),
        ("db", EventKind::StartLimitReached { burst: 5, interval: second * 10, cooldown: None }),
    ];
    for (number, (name, kind)) in (1..).zip(kinds) {
        ring.push(&event(number, name, kind));
    }
    Arc::new(ring)
}

/// An event of run 3, so many seconds after the beginning.
pub fn event(number: u64, name: &str, kind: EventKind) -> Event {
    Event {
        seq: Seq(number),
        at: Stamp { mono: Mono(number), wall: AT.after(Duration::from_secs(number)) },
        process: ProcessRef { name: ProcessName::new(name).unwrap(), id: "cccc00000001".parse().unwrap() },
        run: Some((RunNumber(3), InvocationId(0xfeed))),
        pid: Some(4242),
        kind,
    }
}

fn spawn_failure() -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Exec,
        errno: 2,
        subject: "/usr/bin/wbe".into(),
        message: "No such file or directory".into(),
        hint: "check `command`".into(),
    }
}

impl Control for Fake {
    fn snapshot(&self) -> Snapshot {
        Snapshot { seq: Seq(17), processes: self.table.lock().unwrap().clone() }
    }

    fn events(&self) -> Arc<EventRing> {
        Arc::clone(&self.ring)
    }

    fn stats(&self, request: StatsRequest) -> BoxFuture<Result<Stats, ControlError>> {
        let usages = request.processes.iter().map(|view| usage(view, request.members)).collect();
        Box::pin(std::future::ready(Ok(Stats { at: AT, usages })))
    }

    fn now(&self) -> Mono {
        Mono(5_250_000_000)
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
            started: AT,
            up: Duration::from_secs(90),
            config_path: PathBuf::from("/etc/dd-procmgrd/processes.yaml"),
            last_reload: Some(ReloadResult { at: AT, problems: vec!["processes.yaml:3:5: no".into()] }),
            listeners: vec![
                listener("control socket", "/run/x", ListenerState::Listening),
                listener("metrics", "127.0.0.1:9090", ListenerState::Failed("in use".into())),
                listener("control tcp", "", ListenerState::Disabled),
            ],
            containment: "subreaper".into(),
            draining: false,
            resident_bytes: Some(7 << 20),
            state_dir: "/var/lib/dd-procmgrd".into(),
        }
    }

    fn create(&self, create: Create) -> BoxFuture<Result<Created, ControlError>> {
        let mut table = self.table.lock().unwrap();
        let result = if table.iter().any(|v| v.spec.name == create.name) {
            Err(Refusal::AlreadyExists(create.name.clone()).into())
        } else {
            let made = Arc::new(view(create.name.as_str(), "dddd00000001"));
            table.push(Arc::clone(&made));
            table.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
            let warnings = vec!["`user`: nobody knows it".to_owned()];
            Ok(Created { view: made, warnings })
        };
        self.created.lock().unwrap().push(create);
        Box::pin(std::future::ready(result))
    }

    fn start(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.verb("start", &name)
    }

    fn stop(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.verb("stop", &name)
    }

    fn restart(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.verb("restart", &name)
    }

    fn delete(&self, name: ProcessName, force: bool) -> BoxFuture<Result<Option<String>, ControlError>> {
        let result = if name.as_str() == "broken" {
            Err(Refusal::Busy.into())
        } else if name.as_str() == "twin" && !force {
            Err(ControlError::new(rpc::ErrorKind::Required { by: vec!["web".to_owned()] }, "web requires it"))
        } else {
            self.table.lock().unwrap().retain(|v| v.spec.name != name);
            Ok(None)
        };
        Box::pin(std::future::ready(result))
    }

    fn reload_process(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        match name.as_str() {
            "twin" => Box::pin(std::future::ready(Err(Refusal::NotRunning(name, State::Stopped).into()))),
            _ => self.verb("reload", &name),
        }
    }

    fn signal(&self, name: ProcessName, signal: Signal, all: bool) -> BoxFuture<ViewResult> {
        self.verb(&format!("signal {signal} all={all}"), &name)
    }

    fn reset(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.verb("reset", &name)
    }

    fn update(&self, update: Update) -> BoxFuture<Result<Updated, ControlError>> {
        let result = match update.unset.iter().find(|key| *key == "rstart") {
            Some(key) => {
                let error = ControlError::invalid("unset", format!("{key} is not a known key"));
                Err(error.with_hint("did you mean `restart`?"))
            }
            None => Ok(updated(&self.table.lock().unwrap(), &update.name)),
        };
        self.updated.lock().unwrap().push(update);
        Box::pin(std::future::ready(result))
    }

    fn delete_leftover(&self, name: ProcessName) -> BoxFuture<Result<Option<ProcessId>, ControlError>> {
        let id = (name.as_str() == "gone").then(|| ProcessId::from_digest([7; 6]));
        Box::pin(std::future::ready(Ok(id)))
    }

    fn fragments(&self, name: ProcessName) -> BoxFuture<Result<Vec<Fragment>, ControlError>> {
        let fragment = |origin: &str, text: String| Fragment { origin: origin.to_owned(), text };
        if self.table.lock().unwrap().iter().all(|view| view.spec.name != name) {
            let kept = vec![fragment("pm-cli create/update", "restart: always\n".to_owned())];
            let found = if name.as_str() == "gone" { Ok(kept) } else { Err(Refusal::NotFound(name).into()) };
            return Box::pin(std::future::ready(found));
        }
        Box::pin(std::future::ready(Ok(vec![
            fragment("/etc/dd-procmgrd/processes.yaml:7", format!("{name}:\n  command: web\n")),
            fragment("pm-cli create/update", "restart: always\n".to_owned()),
        ])))
    }

    fn override_text(&self, name: ProcessName) -> BoxFuture<Result<OverrideText, ControlError>> {
        let path = format!("/etc/dd-procmgrd/overrides/{name}.yaml").into();
        let (text, exists) = match name.as_str() {
            "twin" => (String::new(), false),
            _ => ("env:\n  API_KEY: hunter2\n".to_owned(), true),
        };
        Box::pin(std::future::ready(Ok(OverrideText { path, text, exists })))
    }

    fn set_override(&self, set: SetOverride) -> BoxFuture<Result<Updated, ControlError>> {
        let result = if set.text.starts_with('{') {
            Err(ControlError::invalid("text", "line 1, column 1: not YAML").with_hint("close the brace"))
        } else {
            Ok(updated(&self.table.lock().unwrap(), &set.name))
        };
        self.overridden.lock().unwrap().push(set);
        Box::pin(std::future::ready(result))
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadReport, ControlError>> {
        self.reloaded.lock().unwrap().push(dry_run);
        let changes = vec![Change { name: name("web"), impact: Impact::Restart, keys: vec!["args", "env"] }];
        let problems = vec!["processes.yaml:3:5: no".to_owned()];
        Box::pin(std::future::ready(Ok(ReloadReport { changes, problems })))
    }
}

impl LogSource for Fake {
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogBatch, ControlError>>, ControlError> {
        if request.name.as_str() == "broken" {
            return Err(ControlError::new(rpc::ErrorKind::FailedPrecondition, "broken has no log")
                .with_hint("its output goes to null"));
        }
        let follow = request.follow;
        self.opened.lock().unwrap().push(request);
        let part = |data: &[u8], stream| LogPart {
            data: data.to_vec(),
            stream: Some(stream),
            run: Some(RunNumber(2)),
            at: Some(AT),
            cursor: None,
        };
        let first = LogBatch {
            parts: vec![part(b"one\n", model::Stream::Stdout), part(b"two\n", model::Stream::Stderr)],
            cursor: "here".into(),
            missed: true,
            left_out: true,
            caught_up: true,
        };
        use tokio_stream::StreamExt as _;
        let head = tokio_stream::once(Ok(first));
        Ok(if follow { Box::pin(head.chain(tokio_stream::pending())) } else { Box::pin(head) })
    }

    fn reopen(&self) {
        self.began.send_replace("reopen".to_owned());
    }
}

pub fn mask(key: &str, value: &str) -> String {
    if key.contains("KEY") { "<secret>".to_owned() } else { value.to_owned() }
}

/// A served fake.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub fake: Arc<Fake>,
    pub socket: PathBuf,
    pub tcp: rpc::ListenState,
    pub token: Token,
    pub ready: watch::Sender<bool>,
    pub meter: Arc<rpc::Meter>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Daemon {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts with a changed configuration.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::create(&dir.path().join("token"), None).unwrap();
        let mut config = config(dir.path(), &token);
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let (socket, tcp) = (server.unix_path().unwrap().to_owned(), server.tcp_state().borrow().clone());
        let (fake, meter) = (Fake::new(), server.meter());
        let ready = watch::Sender::new(true);
        let (stop, stopped) = oneshot::channel::<()>();
        let (control, logs, readiness) = (Arc::clone(&fake), Arc::clone(&fake), ready.subscribe());
        let served = tokio::spawn(async move {
            let end = async move { stopped.await.unwrap_or(()) };
            server.serve(control, logs, readiness, end).await.unwrap();
        });
        Self { dir, fake, socket, tcp, token, ready, meter, stop: Some(stop), served }
    }

    pub async fn unix(&self) -> Client {
        Client::connect(&Target::Unix(self.socket.clone()), PATIENCE).await.unwrap()
    }

    pub fn port(&self) -> std::net::SocketAddr {
        match self.tcp {
            rpc::ListenState::Listening(address) => address,
            ref other => panic!("{other:?}"),
        }
    }

    pub async fn tcp(&self, token: Option<&Token>) -> Client {
        let target = Target::Tcp(self.port().to_string(), token.cloned());
        Client::connect(&target, PATIENCE).await.unwrap()
    }

    pub fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub async fn stopped(self) -> tempfile::TempDir {
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap();
        self.dir
    }
}

/// The bare client: over TCP, where the token says who is asking.
pub async fn bare(daemon: &Daemon) -> ProcessManagerServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    ProcessManagerServiceClient::new(endpoint.connect().await.unwrap())
}

pub fn with_token<T>(daemon: &Daemon, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let token = std::fs::read_to_string(daemon.token.path()).unwrap();
    request.metadata_mut().insert("authorization", format!("Bearer {}", token.trim()).parse().unwrap());
    request
}

pub fn config(dir: &Path, token: &Token) -> Config {
    Config {
        unix: Some(dir.join("control.sock")),
        tcp: Some(([127, 0, 0, 1], 0).into()),
        tls: None,
        tcp_retry: Duration::from_millis(20),
        daemon_uid: nix::unistd::geteuid().as_raw(),
        operators: None,
        token: Some(token.clone()),
        token_role: Role::Operator,
        mask,
        log_dir: "/var/log/dd-procmgrd".into(),
        drain: PATIENCE,
    }
}
