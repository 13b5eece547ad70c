//! Whatever a run spawned is found and killed, however it tried to get away.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Test;
use crate::support::{Rig, done, immortal, impatient, is_alive, kill, line, name, pid_of, sh};
use model::{Command, Desired, EventKind, KillMode, State};
use nix::sys::signal::Signal as Nix;

pub(crate) const TESTS: &[Test] = &[
    ("stop_finds_escaped_grandchildren", stop_finds_escaped_grandchildren),
    ("stop_kills_grandchildren_that_ignore_term", stop_kills_grandchildren_that_ignore_term),
    ("stop_signals_children_of_a_living_main", stop_signals_children_of_a_living_main),
    ("stop_signals_children_whose_parent_dies_first", stop_signals_children_whose_parent_dies_first),
    ("a_crash_is_cleaned_up_before_the_next_start", a_crash_is_cleaned_up_before_the_next_start),
    ("a_run_does_not_pay_for_the_orphans_of_another", a_run_does_not_pay_for_the_orphans_of_another),
    ("many_leftovers_are_all_killed", many_leftovers_are_all_killed),
    ("a_chain_of_forks_is_caught", a_chain_of_forks_is_caught),
    ("orphans_that_end_by_themselves_are_reaped", orphans_that_end_by_themselves_are_reaped),
];

/// Ways to get away from a shell: each leaves a process that its main process does not know any more and that prints
/// its pid. The second keeps the session but drops the environment.
const ESCAPES: [&str; 3] = [
    "(setsid sh -c 'echo $$; exec sleep 1000' &)",
    "(env -i sh -c 'echo $$; exec sleep 1000' &)",
    "(setsid sh -c '(setsid sh -c \"echo \\$\\$; exec sleep 1000\" &)' &)",
];

/// Starts a shell that runs `escape` and stays; returns the main process and the one that got away.
fn escaped(rig: &Rig, who: &str, escape: &str) -> (u32, u32) {
    let main = pid_of(&rig.up(sh(who, &format!("{escape}; exec sleep 1000"))));
    let pid = line(&mut rig.output(who, 1)).parse().unwrap();
    assert!(is_alive(pid));
    (main, pid)
}

fn stop_finds_escaped_grandchildren() {
    let rig = Rig::new();
    for (number, escape) in ESCAPES.iter().enumerate() {
        let who = format!("e{number}");
        let (main, orphan) = escaped(&rig, &who, escape);
        assert_eq!(done(rig.ask(Command::Stop(name(&who)))).state, State::Stopped);
        assert!(!is_alive(main) && !is_alive(orphan), "{escape}");
    }
}

fn stop_kills_grandchildren_that_ignore_term() {
    let rig = Rig::new();
    // Run numbers go on after a delete.
    for (number, mode) in (1..).zip(KillMode::ALL) {
        let escape = "(setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' &)";
        let mut stubborn = impatient(sh("s", &format!("{escape}; exec sleep 1000")));
        stubborn.stop.mode = mode;
        rig.up(stubborn);
        let orphan: u32 = line(&mut rig.output("s", number)).parse().unwrap();
        done(rig.ask(Command::Stop(name("s"))));
        assert!(!is_alive(orphan), "{mode:?}");
        rig.ask(Command::Delete(name("s"))).unwrap();
    }
}

fn stop_signals_children_of_a_living_main() {
    let rig = Rig::new();
    // The main process takes TERM for nothing and waits: only a signal to its child, too, ends it before the timeout.
    let child = "sh -c 'trap \"exit 0\" TERM; echo $$; while :; do sleep 0.01; done'";
    rig.up(sh("pair", &format!("trap : TERM; {child} & wait; wait; exit 0")));
    let mut output = rig.output("pair", 1);
    let child: u32 = line(&mut output).parse().unwrap();
    let view = done(rig.ask(Command::Stop(name("pair"))));
    assert!(!is_alive(child));
    assert_eq!(view.last_exit().and_then(|e| e.status), Some(model::ExitStatus::Code(0)));
}

