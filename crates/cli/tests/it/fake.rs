//! A daemon without processes behind the real gRPC server, on a socket of its own, in a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{
    Change, Definition, Event, EventKind, ExitReason, ExitStatus, Impact, InvocationId, Mono, ProcessId,
    ProcessName, ProcessRef, ProcessView, Reason, Refusal, RunNumber, Seq, Signal, Snapshot, Stamp, State,
    Stream, Usage,
};
use rpc::{
    BoxFuture, BoxStream, Config, Control, ControlError, Create, Created, DaemonStatus, ErrorKind, EventRing,
    Fragment, Listener, ListenerState, LogBatch, LogPart, LogRequest, LogSource, Member, OverrideText,
    ReloadReport, ReloadResult, Role, Server, SetOverride, Severity, Stats, StatsRequest, Update, Updated,
    ViewResult, Wording,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::tables::{self, at, run, spawn_failure, view};

/// How old everything is: what [`tables::now`] says, by the clock that nobody sets.
const AGE: Duration = Duration::from_secs(7_500);
const OVERRIDES: &str = "/etc/dd-procmgrd/overrides.d";

#[derive(Debug)]
struct Fake {
    table: Mutex<Vec<Arc<ProcessView>>>,
    created: Mutex<Vec<Create>>,
    updates: Mutex<Vec<Update>>,
    /// `NAME SIGNAL`, with ` all` where everything is meant.
    signals: Mutex<Vec<String>>,
    /// Texts of overrides.
    overrides: Mutex<BTreeMap<String, String>>,
    /// What each log says; a few lines about the request where nothing is set.
    logs: Mutex<BTreeMap<String, Vec<LogBatch>>>,
    /// Whose first stream breaks off after a line.
    broken: Mutex<BTreeSet<String>>,
    reopened: Mutex<u32>,
    problems: Vec<String>,
    ring: Arc<EventRing>,
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

    /// What has to run and does.
    fn live(&self, name: &ProcessName) -> ViewResult {
        let view = self.get(name);
        match view.state {
            State::Running | State::Reloading => Ok(view),
            state => Err(Refusal::NotRunning(name.clone(), state).into()),
        }
    }
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
        started: at(0),
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
fn event(number: u64, name: &str, kind: EventKind) -> Event {
    Event {
        seq: Seq(number),
        at: Stamp { mono: Mono(number), wall: at(0).after(Duration::from_secs(number)) },
        process: ProcessRef { name: ProcessName::new(name).unwrap(), id: "cccc00000001".parse().unwrap() },
        run: Some((RunNumber(3), InvocationId(0xfeed))),
        pid: Some(4242),
        kind,
    }
}

/// What a daemon says of a user that it doesn't know.
fn doubts(definition: &Definition) -> Vec<String> {
    let doubt =
        |user: &String| format!("`user`: there is no user {user} on the daemon's machine; fix `user`");
    definition.user.iter().filter(|user| user.starts_with("nosuch")).map(doubt).collect()
}

fn answer<T: Send + 'static>(value: T) -> BoxFuture<T> {
    Box::pin(std::future::ready(value))
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
        Box::pin(std::future::ready(Ok(Stats { at: at(0), usages })))
    }

    fn now(&self) -> Mono {
        Mono(0).after(AGE)
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
            up: AGE,
            config_path: PathBuf::from("/etc/dd-procmgrd/processes.yaml"),
            last_reload: Some(ReloadResult { at: at(0), problems: self.problems.clone() }),
            listeners: vec![
                listener("control socket", "/run/dd-procmgrd/control.sock", ListenerState::Listening),
                listener("control tcp", "", ListenerState::Disabled),
                listener("metrics", "127.0.0.1:9090", ListenerState::Failed("Address already in use".into())),
            ],
            containment: "subreaper".into(),
            draining: false,
            resident_bytes: Some(7 << 20),
            state_dir: "/var/lib/dd-procmgrd".into(),
        }
    }

    fn create(&self, create: Create) -> BoxFuture<Result<Created, ControlError>> {
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
            let view = if create.start { self.up(&name) } else { Ok(made) };
            view.map(|view| Created { view, warnings: doubts(&create.definition) })
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

    fn delete(&self, name: ProcessName, force: bool) -> BoxFuture<Result<Option<String>, ControlError>> {
        let result = if name.as_str() == "web" {
            let error = "web is defined in /etc/dd-procmgrd/processes.yaml:7";
            Err(ControlError::new(ErrorKind::FailedPrecondition, error)
                .with_hint("remove it there, then: pm-cli reload-config"))
        } else {
            let mut table = self.table.lock().unwrap();
            let by = table.iter().filter(|v| v.spec.needs.cannot_do_without(&name));
            let by: Vec<String> = by.map(|v| v.spec.name.to_string()).collect();
            if by.is_empty() || force {
                table.retain(|v| v.spec.name != name);
                Ok(None)
            } else {
                Err(ControlError::new(ErrorKind::Required { by }, format!("{name} was not deleted")))
            }
        };
        Box::pin(std::future::ready(result))
    }

    fn reload_process(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        answer(self.live(&name))
    }

    fn signal(&self, name: ProcessName, signal: Signal, all: bool) -> BoxFuture<ViewResult> {
        let all = if all { " all" } else { "" };
        self.signals.lock().unwrap().push(format!("{name} {signal}{all}"));
        answer(self.live(&name))
    }

    fn reset(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        let view = self.get(&name);
        let (state, reason) = match view.state {
            State::Backoff | State::CrashLoop => (State::Starting, Reason::Wanted),
            State::Failed | State::Skipped => (State::Stopped, Reason::Reset),
            state => (state, view.reason.clone()),
        };
        answer(Ok(Arc::new(ProcessView { state, reason, next: None, ..(*view).clone() })))
    }

    fn update(&self, update: Update) -> BoxFuture<Result<Updated, ControlError>> {
        self.updates.lock().unwrap().push(update.clone());
        let Update { name, definition, unset, .. } = update;
        if unset.iter().any(|key| key == "stdot") {
            let error = ControlError::invalid("unset", "unknown key `stdot`");
            return answer(Err(error.with_hint("did you mean `stdout`?")));
        }
        if unset.iter().any(|key| key == "evil") {
            return answer(Err(ControlError::invalid("unset", tables::EVIL).with_hint(tables::EVIL)));
        }
        let view = self.get(&name);
        let mut keys = Vec::new();
        if definition.auto_start.is_some_and(|on| on != view.spec.auto_start) {
            keys.push("auto_start");
        }
        if definition.env.is_some() {
            keys.push("env");
        }
        let impact = if definition.env.is_some() { Impact::Restart } else { Impact::Hot };
        let change = (!keys.is_empty()).then_some(Change { name, impact, keys });
        answer(Ok(Updated { view, change, warnings: doubts(&definition) }))
    }

    fn delete_leftover(&self, name: ProcessName) -> BoxFuture<Result<Option<ProcessId>, ControlError>> {
        answer(Ok((name.as_str() == "gone").then(|| ProcessId::from_digest([7; 6]))))
    }

    fn fragments(&self, name: ProcessName) -> BoxFuture<Result<Vec<Fragment>, ControlError>> {
        let fragment =
            |origin: &str, text: &str| Fragment { origin: origin.to_owned(), text: text.to_owned() };
        if name.as_str() == "gone" {
            return answer(Ok(vec![fragment("pm-cli create/update", "restart: always\n")]));
        }
        if self.table.lock().unwrap().iter().all(|view| view.spec.name != name) {
            return answer(Err(Refusal::NotFound(name).into()));
        }
        let mut fragments = vec![
            fragment("/etc/dd-procmgrd/processes.yaml:2 (defaults)", "restart: always\n"),
            fragment(
                "/etc/dd-procmgrd/processes.yaml:7",
                &format!("command: /usr/bin/{name}\nenv:\n  PORT: '80'\n  TOKEN: '***'\n"),
            ),
        ];
        if let Some(text) = self.overrides.lock().unwrap().get(name.as_str()) {
            fragments.push(fragment(&format!("{OVERRIDES}/{name}.yaml:1"), text));
        }
        if name.as_str() == "api" {
            fragments.push(fragment("pm-cli create/update", "auto_start: true"));
        }
        answer(Ok(fragments))
    }

    fn override_text(&self, name: ProcessName) -> BoxFuture<Result<OverrideText, ControlError>> {
        let text = self.overrides.lock().unwrap().get(name.as_str()).cloned();
        let path = PathBuf::from(format!("{OVERRIDES}/{name}.yaml"));
        answer(Ok(OverrideText { path, exists: text.is_some(), text: text.unwrap_or_default() }))
    }

    fn set_override(&self, set: SetOverride) -> BoxFuture<Result<Updated, ControlError>> {
        let SetOverride { name, text, dry_run } = set;
        if text.contains("restrat") {
            let error = format!(
                "error: unknown key `restrat`\n --> {OVERRIDES}/{name}.yaml:1:1\n  |\n1 | restrat: always\n  | ^^^^^^^"
            );
            return answer(Err(ControlError::invalid("text", error).with_hint("did you mean `restart`?")));
        }
        let mut overrides = self.overrides.lock().unwrap();
        let before = overrides.get(name.as_str()).cloned().unwrap_or_default();
        // Comments alone change nothing of the definition.
        let keys =
            |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        let change = (keys(&before) != keys(&text)).then(|| Change {
            name: name.clone(),
            impact: Impact::Hot,
            keys: vec!["restart"],
        });
        if !dry_run {
            if text.is_empty() {
                overrides.remove(name.as_str());
            } else {
                overrides.insert(name.to_string(), text);
            }
        } else if text.contains("# race") {
            // Somebody else is faster.
            overrides.insert(name.to_string(), "user: nobody\n".to_owned());
        }
        answer(Ok(Updated { view: self.get(&name), change, warnings: Vec::new() }))
    }

    fn reload(&self, _dry_run: bool) -> BoxFuture<Result<ReloadReport, ControlError>> {
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
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogBatch, ControlError>>, ControlError> {
        if request.name.as_str() == "job" {
            return Err(ControlError::new(ErrorKind::FailedPrecondition, "job keeps no log")
                .with_hint("its stdout and stderr go to null"));
        }
        if let Some("(") = request.grep.as_deref() {
            let error = ControlError::invalid("grep", "grep is no regular expression: unclosed group");
            return Err(error.with_hint("put a backslash before it"));
        }
        if self.broken.lock().unwrap().remove(request.name.as_str()) {
            let first = Ok(batch(vec![part(1, Stream::Stdout, "before\n")]));
            return Ok(Box::pin(tokio_stream::iter([first, Err(Refusal::ShuttingDown.into())])));
        }
        if let Some(after) = request.after.as_ref().filter(|after| request.follow && *after == "1:end") {
            self.table.lock().unwrap().retain(|v| v.spec.name != request.name);
            let second = Ok(batch(vec![part(2, Stream::Stdout, &format!("after {after}\n"))]));
            return Ok(Box::pin(tokio_stream::iter([second])));
        }
        // Whoever follows sees the process being deleted.
        if request.follow {
            self.table.lock().unwrap().retain(|v| v.spec.name != request.name);
        }
        if let Some(batches) = self.logs.lock().unwrap().get(request.name.as_str()) {
            return Ok(Box::pin(tokio_stream::iter(batches.clone().into_iter().map(Ok))));
        }
        // The line shows what was asked for.
        let LogRequest { name: _, lines, follow, stream, since, until, run, grep, after, split } = request;
        let lines = lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let mut asked = format!("lines={lines} follow={follow} stream={stream:?}");
        let (since, until) = (since.map(|at| at.to_string()), until.map(|at| at.to_string()));
        for (key, value) in [
            ("since", since),
            ("until", until),
            ("run", run.map(|run| run.0.to_string())),
            ("grep", grep),
            ("after", after),
            ("split", split.then(|| "true".to_owned())),
        ] {
            if let Some(value) = value {
                asked.push_str(&format!(" {key}={value}"));
            }
        }
        let mut first = batch(vec![part(1, Stream::Stdout, &format!("{asked}\n"))]);
        first.left_out = run.is_some();
        let unknown = |data: &[u8]| LogPart { data: data.to_vec(), ..LogPart::default() };
        let second = batch(vec![unknown(b"tw\xffo\n"), unknown(b"three\n")]);
        let batches = [Ok(first), Ok(LogBatch { missed: true, caught_up: true, ..second })];
        Ok(Box::pin(tokio_stream::iter(batches)))
    }

    fn reopen(&self) {
        *self.reopened.lock().unwrap() += 1;
    }
}

/// Lines of run 3 that were printed so many seconds after the beginning.
pub fn part(second: u64, stream: Stream, text: &str) -> LogPart {
    LogPart {
        data: text.as_bytes().to_vec(),
        stream: Some(stream),
        run: Some(RunNumber(3)),
        at: Some(at(second)),
        cursor: Some(format!("1:c{second}")),
    }
}

pub fn batch(parts: Vec<LogPart>) -> LogBatch {
    LogBatch { parts, cursor: "1:end".to_owned(), ..LogBatch::default() }
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
            tls: None,
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
            updates: Mutex::default(),
            signals: Mutex::default(),
            overrides: Mutex::default(),
            logs: Mutex::default(),
            broken: Mutex::default(),
            reopened: Mutex::default(),
            problems: problems.iter().map(|p| (*p).to_owned()).collect(),
            ring: past(),
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

    pub fn updates(&self) -> Vec<Update> {
        self.fake.updates.lock().unwrap().clone()
    }

    pub fn signals(&self) -> Vec<String> {
        self.fake.signals.lock().unwrap().clone()
    }

    pub fn overridden(&self, name: &str) -> Option<String> {
        self.fake.overrides.lock().unwrap().get(name).cloned()
    }

    pub fn override_with(&self, name: &str, text: &str) {
        self.fake.overrides.lock().unwrap().insert(name.to_owned(), text.to_owned());
    }

    pub fn log(&self, name: &str, data: &[u8]) {
        self.log_batches(name, vec![batch(vec![LogPart { data: data.to_vec(), ..LogPart::default() }])]);
    }

    /// What one log says.
    pub fn log_batches(&self, name: &str, batches: Vec<LogBatch>) {
        self.fake.logs.lock().unwrap().insert(name.to_owned(), batches);
    }

    /// The first stream of this log breaks off after a line.
    pub fn break_off(&self, name: &str) {
        self.fake.broken.lock().unwrap().insert(name.to_owned());
    }

    /// Something happens to a process, which is told to whoever watches.
    pub fn happens(&self, number: u64, name: &str) {
        self.fake.ring.push(&event(number, name, EventKind::Created));
    }

    /// How often the log files were opened anew.
    pub fn reopened(&self) -> u32 {
        *self.fake.reopened.lock().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let told = self.stop.take().is_some_and(|stop| stop.send(()).is_ok());
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || (told && ended.is_ok()), "the server ended badly");
    }
}
