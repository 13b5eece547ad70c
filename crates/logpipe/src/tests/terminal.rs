//! Standard output as a terminal: what a child finds there, and what comes out of it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use model::{Output, OutputSpec, Sink, Stream};
use nix::errno::Errno;
use nix::unistd::{geteuid, isatty, ttyname};

use crate::testing::{Bed, Child, output, say, until, web};

fn terminal() -> OutputSpec {
    OutputSpec { pty: true, ..output() }
}

/// Runs a script with the child's ends as its output. Its descriptors here are closed.
fn shell(child: Child, script: &str, stdin: Stdio) -> std::process::Child {
    let Child { stdout, stderr, .. } = child;
    Command::new("sh").args(["-c", script]).stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap()
}

/// A program that buffers into a pipe: it tells on standard error, at once, that it has printed a line.
const BUFFERING: &str = "sed -n -e p -e 'w /dev/stderr'";

#[test]
fn into_a_pipe_lines_come_when_the_program_ends() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.stderr = Output::File(bed.dir.path().join("err.log"));
    let mut sed = shell(bed.start(&spec), BUFFERING, Stdio::piped());
    let mut stdin = sed.stdin.take().unwrap();
    stdin.write_all(b"line\n").unwrap();
    until("it has printed", || (bed.stats(Stream::Stderr).lines_read == 1).then_some(()));
    assert_eq!(bed.text(), "", "this program does not buffer: it proves nothing");
    drop(stdin);
    sed.wait().unwrap();
    assert_eq!(bed.close()[0].lines_read, 1);
    assert_eq!(bed.text(), "line\n");
}

#[test]
fn into_a_terminal_they_come_at_once() {
    let mut bed = Bed::new();
    let mut spec = terminal();
    spec.stderr = Output::Null;
    let mut sed = shell(bed.start(&spec), BUFFERING, Stdio::piped());
    let mut stdin = sed.stdin.take().unwrap();
    for (line, text) in [("one\n", "one\n"), ("two\n", "one\ntwo\n")] {
        stdin.write_all(line.as_bytes()).unwrap();
        until("the line of a running program", || (bed.text() == text).then_some(()));
    }
    drop(stdin);
    sed.wait().unwrap();
    assert_eq!(bed.close()[0].lines_read, 2);
}

#[test]
fn the_child_finds_a_quiet_terminal_on_its_standard_output_alone() {
    let mut bed = Bed::new();
    let script = "[ -t 0 ] && echo input; [ -t 2 ] && echo error; [ -t 1 ] && echo output; \
                  stty -a <&1; echo still here";
    shell(bed.start(&terminal()), script, Stdio::null()).wait().unwrap();
    bed.close();
    let text = bed.text();
    assert!(text.starts_with("output\n") && text.ends_with("still here\n"), "{text}");
    let words: Vec<&str> = text.split([' ', ';', '\n']).collect();
    for word in ["-echo", "-opost", "-onlcr", "-isig"] {
        assert!(words.contains(&word), "{word}:\n{text}");
    }
    assert!(text.contains("rows 50; columns 200;") && !text.contains('\r'), "{text:?}");
}

#[test]
fn ten_megabytes_come_whole_and_in_order_beside_standard_error() {
    let mut bed = Bed::new();
    let child = bed.start(&terminal());
    assert!(isatty(&child.stdout).unwrap() && !isatty(&child.stderr).unwrap());
    const LINES: u64 = 100_000;
    let fill = "x".repeat(93);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..LINES).for_each(|i| say(&child.stderr, format!("err {i}\n"))));
        // Not at line boundaries, and now and then with a CR that was not asked for.
        let text: String = (0..LINES)
            .map(|i| format!("out {i:06} {fill}{}\n", if i % 7 == 0 { "\r" } else { "" }))
            .collect();
        text.as_bytes().chunks(5_003).for_each(|c| say(&child.stdout, c));
    });
    drop(child);
    let stats = bed.close();
    let text = bed.text();
    let lines = |of: &'static str| text.lines().filter(move |l| l.starts_with(of));
    assert!(lines("out").zip(0..).all(|(l, i): (&str, u64)| *l == format!("out {i:06} {fill}")));
    assert!(lines("err").zip(0..).all(|(l, i): (&str, u64)| *l == format!("err {i}")));
    for (s, of) in stats.iter().zip(["out", "err"]) {
        assert_eq!(lines(of).count() as u64, LINES);
        assert_eq!((s.lines_read, s.sink(Sink::File).unwrap().written), (LINES, LINES));
    }
    assert_eq!(stats[0].bytes_read, LINES * 105 + LINES.div_ceil(7), "the CRs were read, but not written");
    assert_eq!(stats[0].sink(Sink::File).unwrap().bytes_written, LINES * 105);
}

