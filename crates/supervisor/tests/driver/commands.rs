//! Each command gets exactly one answer, and a flood is refused instead of queued.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::{Rig, done, name, sleeper};
use model::{Command, Desired, Refusal, Reply, State};

#[test]
fn every_kind_of_command_is_answered() {
    let rig = Rig::new();
    let web = || name("web");
    let create = |start| Command::Create { spec: Arc::new(sleeper("web")), start };
    assert_eq!(rig.ask(Command::Start(web())), Err(Refusal::NotFound(web())));
    assert_eq!(done(rig.ask(create(false))).state, State::Stopped);
    assert_eq!(rig.ask(create(true)), Err(Refusal::AlreadyExists(web())));
    assert_eq!(done(rig.ask(Command::Start(web()))).state, State::Running);
    assert_eq!(done(rig.ask(Command::Start(web()))).state, State::Running);
    assert_eq!(done(rig.ask(Command::Restart(web()))).state, State::Running);
    assert_eq!(done(rig.ask(Command::Stop(web()))).state, State::Stopped);
    assert_eq!(done(rig.ask(Command::Stop(web()))).state, State::Stopped);
    assert_eq!(rig.ask(Command::Delete(web())), Ok(Reply::Deleted));
    assert_eq!(rig.ask(Command::Delete(web())), Err(Refusal::NotFound(web())));
    assert_eq!(rig.ask(Command::Apply(Desired::default())), Ok(Reply::Applied(Vec::new())));
    assert_eq!(rig.ask(Command::Shutdown), Ok(Reply::ShutDown));
}

#[test]
fn deleting_takes_it_off_the_board_and_out_of_the_log_pipeline() {
    let rig = Rig::new();
    rig.up(sleeper("web"));
    assert_eq!(rig.ask(Command::Delete(name("web"))), Ok(Reply::Deleted));
    assert!(rig.view("web").is_none());
    assert_eq!(rig.calls()[2..], ["finished 1", "forget web"]);
}

#[test]
fn a_changed_definition_reaches_the_log_pipeline() {
    let rig = Rig::new();
    rig.up(sleeper("web"));
    let mut changed = sleeper("web");
    changed.output.log.max_line = 4096;
    rig.ask(Command::Apply(Desired { specs: vec![Arc::new(changed)], invalid: Vec::new() })).unwrap();
    assert_eq!(rig.calls()[2..], ["configure web"]);
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let rig = Rig::new();
    let (open, gate) = channel::<()>();
    let (entered, inside) = channel();
    // Holds up the supervisor, which nobody but a test may do.
    let hold = move |_| {
        entered.send(()).unwrap();
        assert_eq!(gate.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    };
    rig.handle.submit(Command::Start(name("x")), Box::new(hold)).unwrap();
    inside.recv().unwrap();

    let waiting: Vec<_> = (0..64).map(|_| rig.submit(Command::Start(name("x")))).collect();
    let refused = rig.handle.submit(Command::Start(name("x")), Box::new(|_| panic!("was refused already")));
    assert_eq!(refused, Err(Refusal::Busy));
    drop(open);
    for answer in waiting {
        assert_eq!(answer.recv().unwrap(), Err(Refusal::NotFound(name("x"))));
        assert!(answer.recv().is_err(), "a second answer");
    }
}

#[test]
fn callers_that_wait_when_the_supervisor_ends_are_answered() {
    let rig = Rig::new();
    rig.up(sleeper("web"));
    let (stop, down) = (rig.submit(Command::Stop(name("web"))), rig.submit(Command::Shutdown));
    let late = rig.handle.submit(Command::Start(name("web")), Box::new(|_| ()));
    assert!(matches!(late, Ok(()) | Err(Refusal::ShuttingDown)), "{late:?}");
    assert!(stop.recv().is_ok());
    assert_eq!(down.recv().unwrap(), Ok(Reply::ShutDown));
}
