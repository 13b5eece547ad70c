//! What strangers cost: the time of a list over the Unix socket beside each attack on the control port, and what the daemon
//! holds afterwards. The attackers run on the same machine and take their part of its CPUs, too.

mod frames;

use std::fs;
use std::io::{Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rpc::{Client, Target, v1};
use testkit::TempDaemon;
use tokio::runtime::Runtime;

use crate::Options;
use crate::daemon;
use crate::table::{Table, percentile};

/// Processes in the list.
const PROCESSES: usize = 100;
/// How long each attack goes on beside the lists.
const BESIDE: Duration = Duration::from_secs(4);
/// Between two lists.
const PAUSE: Duration = Duration::from_millis(2);
/// Until what an attack held has to be given back: the daemon's own bounds are 10 s.
const GIVEN_BACK: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time that an attacker waits for the daemon to take what it sends.
const STUCK: Duration = Duration::from_millis(500);

/// Where the daemon listens.
#[derive(Clone, Debug)]
struct Place {
    socket: PathBuf,
    tcp: SocketAddr,
}

/// Goes on until it is told to end, says once that it is under way, and returns how much it did.
type Attack = fn(&Place, &Signals) -> Result<u64>;

#[derive(Debug)]
struct Signals {
    under_way: mpsc::Sender<()>,
    end: Arc<AtomicBool>,
}

impl Signals {
    fn begun(&self) -> bool {
        self.under_way.send(()).is_ok()
    }

    fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }
}

const PLAIN: [(&str, Attack); 8] = [
    ("1,000 idle connections", |place, signals| crowd(place, signals, b"")),
    ("1,000 connections, the preface half sent", |place, signals| {
        crowd(place, signals, &frames::PREFACE[..12])
    }),
    ("100 calls that send a byte at a time", slow),
    ("garbage on the socket and the port", garbage),
    ("SETTINGS without end", |place, signals| flood(place, signals, |_, out| out.extend(frames::SETTINGS))),
    ("PING without end", |place, signals| flood(place, signals, |_, out| out.extend(frames::PING))),
    ("calls that are reset at once (rapid reset)", |place, signals| {
        flood(place, signals, frames::reset_call)
    }),
    ("requests of 5 MiB", large),
];
const OVER_TLS: [(&str, Attack); 1] =
    [("1,000 handshakes of TLS begun", |place, signals| crowd(place, signals, b"\x16\x03\x01\x02\x00\x01"))];

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    table.title(&format!("a list of {PROCESSES} over the socket, beside strangers on the port"));
    table.head(&[
        "attack",
        "done",
        "alone p50",
        "p99",
        "beside p50",
        "p99",
        "RSS before, after",
        "fds before, after",
    ]);
    let daemon = started(TempDaemon::builder());
    for (name, attack) in PLAIN {
        if !options.leaves_out(name) {
            table.row(&beside(&daemon, name, attack)?);
        }
    }
    drop(daemon);
    let keys = tempfile::tempdir()?;
    if !certificate(keys.path()) {
        table.line("openssl makes no certificate here: nothing over TLS");
        return Ok(());
    }
    let file = |name: &str| keys.path().join(name).display().to_string();
    let builder =
        TempDaemon::builder().env("PM_TLS_CERT", file("cert.pem")).env("PM_TLS_KEY", file("key.pem"));
    let daemon = started(builder);
    for (name, attack) in OVER_TLS {
        if !options.leaves_out(name) {
            table.row(&beside(&daemon, name, attack)?);
        }
    }
    Ok(())
}

fn started(builder: testkit::TempDaemonBuilder) -> TempDaemon {
    let definition = "{command: sleep 100000, auto_start: false}";
    builder.env("RUST_LOG", "error").config(&daemon::config(PROCESSES, definition)).start()
}

/// One row: an attack, and lists beside it.
fn beside(daemon: &TempDaemon, name: &str, attack: Attack) -> Result<Vec<String>> {
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut client = io.block_on(Client::connect(&Target::Unix(daemon.socket()), CONNECT))?;
    let listeners = io.block_on(client.status())?.listeners;
    let tcp = listeners.iter().find(|listener| listener.role == "control tcp").context("no port")?;
    let place = Place { socket: daemon.socket(), tcp: tcp.address.parse().context("the port is not open")? };
    let (rss, fds) = held(daemon.pid())?;
    let mut alone = lists(&io, &mut client)?;

    let (under_way, begun) = mpsc::channel();
    let end = Arc::new(AtomicBool::new(false));
    let signals = Signals { under_way, end: Arc::clone(&end) };
    let attacker = thread::spawn(move || attack(&place, &signals));
    let begun = begun.recv_timeout(CONNECT * 3);
    let times = lists(&io, &mut client);
    end.store(true, Ordering::Relaxed);
    let done = attacker.join().map_err(|_| anyhow::anyhow!("{name}: the attacker panicked"))??;
    begun.with_context(|| format!("{name}: it did not get under way"))?;
    let mut times = times?;

    let asked = Instant::now();
    while held(daemon.pid())?.1 > fds && asked.elapsed() < GIVEN_BACK {
        thread::sleep(Duration::from_millis(50));
    }
    let (rss_after, fds_after) = held(daemon.pid())?;
    ensure!(fds_after <= fds, "{name}: {fds} descriptors before, {fds_after} after");
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    Ok(vec![
        name.to_owned(),
        done.to_string(),
        shown(percentile(&mut alone, 0.5)),
        shown(percentile(&mut alone, 0.99)),
        shown(percentile(&mut times, 0.5)),
        shown(percentile(&mut times, 0.99)),
        format!("{:.1}, {:.1} MiB", mebibytes(rss), mebibytes(rss_after)),
        format!("{fds}, {fds_after}"),
    ])
}

