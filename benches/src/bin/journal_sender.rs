//! What the journal's sink is compared with: somebody who does nothing but send, several entries in one datagram, as
//! fast as journald takes them. The entries have the fields of a child's line.
//!
//! `journal_sender SOCKET SECONDS`: prints how many entries it sent and in how many seconds.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Bytes of one datagram, as many as the daemon sends at once.
const DATAGRAM: usize = 128 << 10;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, seconds] = words.as_slice() else {
        return Err(io::Error::other("usage: journal_sender SOCKET SECONDS"));
    };
    let limit = Duration::from_secs(seconds.parse().map_err(io::Error::other)?);
    let entry = format!(
        "PRIORITY=6\nSYSLOG_IDENTIFIER=bare\nPROCESS_ID=000102030405\nPROCESS_NAME=bare\nPROCESS_PID={}\nPROCESS_RUN=1\n\
         PROCESS_INVOCATION_ID=000102030405060708090a0b0c0d0e0f\nPROCESS_STREAM=stdout\nMESSAGE={}\n",
        std::process::id(),
        "x".repeat(99)
    );
    let entries = DATAGRAM / (entry.len() + 1);
    let datagram = vec![entry; entries].join("\n");
    let journal = UnixDatagram::unbound()?;
    journal.connect(socket)?;
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < limit {
        journal.send(datagram.as_bytes())?;
        sent += entries;
    }
    writeln!(io::stdout(), "{sent} {}", begin.elapsed().as_secs_f64())
}
