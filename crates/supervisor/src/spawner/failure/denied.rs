//! Why execve(2) refuses a file that is there: found out by looking at it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::hint::A_DIRECTORY;

/// The file is there, and exec says that something is not: what its first line, or its program header, asks for.
pub(super) fn interpreter(path: &Path) -> String {
    let mut head = [0; 256];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let head = &head[..read];
    if head.starts_with(b"\x7fELF") {
        return "its dynamic loader is missing: it was built for another C library or architecture".into();
    }
    let Some(line) = head.strip_prefix(b"#!").and_then(|rest| rest.split(|b| *b == b'\n').next()) else {
        return "what it needs to run does not exist: its interpreter or its dynamic loader".into();
    };
    let crlf = line.ends_with(b"\r");
    let name = line.split(|b| matches!(b, b' ' | b'\t' | b'\r')).find(|word| !word.is_empty());
    let name = PathBuf::from(OsString::from_vec(name.unwrap_or_default().to_vec()));
    if crlf && name.exists() {
        return "its #! line ends with a carriage return: save it with Unix line ends".into();
    }
    format!("its interpreter {} does not exist: install it or fix the #! line", name.display())
}

/// Why `who` may not execute it.
pub(super) fn execute(path: &Path, who: &str) -> String {
    let Ok(meta) = path.metadata() else {
        return format!("{who} may not enter one of its directories");
    };
    if meta.is_dir() {
        return A_DIRECTORY.into();
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return format!("chmod +x {}", path.display());
    }
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC)) {
        return "its file system is mounted noexec".into();
    }
    format!("{who} may not execute it, its interpreter or enter one of its directories")
}
