//! `edit`, with scripts as editors: the program itself, its terminal, its temporary files.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::fake::Daemon;
use crate::tables;

/// A daemon, an editor, and a directory for temporary files that shall be empty in the end.
struct Desk {
    daemon: Daemon,
    dir: tempfile::TempDir,
}

impl Desk {
    /// The editor is `sh` with this script: `$1` is the file, and the directory of the script is the working one.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        fs::write(dir.path().join("editor.sh"), script).unwrap();
        Self { daemon: Daemon::start(tables::crowd(), &[]), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fifo(&self, name: &str) {
        rustix::fs::mkfifoat(rustix::fs::CWD, self.path(name), Mode::RWXU).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pm-cli"));
        command
            .args(["edit"])
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("VISUAL")
            .env("EDITOR", format!("sh {}", self.path("editor.sh").display()))
            .env("PM_SOCKET", self.daemon.socket())
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        self.told(&self.command(args).output().unwrap())
    }

    fn told(&self, output: &Output) -> (Option<i32>, String, String) {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.dir.path().to_str().unwrap(), "[DIR]");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Files that were left behind: all of them below private directories.
    fn left(&self) -> Vec<PathBuf> {
        let entries = |dir: &Path| fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
        entries(&self.path("tmp")).iter().flat_map(|dir| entries(dir)).collect()
    }
}

const SAVED: &str =
    "web: /etc/dd-procmgrd/overrides.d/web.yaml saved\nweb: change without a restart (restart)\n";

#[test]
fn what_is_valid_is_saved() {
    let desk = Desk::new(
        "stat -c '%a %n' \"$1\" \"${1%/*}\" | sed \"s|$PWD||; s|edit-[^/]*|edit-X|\" >modes
         cp \"$1\" seen
         echo '# mine' >>\"$1\"; echo 'restart: always' >>\"$1\"",
    );
    desk.daemon.override_with("web", "");
    let done = desk.run(&["cccc"]);
    assert_eq!(done, (Some(0), SAVED.to_owned(), String::new()));
    assert_eq!(desk.daemon.overridden("web").unwrap().trim(), "# mine\nrestart: always");
    assert_eq!(desk.left(), Vec::<PathBuf>::new());
    let modes = fs::read_to_string(desk.path("modes")).unwrap();
    assert_eq!(modes, "600 /tmp/pm-cli-edit-X/web.yaml\n700 /tmp/pm-cli-edit-X\n");
    let seen = fs::read_to_string(desk.path("seen")).unwrap();
    for line in [
        "# Override of web: the keys that shall differ, as they stand below `web:` in processes.yaml.",
        "# It is stored in /etc/dd-procmgrd/overrides.d/web.yaml. It wins over files; what pm-cli update, enable and disable set wins over it.",
        "# # /etc/dd-procmgrd/processes.yaml:7",
        "# command: /usr/bin/web",
    ] {
        assert!(seen.lines().any(|l| l == line), "{line}\n{seen}");
    }
    assert!(!seen.contains("overrides.d/web.yaml:1"), "its own text stands below\n{seen}");
    assert!(seen.lines().all(|line| line.is_empty() || line.starts_with('#')), "{seen}");

    // And it is what the next edit begins with. An editor that puts a new file in the place of the old one is one, too.
    fs::write(desk.path("editor.sh"), "cp \"$1\" seen; sed 's/always/never/' \"$1\" >n; mv n \"$1\"")
        .unwrap();
    assert_eq!(desk.run(&["web"]).1, SAVED);
    assert!(fs::read_to_string(desk.path("seen")).unwrap().ends_with("\n# mine\nrestart: always\n"));
    assert_eq!(desk.daemon.overridden("web").unwrap().trim(), "# mine\nrestart: never");
}

#[test]
fn json() {
    let desk = Desk::new("echo 'restart: always' >>\"$1\"");
    let (code, out, err) = desk.run(&["web", "-o", "json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "name": "web",
        "path": "/etc/dd-procmgrd/overrides.d/web.yaml",
        "exists": true,
        "changed": true,
        "change": { "name": "web", "impact": "hot", "keys": ["restart"] },
    });
    assert_eq!(document, expected);
}

#[test]
fn what_is_unchanged_or_empty_without_an_override_does_nothing() {
    for script in ["true", "echo >>\"$1\"", ": >\"$1\"", "echo '# nothing yet' >>\"$1\""] {
        let desk = Desk::new(script);
        assert_eq!(
            desk.run(&["web"]),
            (Some(0), "web: nothing changed\n".to_owned(), String::new()),
            "{script}"
        );
        assert_eq!(desk.daemon.overridden("web"), None);
        assert_eq!(desk.left(), Vec::<PathBuf>::new());
    }
    let desk = Desk::new("true");
    desk.daemon.override_with("web", "restart: never\n");
    assert_eq!(desk.run(&["web"]).1, "web: nothing changed\n");
}

#[test]
fn what_is_emptied_is_removed() {
    for script in [": >\"$1\"", "sed -i '/^[^#]/d' \"$1\""] {
        let desk = Desk::new(script);
        desk.daemon.override_with("web", "restart: never\n");
        let told = "the override is empty now: /etc/dd-procmgrd/overrides.d/web.yaml will be removed\n";
        let out =
            "web: /etc/dd-procmgrd/overrides.d/web.yaml removed\nweb: change without a restart (restart)\n";
        assert_eq!(desk.run(&["web"]), (Some(0), out.to_owned(), told.to_owned()));
        assert_eq!(desk.daemon.overridden("web"), None);
    }
}

#[test]
fn a_text_that_changes_nothing_is_saved_and_said_to_be_so() {
    let desk = Desk::new("echo '# why it is so' >>\"$1\"");
    desk.daemon.override_with("web", "restart: never\n");
    let (code, out, _) = desk.run(&["web"]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with("web: that changes nothing of its definition\n"), "{out}");
    assert!(desk.daemon.overridden("web").unwrap().contains("# why it is so"));
}

#[test]
fn without_a_terminal_what_is_invalid_is_kept_in_a_file() {
    let desk = Desk::new("echo 'restrat: always' >>\"$1\"");
    let (code, out, err) = desk.run(&["web"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let (error, kept) = err.split_once("\nyour text is kept in ").unwrap();
    assert_eq!(
        error,
        "error: unknown key `restrat`\n --> /etc/dd-procmgrd/overrides.d/web.yaml:1:1\n  |\n1 | restrat: always\n  | ^^^^^^^\n\nhint: did you mean `restart`?\n"
    );
    let left = desk.left();
    assert_eq!(left.len(), 1);
    let kept = kept.replace("[DIR]", desk.dir.path().to_str().unwrap());
    let path = left[0].to_str().unwrap();
    assert!(kept.starts_with(&format!("{path}; line 1 of the override is line ")), "{kept}");
    let way_on = format!("Put it right, then: EDITOR='cp {path}' pm-cli edit web");
    assert!(kept.trim_end().ends_with(&way_on), "{kept}");
    assert!(fs::read_to_string(&left[0]).unwrap().ends_with("\nrestrat: always\n"));
    assert_eq!(desk.daemon.overridden("web"), None);
}

#[test]
fn an_override_that_changed_meanwhile_is_not_overwritten() {
    let desk = Desk::new("echo '# race' >>\"$1\"; echo 'restart: always' >>\"$1\"");
    let (code, _, err) = desk.run(&["web"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("web.yaml was changed by somebody else meanwhile"), "{err}");
    assert_eq!(desk.daemon.overridden("web").as_deref(), Some("user: nobody\n"));
    assert_eq!(desk.left().len(), 1);
}

#[test]
fn an_editor_that_fails_or_is_killed_changes_nothing() {
    let desk = Desk::new("kill -9 $$");
    let (code, out, err) = desk.run(&["web"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, "error: the editor (sh) failed (signal: 9 (SIGKILL)); nothing is changed\n");
    assert_eq!(desk.left(), Vec::<PathBuf>::new(), "nothing was written that could be kept");

    let desk = Desk::new("echo 'restart: always' >>\"$1\"; exit 3");
    let (code, _, err) = desk.run(&["web"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: the editor (sh) failed (exit status: 3); nothing is changed\n"), "{err}");
    assert_eq!(desk.daemon.overridden("web"), None);
    assert_eq!(desk.left().len(), 1, "what was written is kept");

    let desk = Desk::new("printf '\\377' >>\"$1\"");
    let (code, _, err) = desk.run(&["web"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: can't read what the editor wrote: "), "{err}");
    assert_eq!(desk.left().len(), 1);
}

#[test]
fn which_editor() {
    let desk = Desk::new("true");
    let told = |command: &mut Command| {
        let (code, out, err) = desk.told(&command.output().unwrap());
        (code, out + &err)
    };
    let missing = |variable: &str| {
        format!(
            "error: can't run the editor \"/nonexistent/ed -x\" (from {variable}): No such file or directory (os error 2)\n\
             \nhint: set EDITOR to an editor that is installed\n"
        )
    };
    let result = told(desk.command(&["web"]).env("EDITOR", "/nonexistent/ed -x"));
    assert_eq!(result, (Some(1), missing("EDITOR")));
    let result = told(desk.command(&["web"]).env("VISUAL", "/nonexistent/ed -x"));
    assert_eq!(result, (Some(1), missing("VISUAL")), "VISUAL comes first");

    let bin = desk.path("bin");
    fs::create_dir(&bin).unwrap();
    for set in [Some(" "), None] {
        let mut command = desk.command(&["web"]);
        match set {
            Some(nothing) => command.env("EDITOR", nothing),
            None => command.env_remove("EDITOR"),
        };
        let (code, text) = told(&mut command);
        assert_eq!(code, Some(1));
        assert!(
            text.starts_with("error: edit needs a terminal for the editor\n\nhint: set EDITOR"),
            "{text}"
        );
    }
    let on_a_terminal = |code: i32, shown: &str, wanted: &str| {
        let terminal = Terminal::on(desk.command(&["web"]).env("EDITOR", " ").env("PATH", &bin));
        let (said, exit, out) = terminal.end();
        assert_eq!((exit, out.as_str()), (Some(code), wanted));
        assert!(said.contains(shown), "{said}");
    };
    let none = "error: there is no editor: editor, nano, vi were not found\n\nhint: set EDITOR to an editor that is installed\n";
    on_a_terminal(1, none.lines().next().unwrap(), "");
    symlink("/bin/true", bin.join("nano")).unwrap();
    symlink("/bin/false", bin.join("vi")).unwrap();
    on_a_terminal(0, "", "web: nothing changed\n");
    assert_eq!(desk.left(), Vec::<PathBuf>::new());

    let result = told(desk.command(&["nope"]).env("EDITOR", "/nonexistent/ed"));
    assert_eq!(result.0, Some(4), "asked before an editor is opened: {}", result.1);
    let result = told(desk.command(&["web"]).env("TMPDIR", "/nonexistent"));
    assert!(result.1.starts_with("error: can't create a file in /nonexistent: "), "{}", result.1);
}

/// A terminal with pm-cli on it.
struct Terminal {
    master: File,
    child: Child,
    shown: String,
}

impl Terminal {
    fn open(desk: &Desk) -> Self {
        Self::on(&mut desk.command(&["web"]))
    }

    fn on(command: &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave =
            rustix::fs::open(slave, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        command.stdin(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        // The command holds the slave open: without it the end of the child is the end of the terminal.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Self { master: master.into(), child, shown: String::new() }
    }

    /// Reads until this is shown.
    fn expect(&mut self, text: &str) -> &mut Self {
        let mut buffer = [0; 4096];
        while !self.shown.contains(text) {
            let read = self.master.read(&mut buffer).unwrap_or_else(|e| panic!("{e}: {}", self.shown));
            self.shown.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        let end = self.shown.find(text).unwrap() + text.len();
        self.shown.drain(..end);
        self
    }

    fn answer(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).unwrap();
        self
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What is shown until the end, the exit code, and what went to stdout.
    fn end(mut self) -> (String, Option<i32>, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code();
        let mut rest = Vec::new();
        // A terminal without a slave answers EIO; what was shown before comes first.
        let _eio = self.master.read_to_end(&mut rest).is_err();
        (self.shown + &String::from_utf8_lossy(&rest), code, out)
    }
}

/// Writes what is wrong first, and puts it right the second time.
const SECOND_TIME: &str = "if grep -q restrat \"$1\"; then cp \"$1\" seen; sed -i s/restrat/restart/ \"$1\"; \
                           else echo 'restrat: always' >>\"$1\"; fi";

#[test]
fn what_is_invalid_can_be_put_right() {
    for answer in ["\n", "y\n", "Yes\n"] {
        let desk = Desk::new(SECOND_TIME);
        let mut terminal = Terminal::open(&desk);
        terminal.expect("unknown key `restrat`").expect("edit again? [Y/n] ").answer(answer);
        let (_, code, out) = terminal.end();
        assert_eq!((code, out.as_str()), (Some(0), SAVED));
        assert_eq!(desk.daemon.overridden("web").unwrap().trim(), "restart: always");
        let seen = fs::read_to_string(desk.path("seen")).unwrap();
        assert!(seen.contains("# This was refused:\n# error: unknown key `restrat`\n"), "{seen}");
        assert_eq!(desk.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn whoever_gives_up_keeps_the_text() {
    // Ctrl-D ends the input.
    for answer in ["n\n", "\x04"] {
        let desk = Desk::new(SECOND_TIME);
        let mut terminal = Terminal::open(&desk);
        terminal.expect("edit again? [Y/n] ").answer(answer);
        let (shown, code, out) = terminal.end();
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(shown.contains("your text is kept in "), "{shown}");
        assert_eq!(shown.matches("error").count(), 0, "told once: {shown}");
        assert_eq!(desk.left().len(), 1);
        assert_eq!(desk.daemon.overridden("web"), None);
    }
}

#[test]
fn ctrl_c_at_the_question_keeps_the_text() {
    let desk = Desk::new(SECOND_TIME);
    let mut terminal = Terminal::open(&desk);
    terminal.expect("edit again? [Y/n] ");
    terminal.signal(Signal::INT);
    let (shown, code, _) = terminal.end();
    assert_eq!(code, Some(1));
    assert!(
        shown.contains("interrupted; nothing is changed") && shown.contains("your text is kept in "),
        "{shown}"
    );
    assert_eq!(desk.left().len(), 1);
}

/// An editor that says that it is open, and waits for somebody to close it.
const WAITS: &str = "echo open >up; read word <down; echo 'restart: always' >>\"$1\"";

#[test]
fn ctrl_c_in_the_editor_is_the_editors() {
    let desk = Desk::new(WAITS);
    desk.fifo("up");
    desk.fifo("down");
    let terminal = Terminal::open(&desk);
    assert_eq!(fs::read_to_string(desk.path("up")).unwrap(), "open\n");
    terminal.signal(Signal::INT);
    terminal.signal(Signal::QUIT);
    fs::write(desk.path("down"), "close\n").unwrap();
    let (shown, code, out) = terminal.end();
    assert_eq!((code, out.as_str()), (Some(0), SAVED), "{shown}");
}

#[test]
fn the_end_of_the_session_leaves_no_secret_behind() {
    for signal in [Signal::TERM, Signal::HUP] {
        let desk = Desk::new(WAITS);
        desk.fifo("up");
        desk.fifo("down");
        let terminal = Terminal::open(&desk);
        assert_eq!(fs::read_to_string(desk.path("up")).unwrap(), "open\n");
        terminal.signal(signal);
        // Opened for reading too, so that it opens although the editor may not get there.
        let mut down = OpenOptions::new().read(true).write(true).open(desk.path("down")).unwrap();
        let mut terminal = terminal;
        assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
        assert_eq!(desk.left(), Vec::<PathBuf>::new());
        assert_eq!(desk.daemon.overridden("web"), None);
        down.write_all(b"close\n").unwrap();
    }
}
