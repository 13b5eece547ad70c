//! Ports that answer in the background, as well or as badly as a test wants.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// How long a client may take for its request: one that stays silent must not keep a thread for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// This status.
    Status(u16),
    /// The status that this file holds at that moment, 500 when it can't be read.
    File(String),
    /// Nothing: the connection stays open. Holds as many as the process may have descriptors.
    Never,
}

/// Answers HTTP requests; returns the port.
pub(crate) fn http(port: u16, answer: Answer) -> io::Result<u16> {
    let mut held = Vec::new();
    accept(port, move |stream| match &answer {
        Answer::Never => held.push(stream),
        _ => {
            let answer = answer.clone();
            // A client that leaves in the middle is no concern of the probe.
            thread::spawn(move || reply(&stream, &answer).ok());
        }
    })
}

/// Accepts connections and closes them; returns the port.
pub(crate) fn tcp(port: u16) -> io::Result<u16> {
    accept(port, drop)
}

fn accept(port: u16, mut each: impl FnMut(TcpStream) + Send + 'static) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || listener.incoming().flatten().for_each(&mut each));
    Ok(port)
}

fn reply(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let status = match answer {
        Answer::Status(status) => *status,
        Answer::File(path) => {
            std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(500)
        }
        Answer::Never => return Ok(()),
    };
    let body = format!("{request}\n");
    write!(
        stream,
        "HTTP/1.1 {status} Probe\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
