//! A driver that a test turns by hand: it applies effects and looks at the inputs that come of them, before they are fed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Write, pipe};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::{
    CommandLine, Event, ExitStatus, HookKind, InvocationId, Origin, Probe, ProcessId, ProcessName,
    ProcessSpec, RunId, RunNumber,
};
use tempfile::TempDir;

use super::super::{Driver, clock};
use crate::containment::Containment;
use crate::containment::tests::{alone, delegated, line, wait_for};
use crate::handle::{Config, build};
use crate::machine::{Effect, Helper, Input, Role};
use crate::notify::{LAST_WORDS, NoticeStats, PER_TURN};
use crate::poller::Token;
use crate::prober::{ProbeDone, Prober};
use crate::spawner::{Outcome, Spawned};
use crate::stdio::{Attach, ChildStdio, Observer, RunInfo, StdioError, StdioProvider};

/// Says what its arguments tell it to, one after the other.
const SPEAKER: &str = r#"
import os, select, signal, socket, sys, time
def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect(os.environ["NOTIFY_SOCKET"])
    return s
def say(text):
    connect().send(text)
for step in sys.argv[1:]:
    what, _, rest = step.partition(":")
    if what == "say":                      # one datagram
        say(rest.replace("|", "\n").encode())
    elif what == "main":                   # MAINPID= of itself
        say(b"MAINPID=%d" % os.getpid())
    elif what == "bytes":
        say(bytes(int(n) for n in rest.split(",")))
    elif what == "flood":                  # until the socket is full
        s = connect(); s.setblocking(False); sent = 0
        try:
            while sent < int(rest): s.send(b"WATCHDOG=1"); sent += 1
        except BlockingIOError: pass
        print(sent, flush=True)
    elif what == "barrier":                # as systemd-notify does it
        r, w = os.pipe()
        socket.send_fds(connect(), [b"BARRIER=1"], [w]); os.close(w)
        select.select([r], [], []); print("answered", flush=True)
    elif what == "pass":                   # descriptors of other kinds
        a, b = socket.socketpair()
        socket.send_fds(connect(), [b"FDSTORE=1"], [b.fileno(), os.open("/dev/null", os.O_RDWR)]); b.close()
        select.select([a], [], []); print("closed" if a.recv(1) == b"" else "open", flush=True)
    elif what == "child":                  # the rest is done by a child; itself, it waits for its end
        pid = os.fork()
        if pid: os.waitpid(pid, 0); print("child ended", flush=True); sys.stdin.readline(); sys.exit(0)
    elif what == "kept":                   # the same, and the child is left a zombie
        if os.fork(): sys.stdin.readline(); sys.exit(0)
    elif what == "daemon":                 # the rest is done by a daemon; the parent ends with success
        if os.fork(): os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
    elif what == "user":
        os.setgroups([]); os.setgid(int(rest)); os.setuid(int(rest))
    elif what == "pidfile":                # of itself, or of the pid that is given
        path, _, pid = rest.partition("=")
        with open(path, "w") as f: f.write("%s\n" % (pid or os.getpid()))
    elif what == "pid":
        print(os.getpid(), flush=True)
    elif what == "read":
        sys.stdin.readline()
    elif what == "exit":
        os._exit(int(rest))
"#;

pub(super) struct Bench {
    pub(super) driver: Driver,
    pub(super) dir: TempDir,
    stdio: Arc<Pipes>,
    prober: Arc<Asked>,
    last: u64,
    _alone: MutexGuard<'static, ()>,
}

/// A run that was spawned.
pub(super) struct Kid {
    pub(super) run: RunId,
    pub(super) pid: u32,
    pub(super) info: (RunNumber, InvocationId, Arc<ProcessSpec>),
    input: Option<File>,
    output: File,
}

#[derive(Default)]
struct Pipes(Mutex<HashMap<RunId, (File, File)>>);

impl StdioProvider for Pipes {
    fn open(&self, info: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        let ((stdin, input), (output, stdout)) = (pipe().unwrap(), pipe().unwrap());
        let stderr = stdout.try_clone().unwrap();
        let ours = (File::from(OwnedFd::from(input)), File::from(OwnedFd::from(output)));
        self.0.lock().unwrap().insert(info.run, ours);
        let stdio = ChildStdio { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
        Ok((stdio, Box::new(|_| ())))
    }
    fn finished(&self, _: RunId) {}
    fn configure(&self, _: &Arc<ProcessSpec>) {}
    fn forget(&self, _: &ProcessName) {}
}

#[derive(Default)]
struct Asked(Mutex<Vec<(Probe, Duration, ProbeDone)>>);

impl Prober for Asked {
    fn probe(&self, probe: &Probe, timeout: Duration, done: ProbeDone) {
        self.0.lock().unwrap().push((probe.clone(), timeout, done));
    }
}

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

/// A process that gets a socket to report to and is a speaker with these steps.
pub(super) fn speaker(steps: &[&str]) -> ProcessSpec {
    static NEXT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let id = ProcessId::from_digest([0, 0, 0, 0, 0, id]);
    let mut spec = ProcessSpec::new(ProcessName::new("web").unwrap(), id, Origin::Runtime, "python3");
    spec.exec.args = ["-SEc", SPEAKER].iter().chain(steps).map(|arg| (*arg).to_owned()).collect();
    spec.start.watchdog = Some(Duration::from_secs(1000));
    spec
}

impl Bench {
    pub(super) fn new() -> Self {
        let alone = alone();
        let dir = tempfile::tempdir().unwrap();
        // Others have to pass.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), mode).unwrap();
        let containment = delegated().map_or(Containment::Subreaper, |d| Containment::Cgroup(Arc::new(d)));
        let notify_dir = dir.path().join("notify");
        let config = Config {
            spawners: 1,
            containment,
            base_env: [].into(),
            process_dirs: notify_dir.join("dirs"),
            notify_dir,
            past: [].into(),
        };
        let (stdio, prober) = (Arc::new(Pipes::default()), Arc::new(Asked::default()));
        let driver =
            build(config, Arc::clone(&stdio) as _, Arc::clone(&prober) as _, Box::new(Nobody)).unwrap();
        Self { driver, dir, stdio, prober, last: 0, _alone: alone }
    }

