//! Real children of real runs, watched by a poller of their own.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ExitStatus, InvocationId, Mono, RunId, Wall};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal as Nix;
use sys::cgroup::Delegated;
use sys::credentials::Credentials;
use sys::spawn::{Isolation, Program, Request, Spawner, Stdio};
use sys::{clock, pidfd, tree};

use super::super::{NotAdopted, Runs, Trace};
use crate::notify::{Closer, NotifySocket};
use crate::poller::{Poller, Token};
use crate::spawner::{Born, Limited};

/// Orphans belong to the whole process, and whoever looks at them reaps all that are dead.
static ALONE: Mutex<()> = Mutex::new(());

/// To be held by a test that makes orphans.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `SUPERVISOR_TEST_CGROUP=1` runs the tests with cgroups; that needs a delegated one.
pub(crate) fn delegated() -> Option<Delegated> {
    std::env::var_os("SUPERVISOR_TEST_CGROUP")
        .map(|_| Delegated::detect(false).unwrap().expect("no cgroup is delegated to the test"))
}

/// Longer than anything in here takes on a machine under load; reached only by a test that fails.
const PATIENCE: u64 = 30_000_000_000;

/// Runs without a driver.
pub(crate) struct World {
    pub(crate) nursery: Nursery,
    pub(crate) runs: Runs,
    pub(crate) poller: Poller,
}

/// What makes processes of runs.
pub(crate) struct Nursery {
    spawner: Spawner,
    delegated: Option<Delegated>,
    last: u64,
    _alone: MutexGuard<'static, ()>,
}

/// A shell that runs a script, as a run.
pub(crate) struct Kid {
    pub(crate) run: RunId,
    pub(crate) pid: u32,
    pub(crate) invocation: InvocationId,
    /// Its standard input; closing it is how a script is told to go on.
    pub(crate) input: Option<File>,
    output: File,
}

/// What is different about a child.
#[derive(Default)]
pub(crate) struct Special<'a> {
    pub(crate) env: Vec<(&'a str, String)>,
    pub(crate) uid: Option<u32>,
    pub(crate) notify: Option<NotifySocket>,
    /// Of whose run it is a helper.
    pub(crate) helps: Option<InvocationId>,
}

impl Nursery {
    fn new() -> Self {
        let alone = alone();
        tree::become_subreaper().unwrap();
        Self { spawner: Spawner::new().unwrap(), delegated: delegated(), last: 0, _alone: alone }
    }

    /// Starts a shell that its run does not know of yet.
    pub(crate) fn bear(&mut self, runs: &mut Runs, script: &str, special: Special<'_>) -> (Kid, Born) {
        let (stdin, input) = pipe().unwrap();
        let (kid, born) = self.bear_with(runs, script, special, stdin.into());
        (Kid { input: Some(File::from(OwnedFd::from(input))), ..kid }, born)
    }

    pub(crate) fn bear_with(
        &mut self,
        runs: &mut Runs,
        script: &str,
        special: Special<'_>,
        stdin: OwnedFd,
    ) -> (Kid, Born) {
        self.last += 1;
        let (run, id) = (RunId(self.last), InvocationId(sys::random_u64().into()));
        let Special { env, uid, notify, helps } = special;
        let invocation = helps.unwrap_or(id);
        runs.expect(run, helps.map_or(Trace::Run(id), |_| Trace::Helper(id)), Wall(clock::now().1));

        let (reader, stdout) = pipe().unwrap();
        let stderr: OwnedFd = File::options().write(true).open("/dev/null").unwrap().into();
        let mut env = env;
        env.push(("PATH", std::env::var("PATH").unwrap()));
        env.push(("PROCESS_INVOCATION_ID", invocation.to_string()));
        if helps.is_some() {
            env.push(("PROCESS_HELPER_ID", id.to_string()));
        }
        if let Some(socket) = &notify {
            env.push(("NOTIFY_SOCKET", socket.path().to_str().unwrap().to_owned()));
        }
        let c = |text: &str| CString::new(text).unwrap();
        let program = Program {
            path: c("/bin/sh"),
            argv: ["sh", "-c", script].map(c).into(),
            env: env.into_iter().map(|(name, value)| c(&format!("{name}={value}"))).collect(),
        };
        let leaf = self.delegated.as_ref().map(|d| d.leaf(&format!("test.{id}")).unwrap());
        let credentials = uid.map(|uid| Credentials { uid, gid: uid, groups: vec![uid] });
        let request = Request {
            program: &program,
            stdio: Stdio { stdin, stdout: stdout.into(), stderr },
            working_dir: Some(c"/"),
            credentials: credentials.as_ref(),
            umask: 0o022,
            cgroup: leaf.as_ref().map(sys::cgroup::Leaf::dir),
            isolation: Isolation::NONE,
        };
        let child = self.spawner.spawn(request).unwrap();
        let uid = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        let output = File::from(OwnedFd::from(reader));
        let kid = Kid { run, pid: child.pid, invocation, input: None, output };
        let limited = Limited { limits: model::ResourceLimits::default(), degraded: None };
        (kid, Born { child, uid, leaf, notify, limited })
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self { nursery: Nursery::new(), runs: Runs::default(), poller: Poller::new().unwrap() }
    }

