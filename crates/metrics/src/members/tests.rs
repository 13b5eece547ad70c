//! Runs on a made-up /proc, with and without cgroups.

use super::*;

/// A process of a made-up /proc: 1 s of CPU and 10 pages each.
fn put(root: &Path, pid: u32, parent: u32, session: u32, state: char) {
    let dir = root.join(pid.to_string());
    fs::create_dir_all(dir.join("fd")).unwrap();
    let stat = format!(
        "{pid} (x y) {state} {parent} {pid} {session} 0 0 0 0 0 0 0 60 20 10 10 20 0 2 0 500 0 10 0\n"
    );
    fs::write(dir.join("stat"), stat).unwrap();
    fs::write(dir.join("comm"), "x y\n").unwrap();
    fs::write(dir.join("cmdline"), b"/bin/x\0--evil=\x1b[2J\0").unwrap();
    fs::write(dir.join("io"), "rchar: 1\nread_bytes: 5\nwrite_bytes: 7\n").unwrap();
    fs::write(dir.join("fd/0"), "").unwrap();
}

fn members(root: &Path) -> Members {
    fs::write(root.join("stat"), "cpu 1\nbtime 1000\n").unwrap();
    fs::write(root.join("uptime"), "1000.00 5.00\n").unwrap();
    Members::of(ProcFs::at(root.to_str().unwrap().to_owned(), 50, 100, Some(4096), false))
}

fn run(main: u32) -> Option<LiveRun> {
    Some(LiveRun { main: Some(main), age: Duration::from_secs(995), cgroup: None })
}

#[test]
fn a_run_is_its_descendants_and_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, 50, 1, 50, 'S');
    put(root, 100, 50, 100, 'S');
    put(root, 200, 50, 200, 'R');
    // A grandchild in a session of its own; a zombie; an orphan of the session; somebody else's.
    put(root, 101, 100, 100, 'S');
    put(root, 102, 101, 102, 'S');
    put(root, 103, 100, 100, 'Z');
    put(root, 104, 50, 100, 'S');
    put(root, 300, 1, 300, 'S');
    let members = members(root);
    let usages = members.read(&[run(100), None, run(200)], true).unwrap();
    let pids = |usage: &RunUsage| usage.members.iter().map(|m| m.pid).collect::<Vec<_>>();
    assert_eq!(pids(&usages[0]), [100, 101, 102, 103, 104]);
    assert_eq!(usages[1], RunUsage::default());
    assert_eq!(pids(&usages[2]), [200]);
    let first = &usages[0];
    assert_eq!((first.processes, first.threads, first.fds, first.io), (4, 8, Some(4), Some([20, 28])));
    assert_eq!((first.resident_bytes, first.main_resident_bytes), (4 * 40_960, 40_960));
    assert_eq!((first.cpu, first.main_cpu), (Duration::from_secs(5), Duration::from_millis(800)));
    let member = &first.members[0];
    assert_eq!((member.name.as_str(), member.command_line.as_str()), ("x y", "/bin/x --evil= [2J"));
    assert_eq!((member.parent, member.state, member.started), (50, 'S', Wall(1_005_000_000_000)));
    assert!(members.read(&[run(100)], false).unwrap()[0].members.is_empty());
}

#[test]
fn a_run_with_a_cgroup_is_what_is_in_there_and_nothing_else_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (root, group) = (dir.path().join("proc"), dir.path().join("group"));
    put(&root, 100, 50, 100, 'S');
    put(&root, 900, 1, 900, 'D');
    fs::create_dir_all(group.join("below")).unwrap();
    fs::write(group.join("cgroup.procs"), "100\n77\n").unwrap();
    fs::write(group.join("below/cgroup.procs"), "900\n").unwrap();
    let live = LiveRun { main: Some(100), age: Duration::ZERO, cgroup: Some(group) };
    let usage = members(&root).read(&[Some(live)], true).unwrap().remove(0);
    assert_eq!(usage.members.iter().map(|m| (m.pid, m.state)).collect::<Vec<_>>(), [(100, 'S'), (900, 'D')]);
}

#[test]
fn what_may_not_be_looked_at_is_no_zero() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, 100, 50, 100, 'S');
    put(root, 101, 100, 100, 'S');
    // A directory in place of the file: neither gone nor readable.
    fs::remove_file(root.join("101/io")).unwrap();
    fs::create_dir(root.join("101/io")).unwrap();
    let usage = members(root).read(&[run(100)], false).unwrap().remove(0);
    assert_eq!((usage.io, usage.fds, usage.processes), (None, Some(2), 2));
}

#[test]
fn a_pid_that_is_somebody_elses_by_now_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 100, 1, 100, 'S');
    let other = LiveRun { age: Duration::from_secs(3), ..run(100).unwrap() };
    let usages = members(dir.path()).read(&[Some(other)], true).unwrap();
    assert_eq!(usages, [RunUsage::default()]);
}
