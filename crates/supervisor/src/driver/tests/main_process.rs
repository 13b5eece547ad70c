//! The daemon that a forking program leaves behind: by its pidfile, by elimination, by its own word.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use model::{ExitStatus, Mono, RunId, Signal};

use super::bench::{Bench, Kid, speaker};
use crate::machine::{Effect, Input, Notice, Target};
use crate::notify::PER_TURN;
use crate::poller::Token;

/// A program that has forked its daemon, whose next step waits for input.
fn forked(bench: &mut Bench, steps: &[&str]) -> (Kid, u32) {
    let steps = [&["daemon", "pid", "read"], steps, &["read", "exit:9"]].concat();
    let mut kid = bench.start(speaker(&steps));
    let daemon = kid.line_pid();
    assert_eq!(bench.end(kid.run).1, ExitStatus::Code(0));
    bench.settles(kid.run, &[daemon]);
    (kid, daemon)
}

fn find(bench: &mut Bench, run: RunId, pidfile: Option<&Path>) {
    bench.driver.apply(Effect::FindMain { run, pidfile: pidfile.map(Path::to_owned) });
}

fn pidfile(bench: &Bench) -> PathBuf {
    bench.dir.path().join("daemon.pid")
}

fn found(run: RunId, pid: u32) -> Vec<Input> {
    vec![Input::MainFound { run, pid }]
}

fn problem(inputs: &[Input]) -> String {
    match inputs {
        [Input::MainNotFound { problem, .. }] => problem.clone(),
        other => panic!("{other:?}"),
    }
}

/// Waits for the end of the daemon that was found.
fn ends_as_main(bench: &mut Bench, mut kid: Kid) {
    kid.go_on();
    assert_eq!(bench.end(kid.run).1, ExitStatus::Code(9));
    bench.driver.apply(Effect::Release { run: kid.run });
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().unwrap()
}

fn put_down(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn without_a_pidfile_it_is_what_is_left() {
    let mut bench = Bench::new();
    let (mut kid, daemon) = forked(&mut bench, &[]);
    find(&mut bench, kid.run, None);
    assert_eq!(bench.inputs(), found(kid.run, daemon));
    kid.go_on();
    ends_as_main(&mut bench, kid);
}

/// A shell that runs this script.
fn shell(bench: &mut Bench, script: &str) -> Kid {
    let mut spec = speaker(&[]);
    spec.exec.program = "sh".into();
    spec.exec.args = vec!["-c".into(), script.into()];
    bench.start(spec)
}

/// Between the two forks of a daemon there is one process that is neither the first nor the last.
#[test]
fn a_second_fork_is_not_the_end() {
    let mut bench = Bench::new();
    let mut kid =
        shell(&mut bench, "exec 3<&0; sh -c 'sleep 1000 & echo $$ $!; read x <&3; exit 0' & read x; exit 0");
    let line = kid.line();
    let (between, daemon) = line.split_once(' ').unwrap();
    let (between, daemon) = (between.parse().unwrap(), daemon.parse().unwrap());
    crate::containment::tests::kill(kid.pid);
    assert!(matches!(bench.ends(kid.run).as_slice(), [Input::Exited { .. }]));
    find(&mut bench, kid.run, None);
    assert_eq!(bench.inputs(), found(kid.run, between));
    kid.go_on();
    let notice = Notice { main_pid: Some(daemon), ..Notice::default() };
    assert_eq!(bench.ends(kid.run), [Input::Notified { run: kid.run, notice }]);
    // What ends otherwise has ended.
    crate::containment::tests::kill(daemon);
    let [Input::Exited { leftovers, .. }] = &bench.ends(kid.run)[..] else { panic!("no end") };
    assert_eq!(*leftovers, []);
    bench.driver.apply(Effect::Release { run: kid.run });
}

#[test]
fn a_daemon_that_ends_later_or_was_signalled_and_leaves_something_has_ended() {
    let mut bench = Bench::new();
    for later in [true, false] {
        let script = "exec 3<&0; sh -c 'sleep 1000 & echo $!; read x <&3; exit 0' & read x; exit 0";
        let mut kid = shell(&mut bench, script);
        let left = kid.line_pid();
        crate::containment::tests::kill(kid.pid);
        bench.ends(kid.run);
        find(&mut bench, kid.run, None);
        assert_eq!(bench.inputs().len(), 1);
        if later {
            // As if it were long ago.
            bench.driver.turn.guessed.insert(kid.run, Mono(0));
        } else {
            let (signal, target) = (Signal::CONT, Target::Main);
            bench.driver.apply(Effect::Signal { run: kid.run, signal, target });
        }
        kid.go_on();
        let [Input::Exited { status, leftovers, .. }] = &bench.ends(kid.run)[..] else { panic!("no end") };
        assert_eq!((*status, leftovers.as_slice()), (ExitStatus::Code(0), &[left][..]));
        bench.clear(kid.run);
        assert!(bench.driver.turn.guessed.is_empty());
    }
}

#[test]
fn without_a_pidfile_several_are_too_many() {
    let mut bench = Bench::new();
    let mut kid = shell(&mut bench, "sleep 1000 & sleep 1000 & echo forked");
    assert_eq!(kid.line(), "forked");
    assert_eq!(bench.end(kid.run).2.len(), 2);
    find(&mut bench, kid.run, None);
    let problem = problem(&bench.inputs());
    assert!(
        problem.starts_with("several processes are left (pid ") && problem.contains("`pidfile`"),
        "{problem}"
    );
    bench.clear(kid.run);
}

#[test]
fn a_pidfile_may_be_there_already() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let (mut kid, daemon) = forked(&mut bench, &[]);
    fs::write(&path, format!("{daemon}\n")).unwrap();
    find(&mut bench, kid.run, Some(&path));
    assert_eq!(bench.pidfile(), found(kid.run, daemon));
    kid.go_on();
    ends_as_main(&mut bench, kid);
}

