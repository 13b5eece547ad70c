//! The verbs that show and control: exit code, stdout and stderr.

use std::io;

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, context, run};

fn daemon() -> Daemon {
    Daemon::start(tables::table(), &[])
}

#[test]
fn list() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli list")
        .run_on("pm-cli list", Some(90), false)
        .run_on("pm-cli list", Some(40), true)
        .run_on("pm-cli list --no-color", Some(90), true)
        .run("pm-cli list --output json")
        .check("list");
}

#[test]
fn empty() {
    let daemon = Daemon::start(vec![], &[]);
    Transcript::new(&daemon)
        .run("pm-cli list")
        .run("pm-cli list -o json")
        .run("pm-cli status")
        .run("pm-cli reload-config")
        .run("pm-cli describe web")
        .check("empty");
}

#[test]
fn create() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli create test sleep 10 --auto-start")
        .run("pm-cli create test-cap bash -c 'whoami' --user nobody --stdout /tmp/test-cap.log --auto-start")
        .run("pm-cli create myapp /usr/bin/python app.py --user www-data --auto-start")
        .run("pm-cli create later -- ls --color")
        .run("pm-cli create later2 ls -o json")
        .run("pm-cli -o json create later3 ls")
        .run("pm-cli create test sleep 10")
        .run("pm-cli create seen sleep 10 --dry-run --auto-start")
        .run("pm-cli create db2 /usr/bin/db --auto-start")
        .run("pm-cli create a/b sleep 10")
        .run("pm-cli create x sleep 10 --restart sometimes")
        .run("pm-cli create x sleep 10 --env A")
        .run("pm-cli create x")
        .check("create");
    let created = daemon.created();
    assert_eq!(created[1].definition.user.as_deref(), Some("nobody"));
    assert_eq!(created[1].definition.args, Some(vec!["-c".to_owned(), "whoami".to_owned()]));
    let starts: Vec<bool> = created.iter().map(|c| c.start).collect();
    assert_eq!(starts, [true, true, true, false, false, false, false, true, true]);
    let dry: Vec<&str> = created.iter().filter(|c| c.dry_run).map(|c| c.name.as_str()).collect();
    assert_eq!(dry, ["seen"]);
}

#[test]
fn start_stop_restart() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli start web api")
        .run("pm-cli start aaaa -o json")
        .run("pm-cli start db")
        .run("pm-cli start nope wbe job")
        .run("pm-cli start bbbb")
        .run("pm-cli stop web job")
        .run("pm-cli stop db --timeout 10ms")
        .run("pm-cli restart web")
        .run("pm-cli restart db web")
        .run("pm-cli start")
        .check("start_stop_restart");
}

#[test]
fn describe() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli describe web")
        .run("pm-cli describe api db job")
        .run_on("pm-cli describe api", Some(80), true)
        .run("pm-cli describe web --output json")
        .run("pm-cli describe nope")
        .check("describe");
}

#[test]
fn delete() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli delete job web")
        .run("pm-cli delete api -o json")
        .run("pm-cli delete job")
        .check("delete");
}

#[test]
fn reload_and_status() {
    let daemon = Daemon::start(
        tables::table(),
        &[
            "error: unknown key `restrat`\n --> processes.yaml:12:5\n  |\n12 | restrat: always\n  | ^^^^^^^ did you mean `restart`?\n",
        ],
    );
    Transcript::new(&daemon)
        .run("pm-cli reload-config")
        .run("pm-cli reload-config --output json")
        .run("pm-cli status")
        .run_on("pm-cli status", Some(80), true)
        .run("pm-cli status --output json")
        .run("pm-cli list")
        .run_on("pm-cli list", Some(80), false)
        .check("reload_and_status");

    let daemon =
        Daemon::start(tables::table(), &["warning: nobody reads this key\n --> processes.yaml:1:1\n"]);
    Transcript::new(&daemon).run("pm-cli reload-config").run("pm-cli status").check("reload_warning");
}

