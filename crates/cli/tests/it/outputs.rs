//! The forms of output, and what `list` can be asked for.

use std::io;

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, context, run};

#[test]
fn outputs() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli list -o wide")
        .run_on("pm-cli list -w", Some(40), false)
        .run_on("pm-cli list -w db", Some(40), true)
        .run("pm-cli list -o name")
        .run("pm-cli list -q")
        .run("pm-cli list -o yaml web")
        .run("pm-cli is-active web db -o yaml")
        .run("pm-cli is-active web db -o name")
        .run("pm-cli start web -o name")
        .run("pm-cli delete job -o name")
        .run("pm-cli plan -o yaml")
        .run("pm-cli plan -o name")
        .run("pm-cli status -o yaml")
        .run("pm-cli status -o name")
        .run("pm-cli list -o cat")
        .run("pm-cli list -o jsn")
        .check("outputs");
}

#[test]
fn list_filters() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli list -q")
        .run("pm-cli list --state running,backoff -q")
        .run("pm-cli list --failed")
        .run("pm-cli list --unhealthy")
        .run("pm-cli list --group web -q")
        .run("pm-cli list @web -q")
        .run("pm-cli list w* -q")
        .run("pm-cli list w* nope @wbe -q")
        .run("pm-cli list x*")
        .run("pm-cli list web --state failed")
        .run("pm-cli list --state failed -o json web")
        .run("pm-cli list --sort state -q")
        .run("pm-cli list --sort restarts --reverse -q")
        .run("pm-cli list --sort memory -q")
        .run("pm-cli list --failed --state running")
        .run("pm-cli list --state runing")
        .check("list_filters");
}

/// Takes a few documents, and has seen enough.
struct Impatient(Vec<u8>, usize);

impl io::Write for Impatient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.1 -= 1;
        if self.1 == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

#[test]
fn a_watch_shows_blocks_and_ends_with_its_reader() {
    let daemon = Daemon::start(tables::table(), &[]);
    let socket = daemon.socket();
    let watch = |line: &str, width| {
        let context = context(line, &[("PM_SOCKET", &socket)], width, false);
        let (mut out, mut err) = (Impatient(Vec::new(), 2), Vec::new());
        let code = cli::run(&context, &mut out, &mut err);
        assert_eq!((code, String::from_utf8(err).unwrap().as_str()), (0, ""));
        String::from_utf8(out.0).unwrap()
    };
    let text = watch("pm-cli list web job --watch=0.1", None);
    assert_eq!(text.matches("2 processes at 2026-11-20 21:42:30+01:00\n").count(), 2, "{text}");
    assert_eq!(text.matches("\n\n").count(), 1, "{text}");
    let text = watch("pm-cli list --watch=0.1 -o json", None);
    let documents: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1]["processes"].as_array().unwrap().len(), 4);
    // On a terminal it goes over itself, and clears nothing before it has something to show.
    let text = watch("pm-cli list --watch=0.1", Some(60));
    assert_eq!((text.matches("\x1b[H").count(), text.matches("\x1b[2J").count()), (2, 1), "{text:?}");
    assert!(text.lines().all(|line| line.replace("\x1b[K", "").chars().count() <= 70), "{text:?}");
}

#[test]
fn a_watch_ends_when_its_daemon_does_and_nobody_looks() {
    let (code, out, err) = run("pm-cli --socket /nonexistent/s list --watch=0.1", &[], None, false);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("no daemon answers"), "{err}");
}
