//! A daemon in a bed: directories of its own, children that are found however they fork away, and what can be asked of it.

use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{TempDaemon, TempDaemonBuilder, Workload, binary, eventually_within};

use super::vitals::Vitals;
use crate::prometheus::get;

/// Longest wait for anything that the daemon does: the machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What every process of a fault has: it is restarted at once and for ever, and found by its environment.
const DEFAULTS: &str = "\
defaults:
  restart: always
  restart_sec: 0
  start_limit_burst: 0
  inherit_env: [PM_TEST_MARKER]
";

/// The daemon and a directory that its children write to.
pub(crate) struct Bed {
    // First, as it is dropped first: at that moment its processes still use the files.
    daemon: TempDaemon,
    files: TempDir,
}

impl Bed {
    /// With these processes: what stands below `processes:`. PROBE is the misbehaving child, DIR the directory.
    pub(crate) fn start(processes: &str) -> Result<Self> {
        Self::with(processes, |builder| builder)
    }

    /// The same with a changed environment.
    pub(crate) fn with(
        processes: &str,
        setup: impl FnOnce(TempDaemonBuilder) -> TempDaemonBuilder,
    ) -> Result<Self> {
        Self::in_files(tempfile::Builder::new().prefix("pm-faults-").tempdir()?, processes, setup)
    }

    /// The same with the directory of its children.
    pub(crate) fn in_files(
        files: TempDir,
        processes: &str,
        setup: impl FnOnce(TempDaemonBuilder) -> TempDaemonBuilder,
    ) -> Result<Self> {
        let text = document(processes, &files)?;
        let builder = TempDaemon::builder().config(&text).env("PM_JOURNAL_SOCKET", "off");
        let bed = Self { daemon: setup(builder).start(), files };
        // Otherwise the fault would be tried on something else.
        let status = bed.pm(&["status", "--output", "json"]).json();
        let problems = &status["last_reload"]["problems"];
        ensure!(
            problems.as_array().is_none_or(Vec::is_empty),
            "the fault's own definitions are wrong: {problems:#}"
        );
        Ok(bed)
    }

    /// The text of a file with these processes.
    pub(crate) fn document(&self, processes: &str) -> Result<String> {
        document(processes, &self.files)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.files.path().join(file)
    }

    /// The exposition as it stands.
    pub(crate) fn scrape(&self) -> Result<String> {
        let (status, body) = get(self.metrics()?, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        Ok(body)
    }

    /// The address of the metrics.
    pub(crate) fn metrics(&self) -> Result<SocketAddr> {
        self.listener("metrics")
    }

    /// The address of a listener, which may have changed with a restart.
    pub(crate) fn listener(&self, role: &str) -> Result<SocketAddr> {
        let status = self.pm(&["status", "--output", "json"]).json();
        let all = status["listeners"].as_array().context("no listeners")?;
        let found = all.iter().find(|l| l["role"] == role).with_context(|| format!("no listener {role}"))?;
        found["address"].as_str().context("no address")?.parse().context("an address")
    }

    pub(crate) fn vitals(&self) -> Result<Vitals> {
        Vitals::of(self.pid())
    }

    /// Every process as the list shows it.
    pub(crate) fn processes(&self) -> Result<Vec<Value>> {
        let answer = self.pm(&["list", "--output", "json"]);
        ensure!(answer.code == 0, "{answer}");
        let list: Value = serde_json::from_str(&answer.stdout)?;
        list["processes"].as_array().cloned().context("no list")
    }

    /// Waits until every process is in one of these states.
    pub(crate) fn until_all(&self, states: &[&str]) -> Result<()> {
        let is = |process: &Value| states.iter().any(|state| process["state"] == *state);
        let mut last = Vec::new();
        let done = eventually_within(PATIENCE, || {
            last = self.processes().ok()?;
            last.iter().all(is).then_some(())
        });
        let Some(()) = done else {
            let late: Vec<String> = last.iter().filter(|p| !is(p)).take(3).map(one_line).collect();
            bail!("not {states:?} after {PATIENCE:?}: {}", late.join("; "));
        };
        Ok(())
    }

    /// Waits until this is so.
    pub(crate) fn until(&self, what: &str, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
        self.within(PATIENCE, what, || Ok(is()?.then_some(())))
    }

    /// Waits that long for an answer.
    pub(crate) fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        match eventually_within(limit, || ask().transpose()) {
            Some(answer) => answer.with_context(|| what.to_owned()),
            None => bail!("waited {limit:?} in vain for {what}"),
        }
    }

    /// Everything that it has started and that is alive, by the mark in its environment or by ancestry.
    pub(crate) fn workload(&self) -> Result<Workload> {
        let environ = fs::read(format!("/proc/{}/environ", self.pid()))?;
        let mark = environ.split(|b| *b == 0).find(|e| e.starts_with(b"PM_TEST_MARKER="));
        let mark = String::from_utf8(mark.context("no marker")?.to_owned())?;
        let mut workload = Workload::new(self.pid(), mark);
        workload.look();
        Ok(workload)
    }

    /// Stops everything, and makes sure that nothing of it is alive.
    pub(crate) fn stop_all(&self) -> Result<()> {
        let answer = self.pm(&["stop", "@all"]);
        ensure!(answer.code == 0, "{answer}");
        self.until_all(&["stopped", "exited", "failed", "skipped"])?;
        let alive = self.workload()?.alive();
        ensure!(alive.is_empty(), "stopped, and {} processes are alive", alive.len());
        Ok(())
    }

    /// Ends the daemon, which has to end well and leave nothing.
    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.daemon.stop();
        ensure!(status.success(), "the daemon ended with {status}");
        let log = self.daemon.log();
        let panic = log.lines().find(|line| line.contains("panicked"));
        ensure!(panic.is_none(), "a thread of the daemon panicked: {}", panic.unwrap_or_default());
        Ok(())
    }
}

impl Deref for Bed {
    type Target = TempDaemon;

    fn deref(&self) -> &TempDaemon {
        &self.daemon
    }
}

impl DerefMut for Bed {
    fn deref_mut(&mut self) -> &mut TempDaemon {
        &mut self.daemon
    }
}

fn document(processes: &str, files: &TempDir) -> Result<String> {
    let probe = binary("probe")?.display().to_string();
    let text = processes.replace("PROBE", &probe).replace("DIR", &files.path().display().to_string());
    Ok(format!("{DEFAULTS}processes:\n{text}"))
}

/// `count` processes `p0`, `p1`, ... with the same definition in YAML's flow style.
pub(crate) fn many(count: usize, definition: &str) -> String {
    (0..count).fold(String::new(), |all, n| all + &format!("  p{n}: {definition}\n"))
}

/// A process in one line.
pub(crate) fn one_line(process: &Value) -> String {
    let text = |key: &str| process[key].as_str().unwrap_or_default().to_owned();
    format!("{} is {} ({})", text("name"), text("state"), text("reason"))
}

/// The value of one process's series without other labels; zero while there is none.
pub(crate) fn counter(exposition: &str, name: &str, process: &str) -> u64 {
    let series = format!("{name}{{process=\"{process}\"}} ");
    let found = exposition.lines().find_map(|line| line.strip_prefix(&series));
    found.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

/// The sum over all processes and labels.
pub(crate) fn sum(exposition: &str, name: &str) -> u64 {
    let series =
        exposition.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
