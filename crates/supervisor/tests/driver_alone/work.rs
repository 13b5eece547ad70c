//! What many ends at once cost the whole supervisor.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Test;
use crate::support::{Rig, immortal, impatient, line, name, sh, spec};
use model::{Command, ProcessView, State};
use nix::sys::stat::Mode;

pub(crate) const TESTS: &[Test] = &[
    ("a_thousand_ends_at_once", a_thousand_ends_at_once),
    ("sockets_and_what_came_over_them_are_closed", sockets_and_what_came_over_them_are_closed),
];

const MANY: u64 = 1000;

/// All end in the same moment, and each leaves a process behind, which is killed. A look at every process for each that
/// ends would be a million.
fn a_thousand_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    // Held open for reading, so that opening it for writing waits for nobody.
    let open = |write: bool| File::options().read(!write).write(write).open(&fifo).unwrap();
    let _reader = std::thread::scope(|scope| {
        let reader = scope.spawn(|| open(false));
        drop(open(true));
        reader.join().unwrap()
    });
    let gate = open(true);
    let mut rig = Rig::new();
    for n in 0..MANY {
        let who = format!("p{n}");
        let script = format!("sleep 1000 & exec <{}; echo up; read x", fifo.display());
        rig.up(impatient(sh(&who, &script)));
        assert_eq!(line(&mut rig.output(&who, 1)), "up");
    }
    let before = rig.handle.turns();
    drop(gate);
    let patience = Instant::now() + Duration::from_secs(60);
    let is_up = |view: &Arc<ProcessView>| view.state == State::Running;
    while rig.handle.snapshot().processes.iter().any(is_up) {
        assert!(Instant::now() < patience, "they do not end");
        std::thread::yield_now();
    }
    rig.shut_down();
    let after = rig.handle.turns();
    let (looks, turns) = (after.looks - before.looks, after.count - before.count);
    assert!(looks <= 40 * MANY, "{looks} looks at processes in {turns} turns for {MANY} ends");
}

/// Runs that end with descriptors on their way, heard or not.
fn sockets_and_what_came_over_them_are_closed() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let rig = Rig::new();
    let script = "import os, socket\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n\
        for _ in range(3): socket.send_fds(s, [b'X=1'], [0, 1, s.fileno()] * 50)";
    let mut web = immortal(spec("web", "python3", &["-SEc", script]));
    web.start.watchdog = Some(Duration::from_secs(100_000));
    rig.up(spec("warm-up", "true", &[]));
    rig.ask(Command::Delete(name("warm-up"))).unwrap();
    let before = descriptors();
    rig.up(web);
    rig.started("web", 20);
    rig.ask(Command::Delete(name("web"))).unwrap();
    // What is no pipe is closed by a thread that nobody waits for.
    let patience = Instant::now() + Duration::from_secs(30);
    while descriptors() != before {
        assert!(Instant::now() < patience, "{} descriptors, {before} before", descriptors());
        std::thread::yield_now();
    }
    assert!(rig.handle.notices().heard >= 57);
}