#[test]
fn over_tcp() {
    let daemon = daemon();
    let mut transcript = Transcript::new(&daemon);
    // The token lies beside the socket of the user's own daemon: here nothing lies there.
    for line in
        ["pm-cli --host [TCP] list", "pm-cli --host [TCP] stop web", "pm-cli --host [TCP] describe job"]
    {
        let (code, out, err) = run(
            &line.replace("[TCP]", &daemon.tcp),
            &[("XDG_RUNTIME_DIR", daemon.dir.path().join("nothing").to_str().unwrap())],
            None,
            false,
        );
        // The port of the caller differs from run to run.
        let err = err.split(' ').map(|word| if word.starts_with("127.0.0.1:") { "[PEER]" } else { word });
        let err: Vec<&str> = err.collect();
        transcript.add(line, code, &out, &err.join(" "));
    }
    transcript.check("over_tcp");

    // And where the token is, it is found and presented.
    let runtime = daemon.dir.path().join("runtime");
    std::fs::create_dir_all(runtime.join("dd-procmgrd")).unwrap();
    std::fs::copy(daemon.dir.path().join("token"), runtime.join("dd-procmgrd/token")).unwrap();
    let env = [("XDG_RUNTIME_DIR", runtime.to_str().unwrap()), ("PM_HOST", daemon.tcp.as_str())];
    let (code, out, err) = run("pm-cli stop web", &env, None, false);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "web: stopped (stopped by an operator)\n", ""));
}

#[test]
fn the_search_goes_on_after_a_place_where_nobody_is() {
    let daemon = daemon();
    let runtime = daemon.dir.path().join("runtime");
    std::fs::create_dir_all(runtime.join("dd-procmgrd")).unwrap();
    // A stale socket of the user's own daemon, none of the system's, then the port.
    drop(std::os::unix::net::UnixListener::bind(runtime.join("dd-procmgrd/control.sock")).unwrap());
    let env = [("XDG_RUNTIME_DIR", runtime.to_str().unwrap()), ("PM_BIND_ADDRESS", daemon.tcp.as_str())];
    let (code, out, err) = run("pm-cli list", &env, None, false);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("web"), "{out}");
}

#[test]
fn unreachable() {
    let daemon = daemon();
    let dir = daemon.dir.path();
    drop(std::os::unix::net::UnixListener::bind(dir.join("stale.sock")).unwrap());
    let mut transcript = Transcript::new(&daemon);
    for socket in ["missing.sock", "stale.sock"] {
        let path = dir.join(socket);
        transcript.run(&format!("pm-cli --socket {} list", path.display()));
    }
    let variable = dir.join("missing.sock");
    let (code, out, err) = run("pm-cli list", &[("PM_SOCKET", variable.to_str().unwrap())], None, false);
    transcript.add("PM_SOCKET=[DIR]/missing.sock pm-cli list", code, &out, &err);
    let (code, out, err) = run("pm-cli status", &[("PM_BIND_ADDRESS", "127.0.0.1:1")], None, false);
    transcript.add("pm-cli status (port 1)", code, &out, &err);
    transcript.check("unreachable");
}

#[test]
fn usage() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli --help")
        .run("pm-cli create --help")
        .run("pm-cli --version")
        .run("pm-cli")
        .run("pm-cli lits")
        .run("pm-cli list --outptu json")
        .run("pm-cli list --socket /x --host y:1")
        .run("pm-cli list --timeout soon")
        .check("usage");
}

/// A pipe whose reader has seen enough, or a disk that is full.
struct Broken(io::ErrorKind);

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_failure_but_a_full_disk_is() {
    let daemon = daemon();
    for (kind, expected) in [(io::ErrorKind::BrokenPipe, 0), (io::ErrorKind::StorageFull, 1)] {
        for line in ["pm-cli list", "pm-cli logs web", "pm-cli status -o json"] {
            let socket = daemon.socket();
            let context = context(line, &[("PM_SOCKET", &socket)], None, false);
            let mut err = Vec::new();
            let code = cli::run(&context, &mut Broken(kind), &mut err);
            assert_eq!(code, expected, "{line} {kind:?}");
            assert_eq!(err.is_empty(), expected == 0, "{}", String::from_utf8_lossy(&err));
        }
    }
}
