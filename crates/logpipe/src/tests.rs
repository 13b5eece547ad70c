//! The whole pipeline over real pipes.

mod files;
mod terminal;

use std::io::{self, Write};

use model::{Output, Sink, Stream};

use crate::testing::{Bed, output, say, until, web};
use crate::{Chunk, Filter, LogError, ReadRequest};

#[test]
fn two_streams_into_one_rotated_file_keep_every_line_whole_and_in_order() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_size = 100_000;
    spec.log.max_files = 10_000;
    let child = bed.start(&spec);
    const LINES: u64 = 40_000;
    std::thread::scope(|scope| {
        for (name, pipe) in [("out", &child.stdout), ("err", &child.stderr)] {
            scope.spawn(move || {
                // Not at line boundaries, so that the pipe's content ends anywhere.
                let text: String =
                    (0..LINES).map(|i| format!("{name} {i} {}\n", "x".repeat((i % 90) as usize))).collect();
                text.as_bytes().chunks(7_777).for_each(|c| say(pipe, c));
            });
        }
    });
    drop(child);
    let stats = bed.close();
    let files = bed.files();
    assert!(files.len() > 30, "rotated: {}", files.len());
    assert!(files.iter().all(|f| f.len() <= 100_000 && f.last() == Some(&b'\n')));
    let mut next = [0u64; 2];
    for line in bed.text().lines() {
        let mut words = line.split(' ');
        let stream = usize::from(words.next() == Some("err"));
        let i: u64 = words.next().unwrap().parse().unwrap();
        assert_eq!(i, next[stream], "{line}");
        assert_eq!(words.next().unwrap().len() as u64, i % 90);
        next[stream] += 1;
    }
    assert_eq!(next, [LINES; 2]);
    for s in &stats {
        assert_eq!((s.lines_read, s.sink(Sink::File).unwrap().written), (LINES, LINES));
        assert_eq!(s.bytes_read, s.sink(Sink::File).unwrap().bytes_written);
    }
}

#[test]
fn bytes_are_kept_and_the_last_line_without_its_newline_too() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, b"nul \0 and \xff\xfe\n\nlast");
    drop(child);
    let stats = bed.close();
    assert_eq!(bed.files().concat(), b"nul \0 and \xff\xfe\n\nlast\n");
    assert_eq!((stats[0].lines_read, stats[0].bytes_read), (3, 18));
}

#[test]
fn over_long_lines_are_cut_marked_and_counted() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_line = 1000;
    let child = bed.start(&spec);
    say(&child.stdout, format!("{}\nshort\n{}\n", "a".repeat(300_000), "b".repeat(1001)));
    drop(child);
    let stats = bed.close();
    let expected =
        format!("{} [… 299000 bytes cut]\nshort\n{} [… 1 bytes cut]\n", "a".repeat(1000), "b".repeat(1000));
    assert_eq!(bed.text(), expected);
    let sink = stats[0].sink(Sink::File).unwrap();
    assert_eq!((sink.read, sink.written, sink.truncated), (3, 1, 2));
}

#[test]
fn a_pipe_that_somebody_holds_open_is_given_up_at_the_deadline() {
    let mut bed = Bed::with(|c| c.drain_deadline = std::time::Duration::from_millis(20));
    let child = bed.start(&output());
    say(&child.stdout, "whole\npart");
    bed.pipe.finished(child.run);
    until("the partial line", || (bed.files().concat() == b"whole\npart\n").then_some(()));
    until("the pipe is closed", || {
        (&child.stdout).write(b"x").is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe).then_some(())
    });
}

#[test]
fn a_shutdown_waits_no_longer_than_its_own_deadline() {
    let mut bed = Bed::with(|c| c.drain_deadline = std::time::Duration::from_secs(3600));
    let held = [bed.start(&output()), bed.start(&output())];
    say(&held[0].stdout, "part");
    say(&held[1].stdout, "part");
    bed.pipe.finished(held[0].run);
    let books = bed.pipe.clone();
    bed.pipe.clone().shutdown(std::time::Duration::from_millis(50));
    assert_eq!(books.stats()[0].sink(Sink::File).unwrap().written, 2);
    assert_eq!(bed.text(), "part\npart\n");
}

