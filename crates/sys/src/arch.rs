//! What is different on each processor: a system call that touches nothing but registers, and the clone trampoline.
//!
//! libc's `syscall(3)` writes errno, which is thread-local; a child of vfork(2) shares that with its suspended
//! parent. These return the kernel's value as it is: the result, or minus the error number.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{clone_vfork, syscall};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{clone_vfork, syscall};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "this processor is not supported: crates/sys/src/arch holds a clone3 trampoline for x86_64 and aarch64 only; \
     add one for yours there"
);

/// The first instruction of a child: it gets the pointer that was given to the trampoline and never returns.
pub(crate) type Entry = extern "C" fn(*const core::ffi::c_void) -> !;

/// `struct clone_args` of clone3(2), all eleven fields (Linux 5.7; older kernels accept the rest as zeros).
#[derive(Debug, Default)]
#[repr(C, align(8))]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}
