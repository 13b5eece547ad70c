//! What the program gets from its surroundings, read once.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use model::Wall;

/// The surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// Environment variables that are valid UTF-8.
    pub env: BTreeMap<String, String>,
    /// The working directory, against which relative paths of `create` are resolved.
    pub cwd: PathBuf,
    /// The runtime directory of the system's daemon.
    pub system_dir: PathBuf,
    /// The proc file system, for whether a daemon runs where none answers.
    pub proc: PathBuf,
    /// The user.
    pub uid: u32,
    /// The time, for "5m ago".
    pub now: Wall,
    /// The local time zone; a function, since most verbs need none and finding it reads files.
    pub zone: fn() -> TimeZone,
    /// Columns of the terminal; `None` = the output is no terminal and nothing is cut.
    pub width: Option<usize>,
    /// Whether the output is a terminal.
    pub terminal: bool,
    /// Whether the output is a terminal that may be colored, `NO_COLOR` considered.
    pub color: bool,
    /// Whether somebody sits there who can be asked: standard input and standard error are terminals.
    pub interactive: bool,
}

impl Context {
    /// The real ones.
    #[must_use]
    pub fn from_process() -> Self {
        let env: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let terminal = io::stdout().is_terminal();
        let plain = env.get("NO_COLOR").is_some_and(|v| !v.is_empty())
            || env.get("TERM").is_some_and(|term| term == "dumb");
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            args: env::args_os().collect(),
            cwd: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            system_dir: PathBuf::from("/run/dd-procmgrd"),
            proc: PathBuf::from("/proc"),
            uid: rustix::process::getuid().as_raw(),
            now: Wall::default().after(since_epoch),
            zone: TimeZone::system,
            width: terminal.then(width).flatten(),
            terminal,
            color: terminal && !plain,
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            env,
        }
    }

    /// A variable that is set to something.
    pub(crate) fn var(&self, key: &str) -> Option<&str> {
        self.env.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn width() -> Option<usize> {
    window().map(|(columns, _)| columns)
}

/// Columns and lines of the terminal that the output goes to, as it is now.
pub(crate) fn window() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // Some terminals say 0 when they don't know.
    Some((usize::from(size.ws_col), usize::from(size.ws_row))).filter(|(columns, _)| *columns > 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Surroundings in which there is nothing.
    pub(crate) fn surroundings(uid: u32) -> Context {
        Context {
            args: vec![],
            env: BTreeMap::new(),
            cwd: "/".into(),
            system_dir: "/run/dd-procmgrd".into(),
            proc: "/nonexistent".into(),
            uid,
            now: Wall(0),
            zone: || TimeZone::UTC,
            width: None,
            terminal: false,
            color: false,
            interactive: false,
        }
    }
}
