//! A resource is taken away from the running daemon and given back: what all of these faults have in common.
//!
//! Meanwhile children are killed, so that starts are due that can't be made. Nobody else may notice; the daemon says why;
//! and once there is enough again, everything is up.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bed::{Bed, counter, many};
use super::printed;
use super::watch::{Calls, Watch};

const SLEEPERS: usize = 24;
const VICTIMS: usize = 12;
const WIDTH: usize = 99;
/// Longest time until everything is up again: a start that failed is tried again after a delay that has grown.
const RECOVERED: Duration = Duration::from_secs(75);

/// What is taken.
pub(crate) struct Limit {
    /// The option of prlimit(1).
    pub(crate) option: &'static str,
    /// Its line in /proc/PID/limits.
    pub(crate) name: &'static str,
    /// What the daemon has to say, in its log or as a process's reason.
    pub(crate) said: &'static [&'static str],
    /// Whose the daemon is, where it is not this program's user's: only he may, and who has CAP_SYS_RESOURCE.
    pub(crate) user: Option<&'static str>,
}

/// What was seen.
pub(crate) struct Starved {
    pub(crate) calls: Calls,
    pub(crate) recovered: Duration,
}

/// Children for [`starve`].
pub(crate) fn processes(lines: u64) -> String {
    let retried = "restart_sec: 0.2, restart_max_delay_sec: 2";
    let printer = format!(
        "  printer: {{command: PROBE, args: [width={WIDTH}, every=20ms, 'account={lines}:DIR', sleep]}}\n"
    );
    many(SLEEPERS, &format!("{{command: PROBE sleep, {retried}}}")) + &printer
}

/// Lowers the soft limit for a while.
pub(crate) fn starve(bed: &Bed, limit: &Limit, to: u64, lasts: Duration, lines: u64) -> Result<Starved> {
    bed.until_all(&["running"])?;
    let pids = |bed: &Bed| -> Result<Vec<i64>> {
        let all = bed.processes()?;
        (0..SLEEPERS)
            .map(|n| {
                let found = all.iter().find(|p| p["name"] == format!("p{n}").as_str());
                found.and_then(|p| p["pid"].as_i64()).with_context(|| format!("p{n} has no pid"))
            })
            .collect()
    };
    let before = pids(bed)?;
    let usual = soft(bed.pid(), limit.name)?;
    let watch = Watch::start(bed)?;
    set(bed.pid(), limit, &to.to_string())?;
    for pid in before.iter().take(VICTIMS) {
        kill(Pid::from_raw(i32::try_from(*pid)?), Signal::SIGKILL)?;
    }
    std::thread::sleep(lasts);
    let alive = std::fs::read_to_string(format!("/proc/{}/stat", bed.pid()));
    ensure!(alive.is_ok_and(|stat| !stat.contains(") Z ")), "the daemon died of it:\n{}", tail(&bed.log()));
    set(bed.pid(), limit, &usual)?;
    let begin = Instant::now();
    let up = bed.within(RECOVERED, "everything to be up again", || {
        Ok(bed.processes().is_ok_and(|all| all.iter().all(|p| p["state"] == "running")).then_some(()))
    });
    up.with_context(|| tail(&bed.log()))?;
    let recovered = begin.elapsed();
    let calls = watch.end()?;
    let after = pids(bed)?;
    ensure!(
        after.iter().skip(VICTIMS).eq(before.iter().skip(VICTIMS)),
        "processes that had no part in it were restarted"
    );
    let exposition = bed.scrape()?;
    for (number, pid) in before.iter().enumerate() {
        let name = format!("p{number}");
        let starts = counter(&exposition, "ddprocmgr_process_starts_total", &name);
        let wanted = if number < VICTIMS { 2 } else { 1 };
        ensure!(
            starts == wanted,
            "{name} (pid {pid}): {starts} starts reached their program, {wanted} should have"
        );
    }
    let log = bed.log();
    let said = |line: &str| limit.said.is_empty() || limit.said.iter().any(|text| line.contains(text));
    ensure!(log.lines().any(said), "nothing in the log says {:?}:\n{}", limit.said, failures(&log));
    printed::all(bed, &["printer".to_owned()], lines, WIDTH, &bed.logs())?;
    Ok(Starved { calls, recovered })
}

/// The soft limit that is in force, as prlimit(1) takes it.
fn soft(pid: u32, name: &str) -> Result<String> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("no value")?.to_owned())
}

fn set(pid: u32, limit: &Limit, to: &str) -> Result<()> {
    // With the colon the hard limit stays, so that a user may take it back.
    let mut command = match limit.user {
        None => Command::new("prlimit"),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups", "prlimit"]);
            command
        }
    };
    let output = command.arg(format!("--pid={pid}")).arg(format!("{}={to}:", limit.option)).output();
    let output = output.context("prlimit(1) can't be executed; it is in util-linux")?;
    ensure!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// The first lines that tell of something that failed.
fn failures(log: &str) -> String {
    let told = log
        .lines()
        .filter(|line| (line.contains("WARN") || line.contains("ERROR")) && !line.contains("SIGKILL"));
    told.take(12).collect::<Vec<_>>().join("\n")
}

pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
