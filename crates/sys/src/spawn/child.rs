//! The child between clone and execve. RULE: only async-signal-safe code in this file.
//!
//! It runs in the parent's memory, on a borrowed stack, while the parent thread sleeps and all the other threads go
//! on. So: no allocation, no lock, nothing thread-local (not even errno: system calls are raw), nothing that may
//! panic (no indexing, no arithmetic that can overflow, no unwrap), no function of libc. All it needs was prepared
//! by the parent in a [`Plan`]; all it has to say goes into its [`Report`].

use core::convert::Infallible;
use core::ffi::{c_char, c_int, c_long, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::Stage;
use crate::arch::syscall;
use crate::limits::{Limit, Resource};

/// The kernel's name for a range of descriptors with no end.
const NO_END: usize = c_uint::MAX as usize;
/// linux/close_range.h: unshare the table first, copying only what is below the range.
const CLOSE_RANGE_UNSHARE: usize = 1 << 1;
/// sys/resource.h: a process by its id, 0 = this one.
const PRIO_PROCESS: usize = 0;
/// Signals of the kernel are 1 to 64.
const SIGNALS: u32 = 64;

/// Where the child says what failed. Atomics, as two threads of control share it, though never at the same time.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// `Stage as u32 + 1`; 0 = nothing failed.
    stage: AtomicU32,
    errno: AtomicI32,
}

impl Report {
    /// The parent's side, after the child has left.
    pub(crate) fn failure(&self) -> Option<(Stage, i32)> {
        let stage = self.stage.load(Ordering::Acquire).checked_sub(1)?;
        let stage = Stage::ALL.into_iter().find(|s| *s as u32 == stage)?;
        Some((stage, self.errno.load(Ordering::Acquire)))
    }

    fn fail(&self, failure: Failure) {
        self.errno.store(failure.errno, Ordering::Release);
        self.stage.store((failure.stage as u32).wrapping_add(1), Ordering::Release);
    }
}

/// What the child shall become. Every pointer is the parent's and lives until the child has left.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) path: *const c_char,
    /// Ends with null.
    pub(crate) argv: *const *const c_char,
    /// Ends with null.
    pub(crate) envp: *const *const c_char,
    /// Become 0, 1 and 2; all above 2.
    pub(crate) stdio: [c_int; 3],
    /// Descriptors above this are none of the child's business.
    pub(crate) last_slot: c_int,
    /// Number and address of the supplementary groups to set.
    pub(crate) groups: Option<(usize, *const u32)>,
    pub(crate) gid: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) umask: u32,
    /// The limit on open files, where the daemon raised its own.
    pub(crate) open_files: Option<Limit>,
    /// Number and address of the limits to set.
    pub(crate) rlimits: (usize, *const (Resource, Limit)),
    pub(crate) nice: Option<i32>,
    /// Address and length of the text.
    pub(crate) oom_score_adj: Option<(*const c_char, usize)>,
    /// Capabilities to keep; bit 0 is CAP_CHOWN.
    pub(crate) capabilities: u64,
    pub(crate) no_new_privileges: bool,
    /// Signals to get their default action back; bit 0 is signal 1.
    pub(crate) ignored: u64,
    /// Null = stay.
    pub(crate) working_dir: *const c_char,
    pub(crate) report: Report,
}

/// A signal to be sent as another user.
#[derive(Debug)]
pub(crate) struct SignalPlan {
    pub(crate) uid: u32,
    pub(crate) pidfd: c_int,
    pub(crate) signo: c_int,
    pub(crate) report: Report,
}

#[derive(Clone, Copy)]
struct Failure {
    stage: Stage,
    errno: i32,
}

/// Entry of a child that becomes the program of a [`Plan`].
pub(crate) extern "C" fn become_program(plan: *const c_void) -> ! {
    // JUSTIFICATION: the trampoline passes one untyped pointer.
    // SAFETY: whoever names this function as the entry gives it a Plan that outlives the child.
    let plan = unsafe { &*plan.cast::<Plan>() };
    match run(plan) {
        Ok(never) => match never {},
        Err(failure) => plan.report.fail(failure),
    }
    exit()
}

/// Entry of a child that sends the signal of a [`SignalPlan`].
pub(crate) extern "C" fn send_signal(plan: *const c_void) -> ! {
    // JUSTIFICATION: the trampoline passes one untyped pointer.
    // SAFETY: whoever names this function as the entry gives it a SignalPlan that outlives the child.
    let plan = unsafe { &*plan.cast::<SignalPlan>() };
    let send = || {
        set_uid(plan.uid)?;
        let (fd, signo) = (word(plan.pidfd), word(plan.signo));
        call(Stage::Exec, libc::SYS_pidfd_send_signal, [fd, signo, 0, 0, 0])
    };
    if let Err(failure) = send() {
        plan.report.fail(failure);
    }
    exit()
}

