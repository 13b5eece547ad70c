//! Prints what checks that hang cost: `cargo run -p health --example hanging [checks] [shared]`.
//!
//! The checks have a thread of their own, as in the daemon; with `shared` they run on the two threads that serve calls.
//! The other side takes connections in the kernel and never looks at them, so that what is counted is the checker's
//! alone. The daemon's settings of the allocator are had with `MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
//! MALLOC_MMAP_THRESHOLD_=65536`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{fs, io};

use health::Checker;
use model::Probe;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

/// How long they hang.
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() {
    let checks = std::env::args().nth(1).map_or(1000, |n| n.parse().expect("a number of checks"));
    let shared = std::env::args().nth(2).is_some_and(|word| word == "shared");
    let threads = |n| Builder::new_multi_thread().worker_threads(n).enable_all().build().expect("a runtime");
    let (runtime, own) = (threads(2), threads(1));
    let checker = Checker::new(if shared { &runtime } else { &own }.handle().clone());
    for round in ["first", "second"] {
        for (kind, probe) in KINDS {
            // One for each: what was never accepted would fill a shared one.
            let listener = runtime.block_on(listen()).expect("a port");
            let address = listener.local_addr().expect("an address");
            measure(&format!("{kind}, {round} round"), &runtime, &checker, checks, |n| probe(address, n));
        }
    }
}

/// With room for all of them in the backlog, where net.core.somaxconn allows it.
async fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(4096)
}

/// The probe number so and so of this address.
type Make = fn(SocketAddr, usize) -> Probe;

const KINDS: [(&str, Make); 2] = [
    ("http", |address, n| Probe::Http { url: format!("http://{address}/{n}") }),
    ("grpc", |address, n| Probe::Grpc { address: address.to_string(), service: n.to_string() }),
];

fn measure(title: &str, runtime: &Runtime, checker: &Checker, checks: usize, probe: impl Fn(usize) -> Probe) {
    let (before, cpu) = (Usage::now(), cpu());
    let (sender, answers) = channel();
    let begun = Instant::now();
    for n in 0..checks {
        let sender = sender.clone();
        checker.check(probe(n), TIMEOUT, Box::new(move |answer| drop(sender.send(answer))));
    }
    drop(sender);
    let submitted = begun.elapsed();
    // As a call to the API would: a task that has to get its turn.
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < TIMEOUT / 2 {
        let asked = Instant::now();
        runtime.block_on(async { tokio::spawn(async {}).await.expect("no panic") });
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    let during = Usage::now();
    let timed_out =
        answers.iter().filter(|answer| answer.as_ref().is_err_and(|e| e.contains("no answer"))).count();
    println!(
        "{title}: {checks} checks: {} KiB and {} descriptors more, submitted in {submitted:?}, slowest other task \
         {slowest:?}, {:?} of CPU in all; {timed_out} without an answer, {} KiB more than before afterwards",
        during.kib - before.kib,
        during.descriptors - before.descriptors,
        self::cpu() - cpu,
        Usage::now().kib - before.kib,
    );
}

struct Usage {
    kib: i64,
    descriptors: i64,
}

impl Usage {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib = rss.trim().trim_end_matches(" kB").parse().expect("a number");
        let descriptors = fs::read_dir("/proc/self/fd").expect("/proc").count();
        Self { kib, descriptors: i64::try_from(descriptors).expect("a small number") }
    }
}

/// User and system time of this process.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("getrusage");
    let time = |t: nix::sys::time::TimeVal| {
        let micros = t.tv_sec() * 1_000_000 + t.tv_usec();
        Duration::from_micros(u64::try_from(micros).expect("not before the start"))
    };
    time(usage.user_time()) + time(usage.system_time())
}
