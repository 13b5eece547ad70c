//! The threads that spawn: everything between the decision to start a process and its first instruction.
//!
//! Name services may ask a server, a log file may lie on a disk that hangs, vfork(2) holds its thread until the
//! child has executed: none of that may delay the supervisor. What comes back is a pid, or a failure that names the
//! step, the thing and the way out.

mod environment;
mod failure;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

use model::{ExecSpec, RunId, SpawnFailure, SpawnStage};
use sys::cgroup::{Delegated, Leaf};
use sys::credentials::{self, Resolved};
use sys::spawn::{Child, Program, Request, Spawner, Stdio, resolve_program};

use crate::driver::Shared;
use crate::stdio::{Attach, ChildStdio, RunInfo, StdioProvider};
use failure::Attempt;

/// umask of a process that names none.
const UMASK: u32 = 0o022;

/// What became of a spawn.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) run: RunId,
    pub(crate) result: Result<Born, SpawnFailure>,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) child: Child,
    /// Who it runs as.
    pub(crate) uid: u32,
    /// Its cgroup, where there is a delegated one.
    pub(crate) leaf: Option<Leaf>,
}

/// What all spawner threads work with.
pub(crate) struct Pool {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stdio: Arc<dyn StdioProvider>,
    pub(crate) delegated: Option<Arc<Delegated>>,
    pub(crate) base_env: BTreeMap<OsString, OsString>,
    /// The daemon's own user, once it was looked up. It stays the same, and reading /etc/passwd again at each start
    /// takes a good part of the time of a restart.
    pub(crate) own_account: OnceLock<Resolved>,
}

/// The spawner threads.
pub(crate) struct Spawners {
    jobs: Arc<Jobs>,
    threads: Vec<JoinHandle<()>>,
}

/// Runs to spawn, first come first served. At most one per process, as the machine starts no second run before it
/// knows of the first one's fate; so the process table bounds it.
#[derive(Default)]
struct Jobs {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    runs: VecDeque<RunInfo>,
    closed: bool,
}

impl Spawners {
    /// Starts `count` threads, but at least one.
    pub(crate) fn start(count: usize, pool: Pool) -> io::Result<Self> {
        let (jobs, pool) = (Arc::new(Jobs::default()), Arc::new(pool));
        let mut spawners = Self { jobs, threads: Vec::new() };
        for number in 1..=count.max(1) {
            let (jobs, pool) = (Arc::clone(&spawners.jobs), Arc::clone(&pool));
            let started = Spawner::new().and_then(|spawner| {
                let name = format!("spawn-{number}");
                Builder::new().name(name).spawn(move || pool.work(&jobs, spawner))
            });
            match started {
                Ok(thread) => spawners.threads.push(thread),
                Err(error) => {
                    spawners.join();
                    return Err(error);
                }
            }
        }
        Ok(spawners)
    }

    /// Queues a run; its [`Outcome`] comes through the inbox.
    pub(crate) fn spawn(&self, run: RunInfo) {
        self.jobs.lock().runs.push_back(run);
        self.jobs.ready.notify_one();
    }

    /// Ends the threads, once what is queued has been spawned, and waits for them.
    pub(crate) fn join(self) {
        self.jobs.lock().closed = true;
        self.jobs.ready.notify_all();
        for thread in self.threads {
            let _panicked = thread.join();
        }
    }
}

impl Jobs {
    /// The next run to spawn; `None` = the end.
    fn next(&self) -> Option<RunInfo> {
        let idle = |queue: &mut Queue| queue.runs.is_empty() && !queue.closed;
        let mut queue = self.ready.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        queue.runs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a spawn needs, found and checked.
struct Prepared {
    account: Resolved,
    /// Whether the account is another one than the daemon's.
    switch: bool,
    program: Program,
    path: PathBuf,
    working_dir: CString,
    stdio: ChildStdio,
    attach: Attach,
}

impl Pool {
    fn work(&self, jobs: &Jobs, mut spawner: Spawner) {
        while let Some(info) = jobs.next() {
            // A panic in here must not leave a process in `starting` for ever.
            let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(&info)))
                .unwrap_or_else(|_| Err(failure::panicked(&info.spec.name)));
            let result = prepared.and_then(|prepared| self.spawn(&mut spawner, &info, prepared));
            self.shared.inbox.report(Outcome { run: info.run, result });
        }
    }

