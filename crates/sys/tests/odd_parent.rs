//! A daemon that was started oddly: with 0, 1 and 2 closed, so that a child's descriptors have these very numbers in
//! any order, and with SIGCHLD ignored, so that the kernel would throw away how children ended.
//!
//! A program of its own without the test harness, as it could print nothing meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, pipe};
use sys::pidfd::{self, Wait};
use sys::spawn::{Isolation, Program, Request, Spawner, Stdio};

/// Assigns the numbers 0, 1 and 2 to stdin, stdout and stderr of a child in this order: which of ours becomes which.
fn run(order: [usize; 3]) -> io::Result<String> {
    // The lowest free numbers: 0, 1, 2 for one end of each.
    let (in_read, in_write) = pipe()?;
    let (out_read, out_write) = pipe()?;
    let (err_read, err_write) = pipe()?;
    let high = |fd: OwnedFd| fd.try_clone();
    let (in_write, out_read, err_read) = (high(in_write)?, high(out_read)?, high(err_read)?);
    let (in_read, out_write, err_write) = (high(in_read)?, high(out_write)?, high(err_write)?);
    for own in 0..3 {
        // Whatever has it now is a copy, or closed.
        let _closed = close(own);
    }
    let mut ends = [Some(in_read), Some(out_write), Some(err_write)];
    let mut low: [Option<OwnedFd>; 3] = [None, None, None];
    for (number, which) in order.into_iter().enumerate() {
        let end = ends[which].take().unwrap();
        // Not with OwnedFd::try_clone, which never returns a number below 3.
        let copy = nix::unistd::dup(&end)?;
        assert_eq!(usize::try_from(copy.as_raw_fd()), Ok(number));
        low[which] = Some(copy);
    }
    let [Some(stdin), Some(stdout), Some(stderr)] = low else { unreachable!() };
    let mut spawner = Spawner::new()?;
    let program = Program {
        path: c"/bin/sh".into(),
        argv: [c"sh", c"-c", c"cat; echo out; echo err >&2; exit 7"].map(Into::into).into(),
        env: vec![c"PATH=/usr/bin:/bin".into()],
    };
    let request = Request {
        program: &program,
        stdio: Stdio { stdin, stdout, stderr },
        working_dir: None,
        credentials: None,
        umask: 0o022,
        cgroup: None,
        isolation: Isolation::NONE,
    };
    let child = spawner.spawn(request).map_err(io::Error::other)?;
    let mut input = File::from(in_write);
    input.write_all(b"in ")?;
    drop(input);
    let text = format!("{}|{}", all_of(out_read)?, all_of(err_read)?);
    poll(&mut [PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16))?;
    let status = pidfd::reap(child.pidfd.as_fd())?.map(|exit| exit.status);
    if status != Some(Wait::Code(7)) {
        return Err(io::Error::other(format!("{status:?}")));
    }
    Ok(text)
}

/// Up to the end, which must come within 30 s of the last output.
fn all_of(pipe: OwnedFd) -> io::Result<String> {
    let (mut pipe, mut text, mut buffer) = (File::from(pipe), Vec::new(), [0; 100]);
    loop {
        if poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match pipe.read(&mut buffer)? {
            0 => return String::from_utf8(text).map_err(io::Error::other),
            n => text.extend_from_slice(&buffer[..n]),
        }
    }
}

fn main() {
    const AGAIN: &str = "SIGCHLD_IS_IGNORED";
    if std::env::var_os(AGAIN).is_none() {
        let mut again = Command::new("/usr/bin/env");
        again.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap()).env(AGAIN, "1");
        panic!("{}", again.exec());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    assert_ne!(ignored & (1 << (libc::SIGCHLD - 1)), 0, "or this shows nothing");

    let saved = [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()]
        .map(|fd| fd.try_clone_to_owned().unwrap());
    for own in 0..3 {
        close(own).unwrap();
    }
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let results = orders.map(|order| (order, run(order)));
    dup2_stdin(&saved[0]).unwrap();
    dup2_stdout(&saved[1]).unwrap();
    dup2_stderr(&saved[2]).unwrap();
    for (order, result) in results {
        assert_eq!(result.unwrap(), "in out\n|err\n", "{order:?}");
    }
}
