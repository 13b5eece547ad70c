//! A private supervisor per test, with real children whose output and events the test can wait for.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, pipe};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{
    Command, Event, EventKind, OnStartLimit, Origin, Output, Probe, ProcessId, ProcessName, ProcessSpec,
    ProcessView, Refusal, Reply, RestartPolicy, RestartSpec, RunId, StopSpec,
};
use supervisor::{
    Attach, ChildStdio, Config, Containment, Handle, Observer, ProbeDone, Prober, RunInfo, StdioError,
    StdioProvider, start,
};

/// Longer than anything in here takes on a machine under load; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Called before the stdio of a run is opened: may fail, block or panic.
pub(crate) type Gate = Box<dyn Fn(&RunInfo) -> Result<(), StdioError> + Send + Sync>;

pub(crate) struct Rig {
    pub(crate) handle: Handle,
    pub(crate) stdio: Arc<Pipes>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
    pub(crate) notify_dir: PathBuf,
}

/// Standard output of each run is a pipe that the test reads; nothing else is captured.
pub(crate) struct Pipes {
    gate: Gate,
    outputs: Mutex<HashMap<(String, u64), File>>,
    /// What the driver told the provider, one line each.
    calls: Arc<Mutex<Vec<String>>>,
}

struct Log(Sender<Event>);

/// No test in here asks over the network.
struct NoProber;

impl Prober for NoProber {
    fn probe(&self, probe: &Probe, _: Duration, _: ProbeDone) {
        panic!("asked for {probe}");
    }
}

impl Observer for Log {
    fn event(&mut self, event: &Event) {
        // It fails when the test is over.
        drop(self.0.send(event.clone()));
    }
}

impl StdioProvider for Pipes {
    fn open(&self, info: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        (self.gate)(info)?;
        let null = || OwnedFd::from(OpenOptions::new().read(true).write(true).open("/dev/null").unwrap());
        let (reader, writer) = pipe().unwrap();
        let name = info.spec.name.to_string();
        let key = (name.clone(), info.number.0);
        self.outputs.lock().unwrap().insert(key, File::from(OwnedFd::from(reader)));
        let calls = Arc::clone(&self.calls);
        let attach = move |pid| calls.lock().unwrap().push(format!("attach {name} {pid}"));
        let stdio = ChildStdio { stdin: null(), stdout: writer.into(), stderr: null() };
        Ok((stdio, Box::new(attach)))
    }

    fn finished(&self, run: RunId) {
        self.calls.lock().unwrap().push(format!("finished {run}"));
    }

    fn configure(&self, spec: &Arc<ProcessSpec>) {
        self.calls.lock().unwrap().push(format!("configure {}", spec.name));
    }

    fn forget(&self, name: &ProcessName) {
        self.calls.lock().unwrap().push(format!("forget {name}"));
        self.outputs.lock().unwrap().retain(|(owner, _), _| owner != name.as_str());
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Config::SPAWNERS, Box::new(|_| Ok(())))
    }

    pub(crate) fn with(spawners: usize, gate: Gate) -> Self {
        let stdio = Arc::new(Pipes { gate, outputs: Mutex::default(), calls: Arc::default() });
        let (sender, events) = channel();
        let base_env = [("LANG".into(), "C".into()), ("SECRET".into(), "42".into())].into();
        let notify_dir = notify_dir();
        let config = Config {
            spawners,
            containment: containment(),
            base_env,
            notify_dir: notify_dir.clone(),
            process_dirs: process_dirs(&notify_dir),
            past: [].into(),
        };
        let (handle, thread) =
            start(config, Arc::clone(&stdio) as _, Arc::new(NoProber), Box::new(Log(sender))).unwrap();
        Self { handle, stdio, events, thread: Some(thread), notify_dir }
    }

    /// Submits and waits for the answer.
    pub(crate) fn ask(&self, command: Command) -> Result<Reply, Refusal> {
        self.submit(command).recv_timeout(PATIENCE).expect("no answer to a command")
    }

    /// Submits; the answer comes out of the channel.
    pub(crate) fn submit(&self, command: Command) -> Receiver<Result<Reply, Refusal>> {
        let (sender, answer) = channel();
        self.handle.submit(command, Box::new(move |result| drop(sender.send(result)))).unwrap();
        answer
    }

    /// Creates and starts.
    pub(crate) fn up(&self, spec: ProcessSpec) -> Arc<ProcessView> {
        done(self.ask(Command::Create { spec: Arc::new(spec), start: true }))
    }

    /// The next event of this process that the test is interested in; others are dropped.
    pub(crate) fn event<T>(&self, name: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            let Ok(event) = self.events.recv_timeout(PATIENCE) else {
                panic!("no such event of {name}; passed: {passed:#?}");
            };
            if event.process.name.as_str() == name
                && let Some(found) = pick(&event)
            {
                return found;
            }
            passed.push(event);
        }
    }

    /// Waits until this run of the process has been executed and returns its pid.
    pub(crate) fn started(&self, name: &str, number: u64) -> u32 {
        self.event(name, |e| match (&e.kind, e.run) {
            (EventKind::Started { .. }, Some((n, _))) if n.0 == number => e.pid,
            _ => None,
        })
    }

    pub(crate) fn view(&self, name: &str) -> Option<Arc<ProcessView>> {
        self.handle.snapshot().processes.into_iter().find(|p| p.spec.name.as_str() == name)
    }

    /// Standard output of a run that was started.
    pub(crate) fn output(&self, name: &str, number: u64) -> BufReader<File> {
        let file = self.stdio.outputs.lock().unwrap().remove(&(name.to_owned(), number));
        BufReader::new(file.expect("its output was taken already, or it was never opened"))
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.stdio.calls.lock().unwrap().clone()
    }

    /// Ends the supervisor and waits for its thread.
    pub(crate) fn shut_down(&mut self) {
        let answer = self.ask(Command::Shutdown);
        assert_eq!(answer, Ok(Reply::ShutDown));
        self.thread.take().expect("shut down once").join().expect("the supervisor panicked");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _refused = self.handle.submit(Command::Shutdown, Box::new(|_| ()));
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the supervisor panicked");
            let _never_made = std::fs::remove_dir(&self.notify_dir);
            let _never_made = std::fs::remove_dir(process_dirs(&self.notify_dir));
        }
    }
}

