//! A TCP connection to what is checked.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::deadline::Deadline;
use crate::failure::{Failure, words};
use crate::resolve::Resolver;
use crate::target::Target;

/// Addresses of a name that are tried, in the resolver's order; further ones are left out.
const MAX_ADDRESSES: usize = 8;

/// Connects to the first address of the target that takes a connection. Each one gets an equal share of the time that
/// is left, so that a dead first address does not hide a second one that works. Fails with what the first one said.
pub(crate) async fn connect(
    target: &Target,
    resolver: &Resolver,
    deadline: Deadline,
) -> Result<TcpStream, Failure> {
    let addresses = resolver.resolve(&target.host, deadline).await?;
    let count = addresses.len().min(MAX_ADDRESSES);
    let mut first = None;
    for (tried, mut address) in addresses.into_iter().take(count).enumerate() {
        address.set_port(target.port);
        let share = deadline.share(count - tried);
        let failure = match share.bound(TcpStream::connect(address)).await {
            Some(connected) => match connected.and_then(to_another) {
                Ok(stream) => return Ok(stream),
                Err(error) => refused(target, address, &error),
            },
            None => Failure::silent(format!("no connection to {} within {share}", shown(target, address))),
        };
        first.get_or_insert(failure);
    }
    Err(first.unwrap_or_else(|| Failure::said(format!("{} has no address", target.host))))
}

/// The stream, unless both of its ends are one socket. Where nobody listens, and the port is one of those that the
/// kernel gives to those who connect, it can give this very port: TCP then connects the socket to itself (RFC 9293,
/// simultaneous open), and a process that is down would now and then look healthy.
fn to_another(stream: TcpStream) -> io::Result<TcpStream> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) if local == peer => Err(io::ErrorKind::ConnectionRefused.into()),
        _ => Ok(stream),
    }
}

/// The target, and the address behind it where it has a name.
fn shown(target: &Target, address: SocketAddr) -> String {
    let literal = target.to_string();
    if literal == address.to_string() || literal.starts_with('[') {
        literal
    } else {
        format!("{literal} ({})", address.ip())
    }
}

/// Why there is no connection.
fn refused(target: &Target, address: SocketAddr, error: &io::Error) -> Failure {
    let shown = shown(target, address);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::said(format!("connection refused by {shown}")),
        io::ErrorKind::ConnectionReset => Failure::said(format!("connection reset by {shown}")),
        io::ErrorKind::TimedOut => Failure::silent(format!("no connection to {shown}: the system gave up")),
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => Failure::said(format!(
            "the daemon has no descriptor left to check {shown}: raise LimitNOFILE= of its unit"
        )),
        _ => Failure::said(format!("can't connect to {shown}: {}", words(error))),
    }
}

/// Too many open files in the daemon (errno(3)).
const EMFILE: i32 = 24;
/// Too many open files in the system.
const ENFILE: i32 = 23;

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_connected_to_itself_is_refused() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let stream = socket.connect(address).await.expect("the kernel connects it to itself");
        let error = to_another(stream).expect_err("nobody listens there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(to_another(stream).is_ok());
    }

    #[test]
    fn each_error_names_the_target() {
        let target = |text: &str| Target::parse(text).unwrap();
        let say = |at: &str, address: &str, errno| {
            refused(&target(at), address.parse().unwrap(), &io::Error::from_raw_os_error(errno)).message
        };
        assert_eq!(say("127.0.0.1:80", "127.0.0.1:80", 111), "connection refused by 127.0.0.1:80");
        assert_eq!(say("[::1]:80", "[::1]:80", 111), "connection refused by [::1]:80");
        assert_eq!(say("[0:0::1]:80", "[::1]:80", 111), "connection refused by [0:0::1]:80");
        assert_eq!(say("db:80", "10.0.0.7:80", 111), "connection refused by db:80 (10.0.0.7)");
        assert_eq!(say("db:80", "[fd00::7]:80", 104), "connection reset by db:80 (fd00::7)");
        assert_eq!(say("10.0.0.7:80", "10.0.0.7:80", 113), "can't connect to 10.0.0.7:80: No route to host");
        assert_eq!(
            say("10.0.0.7:80", "10.0.0.7:80", 24),
            "the daemon has no descriptor left to check 10.0.0.7:80: raise LimitNOFILE= of its unit"
        );
    }
}
