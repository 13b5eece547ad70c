//! aarch64: number in x8, arguments in x0 to x4; the kernel clobbers x0 alone.

use core::arch::asm;
use core::ffi::{c_long, c_void};

use super::{CloneArgs, Entry};

/// A system call with up to five arguments; the kernel's raw answer.
///
/// # Safety
/// Whatever the called system call demands of its arguments.
pub(crate) unsafe fn syscall(number: c_long, args: [usize; 5]) -> isize {
    let [a, b, c, d, e] = args;
    let answer: isize;
    // JUSTIFICATION: libc's wrapper writes errno into thread-local memory that a vfork child shares.
    // SAFETY: the registers are those of the kernel's calling convention and memory is assumed changed; that the
    // arguments fit the call is the caller's promise.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => answer,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            options(nostack),
        );
    }
    answer
}

/// clone3(2); the child calls `entry(data)` on its own stack.
///
/// # Safety
/// `args` must give the child a stack of its own and hold CLONE_VM and CLONE_VFORK; `entry` must not return or
/// unwind, and `data` must be what it expects and live until this returns.
pub(crate) unsafe fn clone_vfork(args: &CloneArgs, entry: Entry, data: *const c_void) -> isize {
    let answer: isize;
    // JUSTIFICATION: with CLONE_VM and an own stack no compiled code may run between the system call and the jump:
    // it would use the parent's frame on the child's stack.
    // SAFETY: the kernel preserves x9 and x10. The child's stack pointer is the page-aligned end of its stack, as the
    // ABI demands. `entry` never comes back (brk). Only the parent reaches label 2, with all registers but x0 as
    // they were.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") core::ptr::from_ref(args) => answer,
            in("x1") size_of::<CloneArgs>(),
            in("x9") entry,
            in("x10") data,
        );
    }
    answer
}
