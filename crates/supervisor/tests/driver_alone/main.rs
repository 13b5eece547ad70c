//! The driver with what concerns the whole process: adopted orphans, descriptors, threads.
//!
//! These tests have a process of their own, SIGCHLD blocked in every thread as in the daemon, and run one after
//! another. `cargo test --test driver_alone -- NAME` runs those whose name contains NAME.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "a test program without the harness reports by itself")]

mod idle;
mod main_process;
mod orphans;
#[path = "../driver/support.rs"]
#[expect(dead_code, reason = "written for the other test program; this one needs a part")]
mod support;
mod work;

use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

/// Name and body of each test.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut sigchld = SigSet::empty();
    sigchld.add(Signal::SIGCHLD);
    sigchld.thread_block().unwrap();

    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    let mut failed = 0;
    for (name, test) in orphans::TESTS
        .iter()
        .chain(idle::TESTS)
        .chain(main_process::TESTS)
        .chain(work::TESTS)
        .filter(|(name, _)| wanted(name))
    {
        let passed = std::thread::spawn(test).join().is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
