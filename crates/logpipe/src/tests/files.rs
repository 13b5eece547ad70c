//! The file sink over real pipes: what definitions can ask of it.

use std::io::Read;
use std::path::PathBuf;

use model::{Compression, Overflow, Sink, Stream};

use crate::testing::{Bed, output, say, until, web};
use crate::{archive, index};

fn unpacked(path: &PathBuf) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn archives_are_compressed_in_the_background_with_every_line() {
    let mut bed = Bed::new();
    let mut spec = output();
    (spec.log.max_size, spec.log.max_files, spec.log.compress) = (20_000, 1000, Compression::Gzip);
    let child = bed.start(&spec);
    const LINES: u32 = 20_000;
    let text: String = (0..LINES).map(|i| format!("{i}\n")).collect();
    say(&child.stdout, &text);
    until("all lines", || (bed.sink(Stream::Stdout, Sink::File).written == u64::from(LINES)).then_some(()));
    let archives = until("all archives compressed", || {
        let all = archive::list(&bed.log()).unwrap();
        all.iter().all(|p| p.extension().is_some_and(|e| e == "gz")).then_some(all)
    });
    assert!(archives.len() > 4);
    let current = std::fs::read_to_string(bed.log()).unwrap();
    assert_eq!(archives.iter().map(unpacked).collect::<String>() + &current, text);
    let index = archives[0].with_extension("");
    let index = std::fs::read(index.with_file_name(index::name_of(index.file_name().unwrap()))).unwrap();
    assert_eq!(index::at(&index::records(&index), 0).map(|r| (r.run.0, r.stream)), Some((1, Stream::Stdout)));
    drop(child);
    bed.close();
}

#[test]
fn what_the_last_daemon_left_uncompressed_is_taken_up() {
    let mut bed = Bed::new();
    let old = bed.log().with_file_name("web.log.20260101T000000.000000Z");
    std::fs::write(&old, "old\n").unwrap();
    std::fs::write(old.with_file_name(".web.log.20260101T000000.000000Z.gz.tmp"), "half").unwrap();
    let mut spec = output();
    spec.log.compress = Compression::Gzip;
    let child = bed.start(&spec);
    until("compressed", || (!old.exists()).then_some(()));
    drop(child);
    bed.close();
    assert_eq!(archive::list(&bed.log()).unwrap(), [old.with_extension("000000Z.gz")]);
    assert_eq!(archive::find(&bed.log()).unwrap().drafts.len(), 0);
}

#[test]
fn a_process_that_may_lose_lines_is_not_held_up() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.overflow = Overflow::DropNewest;
    let child = bed.start(&spec);
    say(&child.stdout, "first\n");
    until("the first line", || (bed.text() == "first\n").then_some(()));
    // The directory is gone and a file stands in its place.
    let logs = bed.dir.path().join("logs");
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "").unwrap();
    // More than its pipe and our buffer hold: it gets through only if somebody goes on reading.
    const LINES: u64 = 300_000;
    let text: String = (0..LINES).map(|i| format!("{i:09}\n")).collect();
    say(&child.stdout, text);
    until("all lines read", || (bed.stats(Stream::Stdout).lines_read == LINES + 1).then_some(()));
    let waiting = bed.sink(Stream::Stdout, Sink::File);
    assert!(waiting.dropped > 0 && waiting.queued > 0 && waiting.queued * 10 <= 1 << 20, "{waiting:?}");
    std::fs::remove_file(&logs).unwrap();
    drop(child);
    let sink = *bed.close()[0].sink(Sink::File).unwrap();
    assert_eq!(sink.written + sink.dropped, LINES + 1);
    let text = bed.text();
    let lines: Vec<u64> = text.lines().filter_map(|l| l.parse().ok()).collect();
    assert!(lines.is_sorted() && lines.len() as u64 + 1 == sink.written);
    let marked: u64 =
        text.lines().filter_map(|l| l.strip_prefix('[')?.split(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!(marked, sink.dropped);
}

#[test]
fn a_process_that_waits_for_the_disk_goes_on_once_it_may_lose_lines() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, "first\n");
    until("the first line", || (bed.text() == "first\n").then_some(()));
    let logs = bed.dir.path().join("logs");
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "").unwrap();
    const LINES: usize = 300_000;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| say(&child.stdout, "123456789\n".repeat(LINES)));
        until("blocked", || (bed.sink(Stream::Stdout, Sink::File).queued > 0).then_some(()));
        assert!(!writer.is_finished());
        let mut dropping = output();
        dropping.log.overflow = Overflow::DropOldest;
        bed.pipe.configure(web(), dropping);
        until("the writer is done", || writer.is_finished().then_some(()));
    });
    std::fs::remove_file(&logs).unwrap();
    drop(child);
    let sink = *bed.close()[0].sink(Sink::File).unwrap();
    assert_eq!((sink.read, sink.written + sink.dropped), (LINES as u64 + 1, LINES as u64 + 1));
    assert!(sink.dropped > 0 && bed.text().starts_with("[") && bed.text().ends_with("123456789\n"));
}

/// How many descriptors of this process name the file.
fn holders(path: &std::path::Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|file| file == path)).count()
}

#[test]
fn a_log_file_is_made_and_held_open_from_the_first_line_on() {
    let mut bed = Bed::new();
    let log = bed.dir.path().canonicalize().unwrap().join("logs/web.log");
    for (run, open) in [(1, 0), (2, 1)] {
        let child = bed.start(&output());
        // The accounts are opened by whoever would open the file as well.
        bed.stats(Stream::Stdout);
        assert_eq!((holders(&log), log.exists()), (open, open == 1), "run {run}");
        say(&child.stdout, "line\n");
        until("a line", || (bed.sink(Stream::Stdout, Sink::File).written == run).then_some(()));
        assert_eq!(holders(&log), 1);
        bed.pipe.finished(child.run);
    }
    bed.close();
    assert_eq!(bed.text(), "line\nline\n");
}

#[test]
fn a_log_file_that_was_moved_between_the_start_and_the_first_line_is_made_anew() {
    let mut bed = Bed::new();
    std::fs::write(bed.log(), "").unwrap();
    let child = bed.start(&output());
    std::fs::rename(bed.log(), bed.log().with_extension("moved")).unwrap();
    say(&child.stdout, "line\n");
    drop(child);
    bed.close();
    assert_eq!(std::fs::read(bed.log()).unwrap(), b"line\n");
    assert_eq!(std::fs::read(bed.log().with_extension("moved")).unwrap(), b"");
}
