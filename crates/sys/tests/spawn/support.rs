//! A spawner, a child with its output, and waiting for ends without sleeping.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::pidfd::{self, Exit};
use sys::pipe::pipe_for_output;
use sys::spawn::{Child, Credentials, Isolation, Program, Request, SpawnError, Spawner, Stdio};

/// A spawn with defaults; change what the test is about.
pub(crate) struct Command {
    pub(crate) program: Program,
    pub(crate) working_dir: Option<CString>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) umask: u32,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) isolation: Isolation,
}

/// A child and the reading end of its stdout and stderr.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) output: File,
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// An absolute path and its arguments.
pub(crate) fn command(argv: &[&str]) -> Command {
    let program = Program {
        path: c(argv[0]),
        argv: argv.iter().copied().map(c).collect(),
        env: vec![c("PATH=/usr/local/bin:/usr/bin:/bin")],
    };
    Command {
        program,
        working_dir: None,
        credentials: None,
        umask: 0o022,
        stdin: None,
        isolation: Isolation::default(),
    }
}

pub(crate) fn sh(script: &str) -> Command {
    command(&["/bin/sh", "-c", script])
}

impl Command {
    pub(crate) fn spawn(self) -> Result<Running, SpawnError> {
        self.spawn_with(&mut Spawner::new().unwrap()).1
    }

    /// The reading end comes back, too, when there is no child.
    pub(crate) fn spawn_with(self, spawner: &mut Spawner) -> (File, Result<Running, SpawnError>) {
        let (read, write) = pipe_for_output().unwrap();
        let output = File::from(read);
        let stdin = self.stdin.unwrap_or_else(|| File::open("/dev/null").unwrap().into());
        let request = Request {
            program: &self.program,
            stdio: Stdio { stdin, stdout: write.try_clone().unwrap(), stderr: write },
            working_dir: self.working_dir.as_deref(),
            credentials: self.credentials.as_ref(),
            umask: self.umask,
            cgroup: None,
            isolation: &self.isolation,
        };
        let child = spawner.spawn(request);
        let running = child.map(|child| Running { child, output: output.try_clone().unwrap() });
        (output, running)
    }

    /// Everything that it printed, and its end.
    pub(crate) fn run(self) -> (String, Exit) {
        let mut running = self.spawn().unwrap();
        (running.rest(), running.end())
    }

    pub(crate) fn failure(self) -> SpawnError {
        self.spawn().map(|r| r.child.pid).unwrap_err()
    }
}

impl Running {
    /// The output up to its end.
    pub(crate) fn rest(&mut self) -> String {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            readable(&self.output);
            match self.output.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(text).unwrap(),
                n => text.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn end(&self) -> Exit {
        readable(&self.child.pidfd);
        pidfd::reap(self.child.pidfd.as_fd()).unwrap().unwrap()
    }
}

/// Waits until there is something to read, or the process of a pidfd has ended. Fails after 30 s.
pub(crate) fn readable(fd: impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(30_000_u16)).unwrap(), 1, "nothing came within 30 s");
}

/// The value of a line of /proc/<pid>/status.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

/// A path as the working directory of a command.
pub(crate) fn path(path: &std::path::Path) -> CString {
    c(path.to_str().unwrap())
}