#[test]
fn counters_go_on_over_runs_and_start_anew_for_a_new_definition() {
    let mut bed = Bed::new();
    bed.pipe.configure(web(), output());
    for _ in 0..2 {
        let child = bed.start(&output());
        say(&child.stdout, "line\n");
        bed.pipe.finished(child.run);
    }
    until("both lines", || (bed.sink(Stream::Stdout, Sink::File).written == 2).then_some(()));
    bed.pipe.forget(&web().name);
    until("forgotten", || bed.pipe.stats().is_empty().then_some(()));
    let child = bed.start(&output());
    say(&child.stdout, "again\n");
    drop(child);
    assert_eq!(bed.close()[0].lines_read, 1);
    assert_eq!(bed.text(), "line\nline\nagain\n");
}

#[test]
fn settings_apply_to_the_running_process() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, "one\n");
    until("the first line", || (bed.stats(Stream::Stdout).lines_read == 1).then_some(()));
    let mut changed = output();
    changed.log.file = false;
    bed.pipe.configure(web(), changed);
    // The next message is taken after the first, so that a second run's line proves that the change is in force.
    let other = bed.start(&{
        let mut null = output();
        null.log.file = false;
        null
    });
    say(&other.stderr, "x\n");
    until("the change", || (bed.stats(Stream::Stderr).lines_read == 1).then_some(()));
    say(&child.stdout, "two\n");
    drop((child, other));
    let stats = bed.close();
    assert_eq!((stats[0].lines_read, stats[0].sink(Sink::File).unwrap().read), (2, 1));
    assert_eq!(bed.text(), "one\n");
}

#[test]
fn a_file_that_cannot_be_made_makes_the_child_wait_and_loses_nothing() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, "0\n");
    until("the first line", || (bed.text() == "0\n").then_some(()));
    // The directory is gone and a file stands in its place.
    let logs = bed.dir.path().join("logs");
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "").unwrap();
    const LINES: u64 = 200_000;
    let written = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let text: String = (1..LINES).map(|i| format!("{i}\n")).collect();
            say(&child.stdout, text);
            written.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        until("blocked", || (bed.sink(Stream::Stdout, Sink::File).queued > 0).then_some(()));
        assert!(!written.load(std::sync::atomic::Ordering::SeqCst), "more than a pipe and a buffer hold");
        std::fs::remove_file(&logs).unwrap();
    });
    drop(child);
    let sink = *bed.close()[0].sink(Sink::File).unwrap();
    assert_eq!((sink.written, sink.dropped), (LINES, 0));
    assert!(sink.errors > 0);
    assert!(bed.text().lines().map(|l| l.parse::<u64>().unwrap()).eq(1..LINES));
}

#[test]
fn what_cannot_be_opened_is_told_with_a_way_out() {
    let bed = Bed::new();
    let mut spec = output();
    spec.stdout = Output::File(bed.dir.path().join("absent/x.log"));
    let error = bed.pipe.open(&web().name, &spec).unwrap_err();
    assert!(error.subject.ends_with("absent/x.log") && error.hint.contains("mkdir -p"), "{error:?}");
    spec.stdout = Output::Direct(bed.dir.path().into());
    assert!(!bed.pipe.open(&web().name, &spec).unwrap_err().hint.is_empty());
}

