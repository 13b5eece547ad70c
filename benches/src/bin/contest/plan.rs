//! What a contestant does in a round, as plain data, so that a peer is a page of configuration and nothing else: which files
//! it reads, what starts its processes, what lists and ends them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes;

/// How long a supervisor may take to be ready, and to end.
const READY: Duration = Duration::from_secs(60);

/// What starts all processes.
#[derive(Debug)]
pub(crate) enum Begin {
    /// The supervisor itself does, when it is executed.
    Execute,
    /// This command, which talks to a supervisor that runs already.
    Run(Vec<String>),
    /// A file is put in place, and the supervisor gets SIGHUP.
    Reload(PathBuf, String),
}

/// What ends all processes.
#[derive(Debug)]
pub(crate) enum End {
    /// A signal for the supervisor.
    Signal(Signal),
    /// This command.
    Run(Vec<String>),
}

/// Which process is the supervisor; those below it that did not announce themselves are its helpers.
#[derive(Debug)]
pub(crate) enum Root {
    /// The one that was executed.
    Own,
    /// One whose pid is in a file.
    File(PathBuf),
    /// A known one.
    Pid(u32),
}

/// One definition of many changes.
#[derive(Debug)]
pub(crate) struct Change {
    /// Rewritten first, which is not timed.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Brings it into force: the process announces itself under another name.
    pub(crate) run: Vec<String>,
}

/// A round of one contestant.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Environment of all commands.
    pub(crate) env: Vec<(String, String)>,
    /// The supervisor in the foreground; none where it runs anyway.
    pub(crate) supervisor: Option<Vec<String>>,
    /// Succeeds when it is ready. Asked before `begin`, unless that executes it.
    pub(crate) ready: Option<Vec<String>>,
    pub(crate) begin: Begin,
    pub(crate) end: End,
    pub(crate) root: Root,
    /// Shows all processes.
    pub(crate) list: Option<Vec<String>>,
    /// Shows one process, `p0`.
    pub(crate) status: Option<Vec<String>>,
    pub(crate) change: Option<Change>,
    /// Whatever happened, this is run at the end.
    pub(crate) cleanup: Option<Vec<String>>,
}

impl Plan {
    /// A supervisor that starts everything when it is executed, and ends everything on SIGTERM.
    pub(crate) fn cold(supervisor: Vec<String>) -> Self {
        Self {
            env: Vec::new(),
            supervisor: Some(supervisor),
            ready: None,
            begin: Begin::Execute,
            end: End::Signal(Signal::SIGTERM),
            root: Root::Own,
            list: None,
            status: None,
            change: None,
            cleanup: None,
        }
    }
}

/// A plan that is being carried out.
#[derive(Debug)]
pub(crate) struct Session {
    plan: Plan,
    dir: PathBuf,
    supervisor: Option<Child>,
    begun: Option<Child>,
}

impl Session {
    /// Everything that comes before the clock runs.
    pub(crate) fn prepare(plan: Plan, dir: &Path) -> Result<Self> {
        let mut session = Self { plan, dir: dir.to_owned(), supervisor: None, begun: None };
        if !matches!(session.plan.begin, Begin::Execute) {
            session.execute()?;
            session.await_ready()?;
        }
        Ok(session)
    }

    /// Starts all processes. Does not wait for them.
    pub(crate) fn begin(&mut self) -> Result<()> {
        match &self.plan.begin {
            Begin::Execute => self.execute(),
            Begin::Run(words) => {
                self.begun = Some(self.command(words)?.spawn().with_context(|| words.join(" "))?);
                Ok(())
            }
            Begin::Reload(path, text) => {
                fs::write(path, text)?;
                let root = self.root().context("no supervisor")?;
                Ok(kill(pid(root), Signal::SIGHUP)?)
            }
        }
    }

