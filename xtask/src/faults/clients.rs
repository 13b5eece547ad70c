//! Clients that are slow, silent, or speak something else, hundreds of them on every listener at the same time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Size;
use super::bed::Bed;
use super::dice::Dice;
use super::report::Report;
use super::watch::Watch;
use crate::prometheus::get;

/// A scrape waits for a connection that does nothing to be closed: 10 s are documented.
const SCRAPED: Duration = Duration::from_secs(20);

/// What one of them says when it is connected.
fn words(kind: usize, dice: &mut Dice) -> Vec<u8> {
    match kind % 8 {
        // Nothing at all.
        0 => Vec::new(),
        1 => b"GET /metrics HTTP/1.1\r\nHost: x\r\n".to_vec(),
        2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        // A hello of TLS, cut short.
        3 => [&[0x16, 3, 1, 2, 0, 1][..], &dice.bytes(100)].concat(),
        4 => {
            let size = dice.below(4096);
            dice.bytes(size)
        }
        // A header without end.
        5 => [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 64 * 1024]].concat(),
        // Answers that nobody takes.
        6 => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200),
        // A body that is announced and doesn't come.
        _ => b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n".to_vec(),
    }
}

enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Client {
    fn say(&mut self, bytes: &[u8]) {
        // Whoever is not listened to any more has been closed, which is an answer.
        drop(match self {
            Self::Unix(stream) => stream.set_nonblocking(true).and_then(|()| stream.write(bytes).map(drop)),
            Self::Tcp(stream) => stream.set_nonblocking(true).and_then(|()| stream.write(bytes).map(drop)),
        });
    }

    fn hear(&mut self) {
        let mut one = [0; 1];
        drop(match self {
            Self::Unix(stream) => stream.read(&mut one),
            Self::Tcp(stream) => stream.read(&mut one),
        });
    }
}

pub(crate) fn run(size: &Size) -> Result<Report> {
    let rounds = size.of(2, 10);
    let each = size.of(60, 150);
    let lasts = size.of(Duration::from_secs(2), Duration::from_secs(20));
    let mut dice = Dice::new(size.seed);
    let bed = Bed::start(
        "  web: {command: PROBE every=10ms print}\n  crasher: {command: PROBE sleep=100ms exit=1}\n",
    )?;
    let (metrics, control) = (bed.metrics()?, bed.listener("control tcp")?);
    drop(bed.scrape()?);
    let before = bed.vitals()?;
    let watch = Watch::start(&bed)?;
    let (mut connected, mut slowest) = (0_u64, Duration::ZERO);
    for _ in 0..rounds {
        let mut crowd = Vec::new();
        for kind in 0..each {
            for listener in 0..3 {
                let client = match listener {
                    0 => UnixStream::connect(bed.socket()).map(Client::Unix),
                    1 => TcpStream::connect_timeout(&control, Duration::from_secs(5)).map(Client::Tcp),
                    _ => TcpStream::connect_timeout(&metrics, Duration::from_secs(5)).map(Client::Tcp),
                };
                if let Ok(mut client) = client {
                    client.say(&words(kind + listener, &mut dice));
                    connected += 1;
                    crowd.push(client);
                }
            }
        }
        let begin = Instant::now();
        let (status, _) = get(metrics, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        slowest = slowest.max(begin.elapsed());
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            // One byte a second, one byte read: the slowest that there are.
            for client in &mut crowd {
                client.say(b"x");
                client.hear();
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    ensure!(slowest < SCRAPED, "a scrape took {slowest:?}");
    let calls = watch.end_within(Duration::from_secs(15))?;
    let after = before.until_back(bed.pid())?;
    ensure!(bed.wait_for_state("web", "running")["restarts"] == 0, "web was restarted");
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!("{connected} hostile connections on 3 listeners, {} at a time", each * 3))
        .and(format!("slowest scrape {} ms", slowest.as_millis()))
        .and(format!("RSS {} KiB before, {} KiB after; descriptors back", before.rss, after.rss))
        .and(calls.to_string()))
}
