//! `/proc/<pid>/stat`.

use std::fs;

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its pid.
    pub pid: u32,
    /// Its parent; 0 = none that we can see.
    pub ppid: u32,
    /// Its process group.
    pub pgrp: u32,
    /// Its session.
    pub session: u32,
    /// R, S, D, T, t, Z (its first thread has ended) or X.
    pub state: char,
    /// Start time after boot in clock ticks (1/100 s). With the pid it names the process for ever.
    pub start_ticks: u64,
    /// Name of its first thread, at most 15 bytes; not UTF-8 is replaced.
    pub comm: String,
}

/// A look at a process; `None` when there is none of this pid (any more).
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// proc(5): `pid (comm) state ppid pgrp session …`, the start time is field 22. A comm may contain blanks and
/// parentheses, so it ends at the last closing one.
fn parse(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
    let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
    let mut fields = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut number = || fields.next()?.parse().ok();
    let (ppid, pgrp, session) = (number()?, number()?, number()?);
    // Six fields are behind us, numbered 1 to 6; the next is 7.
    let start_ticks = fields.nth(22 - 7)?.parse().ok()?;
    Some(Stat { pid, ppid, pgrp, session, state, start_ticks, comm })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses() {
        let text =
            b"42 (a) Z (b \xff) S 1 41 40 0 -1 4194560 7 8 9 10 11 12 13 14 20 0 1 0 98765 1000 2 184467\n";
        let stat = parse(text).unwrap();
        assert_eq!(stat.comm, "a) Z (b \u{fffd}");
        assert_eq!((stat.pid, stat.ppid, stat.pgrp, stat.session), (42, 1, 41, 40));
        assert_eq!((stat.state, stat.start_ticks), ('S', 98765));
    }

    #[test]
    fn half_a_line_is_no_process() {
        assert_eq!(parse(b"42 (a) S 1 41"), None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b")42("), None);
    }

    #[test]
    fn ourselves() {
        let stat = stat(std::process::id()).unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert!(stat.start_ticks > 0);
    }
}