#[test]
fn bytes_pass_as_they_are_but_for_one_cr_before_lf() {
    let mut bed = Bed::new();
    let child = bed.start(&terminal());
    let control: Vec<u8> = (0..=255).filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let editor = b"\n\x1b[?1049h\x1b[2J\x1b[1;1H~\x1b[m\x1b[?25l\r\n50%\r100%\r\r\n";
    say(&child.stdout, [&control[..], editor, b"half\r"].concat());
    // The CR and its LF come in different reads.
    let first = u64::try_from(control.len() + editor.len() + 5).unwrap();
    until("the half", || (bed.stats(Stream::Stdout).bytes_read == first).then_some(()));
    say(&child.stdout, b"\nlast\r");
    drop(child);
    bed.close();
    let rest = b"\n\x1b[?1049h\x1b[2J\x1b[1;1H~\x1b[m\x1b[?25l\n50%\r100%\r\nhalf\nlast\r\n";
    assert_eq!(bed.files().concat(), [&control[..], rest].concat());
}

#[test]
fn over_long_lines_are_cut_whatever_their_line_ends() {
    let mut bed = Bed::new();
    let mut spec = terminal();
    spec.log.max_line = 100;
    let child = bed.start(&spec);
    say(&child.stdout, format!("{}\r\n{}\r\n", "a".repeat(100), "b".repeat(300_000)));
    drop(child);
    bed.close();
    let (a, b) = ("a".repeat(100), "b".repeat(100));
    assert_eq!(bed.text(), format!("{a}\n{b} [… 299900 bytes cut]\n"));
}

#[test]
fn what_is_in_a_terminal_that_somebody_holds_open_is_read_before_it_is_given_up() {
    let mut bed = Bed::with(|c| c.drain_deadline = Duration::from_millis(20));
    let child = bed.start(&terminal());
    let text = "0123456789abcde\n".repeat(500);
    say(&child.stdout, &text);
    say(&child.stdout, "part");
    bed.pipe.finished(child.run);
    until("all of it", || (bed.text() == format!("{text}part\n")).then_some(()));
    until("the terminal is hung up", || has_ended(&child.stdout).then_some(()));
}

#[test]
fn a_terminal_that_is_opened_anew_by_its_name_is_read_on_or_hung_up() {
    let mut bed = Bed::new();
    let child = bed.start(&terminal());
    say(&child.stdout, "line\n");
    let name = ttyname(&child.stdout).unwrap();
    drop(child.stdout);
    // Whether the reader has seen that nobody had it open, nobody can know.
    if let Ok(again) = File::options().write(true).open(name) {
        let read = || bed.stats(Stream::Stdout).bytes_read > 5;
        until("either", || (has_ended(&again) || read()).then_some(()));
    }
    drop(child.stderr);
    bed.close();
    assert!(bed.text().starts_with("line\n"));
}

#[test]
fn only_captured_standard_output_becomes_a_terminal() {
    let bed = Bed::new();
    for stdout in [Output::Null, Output::Direct(bed.dir.path().join("x.log"))] {
        let ends = bed.pipe.open(&web().name, &OutputSpec { stdout, ..terminal() }).unwrap();
        assert!(!ends.has_terminal() && !isatty(&ends.stdout).unwrap());
        ends.give_terminal(0).unwrap();
    }
    assert!(!bed.pipe.open(&web().name, &output()).unwrap().has_terminal());
}

#[test]
fn a_terminal_is_private_and_is_given_to_its_user_where_that_is_allowed() {
    let bed = Bed::new();
    let ends = bed.pipe.open(&web().name, &terminal()).unwrap();
    let meta = |ends: &crate::ChildEnds| File::from(ends.stdout.try_clone().unwrap()).metadata().unwrap();
    assert_eq!(meta(&ends).mode() & 0o777, 0o600);
    ends.give_terminal(geteuid().as_raw()).unwrap();
    // Another user's only with CAP_CHOWN, and only if this container knows that user.
    let possible = std::os::unix::fs::chown(bed.dir.path(), Some(12_345), None).is_ok();
    assert_eq!(ends.give_terminal(12_345).is_ok(), possible);
    assert_eq!(meta(&ends).uid(), if possible { 12_345 } else { geteuid().as_raw() });
}

/// Whether nobody reads this terminal any more.
fn has_ended(mut terminal: &File) -> bool {
    terminal.write(b"x").is_err_and(|e| e.raw_os_error() == Some(Errno::EIO as i32))
}
