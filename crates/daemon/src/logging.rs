//! The daemon's own log: human lines on a terminal, `<N>` priority prefixes for the journal.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::audit;

/// Whether standard error is a stream of the journal (`JOURNAL_STREAM` in systemd.exec(5)).
pub(crate) fn stderr_is_journal() -> bool {
    let Ok(stat) = nix::sys::stat::fstat(io::stderr().as_fd()) else { return false };
    env::var("JOURNAL_STREAM").is_ok_and(|v| v == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Installs the subscriber. `RUST_LOG` takes levels and `crate=level` pairs. Records of who called what are there at any
/// level, unless it names their target. With a socket of the journal they go there, with fields.
pub(crate) fn init(socket: Option<PathBuf>, journal: bool) -> Result<()> {
    let wanted = env::var("RUST_LOG").ok().filter(|v| !v.is_empty()).unwrap_or_else(|| "info".into());
    let mut filter: Targets = wanted.parse().with_context(|| {
        format!("RUST_LOG={wanted:?}\n\nhint: write a level such as info, or supervisor=debug,info")
    })?;
    if !wanted.contains(audit::TARGET) {
        filter = filter.with_target(audit::TARGET, Level::INFO);
    }
    let lines = WRITER.get_or_init(Lines::start);
    let registry = tracing_subscriber::registry().with(filter);
    if journal {
        let entries = socket.map(|path| audit::Journal::new(path, lines.clone()));
        let told = entries.is_some();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(|| lines.clone())
            .event_format(JournalFormat)
            .with_ansi(false)
            .with_filter(filter_fn(move |metadata| !(told && audit::is_record(metadata))));
        registry.with(entries).with(layer).init();
    } else {
        let layer = tracing_subscriber::fmt::layer().with_writer(|| lines.clone());
        registry.with(layer.with_target(false).with_ansi(io::stderr().is_terminal())).init();
    }
    Ok(())
}

/// Lines of the daemon's own log that wait for standard error. Beyond that, lines are dropped and counted, and the
/// count is told once the reader is back.
const WAITING: usize = 4096;
/// How long the end of the daemon waits for the last lines to be read.
const FLUSH: Duration = Duration::from_secs(1);

static WRITER: OnceLock<Lines> = OnceLock::new();

/// Standard error behind a thread of its own. A terminal that was stopped with Ctrl-S, a pipe that nobody reads, or a
/// journald that hangs would else hold up whoever logs, and the supervisor logs.
#[derive(Clone)]
struct Lines {
    queue: Sender<Message>,
    /// Messages in it, which never are more than [`WAITING`]. A bounded channel would take the room for all of them at
    /// once and keep it: 128 KiB.
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    /// Dropped once everything before it was written.
    Flush(#[expect(dead_code, reason = "its end is the message")] mpsc::Sender<()>),
}

impl Lines {
    fn start() -> Self {
        let (queue, messages) = mpsc::channel();
        let (waiting, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (taken, lost) = (Arc::clone(&waiting), Arc::clone(&dropped));
        let write = move || {
            let mut stderr = io::stderr();
            for message in messages {
                taken.fetch_sub(1, Ordering::Relaxed);
                let Message::Line(line) = message else { continue };
                let lost = lost.swap(0, Ordering::Relaxed);
                // An error has no other place to go, and a supervisor does not end because nobody listens.
                if lost > 0 {
                    let _unheard = writeln!(
                        stderr,
                        "{lost} lines of the daemon's own log were dropped: nobody read them"
                    );
                }
                let _unheard = stderr.write_all(&line);
            }
        };
        // Without a thread (out of memory at the very start) the queue has no reader and lines are dropped.
        let _thread = std::thread::Builder::new().name("log".into()).spawn(write);
        Self { queue, waiting, dropped }
    }

    /// Whether there was room for it. Without a reader it is taken and gone.
    fn put(&self, message: Message) -> bool {
        let room = |waiting| (waiting < WAITING).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
            && self.queue.send(message).is_ok()
    }
}

/// Each call is one whole line.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.put(Message::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until what was logged is written, but not for ever.
pub(crate) fn flush() {
    let Some(lines) = WRITER.get() else { return };
    let (end, written) = mpsc::channel();
    if lines.put(Message::Flush(end)) {
        let _disconnected_or_late = written.recv_timeout(FLUSH);
    }
}

/// `<6>message key=value`: the journal takes time and process from the stream, the priority from the prefix.
struct JournalFormat;

impl<S, N> FormatEvent<S, N> for JournalFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
