//! x86_64: number in rax, arguments in rdi, rsi, rdx, r10, r8; the kernel clobbers rcx and r11.

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
    // SAFETY: the registers are those of the kernel's calling convention, its clobbers are declared, and memory is
    // assumed changed; that the arguments fit the call is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            lateout("rcx") _,
            lateout("r11") _,
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
    // SAFETY: the kernel preserves r8 and r9. The child's stack pointer is the page-aligned end of its stack, so the
    // call leaves it as the C ABI demands. `entry` never comes back (ud2). Only the parent reaches label 2, with all
    // registers but rax, rcx and r11 as they were.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") core::ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r8") entry,
            in("r9") data,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer
}
