//! `environment_file`: variables from files, read again at each start.
//!
//! The files are read with the daemon's own rights and not with the process's, as systemd does: they are the place for
//! what an administrator gives to a process without letting its user change it, or other processes of that user read
//! it. So nobody but an administrator may be able to write the file or its directory: a symbolic link in there is
//! followed with the daemon's rights.
//!
//! No message repeats anything of a file but the number of a line: it may be a secret, and its name may be a part of
//! one.

mod parse;

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use model::EnvironmentFile;
use nix::fcntl::OFlag;

pub(super) use parse::BadLine;

/// Largest file. A larger one is refused: the kernel takes no environment of that size, and whoever gives the path of a
/// log or of an image must not make the daemon read it into memory.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Why a file gives no variables.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The system says no.
    Unreadable(io::Error),
    /// It is something else than a regular file; what, in words.
    NotAFile(&'static str),
    /// It is larger than [`MAX_BYTES`].
    TooLarge,
    /// A line is not as it should be.
    BadLine(BadLine),
}

/// The variables of all files in order, so that a later one wins; or the file that is in the way, and why.
pub(super) fn read_all(files: &[EnvironmentFile]) -> Result<Vec<(String, String)>, (&Path, Trouble)> {
    let mut variables = Vec::new();
    for file in files {
        match read(&file.path).and_then(|text| parse::parse(&text).map_err(Trouble::BadLine)) {
            Ok(found) => variables.extend(found),
            // Only this: one that is there and can't be read is not what the `-` is for.
            Err(Trouble::Unreadable(error)) if file.optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(trouble) => return Err((&file.path, trouble)),
        }
    }
    Ok(variables)
}

/// Waits for nothing but the disk: neither for the writer of a fifo nor for a terminal.
fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    // Before it is opened, as opening alone does something to some devices (a tape, a watchdog).
    regular(path.metadata().map_err(Trouble::Unreadable)?.file_type())?;
    let file = open(path).map_err(Trouble::Unreadable)?;
    let meta = file.metadata().map_err(Trouble::Unreadable)?;
    // Again, as the path may lead elsewhere by now.
    regular(meta.file_type())?;
    if meta.len() > MAX_BYTES {
        return Err(Trouble::TooLarge);
    }
    let mut text = Vec::new();
    // It may grow meanwhile, and those of /proc say that they are empty.
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(Trouble::Unreadable)?;
    if text.len() as u64 > MAX_BYTES { Err(Trouble::TooLarge) } else { Ok(text) }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn regular(kind: FileType) -> Result<(), Trouble> {
    match kind {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(Trouble::NotAFile("it is a directory")),
        kind if kind.is_fifo() => Err(Trouble::NotAFile("it is a fifo")),
        kind if kind.is_socket() => Err(Trouble::NotAFile("it is a socket")),
        _ => Err(Trouble::NotAFile("it is a device")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    fn file(path: &Path, optional: bool) -> EnvironmentFile {
        EnvironmentFile { path: path.to_owned(), optional }
    }

    /// What is wrong with a file, `-` before it or not.
    fn trouble(path: &Path) -> String {
        let mut said = [false, true].map(|optional| {
            let files = [file(path, optional)];
            let (named, trouble) = read_all(&files).unwrap_err();
            assert_eq!(named, path);
            match trouble {
                Trouble::Unreadable(error) => error.kind().to_string(),
                Trouble::NotAFile(what) => what.to_owned(),
                Trouble::TooLarge => "too large".to_owned(),
                Trouble::BadLine(bad) => format!("{}: {}", bad.line, bad.message),
            }
        });
        assert_eq!(said[0], said[1], "`-` is for a missing file only");
        std::mem::take(&mut said[0])
    }

    #[test]
    fn later_files_come_later_and_a_missing_one_may_be_optional() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "A=1\nB=1\n").unwrap();
        fs::write(path("b"), "B=2\nB=3\n").unwrap();
        symlink("gone", path("dangling")).unwrap();
        let files = [file(&path("a"), false), file(&path("none"), true), file(&path("b"), true)];
        let names: Vec<_> = read_all(&files).unwrap().into_iter().map(|(k, v)| format!("{k}{v}")).collect();
        assert_eq!(names, ["A1", "B1", "B2", "B3"]);
        for missing in ["none", "dangling"] {
            assert_eq!(read_all(&[file(&path(missing), true)]).unwrap(), []);
            let files = [file(&path("a"), false), file(&path(missing), false)];
            let (named, trouble) = read_all(&files).unwrap_err();
            assert_eq!(named, path(missing));
            assert!(
                matches!(&trouble, Trouble::Unreadable(e) if e.kind() == io::ErrorKind::NotFound),
                "{trouble:?}"
            );
        }
    }

    #[test]
    fn only_a_regular_file_is_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        symlink("fifo", path("link")).unwrap();
        symlink("circle", path("circle")).unwrap();
        fs::write(path("file"), "").unwrap();
        assert_eq!(trouble(dir.path()), "it is a directory");
        assert_eq!(trouble(&path("fifo")), "it is a fifo");
        assert_eq!(trouble(&path("link")), "it is a fifo");
        assert_eq!(trouble(&path("socket")), "it is a socket");
        for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
            assert_eq!(trouble(Path::new(device)), "it is a device");
        }
        // Should it become one between the two looks: opening it waits for no writer.
        assert!(regular(open(&path("fifo")).unwrap().metadata().unwrap().file_type()).is_err());
        assert_eq!(trouble(&path("circle")), io::Error::from_raw_os_error(40).kind().to_string());
        assert_eq!(trouble(&path("file/x")), "not a directory");
    }

    #[test]
    fn a_file_of_one_mebibyte_is_read_and_one_byte_more_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        let mut text = "A=1\n".to_owned();
        text.push_str(&"#".repeat(usize::try_from(MAX_BYTES).unwrap() - text.len()));
        fs::write(&path, &text).unwrap();
        assert_eq!(read_all(&[file(&path, false)]).unwrap(), [("A".to_owned(), "1".to_owned())]);
        text.push('#');
        fs::write(&path, &text).unwrap();
        assert_eq!(trouble(&path), "too large");
        // A hole of a tebibyte takes no memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(trouble(&path), "too large");
    }

    #[test]
    fn a_file_without_a_size_is_read_to_its_end() {
        let path = PathBuf::from("/proc/self/limits");
        assert_eq!(path.metadata().unwrap().len(), 0);
        assert!(trouble(&path).starts_with("1: "), "it has text, and that is no list of variables");
        assert_eq!(trouble(Path::new("/proc/self/cmdline")), "1: holds a NUL character");
    }
}
