//! What the tests share: a pipeline in a temporary directory, children that are pipes held by the test, exact sums.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::{
    InvocationId, LogSpec, Output, OutputSpec, ProcessId, ProcessName, ProcessRef, RunId, RunNumber, Sink,
    Stream,
};
use tempfile::TempDir;

use crate::{Config, LogPipe, SinkStats, Source, StreamStats, archive};

/// Patience for what happens on another thread; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `probe` gives something.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn web() -> ProcessRef {
    ProcessRef { name: ProcessName::new("web").unwrap(), id: ProcessId::from_digest([0, 0, 0, 0, 0, 1]) }
}

/// Everything captured, into one file, without rotation.
pub(crate) fn output() -> OutputSpec {
    let log = LogSpec { max_size: 0, ..LogSpec::default() };
    OutputSpec { stdout: Output::Capture, stderr: Output::Capture, pty: false, log }
}

/// A pipeline and its directory.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    pub(crate) pipe: LogPipe,
    runs: u64,
}

/// The writing ends of a run.
pub(crate) struct Child {
    pub(crate) run: RunId,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            dir: dir.path().join("logs"),
            journald: None,
            console: None,
            drain_deadline: Duration::from_secs(5),
        };
        change(&mut config);
        Self { pipe: crate::start(config).unwrap(), dir, runs: 0 }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("logs/web.log")
    }

    pub(crate) fn start(&mut self, output: &OutputSpec) -> Child {
        self.runs += 1;
        let run = RunId(self.runs);
        let ends = self.pipe.open(&web().name, output).unwrap();
        self.pipe.attach(Source {
            process: web(),
            run,
            number: RunNumber(self.runs),
            invocation: InvocationId(7),
            pid: 77,
            output: output.clone(),
            captured: ends.captured,
        });
        Child { run, stdout: ends.stdout.into(), stderr: ends.stderr.into() }
    }

    /// Ends the pipeline and returns the accounts: stdout's, then stderr's.
    pub(crate) fn close(&self) -> Vec<StreamStats> {
        let books = self.pipe.clone();
        self.pipe.clone().shutdown(Duration::from_secs(20));
        let stats = books.stats();
        stats.iter().for_each(balanced);
        assert!(stats.iter().all(|s| s.sinks.iter().flatten().all(|s| s.queued == 0)), "{stats:?}");
        stats
    }

    pub(crate) fn stats(&self, stream: Stream) -> StreamStats {
        let found = until("an account", || self.pipe.stats().into_iter().find(|s| s.stream == stream));
        balanced(&found);
        found
    }

    pub(crate) fn sink(&self, stream: Stream, sink: Sink) -> SinkStats {
        self.stats(stream).sink(sink).copied().unwrap_or_default()
    }

    /// All rotated files and the current one, oldest first.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        let mut paths = archive::list(&self.log()).unwrap();
        paths.push(self.log());
        paths.iter().filter_map(|p| std::fs::read(p).ok()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.files().concat()).unwrap()
    }
}

/// The identity that holds at every moment.
pub(crate) fn balanced(stats: &StreamStats) {
    for sink in stats.sinks.iter().flatten() {
        assert_eq!(sink.read, sink.written + sink.dropped + sink.truncated + sink.queued, "{stats:?}");
    }
}

pub(crate) fn say(mut to: &File, text: impl AsRef<[u8]>) {
    to.write_all(text.as_ref()).unwrap();
}

/// A journal's socket in the bed's directory.
pub(crate) fn journal_at(path: &std::path::Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
