//! What the developer sees: each check with its time and result, and for a failed one everything that is known.
#![expect(clippy::print_stdout, reason = "a command for developers; this is its output")]

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::bed::Bed;
use super::checks::Check;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
}

/// The running account.
#[derive(Debug)]
pub(crate) struct Report {
    begin: Instant,
    passed: Cell<usize>,
    failed: Cell<usize>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), passed: Cell::new(0), failed: Cell::new(0) }
    }

    pub(crate) fn line(&self, text: &str) {
        println!("{text}");
    }

    /// Does something that is no check but takes time.
    pub(crate) fn step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begin = Instant::now();
        let result = work();
        println!("      {:6.2} s  {what}", begin.elapsed().as_secs_f64());
        result
    }

    /// Runs a check and prints its result.
    pub(crate) fn check(&self, title: &str, check: &Check, bed: &Bed) -> Verdict {
        let begin = Instant::now();
        let result = (check.run)(bed);
        let time = begin.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("ok    {time:6.2} s  {title}");
                self.passed.set(self.passed.get() + 1);
                Verdict::Passed
            }
            Err(error) => {
                println!("FAIL  {time:6.2} s  {}\n\n{error:#}\n\n{}", title, bed.state());
                self.failed.set(self.failed.get() + 1);
                Verdict::Failed
            }
        }
    }

    /// The last line, and the exit code of the task.
    pub(crate) fn end(&self) -> ExitCode {
        let (passed, failed) = (self.passed.get(), self.failed.get());
        println!("{passed} passed, {failed} failed, {:.1} s", self.begin.elapsed().as_secs_f64());
        if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
