//! A probe that runs beside a test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;
use testkit::{Finished, Pid, Workload, run};

/// Runs a probe to its end.
pub(crate) fn probe(steps: &[&str]) -> Finished {
    run(Command::new(env!("CARGO_BIN_EXE_probe")).args(steps)).expect("the probe can be executed")
}

/// A probe with everything that it has started; all of it is killed at the end of the test, however the test ends.
pub(crate) struct Family {
    pub(crate) child: Child,
    pub(crate) output: BufReader<ChildStdout>,
    pub(crate) workload: Workload,
}

impl Family {
    /// The name makes it another one than those of other tests.
    pub(crate) fn start(name: &str, steps: &[&str]) -> Self {
        Self::with(name, steps, |_| ())
    }

    pub(crate) fn with(name: &str, steps: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let value = format!("{name}-{}", std::process::id());
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command.args(steps).env("PM_TEST_MARKER", &value).stdout(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the probe can be executed");
        let output = BufReader::new(child.stdout.take().expect("it was piped"));
        let workload = Workload::new(child.id(), format!("PM_TEST_MARKER={value}"));
        Self { child, output, workload }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        Pid::of(self.child.id()).expect("it was not waited for").signal(signal);
    }

    pub(crate) fn look(&mut self) -> Vec<Pid> {
        self.workload.look();
        self.workload.alive()
    }

    /// Kills all of it.
    pub(crate) fn end(&mut self) {
        self.child.kill().expect("it was not waited for");
        self.child.wait().expect("it is a child of this test");
        self.workload.kill_all();
        assert_eq!(self.workload.to_string(), "");
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.workload.kill_all();
    }
}