fn run(plan: &Plan) -> Result<Infallible, Failure> {
    // First of all: the table of descriptors is still the parent's, and anything done to it here would be done to
    // the whole daemon. Copying only up to the last slot makes this independent of how many the daemon has open.
    unshare_descriptors(plan.last_slot)?;
    default_signals(plan.ignored);
    call(Stage::Session, libc::SYS_setsid, [0; 5])?;
    let [stdin, stdout, stderr] = plan.stdio;
    // dup3 clears close-on-exec; sources are above 2, so none is overwritten before it was used.
    for (from, to) in [(stdin, 0), (stdout, 1), (stderr, 2)] {
        call(Stage::Descriptors, libc::SYS_dup3, [word(from), to, 0, 0, 0])?;
    }
    call(Stage::Descriptors, libc::SYS_close_range, [3, NO_END, 0, 0, 0])?;
    if let Some(limit) = &plan.open_files {
        let (what, new) = (libc::RLIMIT_NOFILE as usize, ptr::from_ref(limit) as usize);
        call(Stage::Descriptors, libc::SYS_prlimit64, [0, what, new, 0, 0])?;
    }
    limit(plan)?;
    // Groups before gid before uid: each step needs the privilege that the last one gives up.
    if let Some((count, list)) = plan.groups {
        call(Stage::Groups, libc::SYS_setgroups, [count, list as usize, 0, 0, 0])?;
    }
    if let Some(gid) = plan.gid {
        let gid = gid as usize;
        call(Stage::Gid, libc::SYS_setresgid, [gid, gid, gid, 0, 0])?;
    }
    if let Some(uid) = plan.uid {
        if plan.capabilities != 0 {
            // Else the switch away from root would take them all. execve clears it.
            call(Stage::Capabilities, libc::SYS_prctl, [word(libc::PR_SET_KEEPCAPS), 1, 0, 0, 0])?;
        }
        set_uid(uid)?;
    }
    // An unprivileged daemon that may switch users has that right as an ambient capability, which would survive both
    // the switch and execve: any child could become root.
    let (option, clear) = (word(libc::PR_CAP_AMBIENT), word(libc::PR_CAP_AMBIENT_CLEAR_ALL));
    call(Stage::Uid, libc::SYS_prctl, [option, clear, 0, 0, 0])?;
    // Cannot fail: the answer is the mask of before.
    call(Stage::WorkingDir, libc::SYS_umask, [plan.umask as usize, 0, 0, 0, 0])?;
    if !plan.working_dir.is_null() {
        // After the switch: it must be the user who may enter it.
        call(Stage::WorkingDir, libc::SYS_chdir, [plan.working_dir as usize, 0, 0, 0, 0])?;
    }
    // After the directory: that it may be entered is for the user to allow, not for a capability.
    if plan.capabilities != 0 {
        keep_capabilities(plan.capabilities)?;
    }
    if plan.no_new_privileges {
        let option = word(libc::PR_SET_NO_NEW_PRIVS);
        call(Stage::NoNewPrivileges, libc::SYS_prctl, [option, 1, 0, 0, 0])?;
    }
    // Last: a signal that came meanwhile kills the child by its default action, not half-way through.
    empty_mask()?;
    call(Stage::Exec, libc::SYS_execve, [plan.path as usize, plan.argv as usize, plan.envp as usize, 0, 0])?;
    // execve comes back only with an error.
    Err(Failure { stage: Stage::Exec, errno: libc::EIO })
}

/// Limits and priorities, while the daemon's privileges are there to set them.
fn limit(plan: &Plan) -> Result<(), Failure> {
    let (count, first) = plan.rlimits;
    for index in 0..count {
        // JUSTIFICATION: a slice's index might panic.
        // SAFETY: the pointer is to so many pairs of the parent's, which live until the child has left.
        let (resource, limit) = unsafe { &*first.wrapping_add(index) };
        let (what, new) = (*resource as usize, ptr::from_ref(limit) as usize);
        call(Stage::Rlimits, libc::SYS_prlimit64, [0, what, new, 0, 0])?;
    }
    if let Some(nice) = plan.nice {
        // A register holds a negative number as its two's complement.
        call(Stage::Nice, libc::SYS_setpriority, [PRIO_PROCESS, 0, (nice as isize).cast_unsigned(), 0, 0])?;
    }
    if let Some((text, length)) = plan.oom_score_adj {
        let (at, path) =
            ((libc::AT_FDCWD as isize).cast_unsigned(), c"/proc/self/oom_score_adj".as_ptr() as usize);
        let flags = word(libc::O_WRONLY | libc::O_CLOEXEC);
        let fd = value(Stage::OomScoreAdj, libc::SYS_openat, [at, path, flags, 0, 0])?;
        // While a child of vfork shares its memory with others, the kernel changes this for the child alone.
        call(Stage::OomScoreAdj, libc::SYS_write, [fd, text as usize, length, 0, 0])?;
        call(Stage::OomScoreAdj, libc::SYS_close, [fd, 0, 0, 0, 0])?;
    }
    Ok(())
}

