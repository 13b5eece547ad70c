//! The child of every contestant of `cargo xtask bench`: says who it is and when it began to run, and sleeps.
//!
//! `announce SOCKET FIFO NAME`: sends `NAME NANOSECONDS` (CLOCK_MONOTONIC, read before anything else) to the datagram socket, and
//! holds the fifo open for writing, so that whoever reads it sees the end when the last child has died. It is linked
//! statically, so that the time of the dynamic linker, which is no supervisor's doing, is in no number.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

const LONG: Duration = Duration::from_secs(1 << 30);

fn main() -> io::Result<()> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, fifo, name] = words.as_slice() else {
        return Err(io::Error::other("usage: announce SOCKET FIFO NAME"));
    };
    let alive = OpenOptions::new().write(true).open(fifo)?;
    let nanos = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    UnixDatagram::unbound()?.send_to(format!("{name} {nanos}").as_bytes(), socket)?;
    thread::sleep(LONG);
    drop(alive);
    Ok(())
}
