//! The terminal of a daemon in the foreground: each line behind its process's name.
//!
//! A thread of its own writes, since a terminal can stop for as long as somebody likes (Ctrl-S). Its queue holds 1 MiB;
//! when that is full lines are dropped and counted, and a marker is printed when there is room again.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::ProcessName;

/// Bytes that wait for the terminal.
const QUEUE_MAX: usize = 1 << 20;
/// Colours of the names; 8-colour codes that are readable on dark and light backgrounds.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

#[derive(Default)]
struct Queue {
    text: Vec<u8>,
    dropped: u64,
    /// The writer holds text that it has not written yet.
    busy: bool,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sink's end on the pipeline's thread.
pub(crate) struct ConsoleSink {
    shared: Arc<Shared>,
    colour: bool,
    /// Longest name seen: the column at which lines start.
    width: usize,
}

impl ConsoleSink {
    pub(crate) fn start(colour: bool, out: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("console".into()).spawn(move || write_all(&theirs, out))?;
        Ok(Self { shared, colour, width: 0 })
    }

    /// Makes room for a name.
    pub(crate) fn introduce(&mut self, name: &ProcessName) {
        self.width = self.width.max(name.as_str().len());
    }

    /// Takes one line, or drops it. `true` = taken.
    pub(crate) fn line(&self, name: &ProcessName, line: &[u8], mark: &str) -> bool {
        let mut queue = self.shared.lock();
        // Four bytes for each escaped one is the worst case.
        if queue.text.len() + 4 * line.len() + 160 > QUEUE_MAX && !queue.text.is_empty() {
            queue.dropped += 1;
            return false;
        }
        let dropped = std::mem::take(&mut queue.dropped);
        if dropped > 0 {
            let text = format!("[{dropped} lines dropped: the terminal was too slow]\n");
            queue.text.extend_from_slice(text.as_bytes());
        }
        self.prefix(&mut queue.text, name);
        escape(&mut queue.text, line, self.colour);
        queue.text.extend_from_slice(mark.as_bytes());
        queue.text.push(b'\n');
        self.shared.changed.notify_all();
        true
    }

    fn prefix(&self, out: &mut Vec<u8>, name: &ProcessName) {
        let text = format!("{name:<width$} | ", width = self.width);
        if self.colour {
            let hash = name.as_str().bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
            out.extend_from_slice(format!("\x1b[{}m{text}\x1b[0m", COLOURS[hash % COLOURS.len()]).as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Waits until everything is on the terminal, or the deadline has come: a stopped terminal must not hold the end.
    pub(crate) fn close(&self, deadline: Instant) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        self.shared.changed.notify_all();
        while !queue.text.is_empty() || queue.busy {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return;
            }
            queue = self.shared.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn write_all(shared: &Shared, mut out: Box<dyn Write + Send>) {
    loop {
        let mut queue = shared.lock();
        queue.busy = false;
        shared.changed.notify_all();
        while queue.text.is_empty() {
            if queue.closed {
                return;
            }
            queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let text = std::mem::take(&mut queue.text);
        queue.busy = true;
        drop(queue);
        // A terminal that is gone takes nothing more; the children go on and their lines are in the files.
        out.write_all(&text).and_then(|()| out.flush()).unwrap_or_default();
    }
}

/// Appends a line so that it can't do anything to the terminal but colour itself.
fn escape(out: &mut Vec<u8>, line: &[u8], colour: bool) {
    let mut coloured = false;
    for chunk in line.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            let (_, after) = rest.split_at(c.len_utf8());
            if c == '\x1b'
                && let Some(length) = sgr(rest.as_bytes())
            {
                if colour {
                    out.extend_from_slice(&rest.as_bytes()[..length]);
                    coloured = true;
                }
                rest = &rest[length..];
                continue;
            }
            if c.is_control() && c != '\t' {
                for byte in rest.as_bytes().iter().take(c.len_utf8()) {
                    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                }
            } else {
                out.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
            }
            rest = after;
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    if coloured {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// Length of the colour sequence (`ESC [ digits and semicolons m`) that `text` starts with.
fn sgr(text: &[u8]) -> Option<usize> {
    let body = text.strip_prefix(b"\x1b[")?;
    let end = body.iter().position(|b| !matches!(b, b'0'..=b'9' | b';' | b':'))?;
    (body[end] == b'm').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn shown(line: &[u8], colour: bool) -> String {
        let mut out = Vec::new();
        escape(&mut out, line, colour);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_colours_pass() {
        assert_eq!(shown("a\tä".as_bytes(), true), "a\tä");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m", true), "\x1b[1;31mred\x1b[0m\x1b[0m");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m", false), "red");
        assert_eq!(shown(b"\x1b[2Jx\x07\r\0\x1b", true), "\\x1b[2Jx\\x07\\x0d\\x00\\x1b");
        assert_eq!(shown(b"\xff\xc2\x9b", true), "\\xff\\xc2\\x9b");
    }

    #[test]
    fn names_are_aligned_and_coloured_only_when_asked() {
        for (colour, expected) in [(false, "a    | x\nlong | y [cut]\n"), (true, "\x1b[")] {
            let screen = Screen::default();
            let mut console = ConsoleSink::start(colour, Box::new(screen.clone())).unwrap();
            let (a, long) = (ProcessName::new("a").unwrap(), ProcessName::new("long").unwrap());
            console.introduce(&a);
            console.introduce(&long);
            assert!(console.line(&a, b"x", "") && console.line(&long, b"y", " [cut]"));
            console.close(later());
            let text = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
            assert!(text.starts_with(expected), "{text:?}");
        }
    }

    /// Says that it was called, and writes nothing before the test says so.
    struct Stopped {
        called: std::sync::mpsc::Sender<()>,
        go: std::sync::mpsc::Receiver<()>,
        screen: Screen,
    }

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.called.send(()).unwrap_or_default();
            // An error means that everything may pass.
            self.go.recv().unwrap_or_default();
            self.screen.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stopped_terminal_costs_lines_and_says_so() {
        let (called, calls) = std::sync::mpsc::channel();
        let (pass, go) = std::sync::mpsc::channel();
        let screen = Screen::default();
        let out = Stopped { called, go, screen: screen.clone() };
        let console = ConsoleSink::start(false, Box::new(out)).unwrap();
        let name = ProcessName::new("a").unwrap();
        assert!(console.line(&name, b"first", ""));
        // The writer has the first line and stands: what comes now stays in the queue until it is full.
        calls.recv().unwrap();
        let line = [b'x'; 1000];
        let taken = (0..5000).filter(|_| console.line(&name, &line, "")).count();
        assert!(0 < taken && taken < 5000);
        pass.send(()).unwrap();
        // The writer has taken all of the queue: the next line passes, behind the marker.
        calls.recv().unwrap();
        assert!(console.line(&name, b"after", ""));
        drop(pass);
        console.close(later());
        let text = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let marker = format!("[{} lines dropped: the terminal was too slow]", 5000 - taken);
        assert_eq!(lines.len(), 1 + taken + 2);
        assert_eq!((lines[0], &lines[1 + taken..]), ("a | first", &[&*marker, "a | after"][..]));
    }
}
