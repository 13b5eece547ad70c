//! The three descriptors that a child starts with, and the ends that stay here.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::{Output, OutputSpec, ProcessName, Stream};
use nix::errno::Errno;
use nix::unistd::{Uid, fchown, geteuid};

use crate::place;
use sys::pipe::pipe_for_output;
use sys::pty::{MULTIPLEXER, pty_for_output};

/// A stream of a child could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {source}")]
pub struct OutputError {
    /// The file, or what else was being opened.
    pub subject: String,
    /// The system's answer.
    pub source: io::Error,
    /// What an operator can do about it; may be empty.
    pub hint: String,
}

/// What a child starts with.
#[derive(Debug)]
pub struct ChildEnds {
    /// /dev/null.
    pub stdin: OwnedFd,
    /// The writing end of a pipe, a terminal, or what the definition names.
    pub stdout: OwnedFd,
    /// The writing end of a pipe, or what the definition names.
    pub stderr: OwnedFd,
    /// What has to be handed to [`LogPipe::attach`](crate::LogPipe::attach) once the child runs.
    pub captured: Captured,
}

/// The reading ends of the captured streams.
#[derive(Debug, Default)]
pub struct Captured {
    /// Reading end of standard output's pipe or terminal, non-blocking; `None` = not captured.
    pub stdout: Option<OwnedFd>,
    /// Reading end of standard error's pipe, non-blocking; `None` = not captured.
    pub stderr: Option<OwnedFd>,
    /// Whether `stdout` is a terminal's.
    pub(crate) terminal: bool,
}

/// Where captured lines of a stream are kept; `None` when the stream is not captured.
pub(crate) fn log_path(dir: &Path, name: &ProcessName, output: &Output) -> Option<PathBuf> {
    match output {
        Output::Capture => Some(dir.join(format!("{name}.log"))),
        Output::File(path) => Some(path.clone()),
        Output::Null | Output::Inherit | Output::Direct(_) => None,
    }
}

impl ChildEnds {
    /// Opens everything. The log file is checked as well, so that a path that can't be written to is told before the child
    /// runs and not found out at its first line. It is made and kept open from that line on: many a process never prints
    /// one.
    pub(crate) fn open(dir: &Path, name: &ProcessName, output: &OutputSpec) -> Result<Self, OutputError> {
        let mut captured = Captured::default();
        if output.log.file {
            let mut checked: Option<PathBuf> = None;
            for path in Stream::ALL.iter().filter_map(|s| log_path(dir, name, output.of(*s))) {
                if checked.as_ref() != Some(&path) {
                    place::check_log(&path, dir).map_err(|e| at_path(&path, dir, e))?;
                    checked = Some(path);
                }
            }
        }
        let null = || File::options().read(true).write(true).open("/dev/null");
        let one = |stream: Stream, reader: &mut Option<OwnedFd>| match output.of(stream) {
            Output::Capture | Output::File(_) if output.pty && stream == Stream::Stdout => {
                let (master, slave) = pty_for_output().map_err(no_terminal)?;
                *reader = Some(master);
                Ok(slave)
            }
            Output::Capture | Output::File(_) => {
                let (read, write) = pipe_for_output().map_err(|e| plain("a pipe", e))?;
                *reader = Some(read);
                Ok(write)
            }
            Output::Null => null().map(OwnedFd::from).map_err(|e| plain("/dev/null", e)),
            Output::Inherit => own(stream).map_err(|e| plain("the daemon's own output", e)),
            Output::Direct(path) => {
                place::open_direct(path, dir).map(OwnedFd::from).map_err(|e| at_path(path, dir, e))
            }
        };
        captured.terminal = output.pty && output.stdout.is_captured();
        Ok(Self {
            stdout: one(Stream::Stdout, &mut captured.stdout)?,
            stderr: one(Stream::Stderr, &mut captured.stderr)?,
            stdin: null().map_err(|e| plain("/dev/null", e))?.into(),
            captured,
        })
    }

    /// Whether standard output is a terminal.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.captured.terminal
    }

    /// Makes the terminal this user's, who could else write to it but not open it anew: `/dev/stdout`, and programs
    /// that open their terminal by its name (ttyname(3)), would find it forbidden. Does nothing without a terminal.
    ///
    /// # Errors
    /// EPERM without CAP_CHOWN: the terminal stays the daemon's and can still be written to.
    pub fn give_terminal(&self, uid: u32) -> io::Result<()> {
        if self.has_terminal() { Ok(fchown(&self.stdout, Some(Uid::from_raw(uid)), None)?) } else { Ok(()) }
    }
}

fn own(stream: Stream) -> io::Result<OwnedFd> {
    match stream {
        Stream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
        Stream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
    }
}

fn at_path(path: &Path, dir: &Path, source: io::Error) -> OutputError {
    OutputError { subject: path.display().to_string(), hint: place::hint(path, dir, &source), source }
}

fn plain(subject: &str, source: io::Error) -> OutputError {
    OutputError {
        subject: subject.to_owned(),
        hint: place::hint(Path::new(subject), Path::new("/"), &source),
        source,
    }
}

fn no_terminal(source: io::Error) -> OutputError {
    let hint = match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ENOTTY) => {
            "no pseudo-terminals here: mount devpts on /dev/pts, or take out pty: true".to_owned()
        }
        Some(Errno::ENOSPC | Errno::EAGAIN) => {
            "every pseudo-terminal is in use: raise kernel.pty.max, or max= where /dev/pts is mounted"
                .to_owned()
        }
        Some(Errno::EACCES | Errno::EPERM) => format!(
            "uid {} (the daemon's) may not open it; where its unit sets DevicePolicy=, add DeviceAllow=/dev/ptmx rw \
             and DeviceAllow=char-pts rw",
            geteuid()
        ),
        _ => place::hint(Path::new(MULTIPLEXER), Path::new("/"), &source),
    };
    OutputError { subject: MULTIPLEXER.to_owned(), hint, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_cannot_be_had_is_told_with_a_way_out() {
        let hint = |errno: Errno| {
            let error = no_terminal(errno.into());
            assert_eq!(error.subject, "/dev/ptmx");
            error.hint
        };
        for (errno, part) in [
            (Errno::ENOENT, "mount devpts"),
            (Errno::ENODEV, "mount devpts"),
            (Errno::ENOTTY, "mount devpts"),
            (Errno::ENOSPC, "kernel.pty.max"),
            (Errno::EPERM, "DeviceAllow=char-pts"),
            (Errno::EMFILE, "LimitNOFILE="),
        ] {
            assert!(hint(errno).contains(part), "{errno}: {}", hint(errno));
        }
    }
}
