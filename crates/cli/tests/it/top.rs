//! `top` on a terminal: its keys, its sizes, and that the terminal is as it was when it has ended, however it ends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use model::{Reason, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::fake::Daemon;
use crate::tables::{self, EVIL};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A terminal with `pm-cli top` on it.
struct Terminal {
    master: File,
    slave: OwnedFd,
    before: Termios,
    child: Child,
    picture: Picture,
    /// How much of what was sent was looked at.
    looked: usize,
}

/// What a terminal shows: as much of one as `top` needs.
#[derive(Default)]
struct Picture {
    lines: Vec<Vec<char>>,
    /// Columns; what is written beyond them replaces the last one.
    width: usize,
    row: usize,
    column: usize,
    /// Everything that was sent.
    raw: String,
    /// A sequence or character that is not complete.
    pending: Vec<u8>,
}

impl Picture {
    fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| line.iter().collect()).collect();
        lines.join("\n")
    }

    fn write(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let whole = std::str::from_utf8(&self.pending).map_or_else(|e| e.valid_up_to(), str::len);
        let text = String::from_utf8(self.pending[..whole].to_vec()).unwrap();
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let Some(sequence) = rest.strip_prefix("\x1b[") else {
                self.put(c);
                rest = &rest[c.len_utf8()..];
                continue;
            };
            let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { break };
            self.act(&sequence[..end], sequence.as_bytes()[end]);
            rest = &sequence[end + 1..];
        }
        let done = text.len() - rest.len();
        self.raw.push_str(&text[..done]);
        self.pending.drain(..done);
    }

    fn act(&mut self, parameters: &str, kind: u8) {
        match (kind, parameters) {
            (b'H', "") => (self.row, self.column) = (0, 0),
            (b'H', place) => {
                let (row, column) = place.split_once(';').unwrap();
                self.row = row.parse::<usize>().unwrap() - 1;
                self.column = column.parse::<usize>().unwrap() - 1;
            }
            (b'K', "") => {
                let column = self.column;
                self.line().truncate(column);
            }
            (b'J', "") => self.lines.truncate(self.row),
            (b'J', "2") => self.lines.clear(),
            (b'm' | b'h' | b'l', _) => {}
            (kind, parameters) => panic!("unknown: {parameters} {kind}"),
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        match c {
            '\n' => self.row += 1,
            '\r' => self.column = 0,
            c => {
                let column = self.column.min(self.width - 1);
                let line = self.line();
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = c;
                // Behind the last column the cursor stands on it.
                self.column = (column + 1).min(self.width - 1);
            }
        }
    }
}

impl Terminal {
    fn open(socket: &Path, args: &[&str], columns: u16, lines: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave =
            rustix::fs::open(slave, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&slave, Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
            .arg("top")
            .args(args)
            .env("PM_SOCKET", socket)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap())
            // Ctrl-Z stops a group of processes, which must not be that of the tests.
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            master: master.into(),
            slave,
            before,
            child,
            picture: Picture { width: columns.into(), ..Picture::default() },
            looked: 0,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads until the picture is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Picture) -> bool) -> &mut Self {
        // A picture that changes each second must not be waited for for ever.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 65536];
        while !wanted(&self.picture) {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let came = poll(&mut ready, Some(&Timespec::try_from(left).unwrap())).unwrap();
            assert!(came > 0, "{what:?} is not shown:\n{}\n{:?}", self.picture.text(), self.picture.raw);
            let read = self.master.read(&mut buffer).unwrap();
            self.picture.write(&buffer[..read]);
        }
        self
    }

    /// Reads until this is seen.
    fn see(&mut self, text: &str) -> &mut Self {
        self.until(text, |picture| picture.text().contains(text))
    }

    /// Reads until this has been sent more often than before.
    fn sent(&mut self, text: &str) -> &mut Self {
        let known = std::mem::replace(&mut self.looked, 0);
        let found = |raw: &str| raw[known..].find(text).map(|at| known + at + text.len());
        self.until(text, |picture| found(&picture.raw).is_some());
        self.looked = found(&self.picture.raw).unwrap();
        self
    }

    fn press(&mut self, keys: &str) -> &mut Self {
        self.master.write_all(keys.as_bytes()).unwrap();
        self
    }

    fn resize(&mut self, columns: u16, lines: u16) {
        let size = Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.slave, size).unwrap();
        self.picture.width = columns.into();
        // The kernel tells those whose controlling terminal it is; here it is nobody's.
        kill_process(self.pid(), Signal::WINCH).unwrap();
    }

    /// Waits for the end; the terminal is as it was.
    fn end(mut self) -> Option<i32> {
        self.sent(LEAVE);
        let code = self.child.wait().unwrap().code();
        assert_eq!(same(&tcgetattr(&self.slave).unwrap()), same(&self.before));
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only after a failure it still runs.
        let _gone = self.child.kill().and_then(|()| self.child.wait()).is_err();
    }
}