/// Several are stopped in one turn, and each main process dies of the signal at once: its child is an orphan before
/// anybody has looked for it, and still has to be asked politely.
fn stop_signals_children_whose_parent_dies_first() {
    let rig = Rig::new();
    let child = "sh -c 'trap \"echo asked; exit\" TERM; echo ready; while :; do sleep 0.01; done'";
    let names = ["a", "b", "c", "d", "e"];
    let mut outputs = names.map(|who| {
        rig.up(sh(who, &format!("{child} & wait")));
        rig.output(who, 1)
    });
    outputs.iter_mut().for_each(|output| assert_eq!(line(output), "ready"));
    rig.ask(Command::Apply(Desired::default())).unwrap();
    outputs.iter_mut().for_each(|output| assert_eq!(line(output), "asked"));
}

/// The next run itself looks whether the escaped process of the last one is alive.
fn a_crash_is_cleaned_up_before_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    for (number, stubborn) in ["", "trap \"\" TERM; "].iter().enumerate() {
        let rig = Rig::new();
        let file = dir.path().join(number.to_string());
        let script = format!(
            "if test -f {f}; then kill -0 $(cat {f}) && echo alive || echo gone; exec sleep 1000; fi
             (setsid sh -c '{stubborn}echo $$ >{f}; echo ready; while :; do sleep 1000; done' &)
             exec sleep 1000",
            f = file.display()
        );
        let main = pid_of(&rig.up(impatient(immortal(sh("web", &script)))));
        assert_eq!(line(&mut rig.output("web", 1)), "ready");
        kill(main, Nix::SIGKILL);
        rig.event("web", |e| matches!(e.kind, EventKind::LeftoversKilled { .. }).then_some(()));
        rig.started("web", 2);
        assert_eq!(line(&mut rig.output("web", 2)), "gone", "{stubborn}");
    }
}

fn a_run_does_not_pay_for_the_orphans_of_another() {
    let rig = Rig::new();
    let (_, kept) = escaped(&rig, "kept", ESCAPES[0]);
    let (main, lost) = escaped(&rig, "lost", ESCAPES[0]);
    kill(main, Nix::SIGKILL);
    rig.event("lost", |e| matches!(e.kind, EventKind::LeftoversKilled { .. }).then_some(()));
    done(rig.ask(Command::Stop(name("lost"))));
    assert!(!is_alive(lost) && is_alive(kept));
    assert_eq!(rig.view("kept").map(|v| v.state), Some(State::Running));
}

/// More than are watched at a time.
fn many_leftovers_are_all_killed() {
    let rig = Rig::new();
    let script = "i=0; while [ $i -lt 400 ]; do sleep 1000 & i=$((i+1)); done; echo ready; exec sleep 1000";
    let main = pid_of(&rig.up(impatient(sh("many", script))));
    assert_eq!(line(&mut rig.output("many", 1)), "ready");
    kill(main, Nix::SIGKILL);
    let pids = rig.event("many", |e| match &e.kind {
        EventKind::LeftoversKilled { pids } => Some(pids.clone()),
        _ => None,
    });
    assert_eq!(pids.len(), 400);
    done(rig.ask(Command::Stop(name("many"))));
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

/// Every link forks the next one and ends: no list of pids is ever complete.
fn a_chain_of_forks_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link.sh");
    fs::write(&link, "\"$0\" &\n").unwrap();
    fs::set_permissions(&link, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let rig = Rig::new();
    let mut chain = impatient(sh("chain", &format!("{} & exec sleep 1000", link.display())));
    chain.exec.env = [("CHAIN".to_owned(), link.display().to_string())].into();
    rig.up(chain);
    done(rig.ask(Command::Stop(name("chain"))));
    assert_eq!(processes_with(&link), Vec::<String>::new());
}

/// Processes with this file on their command line.
fn processes_with(file: &Path) -> Vec<String> {
    let file = file.to_str().unwrap();
    let cmdline = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).ok();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| cmdline(entry.unwrap()));
    all.filter(|line| line.contains(file)).collect()
}

fn orphans_that_end_by_themselves_are_reaped() {
    let rig = Rig::new();
    rig.up(sh("web", "(sh -c 'echo $$' &); exec sleep 1000"));
    let orphan: u32 = line(&mut rig.output("web", 1)).parse().unwrap();
    // Nobody tells of it: it has to vanish without any other event.
    let patience = Instant::now() + Duration::from_secs(30);
    while is_alive(orphan) {
        assert!(Instant::now() < patience, "a zombie was left");
        std::thread::yield_now();
    }
}
