//! Another main process than the one that was spawned.

use model::{ExitStatus, RunId, Signal};
use nix::unistd::gettid;

use super::super::NotAdopted;
use super::{World, is_gone, kill};
use crate::machine::Target;
use crate::poller::Token;

const KILLED: ExitStatus = ExitStatus::Signal { signal: Signal::KILL, core: false };

#[test]
fn a_child_takes_over_and_the_first_one_is_reaped_when_it_ends() {
    let mut world = World::new();
    let mut kid = world.start("exec 3<&0; sh -c 'echo $$; read x <&3; exit 7' & read y; exit 3");
    let (run, heir) = (kid.run, kid.line_pid());
    assert_eq!(world.adopt(run, heir), Ok(()));
    assert_eq!(world.adopt(run, heir), Ok(()), "it is already");

    kill(kid.pid);
    world.wait_for(Token::Former(run));
    assert!(!world.runs.former_ended(run, &world.poller), "the machine knows of the heir");
    assert!(is_gone(kid.pid));
    kid.go_on();
    assert_eq!(world.end(run), (ExitStatus::Code(7), vec![]));
    assert!(is_gone(heir));
    world.release(run);
}

#[test]
fn the_status_of_a_child_whose_parent_lives_is_its_parents() {
    let mut world = World::new();
    let mut kid = world.start("sleep 1000 & echo $!; read x; exit 3");
    let (run, heir) = (kid.run, kid.line_pid());
    assert_eq!(world.adopt(run, heir), Ok(()));
    kill(heir);
    assert_eq!(world.end(run), (ExitStatus::Unknown, vec![kid.pid]));
    assert!(!world.runs.has_main(run));
    kid.go_on();
    assert_eq!(world.left(run), []);
    assert!(is_gone(kid.pid) && is_gone(heir));
    world.release(run);
}

#[test]
fn the_daemon_of_a_program_that_ended_is_found_and_its_status_is_ours() {
    let mut world = World::new();
    // The daemon leaves its session, and has a child of its own.
    let daemon = "echo $$; sleep 1000 & read x <&3; kill $!; exit 7";
    let mut kid = world.start(&format!("exec 3<&0; setsid sh -c '{daemon}' & echo started; exit 0"));
    let first = kid.line();
    let second = kid.line();
    let daemon: u32 = [first, second].iter().find_map(|line| line.parse().ok()).unwrap();
    let (status, leftovers) = world.end(kid.run);
    assert_eq!(status, ExitStatus::Code(0));
    assert!(leftovers.contains(&daemon), "{leftovers:?}");
    assert_eq!(world.runs.find_main(kid.run, &world.poller), Ok(daemon));
    assert!(world.runs.has_main(kid.run));
    kid.go_on();
    world.wait_for(Token::Main(kid.run));
    // Its SIGCHLD, which comes first, must not take its status away.
    world.runs.child_died();
    let (status, leftovers) = world.end(kid.run);
    assert_eq!(status, ExitStatus::Code(7));
    if !leftovers.is_empty() {
        assert_eq!(world.left(kid.run), []);
    }
    assert!(is_gone(daemon));
    world.release(kid.run);
}

#[test]
fn several_daemons_are_named_and_none_is_one_too_few() {
    let mut world = World::new();
    let mut kid = world.start("sleep 1000 & echo $!; sleep 1000 & echo $!; exit 0");
    let mut pids = [kid.line_pid(), kid.line_pid()];
    pids.sort_unstable();
    assert_eq!(world.end(kid.run), (ExitStatus::Code(0), pids.to_vec()));
    let problem = world.runs.find_main(kid.run, &world.poller).unwrap_err();
    let expected = format!(
        "several processes are left (pid {}, {}): set `pidfile` to the file that it writes",
        pids[0], pids[1]
    );
    assert_eq!(problem, expected);
    // With one of them gone it is clear who is meant.
    kill(pids[0]);
    assert_eq!(world.left(kid.run), [pids[1]]);
    assert_eq!(world.runs.find_main(kid.run, &world.poller), Ok(pids[1]));
    kill(pids[1]);
    assert_eq!(world.end(kid.run), (KILLED, vec![]));
    let problem = world.runs.find_main(kid.run, &world.poller).unwrap_err();
    assert!(problem.contains("nothing is left"), "{problem}");
}

