//! Where a round takes place: a directory, the socket that children announce themselves at, and the fifo that ends when the
//! last of them has died. What is announced carries the child's own clock and the kernel's word for its pid.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{IoSliceMut, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

/// No child is called so.
const END: &str = "/end";

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) type Nanos = u64;

pub(crate) fn now() -> Nanos {
    // It can't fail for a clock that every Linux has.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// One exec.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    pub(crate) name: String,
    pub(crate) at: Nanos,
    /// As this program sees it, also of a child in a container.
    pub(crate) pid: u32,
}

/// What a round needs.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: TempDir,
    alive: Option<File>,
    news: Receiver<Announced>,
    announce: PathBuf,
}

impl Stage {
    /// `base` is a directory that a container sees under the same path.
    pub(crate) fn new(base: &Path, announce: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("round-").tempdir_in(base)?;
        let socket = UnixDatagram::bind(dir.path().join("socket"))?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o622))?;
        // Before the first writer comes; without waiting for one.
        let alive =
            OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(&fifo)?;
        let (sender, news) = channel();
        // It ends with the stage: drop() below sends it the word.
        thread::spawn(move || {
            while let Ok(announced) = receive(&socket) {
                if announced.name == END || sender.send(announced).is_err() {
                    break;
                }
            }
        });
        Ok(Self { dir, alive: Some(alive), news, announce: announce.to_owned() })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The command line of a child; nothing in it needs quotes.
    pub(crate) fn child(&self, name: &str) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        vec![self.announce.display().to_string(), path("socket"), path("fifo"), name.to_owned()]
    }

    /// Waits until this many other children have announced themselves.
    pub(crate) fn await_some(&self, count: usize, limit: Duration) -> Result<Vec<Announced>> {
        let deadline = Instant::now() + limit;
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            match self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(announced) => all.push(announced),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} of {count} had announced themselves after {limit:?}", all.len())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the socket of the announcements broke"),
            }
        }
        Ok(all)
    }

    /// Waits until each of the names has; one that comes twice is a restart that nobody asked for.
    pub(crate) fn await_all(&self, count: usize, limit: Duration) -> Result<HashMap<String, Announced>> {
        let all = self.await_some(count, limit)?;
        let map: HashMap<String, Announced> = all.into_iter().map(|a| (a.name.clone(), a)).collect();
        anyhow::ensure!(
            map.len() == count,
            "only {} of {count} announcements had a name of their own",
            map.len()
        );
        Ok(map)
    }

    /// Announcements that nobody has waited for.
    pub(crate) fn unexpected(&self) -> usize {
        self.news.try_iter().count()
    }

    /// Waits until no child is alive; when that was.
    pub(crate) fn await_end(&mut self, limit: Duration) -> Result<Nanos> {
        let deadline = Instant::now() + limit;
        let file = self.alive.as_mut().context("the fifo was closed")?;
        loop {
            match file.read(&mut [0]) {
                Ok(0) => return Ok(now()),
                Ok(_) => bail!("somebody wrote to the fifo"),
                Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => {
                    anyhow::ensure!(Instant::now() < deadline, "some were still alive after {limit:?}");
                    thread::sleep(Duration::from_micros(200));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.alive = None;
        if let Ok(waker) = UnixDatagram::unbound() {
            drop(waker.send_to(format!("{END} 0").as_bytes(), self.dir.path().join("socket")));
        }
        // The many files of a peer are the last thing to be timed; the directory goes with `dir`.
        drop(fs::remove_file(self.dir.path().join("socket")));
    }
}

fn receive(socket: &UnixDatagram) -> Result<Announced> {
    let mut text = [0; 256];
    let mut slices = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!(UnixCredentials);
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())?;
    let length = message.bytes;
    let pid = message.cmsgs()?.find_map(|cmsg| match cmsg {
        ControlMessageOwned::ScmCredentials(who) => u32::try_from(who.pid()).ok(),
        _ => None,
    });
    let text = std::str::from_utf8(text.get(..length).unwrap_or_default())?;
    let (name, at) = text.split_once(' ').context("an announcement has two words")?;
    Ok(Announced { name: name.to_owned(), at: at.parse()?, pid: pid.context("no pid")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn stage() -> (TempDir, Stage) {
        let base = tempfile::tempdir().unwrap();
        let stage = Stage::new(base.path(), Path::new("/bin/true")).unwrap();
        (base, stage)
    }

    fn announce(stage: &Stage, text: &str) {
        UnixDatagram::unbound().unwrap().send_to(text.as_bytes(), stage.dir().join("socket")).unwrap();
    }

    #[test]
    fn an_announcement_carries_the_pid_that_the_kernel_knows() {
        let (_base, stage) = stage();
        announce(&stage, "p0 123");
        let all = stage.await_all(1, SOON).unwrap();
        assert_eq!((all["p0"].at, all["p0"].pid), (123, std::process::id()));
    }

    #[test]
    fn one_that_comes_twice_and_one_that_never_comes_are_errors() {
        let (_base, stage) = stage();
        announce(&stage, "p0 1");
        announce(&stage, "p0 2");
        assert!(stage.await_all(2, SOON).unwrap_err().to_string().contains("only 1 of 2"));
        let error = stage.await_some(1, Duration::from_millis(1)).unwrap_err().to_string();
        assert!(error.contains("0 of 1"), "{error}");
    }

    #[test]
    fn the_end_is_there_when_the_last_child_has_died() {
        let (_base, mut stage) = stage();
        let fifo = stage.dir().join("fifo");
        let mut command = std::process::Command::new("sleep");
        command.arg("100").stdout(OpenOptions::new().write(true).open(fifo).unwrap());
        let mut child = command.spawn().unwrap();
        // It keeps a descriptor of the fifo for the next spawn.
        drop(command);
        assert!(stage.await_end(Duration::from_millis(5)).is_err(), "it is alive");
        child.kill().unwrap();
        child.wait().unwrap();
        let before = now();
        assert!(stage.await_end(SOON).unwrap() >= before);
    }
}
