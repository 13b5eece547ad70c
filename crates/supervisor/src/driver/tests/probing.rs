//! Health checks over the network: every question gets one answer.

use std::time::Duration;

use model::{Probe, RunId};

use super::bench::Bench;
use crate::machine::Effect;

fn ask(bench: &mut Bench, run: RunId) -> crate::prober::ProbeDone {
    let probe = Probe::Tcp { address: "127.0.0.1:1".into() };
    let timeout = Duration::from_secs(3);
    bench.driver.apply(Effect::Probe { run, probe: probe.clone(), timeout });
    let (asked, within, done) = bench.asked();
    assert_eq!((asked, within), (probe, timeout));
    done
}

#[test]
fn answers_come_from_any_thread_at_any_time() {
    let mut bench = Bench::new();
    let (first, second) = (ask(&mut bench, RunId(1)), ask(&mut bench, RunId(2)));
    std::thread::spawn(move || second(Err("refused".into()))).join().unwrap();
    assert_eq!(bench.probed(), [(RunId(2), Err("refused".into()))]);
    first(Ok(()));
    assert_eq!(bench.probed(), [(RunId(1), Ok(()))]);
}

#[test]
fn a_question_that_is_dropped_is_a_failure() {
    let mut bench = Bench::new();
    drop(ask(&mut bench, RunId(7)));
    assert_eq!(bench.probed(), [(RunId(7), Err("the check was given up without an answer".into()))]);
}
