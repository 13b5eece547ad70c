//! Sockets that systemd listens on for this daemon (dd-procmgrd.socket): who connects before it runs, or while it is
//! restarted, waits instead of being refused.
//!
//! Which one is for what is told by its address, which has to be one that the daemon would listen on itself. Names
//! (`FileDescriptorName=`) tell less: all sockets of one unit share theirs. Anything else is said and left alone, as the
//! daemon can do all its work without it. See docs/adr/0029-socket-activation.md.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use libsystemd::activation::receive_descriptors_with_names;
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use crate::settings::Settings;

/// No service manager passes more to this daemon, and the library makes room for as many as are announced.
const MOST: usize = 64;

/// What was passed, by purpose.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) control: Option<UnixListener>,
    pub(crate) grpc: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

/// The addresses that this daemon listens on.
#[derive(Debug)]
struct Wanted {
    control: PathBuf,
    grpc: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// A listener, and where.
enum Socket {
    Unix(UnixListener, Option<PathBuf>),
    Tcp(TcpListener, SocketAddr),
}

impl Inherited {
    /// Takes what the environment says was passed, and logs what was not as it should be.
    pub(crate) fn receive(settings: &Settings) -> Self {
        // The variables stay: children get them only where a definition asks for them by name.
        let passed = plausible(std::env::var("LISTEN_FDS").ok().as_deref())
            .and_then(|()| receive_descriptors_with_names(false).map_err(|error| error.to_string()))
            .unwrap_or_else(|error| {
                tracing::warn!("the sockets that LISTEN_FDS announces can't be used: {error}");
                Vec::new()
            });
        let wanted = Wanted { control: settings.socket(), grpc: settings.grpc, metrics: settings.metrics };
        let mut all = Self::default();
        for (number, name) in passed.into_iter().map(|(fd, name)| (fd.into_raw_fd(), name)) {
            let taken = sys::inherited::duplicate(number)
                .map_err(|error| error.to_string())
                .and_then(|fd| all.take(fd, &wanted));
            match taken {
                Ok(what) => tracing::info!("systemd listens on {what}, and goes on when this daemon ends"),
                Err(why) => tracing::warn!(
                    "a socket of systemd is not used: descriptor {number}, named {}: {why}. Who connects to it gets \
                     no answer; compare `systemctl cat dd-procmgrd.socket` with the daemon's settings",
                    name.escape_debug()
                ),
            }
        }
        all
    }

    /// Puts a descriptor in its place: what it is now, or why it has none.
    fn take(&mut self, fd: OwnedFd, wanted: &Wanted) -> Result<String, String> {
        match listener(fd)? {
            Socket::Unix(listener, Some(path)) if path == wanted.control && self.control.is_none() => {
                self.control = Some(listener);
                Ok(format!("the control socket {}", path.display()))
            }
            Socket::Tcp(listener, addr) if wanted.grpc == Some(addr) && self.grpc.is_none() => {
                self.grpc = Some(listener);
                Ok(format!("the control port {addr}"))
            }
            Socket::Tcp(listener, addr) if wanted.metrics == Some(addr) && self.metrics.is_none() => {
                self.metrics = Some(listener);
                Ok(format!("the metrics port {addr}"))
            }
            Socket::Unix(_, None) => Err("it has no path".to_owned()),
            Socket::Unix(_, Some(path)) => {
                Err(format!("{} is not the control socket {}", path.display(), wanted.control.display()))
            }
            Socket::Tcp(_, addr) => {
                let shown = |wanted: Option<SocketAddr>| wanted.map_or("off".to_owned(), |a| a.to_string());
                Err(format!(
                    "{addr} is neither the control port ({}) nor the metrics port ({})",
                    shown(wanted.grpc),
                    shown(wanted.metrics)
                ))
            }
        }
    }
}

/// Whether so many sockets may be asked for.
fn plausible(announced: Option<&str>) -> Result<(), String> {
    match announced.map(str::parse::<usize>) {
        Some(Ok(count)) if count > MOST => Err(format!("{count} are more than {MOST}")),
        // What is no number is the library's to refuse.
        _ => Ok(()),
    }
}

/// What the kernel says of a descriptor.
fn listener(fd: OwnedFd) -> Result<Socket, String> {
    let kind = getsockopt(&fd, sockopt::SockType).map_err(|_| "it is not a socket".to_owned())?;
    let listens = getsockopt(&fd, sockopt::AcceptConn).unwrap_or_default();
    if kind != SockType::Stream || !listens {
        return Err("it is not a stream socket that listens; use ListenStream= without Accept=".to_owned());
    }
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd()).map_err(|error| error.to_string())?;
    match address.family() {
        Some(AddressFamily::Unix) => {
            let listener = UnixListener::from(fd);
            let path = listener.local_addr().ok().and_then(|addr| Some(addr.as_pathname()?.to_owned()));
            Ok(Socket::Unix(listener, path))
        }
        Some(AddressFamily::Inet | AddressFamily::Inet6) => {
            let listener = TcpListener::from(fd);
            let addr = listener.local_addr().map_err(|error| error.to_string())?;
            Ok(Socket::Tcp(listener, addr))
        }
        _ => Err("it is neither a Unix socket nor TCP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Bed {
        dir: tempfile::TempDir,
        wanted: Wanted,
        control: UnixListener,
        grpc: TcpListener,
        metrics: TcpListener,
    }

    fn bed() -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let control = UnixListener::bind(&path).unwrap();
        let [grpc, metrics] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b] = [&grpc, &metrics].map(|listener| listener.local_addr().ok());
        Bed { dir, wanted: Wanted { control: path, grpc: a, metrics: b }, control, grpc, metrics }
    }

    #[test]
    fn each_finds_its_place_in_whatever_order() {
        let Bed { dir: _dir, wanted, control, grpc, metrics } = bed();
        let mut all = Inherited::default();
        for fd in [OwnedFd::from(metrics), control.into(), grpc.into()] {
            all.take(fd, &wanted).unwrap();
        }
        assert_eq!(all.grpc.unwrap().local_addr().ok(), wanted.grpc);
        assert_eq!(all.metrics.unwrap().local_addr().ok(), wanted.metrics);
        UnixStream::connect(&wanted.control).unwrap();
        all.control.unwrap().accept().unwrap();
    }

    #[test]
    fn nobody_passes_that_many() {
        for fine in [None, Some("0"), Some("64"), Some("x")] {
            plausible(fine).unwrap();
        }
        for many in ["65", "999999999999"] {
            assert!(plausible(Some(many)).unwrap_err().starts_with(many));
        }
    }

    #[test]
    fn what_is_something_else_is_said() {
        let Bed { dir, mut wanted, control, grpc, .. } = bed();
        let mut all = Inherited::default();
        let mut refused = |fd: OwnedFd, why: &str| {
            let said = all.take(fd, &wanted).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        refused(File::open("/dev/null").unwrap().into(), "not a socket");
        refused(UdpSocket::bind("127.0.0.1:0").unwrap().into(), "ListenStream");
        refused(UnixStream::pair().unwrap().0.into(), "ListenStream");
        refused(TcpListener::bind("127.0.0.1:0").unwrap().into(), "neither the control port (127.0.0.1:");
        refused(UnixListener::bind(dir.path().join("other")).unwrap().into(), "is not the control socket");
        // The same twice.
        all.take(control.try_clone().unwrap().into(), &wanted).unwrap();
        all.take(control.into(), &wanted).unwrap_err();
        wanted.grpc = None;
        assert!(all.take(grpc.into(), &wanted).unwrap_err().contains("control port (off)"));
    }
}