/// What of the settings can be compared.
fn same(termios: &Termios) -> String {
    format!("{termios:?}")
}

fn daemon() -> Daemon {
    Daemon::start(tables::table(), &[])
}

fn open(daemon: &Daemon) -> Terminal {
    Terminal::open(Path::new(&daemon.socket()), &["-d", "0.2"], 100, 12)
}

#[test]
fn keys_do_what_help_says() {
    let daemon = daemon();
    let mut terminal = open(&daemon);
    terminal.sent(ENTER).see("4 processes: ").see("CPU %▼").see("restart  s stop");
    let clock = |line: &[char]| line.len() == 100 && line[line.len() - 3] == ':' && line[99].is_ascii_digit();
    terminal.until("the clock up to the edge", |picture| clock(&picture.lines[0]));
    terminal.press("n").see("NAME▲  STATE");
    terminal.press("?").see("sort by memory");
    terminal.press("\x1b").see("NAME▲  STATE");
    terminal.press("/we").see("/we_").until("one row", |picture| !picture.text().contains("api"));
    terminal.press("\r").see("[we] q quit");
    terminal.press("r").see("restart web? [y/N]");
    terminal.press("n").see("nothing was done");
    terminal.press("r").see("restart web? [y/N]");
    terminal.press("y").see("web: running (pid 5000)");
    terminal.press("s").see("stop web? [y/N]");
    terminal.press("y").see("web: stopped");
    terminal.press("l").see("last lines of web").see("lines=500 follow=false");
    terminal.press("\x1b").see("> web");
    terminal.press("\r").see("details of web").see("state: running since");
    terminal.press("\x1b").see("> web");
    terminal.press("\x1b").see("api ");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_refused_action_says_why() {
    let daemon = daemon();
    let mut terminal = open(&daemon);
    terminal.see("db ");
    terminal.press("/db\r").see("> db");
    terminal.press("t").see("start db? [y/N]");
    terminal.press("y").see("No such file or directory");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn every_way_out_puts_the_terminal_back() {
    let daemon = daemon();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut terminal = open(&daemon);
        terminal.see("4 processes: ");
        assert_ne!(same(&tcgetattr(&terminal.slave).unwrap()), same(&terminal.before), "it is raw meanwhile");
        kill_process(terminal.pid(), signal).unwrap();
        assert_eq!(terminal.end(), Some(0), "{signal:?}");
    }
    for keys in ["q", "\x03", "/web\x03", "?\x03", "r\x03"] {
        let mut terminal = open(&daemon);
        terminal.see("4 processes: ");
        terminal.press(keys);
        assert_eq!(terminal.end(), Some(0), "{keys:?}");
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let daemon = daemon();
    let mut terminal = open(&daemon);
    terminal.see("4 processes: ");
    // Nobody holds the other end any more: reads answer EIO.
    terminal.master = File::open("/dev/null").unwrap();
    let (_, status) = waitpid(Some(terminal.pid()), WaitOptions::empty()).unwrap().unwrap();
    assert!(status.exited(), "it ended by itself: {status:?}");
}

#[test]
fn ctrl_z_goes_to_the_shell_and_back() {
    let daemon = daemon();
    let mut terminal = open(&daemon);
    terminal.sent(ENTER).see("4 processes: ");
    terminal.press("\x1a").sent(LEAVE);
    let (_, status) = waitpid(Some(terminal.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped());
    assert_eq!(same(&tcgetattr(&terminal.slave).unwrap()), same(&terminal.before));
    kill_process(terminal.pid(), Signal::CONT).unwrap();
    terminal.sent(ENTER).sent("4 processes: ");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn any_size_will_do() {
    let daemon = daemon();
    let mut terminal = open(&daemon);
    terminal.see("4 processes: ");
    for (columns, lines) in [(40, 6), (1, 1), (2, 2), (300, 100), (10, 3), (80, 24)] {
        terminal.looked = terminal.picture.raw.len();
        terminal.resize(columns, lines);
        terminal.sent("\x1b[2J");
        terminal.press("rn\x1b[B?x");
        terminal.until("a picture that fits", |picture| {
            let widest = picture.lines.iter().map(Vec::len).max();
            (1..=usize::from(lines)).contains(&picture.lines.len()) && widest <= Some(usize::from(columns))
        });
    }
    terminal.press("\x0c");
    terminal.see("4 processes: ");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn only_what_changed_is_written() {
    let daemon = daemon();
    let mut terminal = Terminal::open(Path::new(&daemon.socket()), &["--sort", "name", "-d", "1h"], 100, 12);
    // The second look comes early, for CPU %: after it nothing moves by itself but the clock.
    terminal.see("4 processes: ");
    terminal.press("j").see("> db");
    terminal.sent("> db");
    let before = terminal.looked;
    terminal.press("j").sent("> job").see("  db");
    let moved = &terminal.picture.raw[before..];
    let written = moved.matches(";1H").count();
    // The old row, the new one, and perhaps the line of the clock.
    assert!((2..=3).contains(&written), "{moved:?}");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_daemon_that_goes_away_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let first = daemon();
    symlink(first.socket(), &socket).unwrap();
    let mut terminal = Terminal::open(&socket, &["-d", "0.2"], 100, 12);
    terminal.see("4 processes: ");
    drop(first);
    terminal.see("trying again: ").see("4 processes: ");
    let second = Daemon::start(tables::crowd(), &[]);
    std::fs::remove_file(&socket).unwrap();
    symlink(second.socket(), &socket).unwrap();
    terminal.see("7 processes: ").see("q quit");
    drop(second);
    terminal.see("trying again: ");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn what_can_not_begin_leaves_the_terminal_alone() {
    let daemon = daemon();
    for (args, code, said) in [
        (&["nope"][..], 4, "no process"),
        (&["--socket", "/nonexistent/control.sock"], 5, "no daemon answers"),
        (&["-o", "json"], 2, "has no JSON"),
    ] {
        let mut terminal = Terminal::open(Path::new(&daemon.socket()), args, 80, 24);
        terminal.see(said);
        assert!(!terminal.picture.raw.contains(ENTER), "{}", terminal.picture.raw);
        assert_eq!(terminal.child.wait().unwrap().code(), Some(code));
        assert_eq!(same(&tcgetattr(&terminal.slave).unwrap()), same(&terminal.before));
    }
}

#[test]
fn nothing_that_a_process_says_acts_on_the_terminal() {
    let daemon = Daemon::start(tables::hostile(), &[EVIL]);
    daemon.log("web", format!("{EVIL}\nlast\n").as_bytes());
    let mut terminal = Terminal::open(Path::new(&daemon.socket()), &[], 250, 60);
    terminal.see("> web").see("EVIL").see("q quit");
    terminal.press("l").see("last lines of web").see(" last").see("EVIL");
    terminal.press("\x1b").see("> web");
    terminal.press("\r").see("details of web").see("EVIL");
    terminal.press("\x1b").see("> web");
    terminal.press("q").sent(LEAVE);
    let shown = terminal.picture.raw.clone();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(shown.matches("EVIL").count() > 10);
    assert!(!shown.contains(['\u{9b}', '\u{202e}', '\x07', '\x7f', '\r']), "{shown:?}");
    assert_eq!(shown.matches("\x1b[2J").count(), 1, "only its own: {shown:?}");
    assert_eq!(shown.matches("\x1b[31m").count(), shown.matches("\x1b[31mfailed").count(), "{shown:?}");
    assert!(!terminal.picture.text().lines().any(|line| line.starts_with("EVIL")), "no line of its own");
}

#[test]
fn a_thousand_processes() {
    let table = (0..1000).map(|i| {
        let mut view =
            tables::view(&format!("p{i:04}"), &format!("{i:012x}"), State::Running, Reason::Wanted);
        view.run = tables::run(1, 10_000 + i);
        view
    });
    let daemon = Daemon::start(table.collect(), &[]);
    let mut terminal = Terminal::open(Path::new(&daemon.socket()), &["--sort", "name"], 80, 24);
    terminal.see("1000 processes: 1000 running").see("> p0000");
    terminal.press("\x1b[F").see("> p0999");
    terminal.press("\x1b[5~").see("> p0979");
    terminal.press("/0042").see("p0042").see("/0042_");
    terminal.press("\r").see("[0042]");
    terminal.press("\x1b").see("q quit").until("all", |picture| !picture.text().contains("[0042]"));
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
}
