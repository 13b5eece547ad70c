//! The descendants of a process without cgroups: /proc, and being the process that orphans are given to.
//!
//! Everything here is a look at something that changes: an entry that vanishes during the walk is no error, it has
//! just ended. A pid is only a number: compare [`Stat::start_ticks`] before acting on one that was noted earlier.

mod stat;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

pub use stat::{Stat, stat};

/// An environment is read up to here: what a program may be given in all (6 MiB, execve(2)).
const ENVIRON_MAX: u64 = 6 << 20;

/// From now on, descendants whose parent ends become children of this process instead of init's.
///
/// They become children of its first thread, as long as that lives: it must never spawn a process itself, or that
/// one is taken for an orphan.
///
/// # Errors
/// None on Linux 3.4 and later.
pub fn become_subreaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// The orphans that were given to us, zombies included: the children of our first thread. One small read of a file that
/// is kept open: this is asked at each end of a process, and opening a file of /proc costs several times as much.
///
/// # Errors
/// Unsupported when the kernel has no lists of children (CONFIG_PROC_CHILDREN) or /proc is not mounted.
pub fn orphans() -> io::Result<Vec<u32>> {
    static LIST: OnceLock<File> = OnceLock::new();
    let file = match LIST.get() {
        Some(file) => file,
        None => {
            let opened = own_children()?;
            LIST.get_or_init(|| opened)
        }
    };
    let mut list = Vec::new();
    let mut buffer = [0; 4096];
    // In one go, from the start: the kernel then goes on where it was.
    while let n @ 1.. = file.read_at(&mut buffer, list.len() as u64)? {
        list.extend_from_slice(&buffer[..n]);
    }
    Ok(pids(&String::from_utf8_lossy(&list)).collect())
}

fn own_children() -> io::Result<File> {
    let own = std::process::id();
    let path = format!("/proc/{own}/task/{own}/children");
    match File::open(&path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{path} does not exist: mount /proc, or use a kernel with CONFIG_PROC_CHILDREN or cgroups"
            ),
        )),
        Err(error) => Err(error),
    }
}

/// Takes the status of an orphan if it has ended. Never call it for a process that was spawned here: whoever holds
/// its pidfd wants the status.
#[must_use = "false means that it is still there"]
pub fn reap_orphan(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    let ended = waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
    matches!(ended, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)))
}

/// Appends the children of `pid`, their children and so on, parents first; not `pid` itself. Zombies are included.
///
/// One whose parent ends during the walk may be missed: it is an orphan now, so ask for those afterwards.
pub fn descendants(pid: u32, found: &mut Vec<u32>) {
    let start = found.len();
    let mut seen = HashSet::from([pid]);
    let mut listed = true;
    let mut add = |parent: u32, found: &mut Vec<u32>| {
        let known = children(parent, |child| {
            if seen.insert(child) {
                found.push(child);
            }
        });
        listed &= known;
    };
    add(pid, found);
    let mut next = start;
    while let Some(&parent) = found.get(next) {
        add(parent, found);
        next += 1;
    }
    if !listed {
        found.truncate(start);
        scan(pid, found);
    }
}

/// Calls `each` for the children of all threads of a process. False when the kernel has no lists of children.
fn children(pid: u32, mut each: impl FnMut(u32)) -> bool {
    // No such process (any more): no children either.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    for thread in threads.flatten() {
        let dir = thread.path();
        match fs::read_to_string(dir.join("children")) {
            Ok(list) => pids(&list).for_each(&mut each),
            // The thread is still there, so it is the file that is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.exists() => return false,
            Err(_) => {}
        }
    }
    true
}