/// Within reach of every user, as in /run.
fn notify_dir() -> PathBuf {
    static RIGS: AtomicU32 = AtomicU32::new(0);
    let rig = RIGS.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("supervisor-notify-{}-{rig}", std::process::id()))
}

/// Where runtime directories of a rig are made.
pub(crate) fn process_dirs(notify_dir: &Path) -> PathBuf {
    notify_dir.with_extension("dirs")
}

/// `SUPERVISOR_TEST_CGROUP=1` runs the same tests with cgroups; that needs a delegated one (systemd: Delegate=yes).
fn containment() -> Containment {
    if std::env::var_os("SUPERVISOR_TEST_CGROUP").is_none() {
        return Containment::Subreaper;
    }
    let delegated = sys::cgroup::Delegated::detect(false).unwrap();
    Containment::Cgroup(Arc::new(delegated.expect("no cgroup is delegated to the test")))
}

pub(crate) fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The view in a good answer.
pub(crate) fn done(answer: Result<Reply, Refusal>) -> Arc<ProcessView> {
    match answer {
        Ok(Reply::Done(view)) => view,
        other => panic!("expected Done, got {other:?}"),
    }
}

pub(crate) fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

pub(crate) fn pid_of(view: &ProcessView) -> u32 {
    view.run.as_ref().and_then(|run| run.pid).expect("it has no pid")
}

pub(crate) fn is_alive(pid: u32) -> bool {
    nix::sys::signal::kill(raw(pid), None).is_ok()
}

pub(crate) fn kill(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(raw(pid), signal).unwrap();
}

fn raw(pid: u32) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap())
}

/// An id for each name.
pub(crate) fn id(text: &str) -> ProcessId {
    let mut digest = [0_u8; 6];
    for (place, byte) in text.bytes().enumerate() {
        digest[place % 6] = digest[place % 6].wrapping_mul(31).wrapping_add(byte);
    }
    ProcessId::from_digest(digest)
}

/// A process that is never restarted and whose polite stop has time.
pub(crate) fn spec(text: &str, program: &str, args: &[&str]) -> ProcessSpec {
    let mut spec = ProcessSpec::new(name(text), id(text), Origin::Runtime, program);
    spec.exec.args = args.iter().map(|a| (*a).to_owned()).collect();
    spec.restart = RestartSpec {
        policy: RestartPolicy::Never,
        delay: Duration::ZERO,
        jitter: 0.0,
        limit_burst: 0,
        on_limit: OnStartLimit::Fail,
        ..RestartSpec::default()
    };
    spec.stop.timeout = Duration::from_secs(20);
    spec.output.stderr = Output::Null;
    spec
}

pub(crate) fn sh(text: &str, script: &str) -> ProcessSpec {
    spec(text, "/bin/sh", &["-c", script])
}

pub(crate) fn sleeper(text: &str) -> ProcessSpec {
    spec(text, "sleep", &["1000"])
}

/// Started again at once, whatever happens.
pub(crate) fn immortal(spec: ProcessSpec) -> ProcessSpec {
    let restart = RestartSpec { policy: RestartPolicy::Always, ..spec.restart };
    ProcessSpec { restart, ..spec }
}

/// SIGKILL follows the polite signal almost at once.
pub(crate) fn impatient(spec: ProcessSpec) -> ProcessSpec {
    let stop = StopSpec { timeout: Duration::from_millis(20), ..spec.stop };
    ProcessSpec { stop, ..spec }
}
