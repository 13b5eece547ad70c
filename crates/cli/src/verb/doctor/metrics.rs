//! One scrape, of which only what the checks need is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::doctor::facts::{Metrics, Scrape};

/// A line of the exposition is longer than this only where somebody else answers.
const LONGEST: usize = 1 << 20;

/// Asks an address of this machine. Whoever calls bounds the time.
pub(super) async fn ask(address: SocketAddr) -> Metrics {
    let target = reachable(address);
    let stream = match TcpStream::connect(target).await {
        Ok(stream) => stream,
        Err(error) => return Metrics::Silent(format!("{target}: {error}")),
    };
    let mut stream = BufReader::new(stream);
    // 1.0, so that the answer ends with the connection and is not in chunks.
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {target}\r\n\r\n");
    if let Err(error) = stream.write_all(request.as_bytes()).await {
        return Metrics::Silent(format!("{target}: {error}"));
    }
    read(&mut stream).await
}

/// What listens on every address is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Metrics {
    let mut scrape = Scrape::default();
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        match read_line(stream, &mut line).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Metrics::Silent(error.to_string()),
        }
        if first {
            // An alert, which is what a server of TLS says to anything else.
            if line.first() == Some(&0x15) {
                return Metrics::Encrypted;
            }
            let text = String::from_utf8_lossy(&line);
            let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
            match status {
                Some(status) => scrape.status = status,
                None => return Metrics::Silent("what answers does not speak HTTP".to_owned()),
            }
            first = false;
        } else if let Ok(text) = std::str::from_utf8(&line) {
            keep(&mut scrape, text.trim_end());
        }
    }
    if first {
        Metrics::Silent("the connection was closed without an answer".to_owned())
    } else {
        Metrics::Answers(scrape)
    }
}

/// Reads a line, or as much of it as a line may have.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<usize> {
    use tokio::io::AsyncReadExt as _;
    stream.take(LONGEST as u64).read_until(b'\n', line).await
}

fn keep(scrape: &mut Scrape, line: &str) {
    let Some((name, value)) = line.rsplit_once(' ') else { return };
    let number = || value.parse::<f64>().ok();
    match name {
        "process_open_fds" => scrape.open_fds = value.parse().ok(),
        "ddprocmgr_journald_connected" => scrape.journald = number().map(|value| value > 0.0),
        _ => {
            let collector = name.strip_prefix("ddprocmgr_scrape_collector_success{collector=\"");
            if let Some(collector) = collector.and_then(|rest| rest.strip_suffix("\"}")) {
                scrape.own = true;
                if number() == Some(0.0) {
                    scrape.incomplete.push(collector.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &[u8]) -> Metrics {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read(&mut &*bytes))
    }

    #[test]
    fn what_is_kept_of_an_answer() {
        let text = "HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n# HELP x y\n\
                    process_open_fds 17\nddprocmgr_journald_connected 0\n\
                    ddprocmgr_scrape_collector_success{collector=\"proc\"} 0\n\
                    ddprocmgr_scrape_collector_success{collector=\"logs\"} 1\n\u{ff}\n";
        let text: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let Metrics::Answers(scrape) = answer(&text) else { panic!("no answer") };
        let wanted = Scrape {
            status: 200,
            incomplete: vec!["proc".to_owned()],
            journald: Some(false),
            open_fds: Some(17),
            own: true,
        };
        assert_eq!(scrape, wanted);
    }

    #[test]
    fn what_is_no_answer() {
        assert!(matches!(answer(b"\x15\x03\x03\x00\x02\x02\x32"), Metrics::Encrypted));
        assert!(matches!(answer(b""), Metrics::Silent(_)));
        assert!(matches!(answer(b"SSH-2.0-OpenSSH\r\n"), Metrics::Silent(_)));
        assert!(matches!(answer(b"HTTP/1.1"), Metrics::Silent(_)));
        assert!(matches!(answer(&[b'x'; LONGEST + 3]), Metrics::Silent(_)));
        assert!(
            matches!(answer(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), Metrics::Answers(scrape) if scrape.status == 401)
        );
    }

    #[test]
    fn every_address_is_asked_on_loopback() {
        for (address, wanted) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), wanted);
        }
    }
}