/// The same by the parent of every process there is: for kernels without lists of children.
fn scan(root: u32, found: &mut Vec<u32>) {
    let all: Vec<(u32, u32)> = processes().filter_map(stat).map(|s| (s.pid, s.ppid)).collect();
    let start = found.len();
    let mut seen = HashSet::from([root]);
    let mut parent = root;
    let mut next = start;
    loop {
        found.extend(
            all.iter().filter(|(pid, ppid)| *ppid == parent && seen.insert(*pid)).map(|(pid, _)| *pid),
        );
        let Some(&pid) = found.get(next) else { return };
        (parent, next) = (pid, next + 1);
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn pids(list: &str) -> impl Iterator<Item = u32> {
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok())
}

/// The value of a variable of the environment that a process was executed with. `None`, too, if we may not read it
/// (another user's process, without CAP_SYS_PTRACE), or if it overwrote its environment.
///
/// A process in the midst of execve(2) has no environment for some microseconds, or until it gets a processor again, and
/// what is being read of the old one ends where it went away. Whoever asks wants to know whose it is, and would take it
/// for a stranger: so this waits, up to 20 ms, for that alone.
#[must_use]
pub fn environ_value(pid: u32, key: &str) -> Option<Vec<u8>> {
    let value = |variable: &[u8]| {
        let rest = variable.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
        Some(rest.to_vec())
    };
    environ(pid, EXECUTING)?.split(|b| *b == 0).find_map(value)
}

/// The processes that were executed with this variable in their environment, zombies and ourselves left out. Reads the
/// environment of every process that we may read: some 20 µs each.
#[must_use]
pub fn executed_with(key: &str, value: &str) -> Vec<Stat> {
    let own = std::process::id();
    let all: Vec<Stat> = processes().filter(|pid| *pid != own).filter_map(stat).collect();
    // They have no environment, and would be taken for processes that are being executed.
    let kernel = all.iter().any(|stat| stat.pid == 2 && stat.comm == "kthreadd");
    let of_kernel = |stat: &Stat| kernel && (stat.pid == 2 || stat.ppid == 2);
    let is = |stat: &Stat| environ_value(stat.pid, key).is_some_and(|found| found == value.as_bytes());
    all.into_iter().filter(|stat| !of_kernel(stat) && stat.state != 'Z' && is(stat)).collect()
}

/// Tries of [`environ_value`], a tenth of a millisecond apart.
const EXECUTING: u32 = 200;

/// The environment, once all of it was read; what there is of it after so many tries.
fn environ(pid: u32, tries: u32) -> Option<Vec<u8>> {
    let mut environ = Vec::new();
    for _ in 0..tries {
        // Most are read in one go then, which leaves less time for an execve(2) in between.
        environ = Vec::with_capacity(16 << 10);
        File::open(format!("/proc/{pid}/environ")).ok()?.take(ENVIRON_MAX).read_to_end(&mut environ).ok()?;
        match environ_size(pid) {
            // Asked for afterwards, so that it is that of the new program if what was read is of the old one.
            Some(Size::Known(size)) if size.min(ENVIRON_MAX) == environ.len() as u64 => break,
            Some(Size::Known(_) | Size::Executing) => thread::sleep(Duration::from_micros(100)),
            None => break,
        }
    }
    Some(environ)
}

/// How long an environment is.
enum Size {
    Known(u64),
    /// The process has left its old program, and its new one has no environment yet.
    Executing,
}

/// proc(5): the third field is the state; 46 is the end of the data, which execve(2) notes right after it has built the
/// environment, whose begin and end are 50 and 51 (equal while it is being built). `None` = the process is dead.
fn environ_size(pid: u32) -> Option<Size> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    if fields.next()?.starts_with(['Z', 'X']) {
        return None;
    }
    // Three fields are behind us.
    let data = fields.nth(46 - 4)?;
    let mut bound = fields.skip(50 - 47).map(str::parse::<u64>);
    let (begin, end) = (bound.next()?.ok()?, bound.next()?.ok()?);
    Some(if data == "0" || end == 0 { Size::Executing } else { Size::Known(end.saturating_sub(begin)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_what_it_was_executed_with() {
        use std::process::Command;

        let value = format!("{:016x}", crate::random_u64());
        let spawn =
            |value: &str| Command::new("sleep").arg("1000").env("SYS_TREE_TEST", value).spawn().unwrap();
        let mut children = [spawn(&value), spawn("another")];
        let found = executed_with("SYS_TREE_TEST", &value);
        for child in &mut children {
            child.kill().unwrap();
            // Until it is a zombie, and so that it stays one.
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            let left = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
            nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid), left).unwrap();
        }
        let pids: Vec<u32> = found.iter().map(|stat| stat.pid).collect();
        assert_eq!(pids, [children[0].id()]);
        assert!(executed_with("SYS_TREE_TEST", &value).is_empty(), "a zombie is nobody any more");
        for mut child in children {
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_scan_of_proc_finds_the_same_as_the_lists() {
        use std::io::BufRead;
        use std::process::{Command, Stdio};

        let script = "sh -c 'sleep 1000 & echo $!; wait' & sleep 1000 & echo $!; echo $$; read line";
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let lines = io::BufReader::new(shell.stdout.take().unwrap()).lines().take(3);
        let pids: HashSet<u32> = lines.map(|line| line.unwrap().parse().unwrap()).collect();
        let (mut listed, mut scanned) = (Vec::new(), Vec::new());
        descendants(shell.id(), &mut listed);
        scan(shell.id(), &mut scanned);
        for pid in &listed {
            nix::sys::signal::kill(Pid::from_raw(i32::try_from(*pid).unwrap()), nix::sys::signal::SIGKILL)
                .unwrap();
        }
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(listed.len(), 3, "two shells' sleeps and the inner shell");
        assert_eq!(pids.iter().filter(|pid| listed.contains(pid)).count(), 2, "{pids:?} {listed:?}");
        assert_eq!(listed.into_iter().collect::<HashSet<_>>(), scanned.into_iter().collect());
    }

    #[test]
    fn the_environment_of_a_process_that_executes_itself_again_and_again_is_always_whole() {
        use std::process::Command;

        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("again");
        fs::write(&script, format!("exec /bin/sh {}\n", script.display())).unwrap();
        let mut shell = Command::new("/bin/sh");
        // Longer than a page, so that it takes more than one copy.
        shell.arg(&script).env_clear().env("LONG", "x".repeat(20_000)).env("MARKER", "here");
        let mut shell = shell.spawn().unwrap();
        let whole = |environ: &[u8]| environ.split(|b| *b == 0).any(|variable| variable == b"MARKER=here");
        // Far more patience than there is in production: a machine under load stops a process in mid-execve(2).
        let torn = (0..5000).filter(|_| !environ(shell.id(), 50_000).is_some_and(|e| whole(&e))).count();
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(torn, 0);
    }

    #[test]
    fn an_empty_environment_is_whole() {
        use std::process::Command;

        let mut sleep = Command::new("/bin/sleep").arg("1000").env_clear().spawn().unwrap();
        let (found, value) = (environ(sleep.id(), 50_000), environ_value(sleep.id(), "MARKER"));
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_eq!((found, value), (Some(Vec::new()), None));
    }

    #[test]
    fn lists_of_children_end_with_a_blank() {
        assert_eq!(pids("12 345 ").collect::<Vec<_>>(), [12, 345]);
        assert_eq!(pids("").count(), 0);
    }
}
