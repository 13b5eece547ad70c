//! Where the output of a run and of its helpers goes.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use model::{HookKind, InvocationId, Origin, ProcessId, RunNumber, Sink, Stream};
use nix::unistd::{geteuid, isatty};
use supervisor::Helper;

use super::*;

struct Bed {
    dir: tempfile::TempDir,
    stdio: Stdio,
    runs: u64,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pipe = logpipe::start(logpipe::Config {
            dir: dir.path().join("logs"),
            journald: None,
            console: None,
            drain_deadline: Duration::from_secs(5),
        });
        Self { dir, stdio: Stdio(pipe.unwrap()), runs: 0 }
    }

    fn run(&mut self, output: OutputSpec, role: Option<Role>) -> RunInfo {
        self.runs += 1;
        let name = ProcessName::new("web").unwrap();
        let id = ProcessId::from_digest([0, 0, 0, 0, 0, 1]);
        let mut spec = ProcessSpec::new(name, id, Origin::Runtime, "/bin/true");
        spec.output = output;
        let helper = role.map(|role| Helper {
            id: InvocationId(9),
            role,
            command: model::CommandLine::default(),
            env: Vec::new(),
        });
        RunInfo {
            run: RunId(self.runs),
            number: RunNumber(1),
            invocation: InvocationId(7),
            spec: Arc::new(spec),
            helper,
            first: false,
        }
    }

    /// Prints a line on both streams; tells whether standard output was a terminal.
    fn print(&self, run: &RunInfo, word: &str) -> bool {
        let (ends, attach) = self.stdio.open(run).unwrap();
        attach(77);
        let terminal = isatty(&ends.stdout).unwrap();
        assert!(!isatty(&ends.stderr).unwrap());
        for (end, stream) in [(ends.stdout, "out"), (ends.stderr, "err")] {
            writeln!(File::from(end), "{word} {stream}").unwrap();
        }
        self.stdio.finished(run.run);
        terminal
    }

    /// Ends the pipeline; lines in the process's log, sorted.
    fn lines(&self) -> Vec<String> {
        self.stdio.0.clone().shutdown(Duration::from_secs(20));
        sorted(&self.dir.path().join("logs/web.log"))
    }
}

fn sorted(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

const ROLES: [(&str, Option<Role>); 3] =
    [("main", None), ("hook", Some(Role::Hook(HookKind::StartPost))), ("check", Some(Role::HealthCheck))];

#[test]
fn helpers_print_into_the_log_of_their_process_and_checks_only_complain() {
    let mut bed = Bed::new();
    // All of them at the same time: a process with a hook and a check.
    let mut open = Vec::new();
    for (word, role) in ROLES {
        let run = bed.run(OutputSpec::default(), role);
        let (ends, attach) = bed.stdio.open(&run).unwrap();
        attach(77);
        open.push((word, run, File::from(ends.stdout), File::from(ends.stderr)));
    }
    for (word, run, mut stdout, mut stderr) in open {
        writeln!(stdout, "{word} out").unwrap();
        writeln!(stderr, "{word} err").unwrap();
        bed.stdio.finished(run.run);
    }
    assert_eq!(bed.lines(), ["check err", "hook err", "hook out", "main err", "main out"]);
    let stats = bed.stdio.0.stats();
    for (stream, lines) in [(Stream::Stdout, 2), (Stream::Stderr, 3)] {
        let stats = stats.iter().find(|s| s.stream == stream).unwrap();
        assert_eq!((stats.lines_read, stats.sink(Sink::File).unwrap().written), (lines, lines));
    }
}

#[test]
fn only_the_process_itself_gets_a_terminal() {
    let mut bed = Bed::new();
    let output = OutputSpec { pty: true, ..OutputSpec::default() };
    let terminals = ROLES.map(|(word, role)| {
        let run = bed.run(output.clone(), role);
        bed.print(&run, word)
    });
    assert_eq!(terminals, [true, false, false]);
    assert_eq!(bed.lines(), ["check err", "hook err", "hook out", "main err", "main out"]);
}

#[test]
fn what_a_definition_does_not_capture_is_not_captured_of_helpers_either() {
    let mut bed = Bed::new();
    let direct = bed.dir.path().join("direct.log");
    let output = OutputSpec {
        stdout: Output::Direct(direct.clone()),
        stderr: Output::Null,
        pty: true,
        ..OutputSpec::default()
    };
    for (word, role) in ROLES {
        let run = bed.run(output.clone(), role);
        assert!(!bed.print(&run, word));
    }
    assert_eq!(sorted(&direct), ["hook out", "main out"]);
    assert_eq!(bed.lines(), [""; 0]);

    let output = OutputSpec { stdout: Output::Inherit, ..OutputSpec::default() };
    let own = std::fs::metadata("/proc/self/fd/1").unwrap().ino();
    for (word, role) in ROLES {
        let run = bed.run(output.clone(), role);
        let (ends, _) = bed.stdio.open(&run).unwrap();
        let inherited = File::from(ends.stdout).metadata().unwrap().ino() == own;
        assert_eq!(inherited, word != "check", "{word}");
    }
}

#[test]
fn a_terminal_belongs_to_the_user_of_its_process() {
    let mut bed = Bed::new();
    let mut run = bed.run(OutputSpec { pty: true, ..OutputSpec::default() }, None);
    let exec = &mut Arc::get_mut(&mut run.spec).unwrap().exec;
    (exec.user, exec.group) = (Some("12345".to_owned()), Some("12345".to_owned()));
    let (ends, _) = bed.stdio.open(&run).unwrap();
    let theirs = File::from(ends.stdout).metadata().unwrap().uid();
    let possible = std::os::unix::fs::chown(bed.dir.path(), Some(12_345), None).is_ok();
    assert_eq!(theirs, if possible { 12_345 } else { geteuid().as_raw() });
}