    pub(super) fn notify_dir(&self) -> PathBuf {
        self.dir.path().join("notify")
    }

    pub(super) fn start(&mut self, spec: ProcessSpec) -> Kid {
        let invocation = InvocationId(sys::random_u64().into());
        self.spawn((RunNumber(1), invocation, Arc::new(spec)), None)
    }

    /// A hook of this run.
    pub(super) fn help(&mut self, kid: &Kid, program: &str, args: &[&str]) -> Kid {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let helper = Helper {
            id: InvocationId(sys::random_u64().into()),
            role: Role::Hook(HookKind::StartPost),
            command: CommandLine { program: program.into(), args },
            env: Vec::new(),
        };
        self.spawn(kid.info.clone(), Some(helper))
    }

    fn spawn(&mut self, info: (RunNumber, InvocationId, Arc<ProcessSpec>), helper: Option<Helper>) -> Kid {
        self.last += 1;
        let run = RunId(self.last);
        let (number, invocation, spec) = info.clone();
        self.driver.turn.now = clock();
        self.driver.apply(Effect::Spawn { run, number, invocation, spec, helper, first: true });
        let mut outcomes = Vec::new();
        while outcomes.is_empty() {
            self.wait(Token::Inbox);
            outcomes = self.driver.shared.inbox.take().outcomes;
        }
        let Some(Outcome { run: whose, result: Spawned::Born(born) }) = outcomes.pop() else {
            panic!("it was not spawned: {outcomes:?}");
        };
        assert_eq!(whose, run);
        let pid = born.child.pid;
        self.driver.spawned(run, born);
        let (input, output) = self.stdio.0.lock().unwrap().remove(&run).unwrap();
        Kid { run, pid, info, input: Some(input), output }
    }

    /// Waits until this is ready, as at the beginning of a turn.
    pub(super) fn wait(&mut self, token: Token) {
        wait_for(&mut self.driver.poller, token);
        self.driver.turn.now = clock();
        self.driver.runs.new_turn();
    }

    /// What would be fed now.
    pub(super) fn inputs(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.driver.turn.inputs).into()
    }

    pub(super) fn counts(&self) -> NoticeStats {
        self.driver.shared.notices.read()
    }

    /// Waits for something that is said, and listens as one turn does.
    pub(super) fn heard(&mut self, run: RunId) -> Vec<Input> {
        self.wait(Token::Notify(run));
        self.driver.hear(run, PER_TURN);
        self.inputs()
    }

    /// Waits for a main process's end as a turn does; what would be fed of it.
    pub(super) fn ends(&mut self, run: RunId) -> Vec<Input> {
        self.wait(Token::Main(run));
        self.driver.collect(Token::Main(run));
        self.driver.ends();
        self.inputs()
    }

    /// Waits for a main process's end; what it still said, how it ended, and what it left.
    pub(super) fn end(&mut self, run: RunId) -> (Vec<Input>, ExitStatus, Vec<u32>) {
        self.wait(Token::Main(run));
        self.driver.hear(run, LAST_WORDS);
        let said = self.inputs();
        let end =
            self.driver.runs.mains_ended(&[run].into(), &self.driver.poller).pop().expect("it is alive");
        (said, end.status, end.leftovers)
    }

    /// Waits for mail, and returns the inputs that come of pidfiles.
    pub(super) fn pidfile(&mut self) -> Vec<Input> {
        self.wait(Token::Inbox);
        for (run, reading) in &self.driver.shared.inbox.take().pidfiles {
            self.driver.pidfile_read(*run, reading);
        }
        self.inputs()
    }

    /// Waits for mail, and returns what health checks found.
    pub(super) fn probed(&mut self) -> Vec<(RunId, Result<(), String>)> {
        self.wait(Token::Inbox);
        self.driver.shared.inbox.take().probed
    }

    /// The next question of a health check.
    pub(super) fn asked(&self) -> (Probe, Duration, ProbeDone) {
        self.prober.0.lock().unwrap().remove(0)
    }

    /// Waits until nothing but these is left of a run: what is on its way out may still be there.
    pub(super) fn settles(&mut self, run: RunId, pids: &[u32]) {
        while self.driver.runs.told(run).is_some_and(|told| told != pids) {
            self.wait(Token::Leftover(run));
            self.driver.runs.leftovers_changed([run].into(), &self.driver.poller);
        }
    }

    /// Kills all of a run, waits until nothing of it is left, and lets go.
    pub(super) fn clear(&mut self, run: RunId) {
        self.driver.apply(Effect::Kill { run });
        if self.driver.runs.has_main(run) {
            self.end(run);
        }
        self.settles(run, &[]);
        self.driver.apply(Effect::Release { run });
    }
}

impl Kid {
    pub(super) fn line(&mut self) -> String {
        line(&mut self.output)
    }

    pub(super) fn line_pid(&mut self) -> u32 {
        self.line().parse().unwrap()
    }

    /// Lets a speaker go on that reads a line.
    pub(super) fn go_on(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}