    /// Starts a shell and watches it.
    pub(crate) fn start(&mut self, script: &str) -> Kid {
        self.start_as(script, Special::default())
    }

    pub(crate) fn start_as(&mut self, script: &str, special: Special<'_>) -> Kid {
        let (kid, born) = self.nursery.bear(&mut self.runs, script, special);
        self.runs.born(kid.run, born);
        self.runs.arm(kid.run, &self.poller);
        assert!(self.runs.listen(kid.run, &self.poller));
        kid
    }

    pub(crate) fn adopt(&mut self, run: RunId, pid: u32) -> Result<(), NotAdopted> {
        self.runs.new_turn();
        self.runs.adopt_main(run, pid, &self.poller)
    }

    pub(crate) fn wait_for(&mut self, wanted: Token) {
        wait_for(&mut self.poller, wanted);
        self.runs.new_turn();
    }

    /// Waits for the end of the main process; its status, and what it left.
    pub(crate) fn end(&mut self, run: RunId) -> (ExitStatus, Vec<u32>) {
        self.wait_for(Token::Main(run));
        let mut ends = self.runs.mains_ended(&BTreeSet::from([run]), &self.poller);
        let end = ends.pop().expect("it is alive");
        (end.status, end.leftovers)
    }

    /// Waits until something of what is left has ended; the others.
    pub(crate) fn left(&mut self, run: RunId) -> Vec<u32> {
        loop {
            self.wait_for(Token::Leftover(run));
            let mut changed = self.runs.leftovers_changed(BTreeSet::from([run]), &self.poller);
            if let Some((_, pids)) = changed.pop() {
                return pids;
            }
        }
    }

    /// Waits until nothing but these is left: what is on its way out may still be there.
    pub(crate) fn settles(&mut self, run: RunId, pids: &[u32]) {
        while self.runs.told(run).is_some_and(|told| told != pids) {
            self.left(run);
        }
    }

    pub(crate) fn release(&mut self, run: RunId) {
        assert!(self.runs.release(run, &self.poller, &mut Closer::default()));
    }

    /// Kills all of it, waits until nothing is left, and lets go.
    pub(crate) fn clear(&mut self, run: RunId) {
        self.runs.new_turn();
        self.runs.kill(run);
        if self.runs.has_main(run) {
            self.end(run);
        }
        self.settles(run, &[]);
        self.release(run);
    }
}

/// Nothing that a test started outlives it.
impl Drop for World {
    fn drop(&mut self) {
        let runs: Vec<RunId> = self.runs.runs.keys().copied().collect();
        if std::thread::panicking() {
            runs.into_iter().for_each(|run| self.runs.kill(run));
        } else {
            runs.into_iter().for_each(|run| self.clear(run));
        }
    }
}

impl Kid {
    pub(crate) fn line(&mut self) -> String {
        line(&mut self.output)
    }

    /// The next line of output, a pid.
    pub(crate) fn line_pid(&mut self) -> u32 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("{line:?} is no pid"))
    }

    /// Tells a script that waits for input to go on.
    pub(crate) fn go_on(&mut self) {
        self.input = None;
    }
}

/// The next line of output, byte by byte: what follows it stays in the pipe.
pub(crate) fn line(output: &mut File) -> String {
    let mut line = Vec::new();
    loop {
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(30_000_u16)), Ok(1), "it prints nothing");
        let mut byte = [0];
        match output.read(&mut byte).unwrap() {
            1 if byte != *b"\n" => line.push(byte[0]),
            _ => return String::from_utf8(line).unwrap(),
        }
    }
}

/// Waits until this becomes ready, and whatever does beside it.
pub(crate) fn wait_for(poller: &mut Poller, wanted: Token) -> Vec<Token> {
    let patience = Mono(clock::now().0 + PATIENCE);
    let mut ready = Vec::new();
    while !ready.contains(&wanted) {
        assert!(clock::now().0 < patience.0, "waited in vain for {wanted:?}");
        poller.wait(Mono(clock::now().0), Some(patience), &mut ready);
    }
    ready
}

/// Sends SIGKILL and waits for the end.
pub(crate) fn kill(pid: u32) {
    let fd = pidfd::open(pid).unwrap();
    pidfd::send_signal(fd.as_fd(), Nix::SIGKILL as i32).unwrap();
    wait_end(&fd);
}

pub(crate) fn wait_end(pidfd: &OwnedFd) {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(30_000_u16)), Ok(1), "it does not end");
}

/// Whether nothing of this pid is left, a zombie neither.
pub(crate) fn is_gone(pid: u32) -> bool {
    tree::stat(pid).is_none()
}
