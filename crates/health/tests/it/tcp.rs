//! tcp: who takes a connection is healthy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};

use crate::support::{FIVE, PATIENCE, ask, fault, http, nobody, tcp, tcp_named};

#[tokio::test]
async fn a_taken_connection_is_healthy_and_is_closed_without_a_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(ask(tcp(listener.local_addr().unwrap()), PATIENCE).await, Ok(()));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).await.unwrap();
    assert!(sent.is_empty(), "{sent:?}");
}

#[tokio::test]
async fn nobody_there_refuses() {
    let address = nobody().await;
    assert_eq!(fault(tcp(address)).await, format!("connection refused by {address}"));
}

#[tokio::test]
async fn localhost_is_found_on_both_families() {
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(loopback).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(ask(tcp_named(&format!("localhost:{port}")), PATIENCE).await, Ok(()), "{loopback}");
    }
    let port = nobody().await.port();
    let message = fault(tcp_named(&format!("localhost:{port}"))).await;
    assert_eq!(message, format!("connection refused by localhost:{port} (127.0.0.1)"));
}

#[tokio::test]
async fn ipv6_stands_in_brackets() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(ask(tcp(address), PATIENCE).await, Ok(()));
    drop(listener);
    assert_eq!(fault(tcp(address)).await, format!("connection refused by [::1]:{}", address.port()));
    let message = fault(tcp_named("::1:80")).await;
    assert_eq!(message, "::1:80 is no address: it has to be host:port");
}

/// Fills the backlog of this address: the kernel no longer answers there, as behind a firewall that drops packets.
fn deaf(address: SocketAddr) -> io::Result<(TcpListener, Vec<std::net::TcpStream>)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(address)?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut taken = Vec::new();
    // Until one does not get through; each that does is kept. By the real clock: a paused one outruns the kernel.
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        taken.push(stream);
        assert!(taken.len() < 100, "the backlog never fills");
    }
    Ok((listener, taken))
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_is_no_connection() {
    let (listener, _taken) = deaf("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let message = ask(tcp(address), FIVE).await.unwrap_err();
    assert_eq!(message, format!("no connection to {address} within 5 s"));
}

/// A dead first address leaves time for the second one.
#[tokio::test(start_paused = true)]
async fn the_addresses_of_a_name_share_the_time() {
    // A port that is free on both.
    let (four, _six, port) = loop {
        let four = deaf("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = four.0.local_addr().unwrap().port();
        if let Ok(six) = deaf(format!("[::1]:{port}").parse().unwrap()) {
            break (four, six, port);
        }
    };
    let name = tcp_named(&format!("localhost:{port}"));
    let begun = tokio::time::Instant::now();
    let message = ask(name, FIVE).await.unwrap_err();
    assert_eq!(message, format!("no connection to localhost:{port} (127.0.0.1) within 2.5 s"));
    assert_eq!(begun.elapsed().as_secs(), 5, "and the second one had the rest");
    drop(four);
}

/// What RFC 1035 does not allow is refused without asking a server.
#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let name = "x".repeat(64);
    let message = fault(tcp_named(&format!("{name}:80"))).await;
    assert!(message.starts_with(&format!("{name} can't be resolved: ")), "{message}");
}

#[tokio::test]
async fn no_time_and_endless_time_are_times_too() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let message = ask(http(format!("http://{address}/")), Duration::ZERO).await.unwrap_err();
    assert!(message.contains(&address.to_string()) && message.ends_with("within 0 ms"), "{message}");
    assert_eq!(ask(tcp(address), Duration::MAX).await, Ok(()));
}
