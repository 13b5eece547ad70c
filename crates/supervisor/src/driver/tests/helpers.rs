//! Helpers through the spawner: in the environment of the process, killed with what they started.

use model::ExitStatus;

use super::bench::{Bench, speaker};
use crate::containment::tests::is_gone;

/// Two forks away, in a session of its own.
const ESCAPE: &str = "(setsid sh -c '(setsid sh -c \"echo \\$\\$; exec sleep 1000\" &)' &)";

#[test]
fn a_helper_is_killed_with_its_double_forked_child_and_the_process_lives() {
    let mut bench = Bench::new();
    let mut kid = bench.start(speaker(&["child", "daemon", "pid", "read"]));
    // The other line says that the daemon's parent has ended.
    let lines = [kid.line(), kid.line()];
    let grandchild = lines.iter().find_map(|line| line.parse().ok()).unwrap();
    let mut helper = bench.help(&kid, "sh", &["-c", &format!("{ESCAPE}; read x")]);
    let escaped = helper.line_pid();
    bench.clear(helper.run);
    assert!(is_gone(helper.pid) && is_gone(escaped));
    assert!(!is_gone(kid.pid) && !is_gone(grandchild));
    bench.clear(kid.run);
    assert!(is_gone(grandchild));
}

#[test]
fn a_helper_that_ends_by_itself_leaves_what_it_started_to_be_killed() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["read"]));
    let mut helper = bench.help(&kid, "sh", &["-c", &format!("{ESCAPE}; read x; exit 4")]);
    let escaped = helper.line_pid();
    helper.go_on();
    assert_eq!(bench.end(helper.run).1, ExitStatus::Code(4));
    bench.settles(helper.run, &[escaped]);
    bench.clear(helper.run);
    assert!(is_gone(escaped) && !is_gone(kid.pid));
    bench.clear(kid.run);
}

/// What a helper says is not the process's word.
#[test]
fn a_helper_does_not_speak_for_its_process() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["read"]));
    let socket = std::fs::read_dir(bench.notify_dir()).unwrap().next().unwrap().unwrap().path();
    let said = format!(
        "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', {:?}); input()",
        socket.to_str().unwrap()
    );
    let helper = bench.help(&kid, "python3", &["-SEc", &said]);
    assert_eq!(bench.heard(kid.run), []);
    assert_eq!(bench.counts().strangers, 1);
    bench.clear(helper.run);
    bench.clear(kid.run);
}
