//! What systemd says of the daemon's unit.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};

use super::{LIMIT, bounded, late};
use crate::doctor::facts::{Fact, Unit};

const PROPERTIES: &str = "LogRateLimitIntervalUSec,LogRateLimitBurst,Delegate,UnitFileState";

/// The unit of a cgroup, asked of systemctl where there is one.
pub(super) async fn show(cgroup: Fact<String>, path: Option<String>) -> Fact<Unit> {
    let (name, user) = unit(&cgroup?).ok_or("the daemon is not run by systemd")?;
    let systemctl = find(&path.unwrap_or_default()).ok_or("there is no systemctl")?;
    bounded(move || ask(&systemctl, name, user)).await?
}

/// The service that a cgroup is of, and whether it is one of a user's systemd.
fn unit(cgroup: &str) -> Option<(String, bool)> {
    let name = cgroup.split('/').rfind(|part| part.ends_with(".service"))?;
    // user@1000.service itself belongs to the system.
    let user = cgroup.split('/').any(|part| part.starts_with("user@") && part != name);
    Some((name.to_owned(), user))
}

fn find(path: &str) -> Option<PathBuf> {
    let mut found =
        path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| Path::new(dir).join("systemctl"));
    found.find(|path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

fn ask(systemctl: &Path, name: String, user: bool) -> Fact<Unit> {
    let mut command = Command::new(systemctl);
    command.args(user.then_some("--user")).args(["show", "--no-pager", "-p", PROPERTIES, "--", &name]);
    let text = output(&mut command).map_err(|error| format!("systemctl show {name}: {error}"))?;
    let properties = text.lines().filter_map(|line| line.split_once('='));
    let properties: BTreeMap<String, String> =
        properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if properties.is_empty() {
        return Err(format!("systemctl says nothing of {name}"));
    }
    Ok(Unit { name, user, properties })
}

/// What a program prints; one that takes too long is killed.
fn output(command: &mut Command) -> io::Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let read = read(child.stdout.take(), Instant::now() + LIMIT);
    if read.is_err() {
        child.kill()?;
    }
    child.wait()?;
    read
}

fn read(pipe: Option<std::process::ChildStdout>, end: Instant) -> io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = rustix::event::Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        if poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&left))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, late()));
        }
        match pipe.read(&mut part)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_unit_it_is() {
        for (cgroup, wanted) in [
            ("/system.slice/dd-procmgrd.service/supervisor", Some(("dd-procmgrd.service", false))),
            ("/user.slice/user-7.slice/user@7.service/app.slice/x.service", Some(("x.service", true))),
            ("/user.slice/user-7.slice/session-2.scope", None),
            ("/", None),
        ] {
            let wanted = wanted.map(|(name, user): (&str, bool)| (name.to_owned(), user));
            assert_eq!(unit(cgroup), wanted, "{cgroup}");
        }
    }

    #[test]
    fn a_systemctl_that_hangs_is_killed() {
        let began = Instant::now();
        let hangs = output(Command::new("sh").args(["-c", "echo a=b; exec sleep 600"]));
        assert_eq!(hangs.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < LIMIT * 5);
        assert_eq!(output(Command::new("sh").args(["-c", "echo a=b"])).unwrap(), "a=b\n");
    }
}
