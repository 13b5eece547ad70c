//! Commands with what they did, compared with files. `UPDATE_EXPECT=1` writes them anew.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use cli::Context;

use crate::fake::Daemon;
use crate::tables;

/// Runs pm-cli in this process.
pub fn run(line: &str, env: &[(&str, &str)], width: Option<usize>, color: bool) -> (u8, String, String) {
    let context = context(line, env, width, color);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(&context, &mut out, &mut err);
    (code, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
}

/// The surroundings of a command.
pub fn context(line: &str, env: &[(&str, &str)], width: Option<usize>, color: bool) -> Context {
    Context {
        args: words(line),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        cwd: "/home/me".into(),
        system_dir: "/nonexistent".into(),
        proc: "/nonexistent/proc".into(),
        uid: 0,
        now: tables::now(),
        zone: || jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        width,
        terminal: width.is_some(),
        color,
        interactive: false,
    }
}

/// Words as a shell makes them, with single quotes only.
pub fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (i, part) in line.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.into());
        } else {
            words.extend(part.split_whitespace().map(OsString::from));
        }
    }
    words
}

/// A file of commands with what they did.
pub struct Transcript<'a> {
    daemon: &'a Daemon,
    text: String,
}

impl<'a> Transcript<'a> {
    pub fn new(daemon: &'a Daemon) -> Self {
        Self { daemon, text: String::new() }
    }

    pub fn run(&mut self, line: &str) -> &mut Self {
        self.run_on(line, None, false)
    }

    pub fn run_on(&mut self, line: &str, width: Option<usize>, color: bool) -> &mut Self {
        let socket = self.daemon.socket();
        let (code, out, err) = run(line, &[("PM_SOCKET", &socket)], width, color);
        self.add(line, code, &out, &err)
    }

    pub fn add(&mut self, line: &str, code: u8, out: &str, err: &str) -> &mut Self {
        write!(self.text, "$ {line}\n[exit {code}]\n").unwrap();
        for (stream, text) in [("stdout", out), ("stderr", err)] {
            if !text.is_empty() {
                writeln!(self.text, "[{stream}]\n{}", text.trim_end_matches('\n')).unwrap();
            }
        }
        self.text.push('\n');
        self
    }

    pub fn check(&self, name: &str) {
        let dir = self.daemon.dir.path().to_str().unwrap();
        let text = self.text.replace(dir, "[DIR]").replace(&self.daemon.tcp, "[TCP]").replace('\x1b', "^[");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let first = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
        assert!(
            text == expected,
            "{} differs at line {:?} (UPDATE_EXPECT=1 writes it anew)\n{text}",
            path.display(),
            first.map(|i| i + 1)
        );
    }
}
