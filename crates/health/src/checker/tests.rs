//! Who gets a place, who waits, who is refused; and that everybody is answered.

use std::sync::mpsc::{Receiver, channel};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::*;

/// Passes at once when all is well, fails after this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(60 * 60);
/// Too short for whom nobody answers, however slow the machine.
const SHORT: Duration = Duration::from_millis(50);

const FEW: Limits = Limits { running: 4, reserved: 1, waiting: 3, silent: 64 };

type Answers = Receiver<Result<(), String>>;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Takes connections in the kernel and never answers.
fn silent(runtime: &Runtime) -> (TcpListener, String) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn http(address: &str, path: usize) -> Probe {
    Probe::Http { url: format!("http://{address}/{path}") }
}

fn ask(checker: &Checker, probe: Probe, timeout: Duration) -> Answers {
    let (sender, answers) = channel();
    checker.check(probe, timeout, Box::new(move |answer| sender.send(answer).unwrap()));
    answers
}

fn answer(answers: &Answers) -> Result<(), String> {
    answers.recv_timeout(PATIENCE).expect("each check is answered")
}

fn present(checker: &Checker) -> String {
    format!("{:?}", checker.lanes)
}

#[test]
fn beyond_the_bound_the_answer_comes_at_once() {
    let runtime = runtime();
    let (_listener, address) = silent(&runtime);
    let checker = Checker::with_limits(runtime.handle().clone(), FEW);
    let hanging: Vec<_> = (0..7).map(|n| ask(&checker, http(&address, n), FOREVER)).collect();
    for _ in 0..3 {
        let refused = ask(&checker, http(&address, 9), FOREVER).try_recv().expect("before check() returned");
        assert_eq!(refused.unwrap_err(), "too many health checks at a time (at most 7)");
    }
    assert!(hanging.iter().all(|answers| answers.try_recv().is_err()), "the others are still at it");
    runtime.shutdown_background();
    for answers in hanging {
        let message = answer(&answers).unwrap_err();
        assert!(message.ends_with("was broken off: the daemon is shutting down"), "{message}");
        assert!(message.contains(&address), "{message}");
    }
    assert!(present(&checker).contains("present: 0"), "{checker:?}");
}

#[test]
fn who_waits_in_vain_is_told_why() {
    let runtime = runtime();
    let (_listener, address) = silent(&runtime);
    let checker = Checker::with_limits(runtime.handle().clone(), FEW);
    let hanging: Vec<_> = (0..4).map(|n| ask(&checker, http(&address, n), FOREVER)).collect();
    testkit::eventually("all places are taken", || present(&checker).contains("permits: 0").then_some(()));
    let message = answer(&ask(&checker, http(&address, 4), SHORT)).unwrap_err();
    assert_eq!(
        message,
        format!("http http://{address}/4 was not asked within 50 ms: too many other checks wait for answers")
    );
    assert!(hanging.iter().all(|answers| answers.try_recv().is_err()));
}

#[test]
fn checks_that_hung_before_do_not_keep_out_those_that_answer() {
    let runtime = runtime();
    let (_listener, address) = silent(&runtime);
    let (good, good_address) = silent(&runtime);
    let checker = Checker::with_limits(runtime.handle().clone(), FEW);
    for n in 0..6 {
        let message = answer(&ask(&checker, http(&address, n), SHORT)).unwrap_err();
        assert_eq!(message, format!("no answer from http://{address}/{n} within 50 ms"));
    }
    // More than there are places, and none of them ends.
    let hanging: Vec<_> = (0..6).map(|n| ask(&checker, http(&address, n), FOREVER)).collect();
    for _ in 0..10 {
        let tcp = Probe::Tcp { address: good_address.clone() };
        assert_eq!(answer(&ask(&checker, tcp, PATIENCE)), Ok(()));
    }
    assert!(hanging.iter().all(|answers| answers.try_recv().is_err()));
    drop(good);
}

#[test]
fn a_runtime_that_is_gone_answers_too() {
    let runtime = runtime();
    let checker = Checker::new(runtime.handle().clone());
    runtime.shutdown_timeout(PATIENCE);
    let answers = ask(&checker, Probe::Tcp { address: "127.0.0.1:1".to_owned() }, FOREVER);
    let message = answers.try_recv().expect("before check() returned").unwrap_err();
    assert_eq!(message, "the check tcp 127.0.0.1:1 was broken off: the daemon is shutting down");
}

/// Without timers there is no deadline: tokio panics, inside of the check.
#[test]
fn a_check_that_panics_is_answered() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_io().build().unwrap();
    let checker = Checker::new(runtime.handle().clone());
    let answers = ask(&checker, Probe::Tcp { address: "127.0.0.1:1".to_owned() }, FOREVER);
    let message = answer(&answers).unwrap_err();
    assert_eq!(message, "the check tcp 127.0.0.1:1 broke off: a defect of the daemon, its log says more");
    assert!(answers.recv().is_err(), "one answer is all");
    assert!(present(&checker).contains("present: 0"), "{checker:?}");
}

#[test]
fn exec_is_somebody_elses() {
    let runtime = runtime();
    let checker = Checker::new(runtime.handle().clone());
    let command = model::CommandLine { program: "/bin/true".into(), args: vec![] };
    let message = answer(&ask(&checker, Probe::Exec(command), PATIENCE)).unwrap_err();
    assert_eq!(message, "exec /bin/true is no check over the network");
}
