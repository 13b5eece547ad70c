//! What a daemon that was killed left behind is ended before its successor starts anything: otherwise each process would
//! run twice.
//!
//! Below systemd that is the unit's part, which kills what is left of it. In the foreground nobody does, and the processes
//! go on without anybody who reads what they print.
//!
//! A daemon has an id, in `<runtime>/manager-id` for as long as anything of it may be alive, and gives it to every process
//! as `PROCESS_MANAGER_ID`. Whoever finds the file at its start follows one that did not end by itself, takes over its id,
//! and ends whatever carries it. Only one daemon at a time gets that far, since the control socket's lock comes first.
//!
//! Not found is what dropped its environment, and what the daemon may not look at: with CAP_SETUID alone, processes of
//! other users.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::libc::{SIGCONT, SIGKILL, SIGTERM};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::{pidfd, tree};

/// The variable that carries the id.
pub(crate) const VARIABLE: &str = "PROCESS_MANAGER_ID";
/// Hex digits of an id.
const DIGITS: usize = 32;
/// Time to end after SIGTERM. The successor waits for it, so it is shorter than the `stop_timeout` of a process.
const POLITE: Duration = Duration::from_secs(5);
/// Time to be gone after SIGKILL; what is still there then is in state D, and named.
const KILLED: Duration = Duration::from_secs(2);
/// Looks for what was forked while the others were ended.
const LOOKS: u32 = 5;

/// This daemon's id and the file that holds it.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    id: String,
}

impl Mark {
    /// Takes the id of a predecessor that was killed, after ending what it left, or makes a new one.
    pub(crate) fn set(runtime_dir: &Path) -> Result<Self> {
        let path = runtime_dir.join("manager-id");
        match fs::read_to_string(&path) {
            Ok(id) if id.len() == DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                end_all(&id);
                return Ok(Self { path, id });
            }
            // Written in part by one that was killed meanwhile: it had not started anything.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
        let id = format!("{:016x}{:016x}", sys::random_u64(), sys::random_u64());
        fs::write(&path, &id).with_context(|| {
            format!("writing {}; check that the daemon's user may write there", path.display())
        })?;
        Ok(Self { path, id })
    }

    /// The id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Nothing of this daemon is alive any more: its successor has nothing to look for.
    pub(crate) fn lift(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("can't remove {}: {error}", self.path.display());
        }
    }
}

/// One process that was left.
struct Left {
    pid: u32,
    name: String,
    pidfd: OwnedFd,
}

fn end_all(id: &str) {
    let mut left = find(id);
    for look in 0..LOOKS {
        if left.is_empty() {
            return;
        }
        tracing::warn!(
            "an earlier daemon was killed and left {} behind: ending {}",
            list(&left),
            if left.len() == 1 { "it" } else { "them" }
        );
        if look == 0 {
            signal(&left, SIGTERM);
            // One that was stopped would not see it.
            signal(&left, SIGCONT);
            wait(&mut left, POLITE);
        }
        signal(&left, SIGKILL);
        wait(&mut left, KILLED);
        left = find(id);
    }
    if !left.is_empty() {
        tracing::error!(
            "{} can't be killed and may run beside a second one; see `ps -o pid,stat,wchan:32,cmd`",
            list(&left)
        );
    }
}

/// Whatever carries the id, with a hold on each: its pid may be another one's later.
fn find(id: &str) -> Vec<Left> {
    let found = tree::executed_with(VARIABLE, id);
    let hold = |stat: tree::Stat| {
        let pidfd = pidfd::open(stat.pid).ok()?;
        // The number is the same one's as before it was held.
        let same = tree::stat(stat.pid).is_some_and(|now| now.start_ticks == stat.start_ticks);
        let name = tree::environ_value(stat.pid, "PROCESS_NAME").unwrap_or_default();
        let name = String::from_utf8_lossy(&name).into_owned();
        same.then_some(Left { pid: stat.pid, name, pidfd })
    };
    found.into_iter().filter_map(hold).collect()
}

fn list(left: &[Left]) -> String {
    let names: Vec<String> =
        left.iter().map(|l| format!("{} (pid {})", l.name.escape_debug(), l.pid)).collect();
    names.join(", ")
}

fn signal(left: &[Left], number: i32) {
    for process in left {
        // A refusal shows in what is still there afterwards, unless it has just ended, which is what is wanted.
        if let Err(error) = pidfd::send_signal(process.pidfd.as_fd(), number) {
            tracing::debug!(pid = process.pid, %error, "no signal {number}");
        }
    }
}

/// Drops those that end within this time.
fn wait(left: &mut Vec<Left>, time: Duration) {
    let until = Instant::now() + time;
    left.retain(|process| {
        let rest = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(process.pidfd.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut fds, timeout), Ok(ready) if ready > 0)
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_successor_of_one_that_was_killed_ends_what_it_left() {
        let dir = tempfile::tempdir().unwrap();
        let first = Mark::set(dir.path()).unwrap();
        let spawn = |id: &str| Command::new("sleep").arg("1000").env(VARIABLE, id).spawn().unwrap();
        let (mut own, mut foreign) = (spawn(first.id()), spawn(&"0".repeat(DIGITS)));
        let second = Mark::set(dir.path()).unwrap();
        assert_eq!(second.id(), first.id());
        assert_eq!(own.wait().unwrap().signal(), Some(SIGTERM));
        assert!(foreign.try_wait().unwrap().is_none(), "that one is somebody else's");
        foreign.kill().unwrap();
        foreign.wait().unwrap();
        second.lift();
        assert_ne!(Mark::set(dir.path()).unwrap().id(), first.id(), "a good end needs no successor");
    }

    #[test]
    fn half_an_id_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("manager-id"), "abc").unwrap();
        assert_eq!(Mark::set(dir.path()).unwrap().id().len(), DIGITS);
    }
}
