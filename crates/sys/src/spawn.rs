//! vfork + exec with a pidfd, a cgroup, a user and clean descriptors; failures come back as (stage, errno).
//!
//! [`Spawner::spawn`] returns when the program has been executed or the attempt has failed, never in between. The
//! daemon's memory is not copied and its table of descriptors only up to three low slots, so a spawn costs the same
//! whether the daemon has ten processes or ten thousand.
//!
//! The new program gets exactly: descriptors 0, 1 and 2; an own session and process group; default signal actions and
//! an empty mask; no capability that its user doesn't have by itself; the limit on open files that the daemon had
//! before [`raise_open_files`](crate::limits::raise_open_files). Other limits, niceness and oom_score_adj are the
//! daemon's, unless an [`Isolation`] says otherwise.
//!
//! After the first spawn that switches users, the kernel treats the daemon as not dumpable (prctl(2),
//! PR_SET_DUMPABLE): its memory was for a moment that of a process of another user, so no core is dumped and only
//! root can attach a debugger. That is not undone: it protects the daemon while such a child exists.

pub(crate) mod child;
mod resolve;
mod slots;
mod stage;
pub(crate) mod vfork;

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;

pub use crate::credentials::Credentials;
pub use crate::limits::{Limit, Resource};
use crate::{limits, pidfd};
use child::Plan;
pub use resolve::{ResolveError, resolve_program};
use slots::Slots;
pub use stage::{SpawnError, Stage};
use vfork::{Kind, Stack};

/// The three standard descriptors of a child. They may have any number, and may be the same file.
#[derive(Debug)]
pub struct Stdio {
    /// Becomes 0.
    pub stdin: OwnedFd,
    /// Becomes 1.
    pub stdout: OwnedFd,
    /// Becomes 2.
    pub stderr: OwnedFd,
}

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Absolute: nothing is searched here (see [`resolve_program`]).
    pub path: CString,
    /// With argv\[0\].
    pub argv: Vec<CString>,
    /// `NAME=value`; the whole environment.
    pub env: Vec<CString>,
}

/// One spawn. The descriptors are closed on our side whatever comes of it.
#[derive(Debug)]
pub struct Request<'a> {
    /// What to execute.
    pub program: &'a Program,
    /// Its standard descriptors.
    pub stdio: Stdio,
    /// Entered as the new user; `None` = the daemon's.
    pub working_dir: Option<&'a CStr>,
    /// Who it runs as; `None` = as the daemon. What equals the daemon's own is not set, so this needs no privilege
    /// when nothing differs.
    pub credentials: Option<&'a Credentials>,
    /// File mode creation mask.
    pub umask: u32,
    /// Directory of the cgroup v2 that it is born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// What it is given beside that; the default costs nothing.
    pub isolation: &'a Isolation,
}

/// Limits, priorities and privileges of a child. What is not named is the daemon's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Limits of setrlimit(2), set with the daemon's privileges.
    pub rlimits: Vec<(Resource, Limit)>,
    /// -20 to 19.
    pub nice: Option<i32>,
    /// What is written to /proc/self/oom_score_adj.
    pub oom_score_adj: Option<CString>,
    /// Capabilities that it keeps although its user is not root; bit 0 is CAP_CHOWN.
    pub capabilities: u64,
    /// Nothing that it executes gains privileges.
    pub no_new_privileges: bool,
}

impl Isolation {
    /// Nothing but the daemon's.
    pub const NONE: &'static Self = &Self {
        rlimits: Vec::new(),
        nice: None,
        oom_score_adj: None,
        capabilities: 0,
        no_new_privileges: false,
    };
}

/// A process that executes its program.
#[derive(Debug)]
pub struct Child {
    /// Its pid, which is also its session and its process group. Stays its own until it is reaped.
    pub pid: u32,
    /// Readable when it has ended. Close-on-exec.
    pub pidfd: OwnedFd,
}

