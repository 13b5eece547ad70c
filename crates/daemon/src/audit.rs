//! Records of who called what, as entries of the journal with fields: under systemd, where standard error holds only text.
//!
//! `journalctl MESSAGE_ID=e077da4a49524fef80af97c1ba062a1c` shows all of them, `journalctl AUDIT_UID=1000` those of one
//! caller, `journalctl PROCESS_NAME=web` those about one process among its events and lines.

use std::fmt::Debug;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sys::journal::JournalSocket;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of these records, whoever writes them.
pub(crate) const TARGET: &str = "audit";
/// Fixed for ever: people's queries use it.
const MESSAGE_ID: &str = "e077da4a49524fef80af97c1ba062a1c";

/// Sends each record to the journal; what the journal doesn't take goes, as text, where the rest of the daemon's log goes.
pub(crate) struct Journal<W> {
    path: PathBuf,
    socket: Mutex<Option<JournalSocket>>,
    otherwise: W,
}

impl<W> Journal<W> {
    pub(crate) fn new(path: PathBuf, otherwise: W) -> Self {
        Self { path, socket: Mutex::new(None), otherwise }
    }

    /// Never waits: whoever calls serves connections. Once more with a new connection, as journald may have been
    /// restarted.
    fn send(&self, entry: &[u8]) -> bool {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.as_ref().is_some_and(|socket| socket.send(entry).is_ok()) {
            return true;
        }
        *socket = JournalSocket::connect(&self.path).ok();
        socket.as_ref().is_some_and(|socket| socket.send(entry).is_ok())
    }
}

/// Whether it is a record.
pub(crate) fn is_record(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

impl<S: Subscriber, W: Write + Clone + 'static> Layer<S> for Journal<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !is_record(event.metadata()) {
            return;
        }
        let priority = if *event.metadata().level() <= Level::WARN { 4 } else { 6 };
        let mut record = Record::new(priority);
        event.record(&mut record);
        if !self.send(&record.entry) {
            let line = format!("<{priority}>{}{}\n", record.message, record.text);
            // Nobody is left to be told.
            let _unheard = self.otherwise.clone().write_all(line.as_bytes());
        }
    }
}

/// An entry in journald's native format, and the same as text.
struct Record {
    entry: Vec<u8>,
    message: String,
    text: String,
}

impl Record {
    fn new(priority: u8) -> Self {
        let head = format!(
            "PRIORITY={priority}\nSYSLOG_IDENTIFIER=dd-procmgrd\nEVENT=audit\nMESSAGE_ID={MESSAGE_ID}\n"
        );
        Self { entry: head.into_bytes(), message: String::new(), text: String::new() }
    }

    /// A value with a newline has its length before it, so that it can't end the field and begin another.
    fn field(&mut self, name: &str, value: &str) {
        self.entry.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.entry.push(b'\n');
            self.entry.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
        } else {
            self.entry.push(b'=');
        }
        self.entry.extend_from_slice(value.as_bytes());
        self.entry.push(b'\n');
    }

    fn add(&mut self, name: &str, value: &str) {
        match name {
            "message" => {
                self.message = value.escape_debug().to_string();
                self.field("MESSAGE", value);
                return;
            }
            "target_process" if value.is_empty() => return,
            "target_process" => self.field("PROCESS_NAME", value),
            other => self.field(&format!("AUDIT_{}", other.to_ascii_uppercase()), value),
        }
        self.text.push_str(&format!(" {name}={value:?}"));
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn record(path: PathBuf) -> String {
        let text = Text::default();
        let subscriber = tracing_subscriber::registry().with(Journal::new(path, text.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "supervisor", "not one of them");
            tracing::warn!(
                target: "audit",
                peer = %"uid 7 over the Unix socket",
                uid = 7,
                client = Option::<&str>::None,
                role = "viewer",
                target_process = "web",
                detail = "a\nUID=0",
                "StopProcess web: {}", "OK"
            );
        });
        let text = text.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_record_has_its_fields_in_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        assert_eq!(record(path), "", "once is enough");
        let mut buffer = [0; 4096];
        let n = journald.recv(&mut buffer).unwrap();
        let entry = String::from_utf8_lossy(&buffer[..n]).into_owned();
        let expected = format!(
            "PRIORITY=4\nSYSLOG_IDENTIFIER=dd-procmgrd\nEVENT=audit\nMESSAGE_ID={MESSAGE_ID}\nMESSAGE=StopProcess web: OK\n\
             AUDIT_PEER=uid 7 over the Unix socket\nAUDIT_UID=7\nAUDIT_ROLE=viewer\nPROCESS_NAME=web\n\
             AUDIT_DETAIL\n\u{7}\0\0\0\0\0\0\0a\nUID=0\n"
        );
        assert_eq!(entry, expected);
        journald.set_nonblocking(true).unwrap();
        assert!(journald.recv(&mut buffer).is_err(), "nothing else");
    }

    #[test]
    fn the_documentation_names_the_id() {
        let text = include_str!("../../../docs/SECURITY_MODEL.md");
        assert!(text.contains(&format!("| `MESSAGE_ID` | `{MESSAGE_ID}` |")), "{MESSAGE_ID}");
    }

    #[test]
    fn the_message_catalog_explains_it() {
        assert!(logpipe::catalog().contains(&format!("\n-- {MESSAGE_ID}\nSubject: @AUDIT_METHOD@ ")));
    }

    #[test]
    fn without_a_journal_it_is_a_line() {
        let text = record("/nowhere/socket".into());
        assert_eq!(
            text,
            "<4>StopProcess web: OK peer=\"uid 7 over the Unix socket\" uid=\"7\" role=\"viewer\" \
             target_process=\"web\" detail=\"a\\nUID=0\"\n"
        );
    }
}
