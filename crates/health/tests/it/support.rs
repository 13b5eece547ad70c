//! What the tests share: asking, and servers that do what a test wants.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::time::Duration;

use health::Checker;
use model::Probe;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;

/// Passes at once when all is well, fails after this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The timeout of checks that run into it; used with a clock that does not wait for it.
pub(crate) const FIVE: Duration = Duration::from_secs(5);

pub(crate) fn http(url: impl Into<String>) -> Probe {
    Probe::Http { url: url.into() }
}

pub(crate) fn tcp(address: SocketAddr) -> Probe {
    tcp_named(&address.to_string())
}

pub(crate) fn tcp_named(address: &str) -> Probe {
    Probe::Tcp { address: address.to_owned() }
}

pub(crate) fn grpc(address: SocketAddr, service: &str) -> Probe {
    Probe::Grpc { address: address.to_string(), service: service.to_owned() }
}

/// Stops a paused clock from going on by itself, as it does whenever nothing is to be done at the moment, until it is
/// dropped: what the kernel has on its way between two sockets, tokio can't know of. (It waits for blocking tasks.)
pub(crate) struct Hold {
    _held: std::sync::mpsc::Sender<()>,
}

impl Hold {
    pub(crate) fn the_clock() -> Self {
        let (held, end) = std::sync::mpsc::channel();
        drop(tokio::task::spawn_blocking(move || end.recv()));
        Self { _held: held }
    }
}

/// The answer to one check; there has to be exactly one.
pub(crate) async fn ask(probe: Probe, timeout: Duration) -> Result<(), String> {
    let (sender, mut answers) = unbounded_channel();
    let done = Box::new(move |answer| sender.send(answer).unwrap());
    Checker::new(Handle::current()).check(probe, timeout, done);
    let answer = answers.recv().await.expect("each check is answered");
    assert_eq!(answers.recv().await, None, "a second answer");
    answer
}

/// What is wrong with it.
pub(crate) async fn fault(probe: Probe) -> String {
    ask(probe, PATIENCE).await.expect_err("a failure")
}

/// Serves each connection with `serve`, for as long as the runtime lives.
pub(crate) async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    server_at("127.0.0.1:0", serve).await
}

/// As [`server`], on this address.
pub(crate) async fn server_at<F>(address: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads a request to the end of its head.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Where nobody listens: a port that was free a moment ago.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
