//! Children of the probe: they run the same program.

use std::process::{Child, Command};
use std::time::{Duration, UNIX_EPOCH};
use std::{env, io};

use crate::files;
use crate::step::Step;

/// A chain ends by itself after this time: one that a test has lost must not go on for ever.
const CHAIN_SECONDS: u64 = 300;
/// When it ends, in seconds since 1970, for its successors.
const CHAIN_END: &str = "PROBE_CHAIN_END";

/// Starts a child that does these steps and is not waited for; its pid.
pub(crate) fn child(steps: &str) -> io::Result<u32> {
    Ok(spawn(steps.split(','))?.id())
}

/// Runs a child to its end.
pub(crate) fn finish<'a>(steps: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let status = spawn(steps)?.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the process in between: {status}"))) }
}

/// Starts a grandchild in a session of its own whose parent is gone when this returns. The parent prints its pid.
pub(crate) fn orphan(steps: &str) -> io::Result<()> {
    let child = format!("child={steps}");
    finish(["session", &child])
}

/// Double-forks: a grandchild in a session of its own does the remaining steps. When this returns it has been started,
/// its parent is gone, and the pidfile is there.
pub(crate) fn daemonize(pidfile: Option<&str>, remaining: &[&str]) -> io::Result<()> {
    let detach = pidfile.map_or("detach".to_owned(), |path| format!("detach={path}"));
    finish(["session", &detach].into_iter().chain(remaining.iter().copied()))
}

/// The process in between: starts the daemon and ends.
pub(crate) fn detach(pidfile: Option<&str>, remaining: &[&str]) -> io::Result<()> {
    let daemon = spawn(remaining.iter().copied())?;
    pidfile.map_or(Ok(()), |path| files::write_pid(path, daemon.id()))
}

/// A successor that lives as long as this one did, and has its settings; none when the chain is old enough.
pub(crate) fn successor(life: Duration, settings: &[&str]) -> io::Result<()> {
    let now = UNIX_EPOCH.elapsed().map_err(io::Error::other)?.as_secs();
    let end = env::var(CHAIN_END).ok().and_then(|text| text.parse().ok()).unwrap_or(now + CHAIN_SECONDS);
    if now >= end {
        return Ok(());
    }
    let chain = format!("chain={}ms", life.as_millis());
    let words = settings.iter().copied().chain([chain.as_str()]);
    Command::new(env::current_exe()?).args(words).env(CHAIN_END, end.to_string()).spawn().map(drop)
}

/// Starts `count` chains in sessions of their own that shrug off SIGTERM and are never the same processes for long.
pub(crate) fn hydra(count: usize, life: Duration) -> io::Result<()> {
    let chain = format!("chain={}ms", life.as_millis());
    (0..count).try_for_each(|_| finish(["session", "ignore=TERM", "detach", &chain]))
}

/// Keeps `count` children running: each lives for a moment only, so that the set of pids is never the same.
pub(crate) fn storm(count: usize) -> io::Result<()> {
    let mut children = Vec::with_capacity(count);
    loop {
        while children.len() < count {
            children.push(spawn(["sleep=20ms"])?);
        }
        children.remove(0).wait()?;
    }
}

pub(crate) fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// The words of the steps that set something for all that follow: a process that goes on for this one needs them too.
pub(crate) fn settings<'a>(steps: &[Step], words: &'a [String]) -> Vec<&'a str> {
    let is_setting = |step: &Step| {
        matches!(step, Step::To(_) | Step::Width(_) | Step::Every(_) | Step::Ignore(_) | Step::OnHup(_))
    };
    steps.iter().zip(words).filter(|(step, _)| is_setting(step)).map(|(_, word)| word.as_str()).collect()
}

fn spawn<'a>(steps: impl IntoIterator<Item = &'a str>) -> io::Result<Child> {
    Command::new(env::current_exe()?).args(steps).spawn()
}
