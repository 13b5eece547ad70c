//! The daemon's own log: human lines on a terminal, `<N>` priority prefixes for the journal.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Whether standard error is a stream of the journal (`JOURNAL_STREAM` in systemd.exec(5)).
pub(crate) fn stderr_is_journal() -> bool {
    let Ok(stat) = nix::sys::stat::fstat(io::stderr().as_fd()) else { return false };
    env::var("JOURNAL_STREAM").is_ok_and(|v| v == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Installs the subscriber. `RUST_LOG` takes levels and `crate=level` pairs.
pub(crate) fn init(journal: bool) -> Result<()> {
    let wanted = env::var("RUST_LOG").ok().filter(|v| !v.is_empty()).unwrap_or_else(|| "info".into());
    let filter: Targets = wanted.parse().with_context(|| {
        format!("RUST_LOG={wanted:?}\n\nhint: write a level such as info, or supervisor=debug,info")
    })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Quiet(io::stderr()));
    let registry = tracing_subscriber::registry().with(filter);
    if journal {
        registry.with(layer.event_format(JournalFormat).with_ansi(false)).init();
    } else {
        registry.with(layer.with_target(false).with_ansi(io::stderr().is_terminal())).init();
    }
    Ok(())
}

/// Standard error that may be closed: a supervisor must not end because nobody listens.
struct Quiet(io::Stderr);

impl Write for Quiet {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // An error here has no other place to go, and must not be an error of the caller.
        Ok(self.0.write(buf).unwrap_or(buf.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