#[test]
fn only_a_living_process_of_the_run_can_be_its_main_process() {
    let mut world = World::new();
    let mut kid = world.start("sleep 1000 & echo $!; read x");
    let other = world.start("read x");
    let (run, heir) = (kid.run, kid.line_pid());
    for stranger in [1, std::process::id(), u32::try_from(gettid().as_raw()).unwrap(), other.pid] {
        assert_eq!(world.adopt(run, stranger), Err(NotAdopted::Stranger), "{stranger}");
    }
    for nobody in [0, 4_000_000, u32::MAX] {
        let refused = world.adopt(run, nobody);
        assert!(matches!(refused, Err(NotAdopted::Ended | NotAdopted::Stranger)), "{refused:?}");
    }
    assert_eq!(world.adopt(other.run, heir), Err(NotAdopted::Stranger));
    assert_eq!(world.adopt(RunId(99), heir), Err(NotAdopted::TooLate));
    // A zombie: its parent, which waits for input, does not ask for its status.
    kill(heir);
    assert_eq!(world.adopt(run, heir), Err(NotAdopted::Ended));
    world.runs.kill(other.run);
    assert_eq!(world.adopt(other.run, other.pid), Err(NotAdopted::TooLate));
    assert_eq!(world.end(other.run), (KILLED, vec![]));
    world.clear(run);
}

#[test]
fn the_first_one_can_be_named_again() {
    let mut world = World::new();
    let mut kid = world.start("sleep 1000 & echo $!; read x; kill $!; wait; exit 3");
    let (run, heir) = (kid.run, kid.line_pid());
    for _ in 0..3 {
        assert_eq!(world.adopt(run, heir), Ok(()));
        assert_eq!(world.adopt(run, kid.pid), Ok(()));
    }
    kid.go_on();
    assert_eq!(world.end(run), (ExitStatus::Code(3), vec![]));
    assert!(is_gone(kid.pid));
}

#[test]
fn a_signal_goes_to_whoever_is_the_main_process() {
    let mut world = World::new();
    let heir = "sh -c \"trap \\\"exit 5\\\" TERM; echo \\$\\$; while :; do sleep 0.01; done\"";
    let mut kid = world.start(&format!("trap 'exit 6' TERM; {heir} & while :; do sleep 0.01; done"));
    let (run, heir) = (kid.run, kid.line_pid());
    assert_eq!(world.adopt(run, heir), Ok(()));
    world.runs.signal(run, Signal::TERM, Target::Main);
    let (_, leftovers) = world.end(run);
    // A sleep of a hundredth of a second may be among them.
    assert!(leftovers.contains(&kid.pid), "{leftovers:?}");
    world.clear(run);
    assert!(is_gone(kid.pid));
}

#[test]
fn killing_leaves_neither_the_heir_nor_the_first_one() {
    let mut world = World::new();
    let mut kid =
        world.start("setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & read x");
    let (run, heir) = (kid.run, kid.line_pid());
    assert_eq!(world.adopt(run, heir), Ok(()));
    let first = kid.pid;
    world.clear(run);
    assert!(is_gone(first) && is_gone(heir));
}

#[test]
fn letting_go_reaps_the_first_one() {
    let mut world = World::new();
    let mut kid = world.start("sleep 1000 & echo $!; read x");
    let (run, heir) = (kid.run, kid.line_pid());
    assert_eq!(world.adopt(run, heir), Ok(()));
    kill(heir);
    kill(kid.pid);
    world.wait_for(Token::Main(run));
    world.release(run);
    assert!(is_gone(kid.pid));
    world.runs.new_turn();
    world.runs.child_died();
    assert!(is_gone(heir), "nobody keeps it any more");
}
