//! What the daemon asks of Linux beyond std and nix: spawning, pidfds, process trees, cgroups, credentials, journald's
//! socket. The only crate with `unsafe` code; its interface is safe.
//!
//! Every unsafe use, why it is there, what keeps it sound, and the test that would notice:
//!
//! | where | what | why | invariant | test |
//! |---|---|---|---|---|
//! | `arch::*::syscall` | inline assembly | errno of libc is shared with a vfork child | registers and clobbers of the kernel's convention | every spawn |
//! | `arch::*::clone_vfork` | inline assembly | the child must not run compiled code on the parent's frame | own stack; `entry` never returns; the kernel keeps the registers that hold entry and data | `tests/spawn/many.rs` |
//! | `spawn::vfork::Stack` | mmap, mprotect, munmap, `Send` | a stack with a guard page, handed to another thread | one owner; unmapped only after the child has left | `tests/spawn/many.rs` |
//! | `spawn::vfork::set_mask` | rt_sigprocmask | libc leaves out its own two signals | sets of 8 bytes; the mask of before comes back | `inheritance::signals_are_default_and_unblocked` |
//! | `spawn::vfork::vfork` | clone3, the pidfd's number | vfork with a pidfd and a cgroup | `&mut Stack`: one child at a time; the number is fresh | `tests/spawn/outcome.rs` |
//! | `spawn::child` | raw system calls, the plan's pointer | nothing of libc may run there | the rule at the top of the file; the plan outlives the child | `tests/spawn/*` |
//! | `spawn::Spawner::spawn` | starts `become_program` | | the plan's pointers are into this frame and the request | `tests/spawn/*` |
//! | `spawn::keep_statuses` | sigaction | SIGCHLD may be inherited as ignored | installs what was there, or the default | `tests/odd_parent.rs` |
//! | `spawn::slots` | a duplicate's number | nix returns a bare number | fresh, known to nobody else | `tests/odd_parent.rs` |
//! | `pidfd::open`, `send_signal` | pidfd_open, pidfd_send_signal | nix has neither | an open descriptor and numbers; no siginfo | `outcome::a_pidfd_by_number_is_of_the_same_process` |
//! | `pidfd::reap` | waitid with rusage | no wrapper returns both | the kernel fills structs for which zeros are valid | `outcome::what_it_used_is_told` |
//! | `pidfd::signal_as` | starts `send_signal` | CAP_SETUID without CAP_KILL | as for `Spawner::spawn`; leaves the shared descriptors alone | `signal_as::tests` |
//! | `limits::own` | prlimit64 | nix does not know every limit | nothing is set; the kernel's layout | `spawn::limits::*` |
//! | `memory::keep_small` | mallopt | the allocator has no safe settings | two numbers, before the first thread | none: it changes no behavior |
//! | `memory::let_go` | malloc_trim, madvise | neither std nor nix has a safe one | only mappings that equal their files and stay | `memory::tests`, `tests/let_go.rs` |
//! | `cgroup::detect` | getxattr | neither std nor nix has it | strings end with NUL; the buffer's length is given | `cgroup::detect::tests` |
//! | `datagram::receive` | recvmsg, descriptors' numbers | libraries misread a pid of 0 or lose descriptors | the kernel's layout; each buffer with its length; the numbers are fresh | `datagram::tests` |
//! | `inherited::duplicate` | fcntl, the number that it gives | sockets of systemd come as numbers | the kernel refuses what is not open; the new number is fresh | `inherited::tests` |
//! | `random_u64` | getrandom | neither std nor nix has it | the buffer's length is given | `random::tests` |

#![expect(
    unsafe_code,
    reason = "the system calls that the supervisor needs and no library offers safely; everything unsafe is here"
)]

mod arch;
pub mod cgroup;
pub mod clock;
pub mod credentials;
pub mod datagram;
pub mod inherited;
pub mod journal;
pub mod limits;
pub mod memory;
pub mod pidfd;
pub mod pipe;
pub mod pty;
mod random;
pub mod spawn;
pub mod tree;
pub mod watch;

pub use random::random_u64;
