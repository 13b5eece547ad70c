//! Helpers are runs of their own: what they start is theirs, though it carries the id of the run that they help.

use model::{ExitStatus, Signal};

use super::{Kid, Special, World, is_gone};

/// Twice in a session of its own, so that only its environment tells where it came from.
const ESCAPE: &str = "(setsid sh -c '(setsid sh -c \"echo \\$\\$; exec sleep 1000\" &)' &)";

/// A helper, and what it started that got away.
fn helper(world: &mut World, main: &Kid) -> (Kid, u32) {
    let special = Special { helps: Some(main.invocation), ..Special::default() };
    let mut helper = world.start_as(&format!("{ESCAPE}; read x"), special);
    let escaped = helper.line_pid();
    (helper, escaped)
}

#[test]
fn a_helper_is_killed_with_what_it_started_and_nothing_else_is() {
    let mut world = World::new();
    let mut main = world.start(&format!("{ESCAPE}; read x"));
    let kept = main.line_pid();
    let (first, of_the_first) = helper(&mut world, &main);
    let (second, of_the_second) = helper(&mut world, &main);

    world.runs.new_turn();
    world.runs.kill(first.run);
    let (status, _) = world.end(first.run);
    assert_eq!(status, ExitStatus::Signal { signal: Signal::KILL, core: false });
    world.clear(first.run);
    assert!(is_gone(of_the_first) && !is_gone(of_the_second) && !is_gone(kept));
    // The run that was helped does not take what is a helper's.
    world.clear(main.run);
    assert!(is_gone(kept) && !is_gone(of_the_second));
    world.clear(second.run);
    assert!(is_gone(of_the_second));
}

/// The machine lets go of nothing that is alive; should it do so, it is not lost. (Nobody leaves a cgroup.)
#[test]
fn what_a_helper_left_is_the_runs() {
    let mut world = World::new();
    let main = world.start("read x");
    let (mut helper, escaped) = helper(&mut world, &main);
    helper.go_on();
    world.end(helper.run);
    world.settles(helper.run, &[escaped]);
    if std::env::var_os("SUPERVISOR_TEST_CGROUP").is_none() {
        world.release(helper.run);
        world.clear(main.run);
    } else {
        world.clear(main.run);
        assert!(!is_gone(escaped));
        world.clear(helper.run);
    }
    assert!(is_gone(escaped));
}
