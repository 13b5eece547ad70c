//! A child that shares our memory until it executes or exits, on a stack of its own.

use core::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use nix::errno::Errno;

use crate::arch::{self, CloneArgs, Entry};

/// Usable bytes of a child's stack. The child part needs less than 2 KiB even in a debug build.
const STACK: usize = 64 * 1024;
/// Never mapped: an overflow is a fault of the child, not silent damage to our memory. 64 KiB is the largest page
/// size of the supported processors.
const GUARD: usize = 64 * 1024;

/// Not in every libc's list: linux/sched.h.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Memory that children run on, one after the other.
#[derive(Debug)]
pub(crate) struct Stack {
    base: NonNull<c_void>,
}

// JUSTIFICATION: a spawner is built by one thread and used by another.
// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for Stack {}

impl Stack {
    pub(crate) fn new() -> io::Result<Self> {
        // JUSTIFICATION: a stack must not be on the heap: it needs a guard below it.
        // SAFETY: a new private anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD + STACK,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base).ok_or_else(|| io::Error::from(Errno::ENOMEM))?;
        let stack = Self { base };
        // JUSTIFICATION: all but the guard becomes usable.
        // SAFETY: the range lies within the mapping made above, which nobody else knows.
        let opened = unsafe { libc::mprotect(stack.bottom(), STACK, libc::PROT_READ | libc::PROT_WRITE) };
        if opened < 0 { Err(io::Error::last_os_error()) } else { Ok(stack) }
    }

    fn bottom(&self) -> *mut c_void {
        self.base.as_ptr().wrapping_byte_add(GUARD)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // JUSTIFICATION: gives the mapping back.
        // SAFETY: it is the one made in `new`, and no child is on it: `vfork` returns after the child has left.
        let _cannot_fail = unsafe { libc::munmap(self.base.as_ptr(), GUARD + STACK) };
    }
}

/// Blocks every signal in this thread while it lives: a handler that ran in the child would run on our memory.
/// By the raw call, as the C library's leaves out the two signals that it uses itself.
struct AllBlocked {
    before: u64,
}

impl AllBlocked {
    fn new() -> Self {
        let (all, mut before) = (u64::MAX, 0);
        set_mask(&raw const all, &raw mut before);
        Self { before }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        set_mask(&raw const self.before, ptr::null_mut());
    }
}

fn set_mask(new: *const u64, old: *mut u64) {
    let how = libc::SIG_SETMASK as usize;
    // JUSTIFICATION: pthread_sigmask(3) cannot block the C library's own signals.
    // SAFETY: both pointers are null or point to a u64, the kernel's sigset of 8 bytes, of the two callers above.
    let _cannot_fail = unsafe {
        arch::syscall(libc::SYS_rt_sigprocmask, [how, new as usize, old as usize, size_of::<u64>(), 0])
    };
}

/// What kind of child.
pub(crate) struct Kind<'a> {
    /// The signal that tells of its end; 0 = none, and only a wait with __WALL sees it.
    pub(crate) exit_signal: i32,
    /// The cgroup that it is born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// Runs `entry(data)` in a child, and returns when it has executed a program or exited.
///
/// The child shares memory and the table of descriptors with us and has the default action for every signal that
/// was caught; all its signals are blocked.
///
/// # Safety
/// `entry` must be a function of [`super::child`] and `data` point to what it expects.
pub(crate) unsafe fn vfork(
    stack: &mut Stack,
    kind: &Kind<'_>,
    entry: Entry,
    data: *const c_void,
) -> Result<(u32, OwnedFd), Errno> {
    let mut flags =
        (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD).unsigned_abs().into();
    flags |= CLONE_CLEAR_SIGHAND;
    if kind.cgroup.is_some() {
        flags |= CLONE_INTO_CGROUP;
    }
    let mut pidfd: i32 = -1;
    let args = CloneArgs {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: kind.exit_signal.unsigned_abs().into(),
        stack: stack.bottom() as u64,
        stack_size: STACK as u64,
        cgroup: kind.cgroup.map_or(0, |fd| fd.as_raw_fd().unsigned_abs().into()),
        ..CloneArgs::default()
    };
    let answer = {
        let _until_the_child_has_left = AllBlocked::new();
        // JUSTIFICATION: the purpose of this crate: vfork semantics with a pidfd and a cgroup, which no library has.
        // SAFETY: the flags hold CLONE_VM and CLONE_VFORK, the stack is ours alone (`&mut`) and stays mapped, this
        // thread sleeps until the child has left it; entry and data are the caller's promise.
        unsafe { arch::clone_vfork(&args, entry, data) }
    };
    if answer < 0 {
        return Err(Errno::from_raw(i32::try_from(-answer).unwrap_or(libc::EIO)));
    }
    // JUSTIFICATION: the kernel hands the pidfd over as a number.
    // SAFETY: clone3 succeeded, so CLONE_PIDFD has stored a new descriptor there, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((u32::try_from(answer).unwrap_or(0), pidfd))
}
