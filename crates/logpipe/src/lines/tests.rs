//! The whole way of lines, with every combination of settings and any chunking.

use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{
    InvocationId, LineParser, LogFormat, LogSpec, Multiline, Overflow, RateLimit, RunNumber, Sink, Stream,
};
use proptest::prelude::*;
use sys::journal::JournalSocket;
use tempfile::TempDir;

use super::{Compiler, Pending, Process, Route, Sinks};
use crate::StreamStats;
use crate::console::ConsoleSink;
use crate::entry::decode::{Fields, entries, get};
use crate::entry::line_prefix;
use crate::frame::Framer;
use crate::journal::Journal;
use crate::stats::{Account, Ledger};
use crate::store::{self, Limits, Store};
use crate::tail::Tails;
use crate::testing::{balanced, journal_at, web};

/// One stream without its pipe: what is read is fed, what is sent is received, and time is told.
struct Rig {
    dir: TempDir,
    ledger: Arc<Ledger>,
    journal: Rc<Journal>,
    compiler: Compiler,
    framer: Framer,
    route: Route,
    sender: JournalSocket,
    receiver: UnixDatagram,
}

impl Rig {
    fn new(spec: &LogSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::default());
        let counts = ledger.open(&web());
        let at = dir.path().join("journal");
        let receiver = journal_at(&at);
        let journal = Rc::new(Journal::new(at.clone(), Arc::clone(&ledger)));
        let mut compiler = Compiler::default();
        let lane = journal.lane(Arc::clone(&counts));
        let path = dir.path().join("web.log");
        let tail = Tails::default().of(&web().name, &path);
        let limits = Limits::from(&LogSpec { max_size: 0, max_files: 1, ..spec.clone() });
        let route = Route {
            process: Rc::new(Process::new(web(), compiler.compile(spec), Some(lane))),
            account: Account { counts, stream: Stream::Stderr },
            run: RunNumber(3),
            store: Rc::new(Store::new(&path, dir.path(), limits, tail, &store::Shared::default())),
            sinks: Rc::new(Sinks { journal: Some(Rc::clone(&journal)), console: None }),
            prefix: line_prefix(&web(), 77, RunNumber(3), InvocationId(9), Stream::Stderr),
            pending: Pending::default(),
        };
        let sender = JournalSocket::connect(&at).unwrap();
        Self { dir, ledger, journal, compiler, framer: Framer::default(), route, sender, receiver }
    }

    fn feed(&mut self, chunk: &[u8]) {
        let data = [self.framer.carry(), chunk].concat();
        let mut batch = self.route.begin(false);
        self.framer.feed(&data, batch.max_line(), |piece| self.route.give(piece, &mut batch));
        self.route.end(u64::try_from(chunk.len()).unwrap(), batch);
    }

    fn finish(&mut self) {
        let mut batch = self.route.begin(true);
        self.framer.finish(|piece| self.route.give(piece, &mut batch));
        self.route.end(0, batch);
        self.route.finish();
    }

    fn configure(&mut self, spec: &LogSpec) {
        self.route.process.set(self.compiler.compile(spec));
    }

    /// Everything that waits for the journal.
    fn drain(&self) -> Vec<Fields> {
        let mut buffer = vec![0; 1 << 20];
        let mut all = Vec::new();
        while self.journal.send_one(&self.sender) {
            let n = self.receiver.recv(&mut buffer).unwrap();
            all.extend(entries(&buffer[..n]));
        }
        all
    }

    fn stats(&self) -> StreamStats {
        let stats = self.ledger.snapshot().remove(1);
        balanced(&stats);
        stats
    }

    fn sink(&self, sink: Sink) -> crate::SinkStats {
        self.stats().sink(sink).copied().unwrap_or_default()
    }

    fn file(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("web.log")).unwrap_or_default()
    }
}

/// What came out of a stream: the file without its times, the journal, the accounts.
#[derive(Debug, PartialEq)]
struct Outcome {
    file: Vec<u8>,
    journal: Vec<Fields>,
    stats: StreamStats,
}

fn outcome(spec: &LogSpec, chunks: &[&[u8]]) -> Outcome {
    let mut rig = Rig::new(spec);
    let mut journal = Vec::new();
    for (i, chunk) in chunks.iter().enumerate() {
        rig.feed(chunk);
        rig.stats();
        if i % 3 == 1 {
            journal.extend(rig.drain());
        }
        rig.stats();
    }
    rig.finish();
    journal.extend(rig.drain());
    let times = regex::bytes::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z").unwrap();
    let stats = rig.stats();
    assert!(stats.sinks.iter().flatten().all(|s| s.queued == 0), "{stats:?}");
    Outcome { file: times.replace_all(&rig.file(), b"T".as_slice()).into_owned(), journal, stats }
}