    fn prepare(&self, info: &RunInfo) -> Result<Prepared, SpawnFailure> {
        let exec = &info.spec.exec;
        let switch = exec.user.is_some() || exec.group.is_some() || exec.supplementary_groups.is_some();
        let account = self.account(exec, switch)?;
        let env = environment::build(info, &account, &self.base_env);
        let working_dir = exec.working_dir.clone().unwrap_or_else(|| PathBuf::from("/"));
        let path_var = env.get(OsStr::new(environment::PATH)).map(OsString::as_os_str);
        let path = resolve_program(OsStr::new(&exec.program), path_var, Some(&working_dir))
            .map_err(|error| failure::program(exec, &error))?;

        let mut argv = vec![c_string(exec.program.as_bytes())?];
        for arg in &exec.args {
            argv.push(c_string(arg.as_bytes())?);
        }
        let mut envp = Vec::with_capacity(env.len());
        for (name, value) in &env {
            envp.push(c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        let program = Program { path: c_path(&path)?, argv, env: envp };
        let working_dir = c_path(&working_dir)?;
        // Last, so that whatever is missing is found before a pipe or a log file is opened.
        let (stdio, attach) = self.stdio.open(info).map_err(failure::stdio)?;
        Ok(Prepared { account, switch, program, path, working_dir, stdio, attach })
    }

    /// Who the process runs as.
    fn account(&self, exec: &ExecSpec, switch: bool) -> Result<Resolved, SpawnFailure> {
        if let (false, Some(own)) = (switch, self.own_account.get()) {
            return Ok(own.clone());
        }
        let groups = exec.supplementary_groups.as_deref();
        let account = credentials::lookup(exec.user.as_deref(), exec.group.as_deref(), groups)
            .map_err(|error| failure::account(exec, error))?;
        if !switch {
            // Another spawner may have been first: with the same answer.
            let _already_known = self.own_account.set(account.clone());
        }
        Ok(account)
    }

    fn spawn(&self, spawner: &mut Spawner, info: &RunInfo, prepared: Prepared) -> Result<Born, SpawnFailure> {
        let Prepared { account, switch, program, path, working_dir, stdio, attach } = prepared;
        // The invocation id keeps it apart from what an earlier daemon may have left under the same name.
        let leaf_name = format!("{}.{}", info.spec.name, info.invocation);
        let leaf = self.delegated.as_ref().map(|d| d.leaf(&leaf_name)).transpose();
        let leaf = leaf.map_err(|error| failure::cgroup(&leaf_name, &error))?;
        let request = Request {
            program: &program,
            stdio: Stdio { stdin: stdio.stdin, stdout: stdio.stdout, stderr: stdio.stderr },
            working_dir: Some(&working_dir),
            credentials: switch.then_some(&account.credentials),
            umask: info.spec.exec.umask.unwrap_or(UMASK),
            cgroup: leaf.as_ref().map(Leaf::dir),
        };
        match spawner.spawn(request) {
            Ok(child) => {
                let pid = child.pid;
                // The process runs: it must be reported, whatever happens to its log.
                let _panicked = catch_unwind(AssertUnwindSafe(|| attach(pid)));
                Ok(Born { child, uid: account.credentials.uid, leaf })
            }
            Err(error) => {
                let _empty = leaf.as_ref().map(Leaf::remove);
                let exec = &info.spec.exec;
                Err(failure::explain(&error, &Attempt { exec, account: &account, path: &path }))
            }
        }
    }
}

fn c_path(path: &Path) -> Result<CString, SpawnFailure> {
    c_string(path.as_os_str().as_bytes())
}

/// The kernel's strings end at a NUL, so none can hold one.
fn c_string(bytes: &[u8]) -> Result<CString, SpawnFailure> {
    CString::new(bytes).map_err(|_| SpawnFailure {
        stage: SpawnStage::Resolve,
        errno: 0,
        subject: String::from_utf8_lossy(bytes).into_owned(),
        message: "holds a NUL character".into(),
        hint: "take it out of command, args, env or working_dir".into(),
    })
}
