//! The threads that spawn: everything between the decision to start a process and its first instruction.
//!
//! Name services may ask a server, a log file or a file of variables may lie on a disk that hangs, vfork(2) holds its
//! thread until the child has executed: none of that may delay the supervisor. What comes back is a pid, a failure that
//! names the step, the thing and the way out, or the condition for which nothing was tried.

mod conditions;
mod directories;
mod environment;
mod environment_file;
mod failure;
mod launch;
mod limits;
mod reserve;
mod run;
mod task;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

use model::{InvocationId, ProcessName, ResourceLimits, RunId, RunNumber, SpawnFailure};
use sys::cgroup::{Delegated, Leaf};
use sys::credentials::Resolved;
use sys::spawn::Child;

use crate::driver::Shared;
use crate::notify::NotifySocket;
use crate::stdio::{RunInfo, StdioProvider};
pub(crate) use directories::Directories;
use environment::Environment;
use launch::{Launch, launcher};
pub(crate) use limits::refused;

/// What became of a spawn.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) run: RunId,
    pub(crate) result: Spawned,
}

/// The three ways in which a spawn ends.
#[derive(Debug)]
pub(crate) enum Spawned {
    /// The program was executed.
    Born(Born),
    /// It was not.
    Failed(SpawnFailure),
    /// It was not even tried, as this condition does not hold.
    Skipped(String),
    /// It ran already, and its limits were changed.
    Limited(Limited),
}

/// What came of limits.
#[derive(Debug)]
pub(crate) struct Limited {
    /// Which were to be set.
    pub(crate) limits: ResourceLimits,
    /// What of them is not in force, in words.
    pub(crate) degraded: Option<String>,
}

/// New limits for a run that is there.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) run: RunId,
    pub(crate) process: ProcessName,
    pub(crate) invocation: InvocationId,
    pub(crate) old: ResourceLimits,
    pub(crate) new: ResourceLimits,
}

/// What spawner threads do: everything around a run that may take its time.
enum Job {
    Spawn(RunInfo),
    /// Writing to a cgroup waits while the kernel takes memory back.
    Limit(Change),
    /// The directories of a run that is over.
    CleanUp(ProcessName, RunNumber),
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) child: Child,
    /// Who it runs as.
    pub(crate) uid: u32,
    /// Its cgroup, where there is a delegated one.
    pub(crate) leaf: Option<Leaf>,
    /// The socket that it reports to, if it does.
    pub(crate) notify: Option<NotifySocket>,
    /// What of its limits is not in force.
    pub(crate) limited: Limited,
}

/// What all spawner threads work with.
pub(crate) struct Pool {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stdio: Arc<dyn StdioProvider>,
    pub(crate) delegated: Option<Arc<Delegated>>,
    pub(crate) base_env: Environment,
    /// Where the sockets are made that processes report to.
    pub(crate) notify_dir: PathBuf,
    pub(crate) directories: Directories,
    /// The daemon's own user, once it was looked up. It stays the same, and reading /etc/passwd again at each start
    /// takes a good part of the time of a restart.
    pub(crate) own_account: OnceLock<Resolved>,
}

/// The spawner threads.
pub(crate) struct Spawners {
    jobs: Arc<Jobs>,
    threads: Vec<JoinHandle<()>>,
}

/// What is to be done, first come first served. At most four per process: a run (or a hook of it), a health check, a change
/// of limits, as the machine begins no second one of each before it knows of the first one's fate, and the cleaning up
/// after a run; so the process table bounds it.
#[derive(Default)]
struct Jobs {
    queue: Mutex<Queue>,
    ready: Condvar,
}

/// Room that the queue keeps when it is empty.
const KEPT: usize = 16;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Spawners {
    /// Starts `count` threads, but at least one.
    pub(crate) fn start(count: usize, pool: Pool) -> io::Result<Self> {
        let (jobs, pool) = (Arc::new(Jobs::default()), Arc::new(pool));
        let mut spawners = Self { jobs, threads: Vec::new() };
        for number in 1..=count.max(1) {
            let (jobs, pool) = (Arc::clone(&spawners.jobs), Arc::clone(&pool));
            let started = launcher().and_then(|launcher| {
                let name = format!("spawn-{number}");
                Builder::new().name(name).spawn(move || pool.work(&jobs, launcher))
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
        self.put(Job::Spawn(run));
    }

    /// Queues a change of limits; its [`Outcome`] comes through the inbox.
    pub(crate) fn limit(&self, change: Change) {
        self.put(Job::Limit(change));
    }

    /// Queues the removal of the directories that were made for the runs of a process up to this one.
    pub(crate) fn clean_up(&self, process: ProcessName, run: RunNumber) {
        self.put(Job::CleanUp(process, run));
    }

    fn put(&self, job: Job) {
        self.jobs.lock().jobs.push_back(job);
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
    /// What to do next; `None` = the end.
    fn next(&self) -> Option<Job> {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let mut queue = self.ready.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let job = queue.jobs.pop_front();
        if queue.jobs.is_empty() {
            // A job is large, and a start of everything queues one for each process.
            queue.jobs.shrink_to(KEPT);
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn work(&self, jobs: &Jobs, mut launcher: Box<dyn Launch>) {
        while let Some(job) = jobs.next() {
            match job {
                Job::Spawn(info) => {
                    let result = self.run(&mut *launcher, &info);
                    self.shared.inbox.report(Outcome { run: info.run, result });
                }
                Job::Limit(change) => {
                    let result = Spawned::Limited(self.change_limits(&change));
                    self.shared.inbox.report(Outcome { run: change.run, result });
                }
                Job::CleanUp(process, run) => self.directories.remove(&process, run),
            }
        }
    }

    fn change_limits(&self, change: &Change) -> Limited {
        let leaf = crate::containment::leaf_name(&change.process, change.invocation);
        let degraded = limits::change(self.delegated.as_deref(), &leaf, &change.old, &change.new);
        Limited { limits: change.new, degraded }
    }
}
