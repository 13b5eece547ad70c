//! A supervisor whose system fails on request.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{
    Command, Event, EventKind, Origin, Probe, ProcessId, ProcessName, ProcessSpec, ProcessView, Refusal,
    Reply, RunId,
};
use nix::errno::Errno;
use sys::spawn::{Child, Request, SpawnError, Stage};

use crate::spawner::launch::Launch;
use crate::{
    Attach, ChildStdio, Config, Containment, Handle, Observer, ProbeDone, Prober, RunInfo, StdioError,
    StdioProvider, start,
};

/// Longer than anything in here takes on a machine under load; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the system fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Error(Stage, Errno),
    Panic,
}

/// For each process: how it fails, and how often from now on.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<HashMap<String, (Fault, usize)>>>);

thread_local! {
    /// The faults of the supervisor that this thread, a test, starts.
    static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
}

/// The system, with the faults of the test that starts it. Other tests have the system as it is.
pub(in crate::spawner) fn faulty(real: Box<dyn Launch>) -> Box<dyn Launch> {
    match FAULTS.with_borrow(Clone::clone) {
        Some(faults) => Box::new(Faulty { real, faults }),
        None => real,
    }
}

struct Faulty {
    real: Box<dyn Launch>,
    faults: Faults,
}

impl Launch for Faulty {
    fn launch(&mut self, request: Request<'_>) -> Result<Child, SpawnError> {
        let env = &request.program.env;
        let name = env.iter().find_map(|v| v.to_str().ok()?.strip_prefix("PROCESS_NAME=")).unwrap();
        match self.faults.take(name) {
            Some(Fault::Error(stage, errno)) => Err(SpawnError { stage, errno }),
            Some(Fault::Panic) => panic!("a panic on purpose"),
            None => self.real.launch(request),
        }
    }
}

impl Faults {
    pub(super) fn set(&self, name: &str, fault: Fault, times: usize) {
        self.0.lock().unwrap().insert(name.to_owned(), (fault, times));
    }

    /// How many are left.
    pub(super) fn left(&self, name: &str) -> usize {
        self.0.lock().unwrap().get(name).map_or(0, |(_, left)| *left)
    }

    fn take(&self, name: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap();
        let (fault, left) = faults.get_mut(name).filter(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(*fault)
    }
}

/// Panics for the processes `open-panics` and `attach-panics`.
pub(super) struct NoOutput;

pub(super) fn null() -> OwnedFd {
    OpenOptions::new().read(true).write(true).open("/dev/null").map(File::into).unwrap()
}

impl StdioProvider for NoOutput {
    fn open(&self, info: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        let name = info.spec.name.to_string();
        assert_ne!(name, "open-panics", "a panic on purpose");
        let attach = move |_| assert_ne!(name, "attach-panics", "a panic on purpose");
        Ok((ChildStdio { stdin: null(), stdout: null(), stderr: null() }, Box::new(attach)))
    }
    fn finished(&self, _: RunId) {}
    fn configure(&self, _: &Arc<ProcessSpec>) {}
    fn forget(&self, _: &ProcessName) {}
}

struct NoProber;

impl Prober for NoProber {
    fn probe(&self, probe: &Probe, _: Duration, _: ProbeDone) {
        panic!("asked for {probe}");
    }
}

struct Log(Sender<Event>);

impl Observer for Log {
    fn event(&mut self, event: &Event) {
        // It fails when the test is over.
        drop(self.0.send(event.clone()));
    }
}

/// One supervisor with one spawner.
pub(super) struct Rig {
    pub(super) faults: Faults,
    handle: Handle,
    events: Receiver<Event>,
    /// Events of others that came while somebody's were waited for.
    kept: RefCell<VecDeque<Event>>,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let faults = Faults::default();
        FAULTS.set(Some(faults.clone()));
        let (sender, events) = channel();
        let config = Config {
            spawners: 1,
            containment: Containment::Subreaper,
            base_env: std::collections::BTreeMap::new(),
            notify_dir: std::env::temp_dir().join(format!("spawner-notify-{}", std::process::id())),
            process_dirs: std::env::temp_dir().join(format!("spawner-dirs-{}", std::process::id())),
            past: [].into(),
        };
        let log = Box::new(Log(sender));
        let (handle, thread) = start(config, Arc::new(NoOutput), Arc::new(NoProber), log).unwrap();
        FAULTS.set(None);
        Self { faults, handle, events, kept: RefCell::default(), thread: Some(thread) }
    }

    /// Submits and waits for the answer.
    pub(super) fn ask(&self, command: Command) -> Result<Reply, Refusal> {
        let (sender, answer) = channel();
        self.handle.submit(command, Box::new(move |result| drop(sender.send(result)))).unwrap();
        answer.recv_timeout(PATIENCE).expect("no answer to a command")
    }

    /// Creates and starts, whatever comes of it.
    pub(super) fn create(&self, spec: ProcessSpec) -> Result<Reply, Refusal> {
        self.ask(Command::Create { spec: Arc::new(spec), start: true })
    }

    /// The next event of this process that `pick` takes; others of it are dropped.
    pub(super) fn event<T>(&self, name: &str, mut pick: impl FnMut(&EventKind) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            let event = self.next_of(name).unwrap_or_else(|| panic!("no such event of {name}: {passed:#?}"));
            if let Some(found) = pick(&event) {
                return found;
            }
            passed.push(event);
        }
    }

    fn next_of(&self, name: &str) -> Option<EventKind> {
        let mut kept = self.kept.borrow_mut();
        let is_its = |event: &Event| event.process.name.as_str() == name;
        if let Some(at) = kept.iter().position(is_its) {
            return kept.remove(at).map(|event| event.kind);
        }
        loop {
            let event = self.events.recv_timeout(PATIENCE).ok()?;
            if is_its(&event) {
                return Some(event.kind);
            }
            kept.push_back(event);
        }
    }

    pub(super) fn view(&self, name: &str) -> Arc<ProcessView> {
        let mut all = self.handle.snapshot().processes.into_iter();
        all.find(|p| p.spec.name.as_str() == name).expect("it is not on the board")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _refused = self.handle.submit(Command::Shutdown, Box::new(|_| ()));
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the supervisor panicked");
        }
    }
}

/// A program that stays, with the documented defaults but no jitter.
pub(super) fn sleeper(name: &str) -> ProcessSpec {
    let (name, id) = (ProcessName::new(name).unwrap(), ProcessId::from_digest([0, 1, 2, 3, 4, 5]));
    let mut spec = ProcessSpec::new(name, id, Origin::Runtime, "sleep");
    spec.exec.args = vec!["1000".into()];
    spec.restart.jitter = 0.0;
    spec
}