/// How long lists take.
fn lists(io: &Runtime, client: &mut Client) -> Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < BESIDE {
        let asked = Instant::now();
        let listed = io.block_on(client.list(v1::ProcessView::Basic))?.len();
        times.push(asked.elapsed());
        ensure!(listed == PROCESSES, "{listed} processes");
        thread::sleep(PAUSE);
    }
    Ok(times)
}

/// KiB of memory, and descriptors.
fn held(pid: u32) -> Result<(u64, usize)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let rss = rss.trim().trim_end_matches(" kB").parse()?;
    Ok((rss, fs::read_dir(format!("/proc/{pid}/fd"))?.count()))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn certificate(dir: &Path) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output();
    made.is_ok_and(|made| made.status.success())
}

fn connect(place: &Place) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&place.tcp, CONNECT)?;
    stream.set_write_timeout(Some(STUCK))?;
    Ok(stream)
}

/// Connections that send no more than this. Those that the daemon closes are opened again.
fn crowd(place: &Place, signals: &Signals, sent: &[u8]) -> Result<u64> {
    let mut crowd = Vec::new();
    let mut opened = 0;
    while !signals.is_over() {
        // Whoever was closed is noticed by looking. One that was let in has heard the daemon's own preface.
        crowd.retain(|stream: &TcpStream| {
            match stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0])) {
                Ok(heard) => heard > 0,
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
        for _ in crowd.len()..1_000 {
            let mut stream = connect(place)?;
            opened += 1;
            // One that is closed already is opened again in the next round.
            if stream.write_all(sent).is_ok() {
                crowd.push(stream);
            }
        }
        signals.begun();
        thread::sleep(Duration::from_millis(100));
    }
    Ok(opened)
}

/// Calls whose request comes byte by byte.
fn slow(place: &Place, signals: &Signals) -> Result<u64> {
    let open = || -> Result<TcpStream> {
        let mut stream = connect(place)?;
        stream.write_all(&frames::begun_call())?;
        Ok(stream)
    };
    let mut calls = (0..100).map(|_| open()).collect::<Result<Vec<_>>>()?;
    signals.begun();
    let mut bytes = 0;
    while !signals.is_over() {
        for stream in &mut calls {
            match stream.write_all(&frames::data(&[0])) {
                Ok(()) => bytes += 1,
                Err(_) => *stream = open()?,
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(bytes)
}

/// Bytes that mean nothing, on new connections all the time.
fn garbage(place: &Place, signals: &Signals) -> Result<u64> {
    let junk: Vec<u8> = (0..64 << 10).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut sent = 0;
    while !signals.is_over() {
        // What the daemon doesn't take is what is wanted.
        let (mut unix, mut tcp) = (UnixStream::connect(&place.socket)?, connect(place)?);
        unix.set_write_timeout(Some(STUCK))?;
        let _refused = unix.write_all(&junk);
        let _refused = tcp.write_all(&junk);
        let _refused = tcp.write_all(&[frames::PREFACE, &junk].concat());
        sent += 2;
        signals.begun();
    }
    Ok(sent)
}

/// Frames as fast as they are taken, of which the answers are read, and a new connection whenever one is closed. `frame`
/// appends the n-th.
fn flood(place: &Place, signals: &Signals, frame: impl Fn(u32, &mut Vec<u8>)) -> Result<u64> {
    let mut sent = 0;
    while !signals.is_over() {
        let mut stream = connect(place)?;
        stream.write_all(&[frames::PREFACE, &frames::SETTINGS].concat())?;
        let mut answers = stream.try_clone()?;
        let reader =
            thread::spawn(move || while answers.read(&mut [0; 16 << 10]).is_ok_and(|read| read > 0) {});
        let mut number = 0;
        loop {
            let mut out = Vec::new();
            for _ in 0..100 {
                frame(number, &mut out);
                number += 1;
            }
            if signals.is_over() || stream.write_all(&out).is_err() {
                break;
            }
            sent += 100;
            signals.begun();
        }
        // Closed already, where the daemon has had enough.
        let _closed = stream.shutdown(Shutdown::Both);
        if reader.join().is_err() {
            bail!("the reader panicked");
        }
    }
    Ok(sent)
}

/// Requests that are larger than any may be, of four callers.
fn large(place: &Place, signals: &Signals) -> Result<u64> {
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let target = Target::Tcp(place.tcp.to_string(), None);
    io.block_on(async {
        let one = async || -> Result<u64> {
            let mut client = Client::connect(&target, CONNECT).await?;
            let mut refused = 0;
            while !signals.is_over() {
                let names = vec!["x".repeat(5 << 20)];
                let request = v1::ListProcessesRequest { names, ..Default::default() };
                ensure!(client.list_where(request).await.is_err(), "it was taken");
                refused += 1;
                signals.begun();
            }
            Ok(refused)
        };
        let (a, b, c, d) = tokio::try_join!(one(), one(), one(), one())?;
        Ok(a + b + c + d)
    })
}
