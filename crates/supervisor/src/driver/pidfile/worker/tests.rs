//! What is taken for a pidfile, and when it is looked at.

use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;

use super::*;

const RUN: RunId = RunId(1);

fn orders() -> Arc<Orders> {
    let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
    Arc::new(Orders { queue: Mutex::default(), wake })
}

/// A thread that reads pidfiles, and what it reports.
struct Rig {
    orders: Arc<Orders>,
    reports: Receiver<(RunId, Reading)>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Rig {
    fn new() -> Self {
        let orders = orders();
        let worker = Worker::new(Arc::clone(&orders), Watcher::new().unwrap());
        let (sender, reports) = channel();
        let report = move |run, reading| drop(sender.send((run, reading)));
        Self { orders, reports, thread: Some(thread::spawn(move || worker.work(&report))) }
    }

    fn watch(&self, run: RunId, path: &Path) {
        self.orders.put(Order::Watch { run, path: path.into(), since: Wall(0) });
    }

    /// The first report of this pid; what comes before it is let pass.
    fn reads(&self, run: RunId, wanted: u32) {
        loop {
            let (whose, reading) = self.reports.recv_timeout(Duration::from_secs(30)).unwrap();
            match reading {
                Reading::Pid { pid, .. } if (whose, pid) == (run, wanted) => return,
                Reading::Pid { .. } => {}
                Reading::Unwatchable(problem) => panic!("{problem}"),
            }
        }
    }

    /// Whether everything that was reported has been taken. (After this nothing more can be ordered.)
    fn ends_silent(mut self) {
        self.orders.put(Order::End);
        self.thread.take().unwrap().join().unwrap();
        assert_eq!(self.reports.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.orders.put(Order::End);
    }
}

#[test]
fn a_pid_is_the_first_line() {
    assert_eq!(pid_in(b"4711"), Some(4711));
    assert_eq!(pid_in(b"  4711 \r\nwhatever\n"), Some(4711));
    for nonsense in ["", "\n4711", "0", "-1", "+1", "x", "47 11", "4294967296", "\u{0661}"] {
        assert_eq!(pid_in(nonsense.as_bytes()), None, "{nonsense:?}");
    }
}

#[test]
fn a_file_is_fresh_when_it_is_younger_than_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    assert_eq!(read(&path, Wall(0)), None);
    fs::write(&path, "7\n").unwrap();
    let changed = fs::metadata(&path).unwrap();
    let changed = u64::try_from(changed.mtime() * 1_000_000_000 + changed.mtime_nsec()).unwrap();
    let fresh = |since| read(&path, Wall(since)) == Some(Reading::Pid { pid: 7, fresh: true });
    assert!(fresh(changed) && fresh(changed + SLACK) && !fresh(changed + SLACK + 1));
}

#[test]
fn only_a_regular_file_is_opened_and_little_of_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    // Opened for reading, it would wait for a writer.
    assert_eq!(read(&fifo, Wall(0)), None);
    assert_eq!(read(dir.path(), Wall(0)), None);
    assert_eq!(read(Path::new("/dev/zero"), Wall(0)), None);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    assert_eq!(read(&link, Wall(0)), None);
    let long = dir.path().join("long");
    fs::write(&long, vec![b'1'; 1 << 20]).unwrap();
    assert_eq!(read(&long, Wall(0)), None);
}

#[test]
fn a_file_is_read_at_once_and_whenever_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let rig = Rig::new();
    fs::write(&path, "1\n").unwrap();
    rig.watch(RUN, &path);
    rig.reads(RUN, 1);
    fs::write(&path, "2\n").unwrap();
    rig.reads(RUN, 2);
    // In place of the other, as careful programs do it.
    fs::write(dir.path().join("new"), "3\n").unwrap();
    fs::rename(dir.path().join("new"), &path).unwrap();
    rig.reads(RUN, 3);
    // Held open and locked for as long as the program lives, as others do it.
    use std::io::Write;
    fs::remove_file(&path).unwrap();
    let mut open = File::create(&path).unwrap();
    open.write_all(b"4\n").unwrap();
    rig.reads(RUN, 4);
}

#[test]
fn a_directory_may_be_made_later_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/pid");
    let rig = Rig::new();
    rig.watch(RUN, &path);
    for pid in 1..20 {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, pid.to_string()).unwrap();
        rig.reads(RUN, pid);
        fs::remove_dir_all(dir.path().join("a")).unwrap();
    }
    fs::create_dir_all(dir.path().join("other/b")).unwrap();
    fs::write(dir.path().join("other/b/pid"), "20").unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("a")).unwrap();
    rig.reads(RUN, 20);
}

#[test]
fn runs_that_share_a_directory_wait_each_for_their_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new();
    let path = |n: u64| dir.path().join(n.to_string());
    for n in 1..=3 {
        rig.watch(RunId(n), &path(n));
    }
    // Once one is content, the others still wait.
    rig.orders.put(Order::Forget(RunId(2)));
    fs::write(path(3), "30").unwrap();
    rig.reads(RunId(3), 30);
    rig.orders.put(Order::Forget(RunId(3)));
    fs::write(path(1), "10").unwrap();
    rig.reads(RunId(1), 10);
    rig.orders.put(Order::Forget(RunId(1)));
    rig.watch(RunId(4), &path(1));
    rig.reads(RunId(4), 10);
}

#[test]
fn nobody_hears_of_what_was_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new();
    rig.watch(RUN, &dir.path().join("pid"));
    rig.orders.put(Order::Forget(RUN));
    // The orders were taken when this one is answered.
    fs::write(dir.path().join("other"), "2").unwrap();
    rig.watch(RunId(2), &dir.path().join("other"));
    rig.reads(RunId(2), 2);
    fs::write(dir.path().join("pid"), "1").unwrap();
    rig.ends_silent();
}

#[test]
fn what_can_not_be_watched_is_told() {
    let rig = Rig::new();
    rig.orders.put(Order::Watch { run: RUN, path: "/".into(), since: Wall(0) });
    let (_, reading) = rig.reports.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(reading, Reading::Unwatchable("it is not the path of a file".into()));
}
