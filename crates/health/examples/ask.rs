//! Makes one check and prints the answer: `cargo run -p health --example ask http http://127.0.0.1:8080/`,
//! `… tcp 127.0.0.1:22`, `… grpc 127.0.0.1:50051 [service]`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::sync::mpsc::channel;
use std::time::Duration;

use health::Checker;
use model::Probe;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().unwrap_or_default();
    let probe = match next().as_str() {
        "http" => Probe::Http { url: next() },
        "tcp" => Probe::Tcp { address: next() },
        "grpc" => Probe::Grpc { address: next(), service: next() },
        other => panic!("{other:?} is none of http, tcp and grpc"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (sender, answers) = channel();
    let done = Box::new(move |answer| drop(sender.send(answer)));
    Checker::new(runtime.handle().clone()).check(probe, Duration::from_secs(5), done);
    match answers.recv().expect("an answer") {
        Ok(()) => println!("healthy"),
        Err(message) => println!("{message}"),
    }
}