fn specs() -> impl Strategy<Value = LogSpec> {
    let limit = || {
        // So long that nothing comes back during a test.
        let limited =
            (1u32..9).prop_map(|lines| Some(RateLimit { lines, interval: Duration::from_secs(86_400) }));
        prop_oneof![3 => Just(None), 1 => limited]
    };
    let multiline =
        prop_oneof![Just(Multiline::None), Just(Multiline::Indent), Just(Multiline::Start("^[a{]".into()))];
    (
        (any::<bool>(), any::<bool>(), 1u32..40),
        (prop::sample::select(&LogFormat::ALL[..]), prop::sample::select(&LineParser::ALL[..]), multiline),
        prop::sample::select(&Overflow::ALL[..]),
        (limit(), limit()),
        prop::sample::subsequence(vec!["ab".to_owned(), "b+ ?a".to_owned(), "a$".to_owned()], 0..=3),
    )
        .prop_map(
            |((journald, file, max_line), (format, parse, multiline), overflow, limits, redact)| LogSpec {
                journald,
                file,
                max_line,
                format,
                parse,
                multiline,
                journald_overflow: overflow,
                file_rate_limit: limits.0,
                rate_limit: limits.1,
                json_fields: vec!["k".into()],
                redact,
                ..LogSpec::default()
            },
        )
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(b"\n".to_vec()),
        2 => Just(b"\n ".to_vec()),
        1 => Just(b"\n<4>".to_vec()),
        2 => Just(br#"{"level":"warn","msg":"a\nb","k":1}"#.to_vec()),
        6 => "[ab ]{1,9}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    // Each case is dozens of files and sockets.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_chunking_gives_the_same(
        spec in specs(), text in texts(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = outcome(&spec, &[&text]);
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut start = 0;
        for cut in cuts {
            chunks.push(&text[start..cut]);
            start = cut;
        }
        chunks.push(&text[start..]);
        prop_assert_eq!(&outcome(&spec, &chunks), &whole);
        prop_assert_eq!(&outcome(&spec, &text.chunks(1).collect::<Vec<_>>()), &whole);

        // What every way has in common: each line is accounted for, and what is written is what was counted.
        let stats = &whole.stats;
        for (sink, on) in [(Sink::File, spec.file), (Sink::Journald, spec.journald)] {
            let sink = stats.sink(sink).copied().unwrap_or_default();
            prop_assert_eq!(sink.read, if on { stats.lines_read } else { 0 });
        }
        let marker = |text: &str| text.contains("lines suppressed: ");
        let messages: Vec<String> = whole.journal.iter().map(|f| get(f, "MESSAGE")).collect();
        let sink = stats.sink(Sink::Journald).copied().unwrap_or_default();
        let suppressed: u64 = messages
            .iter()
            .filter(|m| marker(m))
            .map(|m| m.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        prop_assert_eq!(suppressed, sink.dropped);
        if spec.parse == LineParser::None {
            let lines: usize = messages.iter().filter(|m| !marker(m)).map(|m| m.split('\n').count()).sum();
            prop_assert_eq!(u64::try_from(lines).unwrap(), sink.written + sink.truncated);
        }
        if spec.redact.len() == 3 {
            let shown = String::from_utf8_lossy(&whole.file).replace("[redacted]", "\n");
            prop_assert!(!shown.contains("ab"), "{}", shown);
        }
    }

    #[test]
    fn settings_may_change_at_any_time(steps in prop::collection::vec((specs(), texts(), any::<bool>()), 1..8)) {
        let mut rig = Rig::new(&LogSpec::default());
        let mut seen = (0, 0);
        for (spec, text, tick) in &steps {
            rig.configure(spec);
            rig.feed(text);
            if *tick && let Some(due) = rig.route.due() {
                rig.route.tick(due);
            }
            let stats = rig.stats();
            let read = |s| stats.sink(s).map_or(0, |s| s.read);
            prop_assert!(read(Sink::File) >= seen.0 && read(Sink::Journald) >= seen.1, "counters never go down");
            seen = (read(Sink::File), read(Sink::Journald));
        }
        rig.finish();
        rig.drain();
        let stats = rig.stats();
        prop_assert!(stats.sinks.iter().flatten().all(|s| s.queued == 0), "{:?}", stats);
        prop_assert!(rig.route.due().is_none());
    }
}

fn spec(change: impl FnOnce(&mut LogSpec)) -> LogSpec {
    let mut spec = LogSpec::default();
    change(&mut spec);
    spec
}

fn messages(all: &[Fields]) -> Vec<String> {
    all.iter().map(|f| get(f, "MESSAGE")).collect()
}

#[test]
fn secrets_reach_no_sink_not_even_in_halves() {
    let spec = spec(|s| {
        s.redact = vec!["password=[a-z]{6}".into(), "(unclosed".into()];
        s.max_line = 30;
    });
    let text = b"x password=hunter y\nlogin of root password=hunter\nplain\n";
    let got = outcome(&spec, &[text]);
    // The second line has 29 bytes.
    let cut = "x [redacted] y\nlogin of root [… 16 bytes cut]\nplain\n";
    let fits = "x [redacted] y\nlogin of root [redacted]\nplain\n";
    assert_eq!(String::from_utf8(got.file).unwrap(), fits);
    assert_eq!(messages(&got.journal).join("\n") + "\n", fits);
    let got = outcome(&LogSpec { max_line: 27, ..spec }, &[text]);
    assert_eq!(String::from_utf8(got.file).unwrap(), cut);
    assert_eq!(got.stats.sink(Sink::File).unwrap().truncated, 1);
}

#[test]
fn the_terminal_shows_what_is_left_of_a_line() {
    #[derive(Clone, Default)]
    struct Screen(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut rig = Rig::new(&spec(|s| s.redact = vec!["tok-[0-9]+".into()]));
    let screen = Screen::default();
    let console = ConsoleSink::start(false, Box::new(screen.clone())).unwrap();
    rig.route.sinks = Rc::new(Sinks { journal: None, console: Some(console.into()) });
    rig.feed(b"a tok-1 b\n");
    rig.route.sinks.console.as_ref().unwrap().borrow().close(Instant::now() + Duration::from_secs(30));
    assert_eq!(String::from_utf8(screen.0.lock().unwrap().clone()).unwrap(), "web | a [redacted] b\n");
}

#[test]
fn json_lines_speak_for_themselves_everywhere() {
    let spec = spec(|s| {
        s.parse = LineParser::Json;
        s.format = LogFormat::Json;
        s.json_fields = vec!["trace_id".into(), "user.id".into()];
    });
    let got = outcome(
        &spec,
        &[b"{\"level\":50,\"msg\":\"no disk\",\"trace_id\":\"t1\",\"user\":{\"id\":7}}\nplain\n"],
    );
    let first = &got.journal[0];
    let fields = ["PRIORITY", "MESSAGE", "TRACE_ID", "USER_ID", "PROCESS_STREAM"].map(|k| get(first, k));
    assert_eq!(fields, ["3", "no disk", "t1", "7", "stderr"]);
    assert_eq!(first.iter().filter(|(k, _)| k == "PRIORITY").count(), 1);
    assert_eq!(["PRIORITY", "MESSAGE"].map(|k| get(&got.journal[1], k)), ["4", "plain"]);
    let origin = r#"{"time":"T","process":"web","process_id":"000000000001","run":3,"stream":"stderr","#;
    let expected = [
        r#""level":"error","message":"no disk","data":{"level":50,"msg":"no disk","trace_id":"t1","user":{"id":7}}}"#,
        r#""message":"plain"}"#,
    ];
    let text = String::from_utf8(got.file).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected.map(|e| format!("{origin}{e}")));
}

#[test]
fn a_prefix_is_for_the_journal_and_stays_in_a_raw_file() {
    let got = outcome(&spec(|s| s.parse = LineParser::SyslogPrefix), &[b"<1>disk\n<7>detail\nx\n"]);
    assert_eq!(String::from_utf8(got.file).unwrap(), "<1>disk\n<7>detail\nx\n");
    let both: Vec<_> = got.journal.iter().map(|f| get(f, "PRIORITY") + &get(f, "MESSAGE")).collect();
    assert_eq!(both, ["3disk", "7detail", "4x"]);
}

#[test]
fn joined_lines_are_one_entry_and_stay_lines_in_a_plain_file() {
    let text = b"Error\n at a\n at b\nnext\n";
    let got = outcome(&spec(|s| s.multiline = Multiline::Indent), &[text]);
    assert_eq!(messages(&got.journal), ["Error\n at a\n at b", "next"]);
    assert_eq!(got.file, text);
    assert_eq!(got.stats.sink(Sink::Journald).unwrap().written, 4);
    let logfmt = spec(|s| (s.multiline, s.format) = (Multiline::Indent, LogFormat::Logfmt));
    let got = outcome(&logfmt, &[text]);
    let text = String::from_utf8(got.file).unwrap();
    assert_eq!(
        text.lines().map(|l| l.split_once(" msg=").unwrap().1).collect::<Vec<_>>(),
        [r#""Error\n at a\n at b""#, r#""next""#]
    );
    assert_eq!(got.stats.sink(Sink::File).unwrap().written, 4);
}

#[test]
fn lines_that_wait_for_more_are_queued_and_go_on_after_a_silence() {
    let mut rig = Rig::new(&spec(|s| (s.multiline, s.format) = (Multiline::Indent, LogFormat::Json)));
    assert_eq!(rig.route.due(), None);
    let before = Instant::now();
    rig.feed(b"Error\n at a\n");
    for sink in [Sink::File, Sink::Journald] {
        assert_eq!((rig.sink(sink).read, rig.sink(sink).queued), (2, 2));
    }
    let due = rig.route.due().unwrap();
    assert!(due >= before + Duration::from_millis(500));
    rig.route.tick(due - Duration::from_millis(1));
    assert!(rig.drain().is_empty() && rig.file().is_empty());
    rig.route.tick(due);
    assert_eq!(messages(&rig.drain()), ["Error\n at a"]);
    assert_eq!((rig.sink(Sink::File).written, rig.route.due()), (2, None));
    // What comes now is no part of it.
    rig.feed(b" at b\n");
    rig.finish();
    assert_eq!(messages(&rig.drain()), [" at b"]);
}

#[test]
fn suppressed_lines_are_marked_where_they_are_missing() {
    let limit = RateLimit { lines: 2, interval: Duration::from_secs(3600) };
    for (format, marker) in [
        (LogFormat::Raw, "[3 lines suppressed: file_rate_limit 2/h]"),
        (LogFormat::Prefixed, "T stderr [3 lines suppressed: file_rate_limit 2/h]"),
    ] {
        let limited = spec(|s| {
            s.format = format;
            s.file_rate_limit = Some(limit);
            s.rate_limit = Some(limit);
        });
        let got = outcome(&limited, &[b"1\n2\n3\n4\n5\n"]);
        let text = String::from_utf8(got.file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with('1') && lines[1].ends_with('2'));
        assert_eq!(lines[2..], [marker]);
        assert_eq!(messages(&got.journal), ["1", "2", "3 lines suppressed: rate_limit 2/h"]);
        let last = &got.journal[2];
        assert_eq!((get(last, "PRIORITY"), get(last, "PROCESS_NAME")), ("4".into(), "web".into()));
        for sink in [Sink::File, Sink::Journald] {
            let sink = got.stats.sink(sink).unwrap();
            assert_eq!((sink.read, sink.written, sink.dropped), (5, 2, 3));
        }
    }
}

#[test]
fn a_marker_comes_although_the_process_falls_silent() {
    let limit = RateLimit { lines: 1, interval: Duration::from_secs(3600) };
    let mut rig = Rig::new(&spec(|s| (s.file_rate_limit, s.rate_limit) = (Some(limit), Some(limit))));
    rig.feed(b"1\n2\n3\n");
    assert_eq!((messages(&rig.drain()), rig.file()), (vec!["1".to_owned()], b"1\n".to_vec()));
    let due = rig.route.due().unwrap();
    rig.route.tick(due);
    assert_eq!(messages(&rig.drain()), ["2 lines suppressed: rate_limit 1/h"]);
    assert_eq!(rig.file(), b"1\n[2 lines suppressed: file_rate_limit 1/h]\n");
    assert_eq!(rig.route.due(), None);
}

#[test]
fn processes_share_what_their_patterns_were_compiled_to() {
    let mut compiler = Compiler::default();
    let one = spec(|s| s.redact = vec!["a+".into()]);
    let settings = [compiler.compile(&one), compiler.compile(&one)];
    let patterns = settings.each_ref().map(|s| Rc::as_ptr(s.redact.as_ref().unwrap()));
    assert_eq!(patterns[0], patterns[1]);
    drop(settings);
    compiler.compile(&spec(|s| s.multiline = Multiline::Start("b".into())));
    assert_eq!(compiler.known.len(), 1, "what nobody uses is not kept");
    assert!(compiler.compile(&spec(|s| s.redact = vec!["(".into()])).redact.is_none());
}