    /// After the clock was stopped: its commands have to have succeeded, and it can be talked to.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if let Some(mut begun) = self.begun.take() {
            let status = begun.wait()?;
            ensure!(status.success(), "the command that starts all: {status}; {}", self.said());
        }
        self.await_ready()
    }

    /// Ends all processes. Does not wait for them.
    pub(crate) fn end(&mut self) -> Result<()> {
        match &self.plan.end {
            End::Signal(signal) => Ok(kill(pid(self.root().context("no supervisor")?), *signal)?),
            End::Run(words) => {
                self.begun = Some(self.command(words)?.spawn().with_context(|| words.join(" "))?);
                Ok(())
            }
        }
    }

    /// The supervisor's own process.
    pub(crate) fn root(&self) -> Option<u32> {
        match &self.plan.root {
            Root::Own => self.supervisor.as_ref().map(Child::id),
            Root::File(path) => fs::read_to_string(path).ok()?.trim().parse().ok(),
            Root::Pid(pid) => Some(*pid),
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// One of the plan's commands, from its execution to its end.
    pub(crate) fn time(&self, words: &[String]) -> Result<Duration> {
        let mut command = self.command(words)?;
        let begin = Instant::now();
        let status = command.status().with_context(|| words.join(" "))?;
        let took = begin.elapsed();
        ensure!(status.success(), "{}: {status}; {}", words.join(" "), self.said());
        Ok(took)
    }

    /// What one of them prints.
    pub(crate) fn output(&self, words: &[String]) -> Result<String> {
        let output = self.command(words)?.stdout(Stdio::piped()).output().with_context(|| words.join(" "))?;
        ensure!(output.status.success(), "{}: {}; {}", words.join(" "), output.status, self.said());
        Ok(String::from_utf8(output.stdout)?)
    }

    fn execute(&mut self) -> Result<()> {
        if let Some(words) = &self.plan.supervisor {
            let mut command = self.command(words)?;
            self.supervisor = Some(command.spawn().with_context(|| words.join(" "))?);
        }
        Ok(())
    }

    fn await_ready(&mut self) -> Result<()> {
        let Some(words) = &self.plan.ready else { return Ok(()) };
        let deadline = Instant::now() + READY;
        while !self.command(words)?.status()?.success() {
            ensure!(
                Instant::now() < deadline,
                "not ready after {READY:?}: {}; {}",
                words.join(" "),
                self.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its output goes to a file, not to somebody who might be slow to read it.
    fn command(&self, words: &[String]) -> Result<Command> {
        let (program, args) = words.split_first().context("no words")?;
        let output = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("said"))?;
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.dir).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        command.envs(self.plan.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// The last of what its commands have printed.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(self.dir.join("said")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        format!("it said: {}", last.into_iter().rev().collect::<Vec<_>>().join(" / "))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Helpers first known, then killed: when the root is gone they are nobody's children.
        let mut all = Vec::new();
        if !matches!(self.plan.root, Root::Pid(_)) {
            all.extend(self.root().into_iter().flat_map(processes::tree));
        }
        if let Some(words) = self.plan.cleanup.take() {
            let _status: Option<ExitStatus> = self.command(&words).ok().and_then(|mut c| c.status().ok());
        }
        for one in all {
            // Most have ended already.
            kill(pid(one), Signal::SIGKILL).ok();
        }
        for mut child in self.supervisor.take().into_iter().chain(self.begun.take()) {
            child.wait().ok();
        }
    }
}

/// For nix.
pub(crate) fn pid(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_supervisor_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan =
            Plan::cold(vec!["sh".to_owned(), "-c".to_owned(), "sleep 1000 & sleep 1000".to_owned()]);
        plan.ready = Some(words("true"));
        let mut session = Session::prepare(plan, dir.path()).unwrap();
        assert_eq!(session.root(), None, "nothing runs before the clock does");
        session.begin().unwrap();
        session.settle().unwrap();
        let root = session.root().unwrap();
        let all =
            testkit::eventually("both children", || Some(processes::tree(root)).filter(|all| all.len() == 3));
        drop(session);
        let gone = |pid: &u32| testkit::Pid::of(*pid).is_none_or(|pid| !pid.is_alive());
        testkit::eventually("all to be gone", || all.iter().all(gone).then_some(()));
    }

    #[test]
    fn a_command_that_fails_says_what_it_printed() {
        let dir = tempfile::tempdir().unwrap();
        let session = Session::prepare(Plan::cold(words("true")), dir.path()).unwrap();
        let failing = ["sh", "-c", "echo no such service >&2; exit 3"].map(str::to_owned);
        let error = session.time(&failing).unwrap_err().to_string();
        assert!(error.contains("no such service") && error.contains('3'), "{error}");
    }
}
