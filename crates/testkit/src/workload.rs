//! Everything that a daemon has started: found by ancestry and by an environment variable, straight from /proc, so that
//! a fault in the program under test can't hide a process from the test.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;

use nix::sys::signal::{Signal, kill};

use crate::{eventually_within, patience};

/// Listings that one look is made of, at most.
const LISTINGS: u32 = 4;
/// Looks in a row that find nobody, until nobody is believed to be there.
const QUIET_LOOKS: u32 = 5;

/// A process that can't be confused with a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pid {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (/proc/PID/stat, field 22).
    pub start_ticks: u64,
}

/// The processes seen so far below one root process, or with one environment variable.
#[derive(Debug)]
pub struct Workload {
    root: u32,
    marker: String,
    seen: BTreeMap<Pid, String>,
}

struct Stat {
    pid: Pid,
    parent: u32,
    state: char,
    command: String,
}

impl Workload {
    /// Watches the descendants of `root`, and processes that have `marker` (`NAME=value`) in their environment.
    #[must_use]
    pub fn new(root: u32, marker: impl Into<String>) -> Self {
        Self { root, marker: marker.into(), seen: BTreeMap::new() }
    }

    /// Remembers what is there now: descendants of the root and of those seen before, and marked ones. Call it while
    /// they live: afterwards ancestry is lost.
    pub fn look(&mut self) {
        // A listing in which somebody vanished before it was looked at may lack its successor as well.
        for _ in 0..LISTINGS {
            if self.look_once(false) {
                break;
            }
        }
    }

    /// Kills marked ones as they are found, if asked to: at the end of the look they may have made way for others.
    /// `false` = somebody vanished meanwhile.
    fn look_once(&mut self, kill: bool) -> bool {
        let mut complete = true;
        let mut all = Vec::new();
        let mut family = vec![self.root];
        family.extend(self.alive().iter().map(|p| p.pid));
        for pid in newest_first() {
            match (stat(pid), self.is_marked(pid)) {
                (Some(stat), Some(marked)) => {
                    if marked && kill {
                        stat.pid.signal(Signal::SIGKILL);
                    }
                    if marked && !family.contains(&pid) {
                        family.push(pid);
                    }
                    all.push(stat);
                }
                _ => complete = false,
            }
        }
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            let children = all.iter().filter(|s| s.parent == parent).map(|s| s.pid.pid);
            let new: Vec<u32> = children.filter(|pid| !family.contains(pid)).collect();
            family.extend(new);
            next += 1;
        }
        let ours = all.into_iter().filter(|s| s.pid.pid != self.root && family.contains(&s.pid.pid));
        self.seen.extend(ours.map(|s| (s.pid, s.command)));
        complete
    }

    /// `None` = it is gone.
    fn is_marked(&self, pid: u32) -> Option<bool> {
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environment) => Some(environment.split(|b| *b == 0).any(|e| e == self.marker.as_bytes())),
            // Another user's is none that a test has started.
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Some(false),
            Err(_) => None,
        }
    }

    /// How many were seen so far, alive or not.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Those seen so far that are still alive; a zombie is not.
    #[must_use]
    pub fn alive(&self) -> Vec<Pid> {
        self.seen.keys().copied().filter(|p| p.is_alive()).collect()
    }

    /// SIGKILL to all that are still alive.
    pub fn kill(&self) {
        for pid in self.alive() {
            pid.signal(Signal::SIGKILL);
        }
    }
}

impl Workload {
    /// SIGKILL again and again until several looks in a row find nobody. A look is no snapshot: whoever forks all the
    /// time may slip through one. Gives up after [`patience`]; what is left then is shown by `Display`.
    pub fn kill_all(&mut self) {
        let mut quiet = 0;
        let _gave_up = eventually_within(patience(), || {
            let known = self.seen.len();
            self.look_once(true);
            let nobody = self.alive().is_empty() && self.seen.len() == known;
            quiet = if nobody { quiet + 1 } else { 0 };
            self.kill();
            (quiet == QUIET_LOOKS).then_some(())
        });
    }
}

/// What is alive, with command lines.
impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alive = self.seen.iter().filter(|(pid, _)| pid.is_alive());
        alive.try_for_each(|(pid, command)| writeln!(f, "  {} {command}", pid.pid))
    }
}

impl Pid {
    /// The process that has this number now; `None` when there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|s| s.pid)
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|s| s.pid == self && !matches!(s.state, 'Z' | 'X'))
    }

    /// Sends a signal, unless the number belongs to another process by now or to none.
    pub fn signal(self, signal: Signal) {
        if let (true, Ok(number)) = (self.is_alive(), i32::try_from(self.pid)) {
            // It may have ended in between, which the caller notices anyway.
            kill(nix::unistd::Pid::from_raw(number), signal).ok();
        }
    }
}

/// All pids. Those that come and go fastest are the newest, and are looked at before they are gone.
fn newest_first() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by(|a, b| b.cmp(a));
    pids
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `PID (command) state ppid … starttime …`; the command may hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let (pid, rest) = text.split_once(" (")?;
    let (command, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        pid: Pid { pid: pid.parse().ok()?, start_ticks: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
        command: command.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_anything() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let stat = parse_stat(text).unwrap();
        assert_eq!(stat.pid, Pid { pid: 42, start_ticks: 98765 });
        assert_eq!((stat.parent, stat.state, stat.command.as_str()), (7, 'S', "a) b (c"));
        assert!(parse_stat("42 (short) S 1").is_none());
    }

    #[test]
    fn a_number_that_was_reused_is_not_alive() {
        let me = Pid::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Pid { start_ticks: me.start_ticks + 1, ..me }.is_alive());
    }
}
