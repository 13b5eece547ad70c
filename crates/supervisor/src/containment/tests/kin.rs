//! Who is of a run, and who only says so.

use std::process::Command;

use model::RunId;
use nix::unistd::geteuid;
use sys::datagram::Sender;

use super::super::Standing;
use super::{Special, World, kill};
use crate::machine::Target;
use crate::poller::Token;

/// Users that nothing else runs as.
const THEIRS: u32 = 65_005;
const OTHER: u32 = 65_006;

fn standing(world: &mut World, run: RunId, pid: u32, uid: u32) -> Standing {
    world.runs.new_turn();
    world.runs.standing(run, Sender { pid, uid })
}

#[test]
fn the_main_process_and_everything_below_it() {
    let mut world = World::new();
    let own = geteuid().as_raw();
    // A child, and a grandchild in a session of its own.
    let script = "exec 3<&0; sh -c 'echo $$; setsid sh -c \"echo \\$\\$; read x <&3\" & wait' & read x";
    let mut kid = world.start(script);
    let other = world.start("read x");
    for pid in [kid.pid, kid.line_pid(), kid.line_pid()] {
        assert_eq!(standing(&mut world, kid.run, pid, own), Standing::Member);
        assert_eq!(standing(&mut world, other.run, pid, own), Standing::Stranger);
    }
    assert_eq!(standing(&mut world, kid.run, 1, 0), Standing::Stranger);
    assert_eq!(standing(&mut world, kid.run, std::process::id(), own), Standing::Stranger);
    assert_eq!(standing(&mut world, RunId(99), kid.pid, own), Standing::Stranger);
}

#[test]
fn an_orphan_of_the_run_however_far_it_went() {
    let mut world = World::new();
    let own = geteuid().as_raw();
    let script = "exec 3<&0; (setsid sh -c '(setsid sh -c \"echo \\$\\$; read x <&3\" &)' &); read x";
    let mut kid = world.start(script);
    let orphan = kid.line_pid();
    assert_eq!(standing(&mut world, kid.run, orphan, own), Standing::Member);
    // The main process's end changes nothing, and neither does that it is not told yet.
    kill(kid.pid);
    world.wait_for(Token::Main(kid.run));
    let main = standing(&mut world, kid.run, kid.pid, own);
    assert_eq!(main, Standing::Member, "a zombie until its end is told");
    assert_eq!(standing(&mut world, kid.run, orphan, own), Standing::Member);
    world.end(kid.run);
    world.settles(kid.run, &[orphan]);
    assert_eq!(standing(&mut world, kid.run, orphan, own), Standing::Member);
    let main = standing(&mut world, kid.run, kid.pid, OTHER);
    assert_eq!(main, Standing::Stranger, "gone, and not its user");
}

#[test]
fn the_dead_are_believed_if_they_were_the_runs_user_or_root() {
    let mut world = World::new();
    let uid = geteuid().is_root().then_some(THEIRS);
    let theirs = uid.unwrap_or_else(|| geteuid().as_raw());
    let kid = world.start_as("read x", Special { uid, ..Special::default() });
    let mut dead = Command::new("true").spawn().unwrap();
    let pid = dead.id();
    super::wait_end(&sys::pidfd::open(pid).unwrap());
    // First a zombie, then nothing.
    for _ in 0..2 {
        assert_eq!(standing(&mut world, kid.run, pid, theirs), Standing::Ended);
        assert_eq!(standing(&mut world, kid.run, pid, 0), Standing::Ended);
        assert_eq!(standing(&mut world, kid.run, pid, OTHER), Standing::Stranger);
        dead.wait().unwrap();
    }
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    for uid in [theirs, 0, OTHER] {
        assert_eq!(standing(&mut world, kid.run, stranger.id(), uid), Standing::Stranger);
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// Without cgroups a process that dropped its environment and its session is recognized if it was seen before.
#[test]
fn one_that_was_seen_below_its_run_is_known_for_ever() {
    let mut world = World::new();
    let own = geteuid().as_raw();
    let mut kid = world.start("exec 3<&0; env -i setsid sh -c 'echo $$; read x <&3' & read x");
    let child = kid.line_pid();
    world.runs.signal(kid.run, model::Signal::CONT, Target::All);
    kill(kid.pid);
    world.wait_for(Token::Main(kid.run));
    assert_eq!(standing(&mut world, kid.run, child, own), Standing::Member);
    assert_eq!(world.end(kid.run).1, [child]);
}

/// As between the two forks of a daemon: a process on its way out has no environment any more, but its child has one.
#[test]
fn one_that_lost_its_trace_is_known_by_its_children() {
    let mut world = World::new();
    let own = geteuid().as_raw();
    let child = "PROCESS_INVOCATION_ID=$ID sh -c \"echo \\$\\$; exec sleep 1000\"";
    let inner = format!("echo $$; {child} & read x <&3");
    let script =
        format!("exec 3<&0; env -i ID=$PROCESS_INVOCATION_ID PATH=$PATH setsid sh -c '{inner}' & read x");
    let mut kid = world.start(&script);
    let mut pids = [kid.line_pid(), kid.line_pid()];
    kill(kid.pid);
    world.wait_for(Token::Main(kid.run));
    assert_eq!(standing(&mut world, kid.run, pids[1], own), Standing::Member);
    pids.sort_unstable();
    assert_eq!(world.end(kid.run).1, pids);
}

/// What overwrote its environment, as servers do that show a title, is left alone; but its pidfile may name it.
#[test]
fn an_orphan_without_any_trace_is_claimed_by_name() {
    let mut world = World::new();
    let exact = std::env::var_os("SUPERVISOR_TEST_CGROUP").is_some();
    let mut kid =
        world.start("exec 3<&0; env -i setsid sh -c 'echo $$; read x <&3; exit 1' & read x; exit 0");
    let other = world.start("read x");
    let daemon = kid.line_pid();
    assert!(!world.runs.claim(kid.run, daemon), "it has a parent");
    kill(kid.pid);
    let (_, leftovers) = world.end(kid.run);
    if exact {
        assert_eq!(leftovers, [daemon]);
    } else {
        assert_eq!(leftovers, [], "it was recognized: the test shows nothing");
        assert!(!world.runs.claim(kid.run, other.pid) && !world.runs.claim(kid.run, 1));
        assert!(world.runs.claim(kid.run, daemon));
        assert!(!world.runs.claim(other.run, daemon), "it has an owner now");
    }
    assert_eq!(world.adopt(kid.run, daemon), Ok(()));
    kid.go_on();
    assert_eq!(world.end(kid.run), (model::ExitStatus::Code(1), vec![]));
}
