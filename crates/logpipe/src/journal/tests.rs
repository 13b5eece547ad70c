//! A journal that works, stands still, restarts and gets giant lines.

use std::io::{IoSliceMut, Read, Seek};
use std::os::unix::net::UnixDatagram;

use model::{EventKind, RunId, Sink};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::*;
use crate::entry::decode::{Fields, entries, get};
use crate::testing::{Bed, journal_at, output, say, until, web};

fn bed() -> (Bed, UnixDatagram, PathBuf) {
    let mut socket = None;
    let mut at = PathBuf::new();
    let bed = Bed::with(|c| {
        at = c.dir.with_file_name("journal");
        socket = Some(journal_at(&at));
        c.journald = Some(at.clone());
    });
    (bed, socket.unwrap(), at)
}

fn receive(socket: &UnixDatagram) -> Vec<Fields> {
    let mut buffer = vec![0; 1 << 20];
    let n = socket.recv(&mut buffer).unwrap();
    entries(&buffer[..n])
}

fn sum_of_markers(all: &[Fields]) -> u64 {
    let texts = all.iter().map(|f| get(f, "MESSAGE"));
    texts
        .filter(|t| t.contains("dropped:"))
        .map(|t| t.split(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn lines_and_events_arrive_with_their_fields() {
    let (mut bed, socket, _) = bed();
    let child = bed.start(&output());
    say(&child.stderr, b"a \0 \xff\n");
    let line = receive(&socket).remove(0);
    assert_eq!(line.iter().find(|(k, _)| k == "MESSAGE").unwrap().1, b"a \0 \xff");
    assert_eq!((get(&line, "PROCESS_STREAM"), get(&line, "PROCESS_PID")), ("stderr".into(), "77".into()));
    bed.pipe.event(&crate::events::tests::event(EventKind::Stopped));
    let event = receive(&socket).remove(0);
    assert_eq!((get(&event, "EVENT"), get(&event, "PROCESS_ID")), ("stopped".into(), web().id.to_string()));
    drop(child);
    let stats = bed.close();
    assert_eq!(stats[1].sink(Sink::Journald).unwrap().written, 1);
    assert!(bed.pipe.totals().journald_connected);
}

#[test]
fn a_journal_that_stands_still_holds_up_nobody_and_every_drop_is_counted_and_marked() {
    let (mut bed, socket, _) = bed();
    let child = bed.start(&output());
    // Several times what any socket and the lane hold together.
    const LINES: u64 = 150_000;
    // Nobody receives: this returns only because the pipeline goes on reading.
    let text: String = (0..LINES).map(|i| format!("{i} {}\n", "x".repeat(60))).collect();
    say(&child.stdout, &text);
    until("all read", || (bed.stats(Stream::Stdout).lines_read == LINES).then_some(()));
    let stalled = bed.sink(Stream::Stdout, Sink::Journald);
    assert!(stalled.dropped > 0 && stalled.queued > 0, "{stalled:?}");
    assert_eq!(bed.sink(Stream::Stdout, Sink::File).written, LINES);
    let mut all = Vec::new();
    while bed.sink(Stream::Stdout, Sink::Journald).queued > 0 || sum_of_markers(&all) < stalled.dropped {
        all.extend(receive(&socket));
    }
    // Room again: what comes now arrives behind the marker.
    say(&child.stdout, "after\n");
    while !all.iter().any(|f| get(f, "MESSAGE") == "after") {
        all.extend(receive(&socket));
    }
    drop(child);
    let books = *bed.close()[0].sink(Sink::Journald).unwrap();
    assert_eq!(books.dropped, stalled.dropped);
    assert_eq!(sum_of_markers(&all), books.dropped);
    let lines: Vec<String> =
        all.iter().map(|f| get(f, "MESSAGE")).filter(|t| !t.contains("dropped:")).collect();
    assert_eq!(u64::try_from(lines.len()).unwrap(), books.written);
    let numbers = lines.iter().filter_map(|l| l.split(' ').next()?.parse::<u64>().ok());
    assert!(numbers.collect::<Vec<_>>().is_sorted_by(|a, b| a < b), "in order and none twice");
    assert_eq!(bed.text(), text + "after\n");
}

#[test]
fn lines_that_belong_together_come_as_one_entry_after_a_silence() {
    let (mut bed, socket, _) = bed();
    let mut spec = output();
    spec.log.multiline = model::Multiline::Indent;
    let child = bed.start(&spec);
    say(&child.stdout, "Error\n at a\n at b\n");
    assert_eq!(get(&receive(&socket)[0], "MESSAGE"), "Error\n at a\n at b");
    // At the end of a stream nothing is waited for.
    say(&child.stderr, "last\n words");
    drop(child);
    let stats = bed.close();
    assert_eq!(get(&receive(&socket)[0], "MESSAGE"), "last\n words");
    let written = stats.iter().map(|s| s.sink(Sink::Journald).unwrap().written);
    assert_eq!(
        (written.collect::<Vec<_>>(), bed.text()),
        (vec![3, 2], "Error\n at a\n at b\nlast\n words\n".into())
    );
}

#[test]
fn what_a_limit_kept_from_the_journal_is_told_although_nothing_follows() {
    let (mut bed, socket, _) = bed();
    let mut spec = output();
    let limit = model::RateLimit { lines: 2, interval: Duration::from_millis(200) };
    (spec.log.rate_limit, spec.log.file_rate_limit) = (Some(limit), Some(limit));
    let child = bed.start(&spec);
    // In one write, so that no time passes between them.
    say(&child.stdout, "1\n2\n3\n4\n");
    let mut texts = Vec::new();
    while texts.len() < 3 {
        texts.extend(receive(&socket).iter().map(|f| get(f, "MESSAGE")));
    }
    assert_eq!(texts, ["1", "2", "2 lines suppressed: rate_limit 2/200ms"]);
    until("the file's marker", || {
        (bed.text() == "1\n2\n[2 lines suppressed: file_rate_limit 2/200ms]\n").then_some(())
    });
}

#[test]
fn a_journal_that_restarts_is_found_again() {
    let (mut bed, socket, at) = bed();
    let child = bed.start(&output());
    say(&child.stdout, "before\n");
    assert_eq!(get(&receive(&socket)[0], "MESSAGE"), "before");
    drop(socket);
    std::fs::remove_file(&at).unwrap();
    say(&child.stdout, "meanwhile\n");
    until("away", || (bed.pipe.totals().journald_errors > 0).then_some(()));
    assert!(!bed.pipe.totals().journald_connected);
    let socket = journal_at(&at);
    assert_eq!(get(&receive(&socket)[0], "MESSAGE"), "meanwhile");
    say(&child.stdout, "after\n");
    assert_eq!(get(&receive(&socket)[0], "MESSAGE"), "after");
    drop(child);
    let books = *bed.close()[0].sink(Sink::Journald).unwrap();
    assert_eq!((books.written, books.dropped), (3, 0));
    assert_eq!(bed.pipe.totals().journald_connects, 2);
}

#[test]
fn what_an_absent_journal_never_took_is_counted_at_the_end() {
    let (mut bed, socket, at) = bed();
    drop(socket);
    std::fs::remove_file(&at).unwrap();
    let child = bed.start(&output());
    say(&child.stdout, "a\nb\n");
    until("queued", || (bed.sink(Stream::Stdout, Sink::Journald).queued == 2).then_some(()));
    bed.pipe.finished(RunId(1));
    drop(child);
    let books = bed.pipe.clone();
    bed.pipe.clone().shutdown(Duration::from_millis(50));
    let sink = *books.stats()[0].sink(Sink::Journald).unwrap();
    assert_eq!((sink.dropped, sink.queued), (2, 0));
}

#[test]
fn a_giant_line_comes_in_a_sealed_memfd() {
    // More than any socket's send buffer.
    let (mut bed, socket, _) = bed();
    let mut spec = output();
    spec.log.max_line = 32 << 20;
    let child = bed.start(&spec);
    let line = "g".repeat(20 << 20);
    say(&child.stdout, format!("{line}\n"));
    let mut byte = [0; 16];
    let mut iov = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else {
        panic!("no descriptor")
    };
    let mut file = std::fs::File::open(format!("/proc/self/fd/{}", fds[0])).unwrap();
    let mut data = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut data).unwrap();
    assert_eq!(get(&entries(&data)[0], "MESSAGE"), line);
    drop(child);
    assert_eq!(bed.close()[0].sink(Sink::Journald).unwrap().written, 1);
}

/// A second process beside the bed's own.
fn other(bed: &Bed, output: &model::OutputSpec) -> std::fs::File {
    let process = model::ProcessRef {
        name: model::ProcessName::new("other").unwrap(),
        id: model::ProcessId::from_digest([0, 0, 0, 0, 0, 2]),
    };
    let ends = bed.pipe.open(&process.name, output).unwrap();
    bed.pipe.attach(crate::Source {
        process,
        run: RunId(1000),
        number: model::RunNumber(1),
        invocation: model::InvocationId(8),
        pid: 78,
        output: output.clone(),
        captured: ends.captured,
    });
    ends.stdout.into()
}

fn blocking() -> model::OutputSpec {
    let mut spec = output();
    spec.log.journald_overflow = Overflow::Block;
    spec
}

#[test]
fn a_process_may_wait_for_the_journal_and_then_loses_nothing_and_holds_up_nobody_else() {
    let (mut bed, socket, _) = bed();
    let child = bed.start(&blocking());
    const LINES: u64 = 20_000;
    // On a thread of its own that nobody waits for when this test fails: then it would wait for ever.
    let writer = std::thread::spawn(move || {
        // Empty lines are the worst: nothing but overhead.
        let text: String = (0..LINES).map(|i| format!("\n\n{i}\n")).collect();
        say(&child.stdout, text);
        drop(child);
    });
    until("it waits", || (bed.sink(Stream::Stdout, Sink::Journald).queued > 1000).then_some(()));
    let other = other(&bed, &output());
    say(&other, "a\n".repeat(40_000));
    drop(other);
    until("the other one doesn't", || {
        let stats = bed.pipe.stats();
        stats.iter().find(|s| s.process.name.as_str() == "other" && s.lines_read == 40_000).map(|_| ())
    });
    assert!(!writer.is_finished());
    let (mut all, mut marked) = (Vec::new(), 0);
    // To the other one's last marker, so that nothing waits any more.
    let dropped = || bed.sink(Stream::Stdout, Sink::Journald).dropped;
    while all.len() < 3 * usize::try_from(LINES).unwrap() || marked < dropped() {
        let (web, others): (Vec<_>, Vec<_>) =
            receive(&socket).into_iter().partition(|f| get(f, "PROCESS_NAME") == "web");
        all.extend(web);
        marked += sum_of_markers(&others);
    }
    writer.join().unwrap();
    let numbers = all.iter().map(|f| get(f, "MESSAGE")).filter(|m| !m.is_empty());
    assert!(numbers.eq((0..LINES).map(|i| i.to_string())));
    let stats = bed.close();
    let web = stats.iter().find(|s| s.process == web() && s.stream == Stream::Stdout).unwrap();
    let sink = web.sink(Sink::Journald).unwrap();
    assert_eq!((sink.written, sink.dropped), (3 * LINES, 0));
}

#[test]
fn whoever_waits_for_the_journal_is_let_go_by_a_new_policy_and_by_the_end() {
    for way_out in ["policy", "deadline"] {
        let mut at = PathBuf::new();
        let mut bed = Bed::with(|c| {
            at = c.dir.with_file_name("journal");
            // There is none: nothing will ever be taken.
            c.journald = Some(at.clone());
            c.drain_deadline = Duration::from_millis(10);
        });
        let child = bed.start(&blocking());
        // More than the lane has room for, and not more than that and the pipe.
        const LINES: u64 = 14_000;
        say(&child.stdout, "line\n".repeat(usize::try_from(LINES).unwrap()));
        until("it waits", || (bed.sink(Stream::Stdout, Sink::Journald).queued > 1000).then_some(()));
        assert!(bed.stats(Stream::Stdout).lines_read < LINES);
        if way_out == "policy" {
            bed.pipe.configure(web(), output());
        } else {
            bed.pipe.finished(child.run);
        }
        until("all is read", || (bed.stats(Stream::Stdout).lines_read == LINES).then_some(()));
        let sink = bed.sink(Stream::Stdout, Sink::Journald);
        assert!(sink.dropped > 0 && sink.read == LINES, "{sink:?}");
        assert_eq!(bed.sink(Stream::Stdout, Sink::File).written, LINES);
        bed.pipe.clone().shutdown(Duration::from_millis(10));
    }
}
