//! What the process can tell about itself.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::{env, fs, io};

use nix::unistd::{getegid, geteuid, getgid, getgroups, getpgrp, getpid, getppid, getsid, getuid};

use crate::step::Report;

pub(crate) fn text(what: Report) -> io::Result<String> {
    Ok(match what {
        Report::Env => lines(env::vars_os().map(|(n, v)| format!("{}={}", n.display(), v.display()))),
        Report::Args => lines(env::args().skip(1)),
        Report::Cwd => format!("{}\n", env::current_dir()?.display()),
        Report::Ids => ids()?,
        Report::Fds => lines(fds()?),
        Report::Signals => status(&["SigBlk:", "SigIgn:", "SigCgt:"])?,
        Report::Umask => status(&["Umask:"])?,
        Report::IsATty => terminals(),
    })
}

/// `NAME=value`, or that there is none.
pub(crate) fn variable(name: &str) -> String {
    env::var_os(name)
        .map_or_else(|| format!("{name} is not set\n"), |value| format!("{name}={}\n", value.display()))
}

fn terminals() -> String {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams =
        [("stdin", stdin.is_terminal()), ("stdout", stdout.is_terminal()), ("stderr", stderr.is_terminal())];
    lines(streams.map(|(name, is)| format!("{name} {}", if is { "tty" } else { "other" })))
}

fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().fold(String::new(), |all, line| all + &line + "\n")
}

fn ids() -> io::Result<String> {
    let groups: Vec<String> = getgroups()?.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    for (name, id) in [("uid", getuid()), ("euid", geteuid())] {
        writeln!(text, "{name} {id}").map_err(io::Error::other)?;
    }
    for (name, id) in [("gid", getgid()), ("egid", getegid())] {
        writeln!(text, "{name} {id}").map_err(io::Error::other)?;
    }
    writeln!(text, "groups {}", groups.join(" ")).map_err(io::Error::other)?;
    for (name, id) in
        [("pid", getpid()), ("ppid", getppid()), ("pgrp", getpgrp()), ("session", getsid(None)?)]
    {
        writeln!(text, "{name} {id}").map_err(io::Error::other)?;
    }
    Ok(text)
}

/// `NUMBER TARGET` for each open descriptor, without the one that lists them.
fn fds() -> io::Result<Vec<String>> {
    let mut fds = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = fs::read_link(entry.path())?;
        // The directory itself: /proc/PID/fd
        if !(target.starts_with("/proc/") && target.ends_with("fd")) {
            fds.push(format!("{} {}", entry.file_name().display(), target.display()));
        }
    }
    fds.sort_by_key(|line| line.split(' ').next().and_then(|n| n.parse::<u32>().ok()));
    Ok(fds)
}

/// Lines of /proc/self/status. The Rust runtime ignores SIGPIPE and catches SIGSEGV and SIGBUS before main(), so for the
/// state that a child was started with run `sh -c 'grep ^Sig /proc/$$/status'` instead.
fn status(keys: &[&str]) -> io::Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let wanted = text.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
    Ok(lines(wanted.map(str::to_owned)))
}
