//! Starting the supervisor, and the handle through which everybody else speaks with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use model::{Command, Counters, ProcessId, ProcessName, ProcessView, Refusal, Snapshot};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::board::Board;
use crate::containment::{Containment, Runs};
use crate::driver::{Driver, Pidfiles, Shared, Turn, Turns};
use crate::inbox::{AliveFn, Inbox, ReplyFn};
use crate::machine::Machine;
use crate::notify::{Closer, Counts, NoticeStats};
use crate::poller::{Poller, Token};
use crate::prober::Prober;
use crate::spawner::{Directories, Pool, Spawners};
use crate::stdio::{Observer, StdioProvider};

/// How the supervisor is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads that spawn, at least 1.
    pub spawners: usize,
    /// How descendants are known.
    pub containment: Containment,
    /// The daemon's own environment: what `inherit_env` takes from, and LANG.
    pub base_env: BTreeMap<OsString, OsString>,
    /// Where the sockets are made that processes report to (`NOTIFY_SOCKET`); created when it is first needed.
    pub notify_dir: PathBuf,
    /// Where `runtime_directory` is made; created when it is first needed.
    pub process_dirs: PathBuf,
    /// Where an earlier daemon's counts ended; see [`Counters`].
    pub past: BTreeMap<ProcessId, Counters>,
}

impl Config {
    /// Two threads that vfork side by side already start processes faster than one loop that does nothing else; more
    /// of them wait for the same kernel locks.
    pub const SPAWNERS: usize = 2;
}

/// The supervisor could not be started. Nothing has been spawned.
#[derive(Debug, thiserror::Error)]
#[error("the supervisor can't start: {what}: {source}")]
pub struct StartError {
    /// What could not be had.
    pub what: &'static str,
    /// Why.
    pub source: io::Error,
}

/// How long the supervisor's turns took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnStats {
    /// Turns so far.
    pub count: u64,
    /// Turns within each of [`TurnStats::BOUNDS`] and not within the one before; last, those beyond all.
    pub buckets: [u64; Self::BOUNDS.len() + 1],
    /// The longest one.
    pub longest: Duration,
    /// All together, without the time asleep.
    pub total: Duration,
    /// Looks at processes in /proc: most of the cost of ends where there are no cgroups.
    pub looks: u64,
}

impl TurnStats {
    /// What turns are counted by: from one that has nothing to do to one that everybody notices.
    pub const BOUNDS: [Duration; 12] = [
        Duration::from_micros(10),
        Duration::from_micros(25),
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(50),
        Duration::from_millis(250),
        Duration::from_secs(1),
    ];
}

/// Speaks with the supervisor. Cheap to clone; the supervisor lives on when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Asks for something. `reply` is called once with the outcome, on the supervisor's thread: it must not block.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when 64 commands wait already, [`Refusal::ShuttingDown`] after the end; `reply` is dropped
    /// then, not called.
    pub fn submit(&self, command: Command, reply: ReplyFn) -> Result<(), Refusal> {
        self.shared.inbox.submit(command, reply)
    }

    /// Asks whether the loop turns: `answer` is called at the end of its next turn, on the supervisor's thread, and must
    /// not block. It is dropped when the loop has ended or somebody else asks meanwhile. For a watchdog: the question
    /// has a place of its own, so that a queue full of commands does not look like a loop that hangs.
    pub fn ask_alive(&self, answer: AliveFn) {
        self.shared.inbox.ask_alive(answer);
    }

    /// All processes as of the last turn. Costs one pointer copy per process.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.board.snapshot()
    }

    /// One process as of the last turn.
    #[must_use]
    pub fn view(&self, name: &ProcessName) -> Option<Arc<ProcessView>> {
        self.shared.board.view(name)
    }

    /// How long turns take.
    #[must_use]
    pub fn turns(&self) -> TurnStats {
        self.shared.turns.read()
    }

    /// What processes said of themselves, and what of it was ignored.
    #[must_use]
    pub fn notices(&self) -> NoticeStats {
        self.shared.notices.read()
    }
}

/// Starts the supervisor's thread and its spawners. It ends after [`Command::Shutdown`] was answered.
///
/// SIGCHLD must be blocked in every thread of the process, the main thread first of all; see the crate's page.
///
/// # Errors
/// When the kernel refuses a descriptor, a thread or the role of a subreaper, or when /proc can't be read.
pub fn start(
    config: Config,
    stdio: Arc<dyn StdioProvider>,
    prober: Arc<dyn Prober>,
    observer: Box<dyn Observer>,
) -> Result<(Handle, JoinHandle<()>), StartError> {
    let driver = build(config, stdio, prober, observer)?;
    let shared = Arc::clone(&driver.shared);
    let guard = CloseOnExit(Arc::clone(&shared));
    let body = move || {
        let _guard = guard;
        // A blocked signal is what makes the kernel keep it for the signalfd.
        let _can_not_fail = sigchld().thread_block();
        driver.run();
    };
    let thread = Builder::new().name("supervisor".into()).spawn(body).map_err(failed("its thread"))?;
    Ok((Handle { shared }, thread))
}

/// Everything but the thread.
pub(crate) fn build(
    config: Config,
    stdio: Arc<dyn StdioProvider>,
    prober: Arc<dyn Prober>,
    observer: Box<dyn Observer>,
) -> Result<Driver, StartError> {
    let Config { spawners, containment, base_env, notify_dir, process_dirs, past } = config;
    // With cgroups, too: whoever is told that a process is stopped should not find its zombies at init's.
    sys::tree::become_subreaper().map_err(failed("becoming a subreaper"))?;
    let delegated = match containment {
        Containment::Cgroup(delegated) => Some(delegated),
        Containment::Subreaper => {
            sys::tree::orphans().map_err(failed("reading the list of children in /proc"))?;
            None
        }
    };
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let children = SignalFd::with_flags(&sigchld(), flags).map_err(failed("a signalfd"))?;
    let inbox = Inbox::new().map_err(failed("an eventfd"))?;
    let poller = Poller::new().map_err(failed("an epoll instance"))?;
    poller.add(&inbox, Token::Inbox).map_err(failed("watching the inbox"))?;
    poller.add(&children, Token::Children).map_err(failed("watching for dead children"))?;

    let shared = Arc::new(Shared {
        inbox,
        board: Board::default(),
        turns: Turns::default(),
        notices: Counts::default(),
    });
    let pool = Pool {
        shared: Arc::clone(&shared),
        stdio: Arc::clone(&stdio),
        delegated,
        base_env,
        notify_dir,
        directories: Directories::new(process_dirs),
        own_account: OnceLock::new(),
    };
    let spawners = Spawners::start(spawners, pool).map_err(failed("the spawner threads"))?;
    Ok(Driver {
        machine: Machine::with_past(sys::random_u64(), past),
        runs: Runs::default(),
        poller,
        children,
        spawners,
        stdio,
        prober,
        observer,
        pidfiles: Pidfiles::new(Arc::clone(&shared)),
        closer: Closer::default(),
        shared,
        turn: Turn::default(),
    })
}

fn sigchld() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set
}

/// Should the supervisor's thread ever panic, callers are refused instead of waiting for ever.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        drop(self.0.inbox.close());
    }
}

fn failed<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> StartError {
    move |source| StartError { what, source: source.into() }
}