#[test]
fn what_is_not_captured_goes_where_it_should() {
    let bed = Bed::new();
    let mut spec = output();
    let path = bed.dir.path().join("direct.log");
    (spec.stdout, spec.stderr) = (Output::Direct(path.clone()), Output::Null);
    let ends = bed.pipe.open(&web().name, &spec).unwrap();
    assert!(ends.captured.stdout.is_none() && ends.captured.stderr.is_none());
    say(&ends.stdout.into(), "by itself\n");
    say(&ends.stderr.into(), "nowhere\n");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "by itself\n");
    let request = ReadRequest {
        process: web(),
        output: spec,
        lines: 1,
        follow: false,
        filter: Filter::default(),
        after: None,
        single: false,
    };
    let error = bed.pipe.read(request.clone()).unwrap_err();
    assert!(matches!(&error, LogError::NotCaptured { .. }) && error.hint().contains("direct.log"), "{error}");
    let mut unfiled = output();
    unfiled.log.file = false;
    let error = bed.pipe.read(ReadRequest { output: unfiled, ..request }).unwrap_err();
    assert!(error.hint().contains("journalctl PROCESS_ID=000000000001"), "{error}");
}

/// The text of some chunks.
pub(crate) fn joined(chunks: &[Chunk]) -> String {
    chunks.iter().map(|c| String::from_utf8(c.bytes.clone()).unwrap()).collect()
}

#[test]
fn runs_of_one_process_at_the_same_time_share_file_and_accounts() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_size = 50_000;
    spec.log.max_files = 10_000;
    // As with hooks and health checks beside their process: opened at any time, ended at any time.
    let runs: Vec<_> = (0..4).map(|_| bed.start(&spec)).collect();
    let ids: Vec<_> = runs.iter().map(|c| c.run).collect();
    const LINES: u64 = 10_000;
    std::thread::scope(|scope| {
        for (run, child) in runs.into_iter().enumerate() {
            scope.spawn(move || {
                for (name, pipe) in [("out", &child.stdout), ("err", &child.stderr)] {
                    let text: String = (0..LINES).map(|i| format!("{run} {name} {i}\n")).collect();
                    text.as_bytes().chunks(7 + 991 * run).for_each(|c| say(pipe, c));
                    say(pipe, format!("{run} {name} {LINES}"));
                }
            });
        }
    });
    ids.into_iter().for_each(|run| bed.pipe.finished(run));
    let stats = bed.close();
    assert!(bed.files().iter().all(|f| f.last() == Some(&b'\n')));
    let mut next = std::collections::BTreeMap::<_, u64>::new();
    let text = bed.text();
    for line in text.lines() {
        let (source, number) = line.rsplit_once(' ').unwrap();
        let expected = next.entry(source).or_default();
        assert_eq!(number.parse(), Ok(*expected), "{line}");
        *expected += 1;
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [LINES + 1; 8]);
    for s in &stats {
        assert_eq!((s.lines_read, s.sink(Sink::File).unwrap().written), (4 * (LINES + 1), 4 * (LINES + 1)));
    }
}

#[test]
fn runs_that_crash_and_are_started_again_at_once_stand_in_their_order() {
    let mut bed = Bed::new();
    const RUNS: u64 = 3000;
    // Of a crash the pipe's end and the news of it come on their own ways, and the next run follows at once.
    let mut old: Option<crate::testing::Child> = None;
    for run in 1..=RUNS {
        if let Some(old) = old.take() {
            say(&old.stderr, format!("{} dies", run - 1));
            let id = old.run;
            drop(old);
            bed.pipe.finished(id);
        }
        let child = bed.start(&output());
        say(&child.stdout, format!("{run} begins\n"));
        old = Some(child);
    }
    drop(old);
    assert_eq!(bed.close().iter().map(|s| s.lines_read).sum::<u64>(), 2 * RUNS - 1);
    let text = bed.text();
    let runs: Vec<u64> = text.lines().map(|l| l.split(' ').next().unwrap().parse().unwrap()).collect();
    let wrong = runs.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!(wrong, 0, "lines behind one of a later run");
}

#[test]
fn a_run_that_was_opened_before_a_change_does_not_undo_it() {
    let mut bed = Bed::new();
    bed.pipe.configure(web(), output());
    let mut changed = output();
    changed.log.file = false;
    bed.pipe.configure(web(), changed);
    let child = bed.start(&output());
    say(&child.stdout, "line\n");
    drop(child);
    let stats = bed.close();
    assert_eq!((stats[0].lines_read, stats[0].sink(Sink::File)), (1, None));
    assert_eq!(bed.text(), "");
}