/// Spawns, one at a time; have one per spawning thread. Make it early: its three descriptors should be low.
#[derive(Debug)]
pub struct Spawner {
    stack: Stack,
    slots: Slots,
    /// Signals that this process ignores, which a child would go on ignoring; bit 0 is signal 1.
    ignored: u64,
}

impl Spawner {
    /// Maps the child's stack (64 KiB and a guard) and reserves three descriptors and a placeholder.
    ///
    /// What this process ignores from now on, a child will ignore as well.
    ///
    /// If SIGCHLD is ignored, which a program may inherit from whoever started it, it gets its default action: else
    /// the kernel would throw away how children ended.
    ///
    /// # Errors
    /// Out of memory or out of descriptors.
    pub fn new() -> io::Result<Self> {
        keep_statuses()?;
        Ok(Self { stack: Stack::new()?, slots: Slots::new()?, ignored: ignored_signals() })
    }

    /// Executes a program in a new process.
    ///
    /// The thread sleeps until execve is done: well below a millisecond, or as long as the file system takes to
    /// deliver the program. Children belong to the calling thread: if it ends, they become children of the main thread.
    ///
    /// # Errors
    /// [`SpawnError`] says where it failed. Nothing of the attempt is left: the child has been reaped.
    pub fn spawn(&mut self, request: Request<'_>) -> Result<Child, SpawnError> {
        let Request { program, stdio, working_dir, credentials, umask, cgroup, isolation } = request;
        let switch = credentials.map(Credentials::difference).transpose()?.unwrap_or_default();
        let (argv, envp) = (pointers(&program.argv), pointers(&program.env));
        self.slots.fill(&stdio).map_err(SpawnError::at(Stage::Descriptors))?;
        let plan = Plan {
            path: program.path.as_ptr(),
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            stdio: self.slots.numbers(),
            last_slot: self.slots.last(),
            groups: switch.groups.as_ref().map(|groups| (groups.len(), groups.as_ptr())),
            gid: switch.gid,
            uid: switch.uid,
            umask,
            ignored: self.ignored,
            open_files: limits::of_children(),
            rlimits: (isolation.rlimits.len(), isolation.rlimits.as_ptr()),
            nice: isolation.nice,
            oom_score_adj: isolation
                .oom_score_adj
                .as_ref()
                .map(|text| (text.as_ptr(), text.as_bytes().len())),
            capabilities: isolation.capabilities,
            no_new_privileges: isolation.no_new_privileges,
            working_dir: working_dir.map_or(ptr::null(), CStr::as_ptr),
            report: child::Report::default(),
        };
        let kind = Kind { exit_signal: libc::SIGCHLD, cgroup };
        // JUSTIFICATION: the purpose of this module.
        // SAFETY: `become_program` is of `child` and wants a Plan; its pointers are to strings and vectors that live
        // to the end of this function, argv and envp end with null, and the slots are open and above 2.
        let born =
            unsafe { vfork::vfork(&mut self.stack, &kind, child::become_program, (&raw const plan).cast()) };
        self.slots.clear();
        let (pid, pidfd) =
            born.map_err(|errno| SpawnError { stage: stage_of_clone(cgroup, errno), errno })?;
        if let Some((stage, errno)) = plan.report.failure() {
            // It has left our memory but may not be a zombie yet, hence the blocking wait.
            pidfd::wait_gone(pidfd.as_fd());
            return Err(SpawnError { stage, errno: Errno::from_raw(errno) });
        }
        Ok(Child { pid, pidfd })
    }
}

/// Leaves a handler alone, if there is one.
fn keep_statuses() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // JUSTIFICATION: nix can read an action only by replacing it.
    // SAFETY: without a new action nothing changes, and the old one is written to memory of its type.
    let got = unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) };
    Errno::result(got)?;
    // JUSTIFICATION: a C struct of numbers.
    // SAFETY: zeros are valid, and so is what the kernel wrote.
    let mut action = unsafe { action.assume_init() };
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    // JUSTIFICATION: as above.
    // SAFETY: it is the action that was in force, or the default one: no new code becomes a handler.
    let set = unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
    Errno::result(set).map(drop).map_err(Into::into)
}

