//! The notification socket of a process that is supervised for real: who is heard, and that nobody is held up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Rig, done, line, name, spec};
use model::{Command, ProcessId, ProcessSpec, ProcessType, State};
use supervisor::NoticeStats;

/// A python program that gets a socket, `s`, connected to where it reports. (The watchdog is never due; nothing else of
/// the definition asks for a socket and waits for nothing.)
fn reporter(who: &str, script: &str) -> ProcessSpec {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let prelude = "import os, socket, sys, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.connect(os.environ['NOTIFY_SOCKET'])\n";
    let mut reporter = spec(who, "python3", &["-SEc", &format!("{prelude}{script}")]);
    // The socket is named by it, and tests run side by side.
    reporter.id = ProcessId::from_digest([0xee, 0, 0, 0, 0, NEXT.fetch_add(1, Ordering::Relaxed)]);
    reporter.start.watchdog = Some(Duration::from_secs(100_000));
    reporter
}

fn until(rig: &Rig, what: &str, holds: impl Fn(NoticeStats) -> bool) -> NoticeStats {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = rig.handle.notices();
        if holds(stats) {
            return stats;
        }
        assert!(Instant::now() < patience, "{what}: {stats:?}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_process_says_is_heard_and_the_socket_goes_with_the_run() {
    let rig = Rig::new();
    let script = "s.send(b'WATCHDOG=1'); print(os.environ['NOTIFY_SOCKET'], flush=True); time.sleep(1000)";
    rig.up(reporter("web", script));
    let socket = PathBuf::from(line(&mut rig.output("web", 1)));
    until(&rig, "it was not heard", |stats| stats.heard == 1);
    assert!(socket.exists());
    assert_eq!(done(rig.ask(Command::Stop(name("web")))).state, State::Stopped);
    assert!(!socket.exists());
    let (heard, all) = (1, rig.handle.notices());
    assert_eq!(all, NoticeStats { heard, ..NoticeStats::default() });
}

/// A process that ends right after its last word is heard all the same, each time.
#[test]
fn a_last_word_is_never_lost() {
    let rig = Rig::new();
    for number in 1..=20 {
        let who = format!("p{number}");
        rig.up(reporter(&who, "s.send(b'STATUS=bye'); os._exit(0)"));
        rig.event(&who, |e| matches!(e.kind, model::EventKind::Exited { .. }).then_some(()));
        assert_eq!(rig.handle.notices().heard, number);
    }
}

#[test]
fn systemd_notify_and_its_barrier() {
    let rig = Rig::new();
    // As systemd-notify sends it: the state, then a descriptor, and it waits until that is closed.
    let script = "r, w = os.pipe()\n\
        s.send(b'STATUS=x')\n\
        socket.send_fds(s, [b'BARRIER=1'], [w]); os.close(w)\n\
        print(len(os.read(r, 1)), flush=True); time.sleep(1000)";
    rig.up(reporter("web", script));
    assert_eq!(line(&mut rig.output("web", 1)), "0");
    // The barrier is for what was said before it; it is counted itself a moment after its descriptor is closed.
    assert!(rig.handle.notices().heard >= 1);
    until(&rig, "the barrier was not counted", |stats| stats.heard == 2);
}

/// Others are stopped and started while one process sends as fast as it can, from as many children as it can have.
#[test]
fn a_flood_holds_up_nobody_else() {
    let rig = Rig::new();
    let script = "for _ in range(4):\n  \
          if os.fork() == 0: break\n\
        print('flooding', flush=True)\n\
        while True:\n  \
          s.send(b'STATUS=' + b'x' * 4000)";
    let mut flooder = reporter("flooder", script);
    flooder.stop.timeout = Duration::from_millis(100);
    rig.up(flooder);
    let mut output = rig.output("flooder", 1);
    assert_eq!(line(&mut output), "flooding");
    until(&rig, "it does not flood", |stats| stats.heard > 500);
    for number in 0..10 {
        let who = format!("p{number}");
        rig.up(crate::support::sleeper(&who));
        assert_eq!(done(rig.ask(Command::Stop(name(&who)))).state, State::Stopped);
    }
    assert_eq!(done(rig.ask(Command::Stop(name("flooder")))).state, State::Stopped);
    assert_eq!(rig.handle.notices().strangers, 0);
}

fn send(socket: &Path, bytes: &[u8]) {
    std::os::unix::net::UnixDatagram::unbound().unwrap().send_to(bytes, socket).unwrap();
}

#[test]
fn a_stranger_and_garbage_are_counted_and_nothing_else() {
    let rig = Rig::new();
    let script = "s.send(b'x' * 5000); print(os.environ['NOTIFY_SOCKET'], flush=True); time.sleep(1000)";
    rig.up(reporter("web", script));
    let socket = PathBuf::from(line(&mut rig.output("web", 1)));
    // From here, which is no process of the run.
    send(&socket, b"READY=1");
    send(&socket, &[0xff; 100]);
    let stats = until(&rig, "they were not read", |stats| stats.strangers == 2);
    assert_eq!(stats, NoticeStats { strangers: 2, unusable: 1, ..NoticeStats::default() });
}

#[test]
fn each_run_of_a_process_has_its_own_socket() {
    let rig = Rig::new();
    let script = "s.send(b'STATUS=x'); print('sent', flush=True); time.sleep(1000)";
    let spec = Arc::new(reporter("web", script));
    done(rig.ask(Command::Create { spec, start: true }));
    for number in 1..=5 {
        assert_eq!(line(&mut rig.output("web", number)), "sent");
        until(&rig, "it was not heard", |stats| stats.heard == number);
        rig.ask(Command::Restart(name("web"))).unwrap();
    }
}

#[test]
fn a_notify_process_is_up_when_it_says_so() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut web = reporter("web", "open(sys.argv[1]).read(); s.send(b'READY=1'); time.sleep(1000)");
    web.exec.args.push(gate.display().to_string());
    web.start.kind = ProcessType::Notify;
    let answer = rig.submit(Command::Create { spec: Arc::new(web), start: true });
    // Opening it waits until the process has opened it, too.
    let open = std::fs::File::options().write(true).open(&gate).unwrap();
    assert_eq!(rig.view("web").map(|view| view.state), Some(State::Starting));
    assert!(answer.try_recv().is_err());
    drop(open);
    assert_eq!(done(answer.recv().unwrap()).state, State::Running);
}

#[test]
fn a_notify_process_that_ends_without_a_word_was_never_up() {
    let rig = Rig::new();
    let mut web = reporter("web", "s.send(b'STATUS=about to fail'); os._exit(0)");
    web.start.kind = ProcessType::Notify;
    let answer = rig.ask(Command::Create { spec: Arc::new(web), start: true });
    assert!(matches!(&answer, Err(refusal) if refusal.to_string().contains("READY=1")), "{answer:?}");
    assert_eq!(rig.handle.notices().heard, 1);
}