#[test]
fn a_pidfile_may_be_written_late() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let (mut kid, daemon) = forked(&mut bench, &[&format!("pidfile:{}", path.display())]);
    find(&mut bench, kid.run, Some(&path));
    assert_eq!(bench.inputs(), []);
    kid.go_on();
    let mut inputs = Vec::new();
    while inputs.is_empty() {
        inputs = bench.pidfile();
    }
    assert_eq!(inputs, found(kid.run, daemon));
    ends_as_main(&mut bench, kid);
}

/// What an earlier run left is waited out: the pid of nobody, or of somebody who got it since.
#[test]
fn a_stale_pidfile_is_waited_out() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let stranger = sleeper();
    for stale in [4_000_000, stranger.id()] {
        fs::write(&path, stale.to_string()).unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let (mut kid, daemon) = forked(&mut bench, &[&format!("pidfile:{}", path.display())]);
        find(&mut bench, kid.run, Some(&path));
        // It is read, and nothing comes of it.
        assert_eq!(bench.pidfile(), []);
        kid.go_on();
        let mut inputs = Vec::new();
        while inputs.is_empty() {
            inputs = bench.pidfile();
        }
        assert_eq!(inputs, found(kid.run, daemon));
        ends_as_main(&mut bench, kid);
    }
    put_down(stranger);
}

#[test]
fn a_fresh_pidfile_of_a_stranger_is_a_mistake_that_is_explained() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let stranger = sleeper();
    let (kid, _) = forked(&mut bench, &[]);
    fs::write(&path, stranger.id().to_string()).unwrap();
    find(&mut bench, kid.run, Some(&path));
    let problem = problem(&bench.pidfile());
    let expected = format!(
        "{} names pid {} (\"sleep\"), which is no process of this run: set `pidfile` to the file that this program \
         writes",
        path.display(),
        stranger.id()
    );
    assert_eq!(problem, expected);
    // It was answered, and is not answered again.
    assert!(bench.driver.pidfiles.path(kid.run).is_none());
    put_down(stranger);
    bench.clear(kid.run);
}

#[test]
fn a_path_that_is_none_is_explained() {
    let mut bench = Bench::new();
    let (kid, _) = forked(&mut bench, &[]);
    find(&mut bench, kid.run, Some(Path::new("/")));
    assert_eq!(problem(&bench.pidfile()), "/ can't be watched: it is not the path of a file");
    bench.clear(kid.run);
}

#[test]
fn nobody_is_told_once_the_run_is_released() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let (kid, daemon) = forked(&mut bench, &[]);
    find(&mut bench, kid.run, Some(&path));
    bench.clear(kid.run);
    assert!(bench.driver.pidfiles.path(kid.run).is_none());
    // A reading that was on its way already comes too late.
    let reading = crate::driver::Reading::Pid { pid: daemon, fresh: true };
    bench.driver.pidfile_read(kid.run, &reading);
    assert_eq!(bench.inputs(), []);
}

#[test]
fn a_daemon_that_names_itself_needs_no_pidfile() {
    let mut bench = Bench::new();
    let path = pidfile(&bench);
    let (mut kid, daemon) = forked(&mut bench, &["main"]);
    find(&mut bench, kid.run, Some(&path));
    kid.go_on();
    bench.wait(Token::Notify(kid.run));
    bench.driver.hear(kid.run, PER_TURN);
    assert_eq!(bench.inputs(), found(kid.run, daemon));
    ends_as_main(&mut bench, kid);
}

#[test]
fn a_run_that_is_being_killed_finds_nobody() {
    let mut bench = Bench::new();
    let (kid, daemon) = forked(&mut bench, &[]);
    bench.driver.apply(Effect::Kill { run: kid.run });
    let refused = bench.driver.runs.adopt_main(kid.run, daemon, &bench.driver.poller);
    assert!(refused.is_err());
    bench.clear(kid.run);
}
