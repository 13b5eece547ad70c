//! `pty: true`: what prints to a terminal at once does so, and the log shows nothing of the terminal.

use crate::scene::Scene;

#[test]
fn standard_output_is_a_terminal_and_the_log_holds_plain_lines() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [isatty, env=TERM, 'partial=no ', text=newline, to=stderr, text=complaint, to=stdout, partial=end]
    type: oneshot
    pty: true
  size: {command: sh -c 'stty size <&1; stty -a <&1', type: oneshot, pty: true}
  plain: {command: PROBE isatty env=TERM, type: oneshot}
",
    );
    scene.wait_for_state("web", "exited");
    let printed = scene.until_printed("web", |printed| printed.lines().count() == 7);
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    let expected =
        ["TERM=dumb", "complaint", "end", "no newline", "stderr other", "stdin other", "stdout tty"];
    assert_eq!(lines, expected);
    assert!(!printed.contains('\r'), "{printed:?}");
    scene.wait_for_state("size", "exited");
    let size = scene.until_printed("size", |printed| printed.lines().count() > 2);
    let numbers =
        size.lines().next().expect("a line").split(' ').map(|n| n.parse::<u16>().expect("a number"));
    assert!(numbers.clone().count() == 2 && numbers.min() > Some(0), "a terminal without a size: {size}");
    assert!(size.contains(" -echo "), "what is written to it would come back: {size}");
    scene.wait_for_state("plain", "exited");
    scene.until_prints("plain", "stdin other\nstdout other\nstderr other\nTERM is not set\n");
}

#[test]
fn a_program_that_keeps_lines_back_from_a_pipe_prints_at_once() {
    // tr(1) writes when its buffer is full or its input ends, unless it writes to a terminal.
    let scene =
        Scene::new("  web: {command: sh -c '(echo early; exec sleep 1000) | tr a-z A-Z', pty: true}\n");
    scene.until_prints("web", "EARLY\n");
    let pid = scene.running("web");
    scene.pm(&["stop", "web"]).success();
    assert!(!crate::support::is_alive(pid));
}

#[test]
fn nothing_is_lost_between_a_terminal_and_the_log() {
    let scene = Scene::new(
        "  web: {command: PROBE width=100 print=20000 'text=last words' exit=3, pty: true, restart: never}\n",
    );
    scene.wait_for_state("web", "failed");
    let printed = scene.until_printed("web", |printed| printed.ends_with("\nlast words\n"));
    let numbers: Vec<u32> = printed.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    let expected: Vec<u32> = (1..=20000).collect();
    assert!(
        numbers == expected,
        "{} lines, first {:?}, last {:?}",
        numbers.len(),
        numbers.first(),
        numbers.last()
    );
    assert!(!printed.contains('\r'));
}
