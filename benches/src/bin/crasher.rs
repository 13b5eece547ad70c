//! A child for the measurements that says a line, reports that it is up where somebody listens, and crashes at once.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

fn main() -> ExitCode {
    let told = std::env::var_os("NOTIFY_SOCKET")
        .map(|path| UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1", path)));
    let said = std::io::stderr().write_all(b"crashing\n");
    // Another status than the usual one shows that the child itself had a problem.
    match (told, said) {
        (None | Some(Ok(_)), Ok(())) => ExitCode::from(3),
        _ => ExitCode::from(4),
    }
}
