//! A daemon and a directory through which a test and its processes wait for each other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{TempDaemon, eventually, eventually_within, patience};

use crate::support::{pid, probe};

/// Files that outlive the daemon, and the daemon.
pub(crate) struct Scene {
    // First, as it is dropped first: at that moment its processes still use the files.
    daemon: TempDaemon,
    files: TempDir,
}

impl Scene {
    /// A daemon with these processes (the text below `processes:`). In the text PROBE is the path of the misbehaving
    /// child, and DIR the directory of the files.
    #[track_caller]
    pub(crate) fn new(processes: &str) -> Self {
        let files = tempfile::Builder::new().prefix("pm-scene-").tempdir().expect("a temporary directory");
        let dir = files.path().display().to_string();
        let text = processes.replace("PROBE", &probe()).replace("DIR", &dir);
        Self { daemon: TempDaemon::start(&format!("processes:\n{text}")), files }
    }

    /// Waits for the end of the daemon, or brings it about; with its log.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        (self.daemon.stop(), self.daemon.log())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.files.path().join(file)
    }

    /// Waits until the daemon has logged this: a thread of its own writes that, a moment later.
    #[track_caller]
    pub(crate) fn until_told(&self, text: &str) {
        eventually(&format!("{text:?} in the daemon's log"), || {
            self.daemon.log().contains(text).then_some(())
        });
    }

    /// Makes an empty file: what a process waits for with the step `wait-file`.
    pub(crate) fn touch(&self, file: &str) {
        self.write(file, "");
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("the test's own file can be written");
    }

    /// The first line of a file, as soon as it is there as a whole.
    #[track_caller]
    pub(crate) fn line(&self, file: &str) -> String {
        eventually(&format!("a line in {file}"), || {
            let text = fs::read_to_string(self.path(file)).ok()?;
            text.split_once('\n').map(|(line, _)| line.to_owned())
        })
    }

    /// The pid that a process has written into this file.
    #[track_caller]
    pub(crate) fn pid_in(&self, file: &str) -> i32 {
        self.line(file).parse().expect("a pid")
    }

    /// Waits until all that a process has printed is as asked, and returns it. What was printed before an end was told
    /// may come to the file a moment after that.
    #[track_caller]
    pub(crate) fn until_printed(&self, process: &str, is: impl Fn(&str) -> bool) -> String {
        let mut printed = String::new();
        let found = eventually_within(patience(), || {
            printed = self.printed(process);
            is(&printed).then_some(())
        });
        assert!(found.is_some(), "this is not what {process} should have printed:\n{printed}");
        printed
    }

    /// Waits until a process has printed exactly this.
    #[track_caller]
    pub(crate) fn until_prints(&self, process: &str, text: &str) {
        self.until_printed(process, |printed| printed == text);
    }

    /// What a process has printed so far.
    pub(crate) fn printed(&self, process: &str) -> String {
        fs::read_to_string(self.logs().join(format!("{process}.log"))).unwrap_or_default()
    }

    /// The pid of a process that shall be running now.
    #[track_caller]
    pub(crate) fn running(&self, process: &str) -> i32 {
        pid(&self.wait_for_state(process, "running"))
    }

    /// A process that is defined, as it is now.
    #[track_caller]
    pub(crate) fn shown(&self, process: &str) -> Value {
        self.process(process).unwrap_or_else(|| panic!("{process} is not defined"))
    }
}

impl Deref for Scene {
    type Target = TempDaemon;

    fn deref(&self) -> &TempDaemon {
        &self.daemon
    }
}

/// A probe that no daemon knows of: killed at the end of the test.
pub(crate) struct Stranger(Child);

impl Stranger {
    /// Does these steps with these variables in its environment.
    #[track_caller]
    pub(crate) fn new(steps: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(probe());
        command.args(steps).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
        Self(command.stdout(Stdio::piped()).spawn().expect("the probe can be executed"))
    }

    /// One that serves: its first step is `serve-http` or `serve-tcp`; with its port.
    #[track_caller]
    pub(crate) fn server(step: &str) -> (Self, u16) {
        let mut server = Self::new(&[step, "sleep"], &[]);
        let mut line = String::new();
        let stdout = server.0.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        (server, port.unwrap_or_else(|| panic!("no port in {line:?}")))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