/// Looked up once: a program decides at its start what it ignores, and asking for each of 64 signals at each spawn
/// costs as much as the rest of the child's preparation. When it can't be known, all are taken for ignored.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX)
}

/// clone3 fails for the cgroup's sake with errors of its own (clone(2), CLONE_INTO_CGROUP).
fn stage_of_clone(cgroup: Option<BorrowedFd<'_>>, errno: Errno) -> Stage {
    match errno {
        Errno::EACCES | Errno::EBUSY | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOENT | Errno::EBADF
            if cgroup.is_some() =>
        {
            Stage::Cgroup
        }
        _ => Stage::Clone,
    }
}

/// The array that execve wants: pointers, and a null at the end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    /// CAP_NET_RAW of linux/capability.h.
    const CAP_NET_RAW: u32 = 13;

    /// Makes a capability of this thread one that execve hands on, as `AmbientCapabilities=` does.
    fn raise_ambient() -> bool {
        let (header, mut sets) = ([0x2008_0522_u32, 0], [0_u32; 6]);
        let mut args = [header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0];
        // JUSTIFICATION: neither std nor nix knows capabilities.
        // SAFETY: a header of version 3 with room for its two times three sets.
        assert_eq!(unsafe { crate::arch::syscall(libc::SYS_capget, args) }, 0);
        let [effective, permitted, inheritable, rest @ ..] = sets;
        let raised = [effective, permitted, inheritable | 1 << CAP_NET_RAW, rest[0], rest[1], rest[2]];
        args[1] = raised.as_ptr() as usize;
        // JUSTIFICATION: as above.
        // SAFETY: as above.
        if unsafe { crate::arch::syscall(libc::SYS_capset, args) } != 0 {
            return false;
        }
        let [option, raise] = [libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE].map(i32::unsigned_abs);
        let args = [option as usize, raise as usize, CAP_NET_RAW as usize, 0, 0];
        // JUSTIFICATION: as above.
        // SAFETY: four numbers.
        unsafe { crate::arch::syscall(libc::SYS_prctl, args) == 0 }
    }

    fn ambient(status: &str) -> u64 {
        let set = status.lines().find_map(|line| line.strip_prefix("CapAmb:\t")).unwrap();
        u64::from_str_radix(set, 16).unwrap()
    }

    #[test]
    fn ambient_capabilities_end_with_the_daemon() {
        // On a thread of its own, as this is for the thread.
        let test = || {
            let raised = raise_ambient();
            assert_eq!(raised, nix::unistd::geteuid().is_root());
            let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            assert_eq!(ambient(&own), u64::from(raised) << CAP_NET_RAW);

            let mut output = tempfile::tempfile().unwrap();
            let null = || File::open("/dev/null").unwrap().into();
            let program = Program {
                path: c"/bin/cat".into(),
                argv: vec![c"cat".into(), c"/proc/self/status".into()],
                env: vec![],
            };
            let request = Request {
                program: &program,
                stdio: Stdio { stdin: null(), stdout: output.try_clone().unwrap().into(), stderr: null() },
                working_dir: None,
                credentials: None,
                umask: 0o022,
                cgroup: None,
                isolation: Isolation::NONE,
            };
            let child = Spawner::new().unwrap().spawn(request).unwrap();
            let mut ended = [PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut ended, PollTimeout::from(30_000_u16)), Ok(1));
            pidfd::reap(child.pidfd.as_fd()).unwrap().unwrap();
            let mut status = String::new();
            output.rewind().unwrap();
            output.read_to_string(&mut status).unwrap();
            assert_eq!(ambient(&status), 0);
        };
        std::thread::spawn(test).join().unwrap();
    }
}
