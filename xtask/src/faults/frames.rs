//! Frames that no client sends, a million of them, on the control socket of a real daemon. (What coverage finds is for
//! the fuzz targets; here it is the daemon as a whole that has to live on.)

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Size;
use super::bed::Bed;
use super::dice::Dice;
use super::report::Report;
use super::watch::Watch;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PER_CONNECTION: u64 = 100;
/// What memory may gain, in KiB.
const SLACK: u64 = 32 * 1024;
const METHODS: [&str; 8] = [
    "ListProcesses",
    "GetProcess",
    "CreateProcess",
    "StopProcess",
    "UpdateProcess",
    "StreamLogs",
    "WatchEvents",
    "NoSuch",
];

pub(crate) fn run(size: &Size) -> Result<Report> {
    let frames: u64 = size.of(50_000, 1_000_000);
    let mut dice = Dice::new(size.seed);
    let bed = Bed::start("  web: {command: PROBE sleep}\n")?;
    bed.until_all(&["running"])?;
    let watch = Watch::start(&bed)?;
    let (mut sent, mut connections, mut warm) = (0, 0_u64, None);
    let begin = Instant::now();
    while sent < frames {
        let mut bytes = PREFACE.to_vec();
        frame(&mut bytes, 4, 0, 0, &[]);
        for _ in 0..PER_CONNECTION {
            one(&mut bytes, &mut dice);
        }
        sent += PER_CONNECTION;
        connections += 1;
        talk(&bed, &bytes)?;
        if warm.is_none() && sent >= frames / 10 {
            warm = Some(bed.vitals()?);
        }
    }
    let rate = sent as f64 / begin.elapsed().as_secs_f64();
    let warm = warm.context("nothing was sent")?;
    let calls = watch.end_within(Duration::from_secs(10))?;
    let end = warm.until_back(bed.pid())?;
    ensure!(end.rss <= warm.rss + SLACK, "memory grew from {} to {} KiB", warm.rss, end.rss);
    let names: Vec<String> =
        bed.processes()?.iter().filter_map(|p| p["name"].as_str().map(str::to_owned)).collect();
    ensure!(names.iter().any(|name| name == "web"), "web is gone: {names:?}");
    bed.end()?;
    Ok(Report::load(format!("{sent} frames over {connections} connections, {rate:.0} a second"))
        .and(format!("RSS {} KiB after a tenth, {} KiB at the end", warm.rss, end.rss))
        .and(calls.to_string()))
}

fn talk(bed: &Bed, bytes: &[u8]) -> Result<()> {
    let mut stream = UnixStream::connect(bed.socket())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    // It may be closed long before the last byte.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(std::net::Shutdown::Write));
    let mut sink = Vec::new();
    match stream.read_to_end(&mut sink) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            anyhow::bail!("the connection of a client that has left is held for more than 10 s")
        }
        // Reset or ended.
        _ => Ok(()),
    }
}

fn one(out: &mut Vec<u8>, dice: &mut Dice) {
    let size = dice.below(64);
    let stream = dice.byte() % 64;
    match dice.below(10) {
        // A call with a body that is none.
        0..=4 => {
            let stream = stream | 1;
            frame(out, 1, 4, stream, &head(METHODS[dice.below(METHODS.len())]));
            let body = dice.bytes(size);
            let length = [0, 0, 0, 0, u8::try_from(size).unwrap_or_default()];
            frame(out, 0, dice.byte() & 1, stream, &[&length[..], &body].concat());
        }
        // Any frame with any flags.
        5..=7 => {
            let payload = dice.bytes(size);
            frame(out, dice.byte() % 11, dice.byte(), stream, &payload);
        }
        // Pings and settings without end.
        8 => frame(out, 6, 0, 0, &dice.bytes(8)),
        // Bytes.
        _ => out.extend(dice.bytes(size)),
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags, 0, 0, 0, stream]);
    out.extend_from_slice(payload);
}

/// HPACK: literals that are not to be remembered.
fn head(method: &str) -> Vec<u8> {
    let path = format!("/ddprocmgr.v1.ProcessManagerService/{method}");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "x"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    let mut head = Vec::new();
    for (name, value) in fields {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).unwrap_or_default());
            head.extend_from_slice(text.as_bytes());
        }
    }
    head
}
