//! The terminal while `top` has it: raw, on its alternate screen. However `top` ends, it is put back as it was.

use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::sync::{Mutex, Once, PoisonError};

use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Alternate screen, no cursor, lines that are too long end at the edge.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Terminals that know it show everything between the two at once.
const TOGETHER: (&str, &str) = ("\x1b[?2026h", "\x1b[?2026l");

/// The terminal as it was, while it is not. Here, so that a panic finds it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The screen. Dropping it puts the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    /// What the terminal shows, line by line.
    shown: Vec<String>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // First, or its message would go away with the alternate screen.
                let _back = restore().is_ok();
                before(info);
            }));
        });
        let screen = Self { shown: Vec::new() };
        let input = io::stdin();
        let now = tcgetattr(input.as_fd())?;
        let mut raw = now.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        tcsetattr(input.as_fd(), OptionalActions::Now, &raw)?;
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and lines; some terminals don't know.
    pub(super) fn size() -> (usize, usize) {
        let size = tcgetwinsize(io::stdout().as_fd()).ok();
        let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        known.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Shows these lines: with one write, and only what is not there already.
    pub(super) fn show(&mut self, lines: Vec<String>) -> io::Result<()> {
        let mut text = String::new();
        for (i, line) in lines.iter().enumerate() {
            if self.shown.get(i) != Some(line) {
                // Erased first: behind a line that is as wide as the terminal the cursor stands on its last letter.
                text.push_str(&format!("\x1b[{};1H\x1b[K{line}\x1b[0m", i + 1));
            }
        }
        if lines.len() < self.shown.len() {
            text.push_str(&format!("\x1b[{};1H\x1b[J", lines.len() + 1));
        }
        if text.is_empty() {
            return Ok(());
        }
        write(&format!("{}{text}{}", TOGETHER.0, TOGETHER.1))?;
        self.shown = lines;
        Ok(())
    }

    /// Forgets what the terminal shows: somebody else wrote on it, or its size changed.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.shown.clear();
        write("\x1b[2J")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that went away needs nothing.
        let _back = restore().is_ok();
    }
}

/// Puts the terminal back, once.
fn restore() -> io::Result<()> {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(before) = before else { return Ok(()) };
    let shown = write(LEAVE);
    // What was typed meanwhile is kept: after Ctrl-Z and `fg` it is for whoever goes on.
    tcsetattr(io::stdin().as_fd(), OptionalActions::Drain, &before)?;
    shown
}

/// Past the buffer and the lock of standard output, as a panic may come from anywhere.
fn write(text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(io::stdout().as_fd(), rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            // Somebody else has made the terminal non-blocking.
            Err(Errno::AGAIN) => {
                let out = io::stdout();
                let out = out.as_fd();
                let mut ready = [rustix::event::PollFd::from_borrowed_fd(out, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut ready, None)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;
    use std::process::Command;

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Set where this test runs again, on a terminal of its own.
    const AGAIN: &str = "PM_TEST_PANICS_ON_THIS_TERMINAL";

    #[test]
    fn a_panic_puts_the_terminal_back_before_it_says_anything() {
        if std::env::var_os(AGAIN).is_some() {
            let _screen = Screen::enter().unwrap();
            panic!("on purpose");
        }
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave =
            rustix::fs::open(slave, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args([
                "--exact",
                "verb::top::screen::tests::a_panic_puts_the_terminal_back_before_it_says_anything",
            ])
            .args(["--nocapture", "--test-threads=1"])
            .env(AGAIN, "1")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap());
        let mut child = child.spawn().unwrap();
        let mut master = std::fs::File::from(master);
        let (mut shown, mut buffer) = (String::new(), [0; 4096]);
        while !shown.contains("test result") {
            let read = master.read(&mut buffer).unwrap();
            shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        assert!(!child.wait().unwrap().success());
        let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
        assert!(place(ENTER) < place(LEAVE) && place(LEAVE) < place("on purpose"), "{shown:?}");
        assert_eq!(shown.matches(LEAVE).count(), 1, "once is enough: {shown:?}");
        assert_eq!(format!("{:?}", tcgetattr(&slave).unwrap()), before);
    }
}
