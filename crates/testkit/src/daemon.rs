//! The real daemon in directories of its own, on ports that the kernel chooses, gone without trace at the end.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use tempfile::TempDir;

use crate::{Finished, Workload, binary, eventually, eventually_within, run};

/// Name of the variable that marks the daemon; its value is different for each one. A definition with
/// `inherit_env: [PM_TEST_MARKER]` has its processes found at the end of the test however they fork away.
const MARKER: &str = "PM_TEST_MARKER";

/// Time that a daemon gets to stop everything after SIGTERM before it is killed and the test fails.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What a daemon is started with.
#[derive(Debug)]
pub struct TempDaemonBuilder {
    config: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    launcher: Vec<String>,
}

/// A running daemon. When it is dropped it is asked to stop, and the test fails if anything that it started is left.
#[derive(Debug)]
pub struct TempDaemon {
    setup: TempDaemonBuilder,
    dir: TempDir,
    child: Child,
    workload: Workload,
}

impl TempDaemonBuilder {
    /// Text of `processes.yaml`; none at first.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        text.clone_into(&mut self.config);
        self
    }

    /// One more variable of the daemon's environment, which is otherwise clean.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// One more argument of the daemon.
    #[must_use]
    pub fn arg(mut self, text: &str) -> Self {
        self.args.push(text.to_owned());
        self
    }

    /// What executes it, with the daemon's command line behind these words: it has to become the daemon (exec) in the end,
    /// and begins in the daemon's directory.
    #[must_use]
    pub fn launcher(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it and waits until it answers on its control socket.
    ///
    /// # Panics
    /// When a program is not built, or when the daemon ends or does not answer; the message holds its own log.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> TempDaemon {
        let dir = tempfile::Builder::new().prefix("pm-test-").tempdir().expect("a temporary directory");
        for name in ["config", "state", "logs", "runtime"] {
            fs::create_dir(dir.path().join(name)).expect("a directory in a new directory");
        }
        fs::write(dir.path().join("config/processes.yaml"), &self.config).expect("a file in a new directory");
        let (child, workload) = self.spawn(dir.path());
        let mut daemon = TempDaemon { setup: self, dir, child, workload };
        daemon.wait_until_it_answers();
        daemon
    }

    fn spawn(&self, dir: &Path) -> (Child, Workload) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);

        let program = binary("dd-procmgrd").unwrap_or_else(|e| panic!("{e}"));
        let marker = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("daemon.log"));
        let log = log.expect("a file in a new directory");
        let mut command = match self.launcher.split_first() {
            None => Command::new(program),
            Some((first, others)) => {
                let mut command = Command::new(first);
                command.args(others).arg(program);
                command
            }
        };
        command.args(&self.args).env_clear().current_dir(dir).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second descriptor")).stderr(log);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", dir);
        command.env("PM_CONFIG_PATH", dir.join("config/processes.yaml"));
        command.env("CONFIGURATION_DIRECTORY", dir.join("config"));
        command.env("STATE_DIRECTORY", dir.join("state"));
        command.env("LOGS_DIRECTORY", dir.join("logs"));
        command.env("RUNTIME_DIRECTORY", dir.join("runtime"));
        command.env("PM_BIND_ADDRESS", "127.0.0.1:0").env("METRICS_PORT", "0");
        command.env("RUST_LOG", "info").env("RUST_BACKTRACE", "1").env(MARKER, &marker);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().expect("the daemon can be executed");
        let workload = Workload::new(child.id(), format!("{MARKER}={marker}"));
        (child, workload)
    }
}

impl TempDaemon {
    /// A daemon without any process, to be changed with the builder's methods.
    #[must_use]
    pub fn builder() -> TempDaemonBuilder {
        TempDaemonBuilder {
            config: "processes: {}\n".to_owned(),
            env: Vec::new(),
            args: Vec::new(),
            launcher: Vec::new(),
        }
    }

    /// A running daemon with this text as its `processes.yaml`.
    #[track_caller]
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::builder().config(config).start()
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self) {
        eventually("the daemon to answer", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the daemon ended at once ({status}); its log:\n{}", self.log());
            }
            let answer = self.socket().exists().then(|| self.pm(&["list"]))?;
            (answer.code == 0).then_some(())
        });
    }

    /// Runs pm-cli against this daemon.
    ///
    /// # Panics
    /// When pm-cli is not built.
    #[track_caller]
    pub fn pm(&self, args: &[&str]) -> Finished {
        run(self.pm_command().args(args)).expect("pm-cli can be executed")
    }

    #[track_caller]
    pub(crate) fn pm_command(&self) -> Command {
        let program = binary("pm-cli").unwrap_or_else(|e| panic!("{e}"));
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.dir.path());
        command.env("PM_SOCKET", self.socket());
        command
    }

    /// Its own process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that holds everything of this daemon.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its `processes.yaml`.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir().join("config/processes.yaml")
    }

    /// Where the output of its processes goes.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.dir().join("logs")
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir().join("runtime/control.sock")
    }

    /// What it has printed so far, over restarts.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir().join("daemon.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Replaces `processes.yaml`, without telling the daemon.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).expect("the test's own file can be written");
    }

    /// Sends a signal to the daemon itself.
    ///
    /// # Panics
    /// When the daemon is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.raw_pid(), signal).expect("the daemon runs");
    }

    fn raw_pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Panics
    /// When it does not end in time, or leaves a process behind; the processes are then killed first.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        // A daemon that has ended already gives its status again, and the signal goes nowhere.
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::SIGTERM);
        }
        let status = eventually_within(STOP_LIMIT, || {
            self.workload.look();
            self.child.try_wait().expect("the daemon is a child of this test")
        });
        let Some(status) = status else {
            self.kill();
            panic!("the daemon did not stop within {STOP_LIMIT:?}; its log:\n{}", self.log());
        };
        // Once more: what was forked during the last look.
        self.workload.look();
        let left = self.workload.to_string();
        if !left.is_empty() {
            self.workload.kill_all();
            panic!("the daemon ended ({status}) and left behind:\n{left}its log:\n{}", self.log());
        }
        status
    }

    /// Stops it and starts it again in the same directories.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        (self.child, self.workload) = self.setup.spawn(self.dir.path());
        self.wait_until_it_answers();
    }

    /// SIGKILL to the daemon alone. What it had started is handed out: it is nobody's from now on, and the caller's to end.
    #[track_caller]
    pub fn crash(&mut self) -> Workload {
        self.workload.look();
        self.child.kill().expect("the daemon runs");
        self.child.wait().expect("the daemon is a child of this test");
        std::mem::replace(&mut self.workload, Workload::new(self.child.id(), String::new()))
    }

    /// Starts it again in the same directories, after [`TempDaemon::crash`].
    #[track_caller]
    pub fn start_again(&mut self) {
        (self.child, self.workload) = self.setup.spawn(self.dir.path());
        self.wait_until_it_answers();
    }

    /// SIGKILL to the daemon and then to everything that it has started.
    pub fn kill(&mut self) -> ExitStatus {
        self.workload.look();
        // It may have ended already; then wait() below knows.
        drop(self.child.kill());
        let status = self.child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
        self.workload.kill_all();
        status
    }
}

impl Drop for TempDaemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; a second panic here would hide its message.
            self.kill();
        } else {
            self.stop();
        }
    }
}
