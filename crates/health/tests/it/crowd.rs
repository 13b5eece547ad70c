//! A thousand checks that hang, and one that does not.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use health::Checker;
use model::Probe;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{PATIENCE, grpc, head, http, server, tcp};

const CROWD: usize = 1000;
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(60 * 60);

/// What the daemon has: two threads.
fn runtime() -> Runtime {
    // Both ends of each connection are in this process.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build().unwrap()
}

type Answer = (usize, Result<(), String>);

fn start(checker: &Checker, number: usize, probe: Probe, timeout: Duration, answers: &Sender<Answer>) {
    let answers = answers.clone();
    checker.check(probe, timeout, Box::new(move |answer| answers.send((number, answer)).unwrap()));
}

fn hanging(number: usize, address: SocketAddr) -> Probe {
    match number % 2 {
        0 => http(format!("http://{address}/{number}")),
        _ => grpc(address, &number.to_string()),
    }
}

/// How often each one was answered; the channel ends when nobody owes an answer any more.
fn counts(answers: Receiver<Answer>, of: usize) -> Vec<usize> {
    let mut counts = vec![0; of];
    for (number, answer) in answers {
        let message = answer.unwrap_err();
        assert!(message.contains("the daemon is shutting down"), "{message}");
        counts[number] += 1;
    }
    counts
}

#[test]
fn a_thousand_that_hang_hold_up_nobody_and_are_answered_at_shutdown() {
    let (runtime, servers) = (runtime(), runtime());
    let (connected, mut connections) = unbounded_channel();
    let silent = servers.block_on(server(move |stream| {
        connected.send(()).unwrap();
        async {
            std::future::pending::<()>().await;
            drop(stream);
        }
    }));
    let good = servers.block_on(server(async |mut stream: TcpStream| {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    }));
    let checker = Checker::new(runtime.handle().clone());
    let (sender, answers) = channel();
    for number in 0..CROWD {
        start(&checker, number, hanging(number, silent), FOREVER, &sender);
    }
    let all_hang = async {
        for _ in 0..CROWD {
            connections.recv().await.unwrap();
        }
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, all_hang).await.expect("all are connected") });

    let (good_sender, good_answers) = channel();
    for round in 0..10 {
        start(&checker, round, http(format!("http://{good}/")), PATIENCE, &good_sender);
        start(&checker, round, tcp(good), PATIENCE, &good_sender);
        for _ in 0..2 {
            assert_eq!(good_answers.recv_timeout(PATIENCE).unwrap(), (round, Ok(())));
        }
    }
    assert!(answers.try_recv().is_err(), "not one of the others was answered meanwhile");

    // And neither is one of the runtime's threads taken, nor one of those for blocking work.
    runtime.block_on(async {
        for number in 0..100 {
            let blocking = tokio::task::spawn_blocking(move || number);
            assert_eq!(tokio::spawn(blocking).await.unwrap().unwrap(), number);
        }
    });
    assert!(answers.try_recv().is_err(), "still nobody");

    drop(sender);
    runtime.shutdown_timeout(PATIENCE);
    assert_eq!(counts(answers, CROWD), vec![1; CROWD]);
}

/// Checks that are started while the runtime goes away, from another thread.
#[test]
fn a_shutdown_in_the_middle_forgets_nobody() {
    for _ in 0..20 {
        let runtime = runtime();
        let backlog = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = backlog.local_addr().unwrap();
        let checker = Checker::new(runtime.handle().clone());
        let (sender, answers) = channel();
        let (begun, beginning) = channel();
        let starter = std::thread::spawn(move || {
            for number in 0..200 {
                start(&checker, number, hanging(number, silent), FOREVER, &sender);
                if number == 20 {
                    begun.send(()).unwrap();
                }
            }
        });
        beginning.recv().unwrap();
        runtime.shutdown_timeout(PATIENCE);
        starter.join().unwrap();
        assert_eq!(counts(answers, 200), vec![1; 200]);
    }
}
