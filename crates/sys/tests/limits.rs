//! The limit on open files. A program of its own, as the limit is the whole process's.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[path = "spawn/support.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests of spawn, which use all of it")]
mod support;

#[test]
fn the_daemon_gets_the_hard_limit_and_its_children_the_soft_one_of_before() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 321, hard).unwrap();
    for _twice in 0..2 {
        assert_eq!(sys::limits::raise_open_files().unwrap(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
        let (printed, _) = support::sh("ulimit -Sn; ulimit -Hn").run();
        assert_eq!(printed, format!("321\n{hard}\n"));
    }
}
