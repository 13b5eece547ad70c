//! What a process tells its supervisor through `$NOTIFY_SOCKET` (sd_notify(3)).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use std::{env, io, thread};

/// Sends one datagram. `\n` in it is a line's end, and `%p` the own pid.
pub(crate) fn send(text: &str) -> io::Result<()> {
    let text = text.replace("\\n", "\n").replace("%p", &std::process::id().to_string());
    let path = env::var_os("NOTIFY_SOCKET").ok_or_else(|| io::Error::other("NOTIFY_SOCKET is not set"))?;
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

/// `WATCHDOG=1` at once and then after each pause, so many times.
pub(crate) fn ping(pause: Duration, times: u64) -> io::Result<()> {
    for number in 0..times {
        if number > 0 {
            thread::sleep(pause);
        }
        send("WATCHDOG=1")?;
    }
    Ok(())
}