/// linux/capability.h: the version with 64 capabilities.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Makes these the only capabilities, and ones that execve hands on.
fn keep_capabilities(wanted: u64) -> Result<(), Failure> {
    let header = [CAPABILITY_VERSION_3, 0];
    #[expect(clippy::cast_possible_truncation, reason = "the kernel takes the two halves apart")]
    let (low, high) = (wanted as u32, (wanted >> 32) as u32);
    // Effective, permitted, inheritable, twice.
    let sets = [low, low, low, high, high, high];
    let args = [header.as_ptr() as usize, sets.as_ptr() as usize, 0, 0, 0];
    call(Stage::Capabilities, libc::SYS_capset, args)?;
    let (option, raise) = (word(libc::PR_CAP_AMBIENT), word(libc::PR_CAP_AMBIENT_RAISE));
    for number in (0..u64::BITS).filter(|number| wanted & 1_u64.unbounded_shl(*number) != 0) {
        call(Stage::Capabilities, libc::SYS_prctl, [option, raise, number as usize, 0, 0])?;
    }
    Ok(())
}

fn unshare_descriptors(last: c_int) -> Result<(), Failure> {
    let first = word(last).wrapping_add(1);
    call(Stage::Descriptors, libc::SYS_close_range, [first, NO_END, CLOSE_RANGE_UNSHARE, 0, 0])
}

/// The clone gave the default action to all signals that were caught; here the ignored ones get it, too (Rust's
/// runtime ignores SIGPIPE). KILL and STOP refuse, which is as good.
fn default_signals(ignored: u64) {
    // struct sigaction of the kernel, four words on both processors: SIG_DFL, no flags, no restorer, no mask.
    let default = [0_u64; 4];
    for signo in (1..=SIGNALS).filter(|signo| ignored & 1_u64.unbounded_shl(signo.wrapping_sub(1)) != 0) {
        let args = [signo as usize, ptr::from_ref(&default) as usize, 0, size_of::<u64>(), 0];
        // JUSTIFICATION: raw, as errno is the parent's.
        // SAFETY: the new action is readable, the old one is not wanted, the size is the kernel's sigset's. With
        // CLONE_VM but not CLONE_SIGHAND the table of actions is the child's own.
        let _refused = unsafe { syscall(libc::SYS_rt_sigaction, args) };
    }
}

fn empty_mask() -> Result<(), Failure> {
    let none = 0_u64;
    let args = [word(libc::SIG_SETMASK), ptr::from_ref(&none) as usize, 0, size_of::<u64>(), 0];
    call(Stage::Exec, libc::SYS_rt_sigprocmask, args)
}

fn set_uid(uid: u32) -> Result<(), Failure> {
    let uid = uid as usize;
    call(Stage::Uid, libc::SYS_setresuid, [uid, uid, uid, 0, 0])
}

fn call(stage: Stage, number: c_long, args: [usize; 5]) -> Result<(), Failure> {
    value(stage, number, args).map(drop)
}

fn value(stage: Stage, number: c_long, args: [usize; 5]) -> Result<usize, Failure> {
    // JUSTIFICATION: raw, as errno is the parent's, and glibc's set*id would make all threads of the daemon switch.
    // SAFETY: the callers in this file pass numbers, and pointers of a Plan or to their own locals.
    let answer = unsafe { syscall(number, args) };
    if let Ok(value) = usize::try_from(answer) {
        return Ok(value);
    }
    Err(Failure { stage, errno: i32::try_from(answer).map_or(libc::EIO, i32::wrapping_neg) })
}

/// A number that is not negative, as a register holds it.
fn word(n: c_int) -> usize {
    n.unsigned_abs() as usize
}

/// Leaves without destructors and without atexit handlers: they are the parent's.
fn exit() -> ! {
    loop {
        // JUSTIFICATION: `_exit` of libc is not needed for one system call.
        // SAFETY: exit_group takes a number, ends the child alone and does not return.
        let _never = unsafe { syscall(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    }
}
