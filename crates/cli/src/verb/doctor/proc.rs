//! The daemon in /proc. Its status, limits and cgroup are everybody's to read, its program and environment its own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::doctor::facts::{Capabilities, Fact, Proc};

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) facts: Proc,
    /// Its cgroup.
    pub(super) cgroup: Fact<String>,
    /// `PM_JOURNAL_SOCKET`, where it is known and set.
    pub(super) journal: Option<String>,
    /// `PM_TLS_KEY`, likewise.
    pub(super) key: Option<PathBuf>,
}

impl Process {
    pub(super) fn unknown(why: &str) -> Self {
        let why = || why.to_owned();
        Self {
            facts: Proc { capabilities: Err(why()), exe: Err(why()), nofile: Err(why()), user: None },
            cgroup: Err(why()),
            journal: None,
            key: None,
        }
    }
}

/// Why it is not known.
#[derive(Debug)]
pub(super) enum Miss {
    /// It may be there, and can't be seen.
    Hidden(String),
    /// It is not a process of this machine.
    Foreign(String),
}

/// Looks at a daemon.
pub(super) fn look(proc: &Path, pid: u32) -> Result<Process, Miss> {
    let dir = proc.join(pid.to_string());
    let comm = fs::read_to_string(dir.join("comm"))
        .map_err(|error| Miss::Hidden(format!("{} can't be read: {error}", dir.display())))?;
    if comm.trim_end() != "dd-procmgrd" && comm.trim_end() != "daemon" {
        return Err(Miss::Foreign(format!(
            "pid {pid} is no dd-procmgrd here: the daemon runs in a container or on another machine; run doctor there"
        )));
    }
    let text = |name: &str| fs::read_to_string(dir.join(name)).map_err(|error| why(&dir.join(name), &error));
    let status = text("status");
    let environment = fs::read(dir.join("environ")).unwrap_or_default();
    let nofile =
        text("limits").and_then(|text| nofile(&text).ok_or_else(|| "no limit of open files is known".into()));
    let user = status.as_ref().ok().and_then(|status| {
        let uid = field(status, "Uid:")?.split_whitespace().nth(1)?.to_owned();
        user_name(&fs::read_to_string("/etc/passwd").ok()?, &uid)
    });
    let capabilities =
        status.and_then(|text| capabilities(&text).ok_or_else(|| "no capabilities are known".to_owned()));
    let exe = dir.join("exe");
    Ok(Process {
        facts: Proc {
            capabilities,
            exe: fs::read_link(&exe).map_err(|error| why(&exe, &error)),
            nofile,
            user,
        },
        cgroup: text("cgroup").and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("0::").or_else(|| named_systemd(line)));
            line.map(str::to_owned).ok_or_else(|| "it is in no cgroup of systemd".to_owned())
        }),
        journal: variable(&environment, "PM_JOURNAL_SOCKET"),
        key: variable(&environment, "PM_TLS_KEY").map(PathBuf::from),
    })
}

fn why(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!("your user may not read {}", path.display()),
        _ => format!("{} can't be read: {error}", path.display()),
    }
}

/// `1:name=systemd:/system.slice/x.service`, with cgroup v1.
fn named_systemd(line: &str) -> Option<&str> {
    line.split_once(":name=systemd:").map(|(_, path)| path)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn capabilities(status: &str) -> Option<Capabilities> {
    let set = |name| u64::from_str_radix(field(status, name)?, 16).ok();
    Some(Capabilities { effective: set("CapEff:")?, bounding: set("CapBnd:")? })
}

/// The soft limit.
fn nofile(limits: &str) -> Option<u64> {
    let word = field(limits, "Max open files")?.split_whitespace().next()?;
    if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() }
}

fn user_name(passwd: &str, uid: &str) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|line| line.get(2) == Some(&uid)).and_then(|line| line.first().map(|name| (*name).to_owned()))
}

/// A variable that is set to something.
fn variable(environment: &[u8], name: &str) -> Option<String> {
    let text = environment.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    let value = text.filter_map(|entry| entry.split_once('=')).find(|(key, _)| *key == name)?.1;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("7");
        fs::create_dir(&own).unwrap();
        let write = |name: &str, text: &str| fs::write(own.join(name), text).unwrap();
        write("comm", "dd-procmgrd\n");
        write(
            "status",
            "Uid:\t0\t0\t0\t0\nCapInh:\t0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c1\n",
        );
        write("limits", "Max open files            1024                 524288               files\n");
        write("cgroup", "0::/system.slice/dd-procmgrd.service/supervisor\n");
        write("environ", "A=1\0PM_JOURNAL_SOCKET=off\0PM_TLS_KEY=\0");
        let found = look(dir.path(), 7).unwrap();
        assert_eq!(found.facts.capabilities, Ok(Capabilities { effective: 0xc0, bounding: 0xc1 }));
        assert_eq!(found.facts.nofile, Ok(1024));
        assert_eq!(found.cgroup.unwrap(), "/system.slice/dd-procmgrd.service/supervisor");
        assert_eq!((found.journal.as_deref(), found.key), (Some("off"), None));
        write("comm", "bash\n");
        assert!(matches!(look(dir.path(), 7), Err(Miss::Foreign(_))));
        assert!(matches!(look(dir.path(), 8), Err(Miss::Hidden(_))));
    }

    #[test]
    fn users_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:33::/:/bin/sh\n";
        assert_eq!(user_name(passwd, "33").as_deref(), Some("web"));
        assert_eq!(user_name(passwd, "34"), None);
    }
}
