//! A process that hands over to another one of its run: the run goes on, and ends with the other one. That one is an
//! orphan as a rule, whose status is for one supervisor only.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use crate::Test;
use crate::support::{Rig, done, is_alive, kill, line, name, pid_of, spec};
use model::{Command, EventKind, ExitStatus, ProcessId, ProcessSpec, ProcessType, Signal, State};
use nix::sys::signal::Signal as Nix;

pub(crate) const TESTS: &[Test] = &[
    (
        "the_end_of_the_first_one_is_not_the_end_of_the_run",
        the_end_of_the_first_one_is_not_the_end_of_the_run,
    ),
    ("a_stop_leaves_neither", a_stop_leaves_neither),
    ("a_delete_in_the_middle_leaves_neither", a_delete_in_the_middle_leaves_neither),
    (
        "a_daemon_is_supervised_by_its_pidfile_however_late_that_is",
        a_daemon_is_supervised_by_its_pidfile_however_late_that_is,
    ),
    (
        "a_daemon_without_a_pidfile_is_what_is_left_after_the_last_fork",
        a_daemon_without_a_pidfile_is_what_is_left_after_the_last_fork,
    ),
    (
        "a_pidfile_of_a_stranger_fails_the_start_and_says_why",
        a_pidfile_of_a_stranger_fails_the_start_and_says_why,
    ),
];

/// Forks an heir, which names itself; both stay. Prints the pids of both.
const HANDS_OVER: &str = "import os, socket, time\n\
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n\
    first = os.getpid()\n\
    if os.fork() == 0:\n  \
      s.send(b'MAINPID=%d' % os.getpid())\n  \
      r, w = os.pipe(); socket.send_fds(s, [b'BARRIER=1'], [w]); os.close(w); os.read(r, 1)\n  \
      print(first, os.getpid(), flush=True)\n\
    time.sleep(1000)";

fn handing_over(id: u8) -> ProcessSpec {
    let mut spec = spec("web", "python3", &["-SEc", HANDS_OVER]);
    spec.id = ProcessId::from_digest([0xef, 0, 0, 0, 0, id]);
    spec.start.watchdog = Some(Duration::from_secs(100_000));
    spec
}

fn pids(rig: &Rig) -> (u32, u32) {
    let line = line(&mut rig.output("web", 1));
    let (first, heir) = line.split_once(' ').unwrap();
    (first.parse().unwrap(), heir.parse().unwrap())
}

fn the_end_of_the_first_one_is_not_the_end_of_the_run() {
    let rig = Rig::new();
    rig.up(handing_over(1));
    let (first, heir) = pids(&rig);
    kill(first, Nix::SIGKILL);
    // Reaped without any other event.
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while is_alive(first) {
        assert!(std::time::Instant::now() < patience, "a zombie was left");
        std::thread::yield_now();
    }
    assert_eq!(rig.view("web").map(|view| view.state), Some(State::Running));
    kill(heir, Nix::SIGTERM);
    let status = rig.event("web", |e| match &e.kind {
        EventKind::Exited { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status, ExitStatus::Signal { signal: Signal::TERM, core: false });
    assert_eq!(rig.handle.notices().main_pids, 0);
}

fn a_stop_leaves_neither() {
    let rig = Rig::new();
    rig.up(handing_over(2));
    let (first, heir) = pids(&rig);
    assert_eq!(done(rig.ask(Command::Stop(name("web")))).state, State::Stopped);
    assert!(!is_alive(first) && !is_alive(heir));
}

fn a_delete_in_the_middle_leaves_neither() {
    let rig = Rig::new();
    rig.up(handing_over(3));
    let (first, heir) = pids(&rig);
    kill(heir, Nix::SIGSTOP);
    rig.ask(Command::Delete(name("web"))).unwrap();
    assert!(!is_alive(first) && !is_alive(heir));
}

/// Goes into the background as daemons do, and writes its pid. `argv`: pidfile, file to wait for before that.
const DAEMON: &str = "import os, sys, time\n\
    if os.fork(): os._exit(0)\n\
    os.setsid()\n\
    if os.fork(): os._exit(0)\n\
    if sys.argv[2]: open(sys.argv[2]).read()\n\
    if sys.argv[1]: open(sys.argv[1], 'w').write('%d\\n' % os.getpid())\n\
    time.sleep(1000)";

fn daemon(id: u8, pidfile: Option<&Path>, gate: Option<&Path>) -> ProcessSpec {
    let text = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let mut spec = spec("web", "python3", &["-SEc", DAEMON, &text(pidfile), &text(gate)]);
    spec.id = ProcessId::from_digest([0xef, 0, 0, 0, 0, id]);
    spec.start.kind = ProcessType::Forking;
    spec.start.pidfile = pidfile.map(Path::to_owned);
    spec
}

fn a_daemon_is_supervised_by_its_pidfile_however_late_that_is() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let (pidfile, gate) = (dir.path().join("sub/web.pid"), dir.path().join("gate"));
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let spec = daemon(4, Some(&pidfile), Some(&gate));
    let answer = rig.submit(Command::Create { spec: spec.into(), start: true });
    let open = File::options().write(true).open(&gate).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    assert!(answer.try_recv().is_err());
    drop(open);
    let view = done(answer.recv().unwrap());
    let pid: u32 = fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    assert_eq!((view.state, pid_of(&view)), (State::Running, pid));

    // Its end is noticed as any other's.
    kill(pid, Nix::SIGKILL);
    let status = rig.event("web", |e| match &e.kind {
        EventKind::Exited { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status, ExitStatus::Signal { signal: Signal::KILL, core: false });
}

fn a_daemon_without_a_pidfile_is_what_is_left_after_the_last_fork() {
    for number in 0..10 {
        let rig = Rig::new();
        let view = rig.up(daemon(10 + number, None, None));
        assert_eq!(view.state, State::Running);
        // It may have been found between the two forks: then the next one is found when that one ends.
        let patience = std::time::Instant::now() + Duration::from_secs(30);
        let pid = loop {
            let pid = rig.view("web").map(|view| pid_of(&view)).unwrap();
            let stat = sys::tree::stat(pid);
            if stat.is_some_and(|stat| stat.session != pid && stat.state == 'S') {
                break pid;
            }
            assert!(std::time::Instant::now() < patience, "the last one is not found");
            std::thread::yield_now();
        };
        assert_eq!(done(rig.ask(Command::Stop(name("web")))).state, State::Stopped);
        assert!(!is_alive(pid));
    }
}

fn a_pidfile_of_a_stranger_fails_the_start_and_says_why() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let pidfile = dir.path().join("web.pid");
    let script = "(sleep 1000 &); echo 1 >\"$0\"";
    let mut spec = spec("web", "/bin/sh", &["-c", script, &pidfile.display().to_string()]);
    spec.start.kind = ProcessType::Forking;
    spec.start.pidfile = Some(pidfile.clone());
    let refusal = rig.ask(Command::Create { spec: spec.into(), start: true }).unwrap_err().to_string();
    let pidfile = pidfile.display().to_string();
    assert!(
        refusal.contains(&pidfile) && refusal.contains("pid 1") && refusal.contains("`pidfile`"),
        "{refusal}"
    );
}
