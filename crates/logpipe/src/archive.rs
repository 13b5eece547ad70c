//! Rotated files: their names, which of them exist, and which go.
//!
//! `web.log` becomes `web.log.20261120T183730.123456Z`: UTC with microseconds, so that sorting by name is sorting by
//! time, and a new name is always greater than every existing one, even when the clock was set back.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Wall;
use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::place;

const STAMP: &[u8] = b"ddddddddTdddddd.ddddddZ";

fn is_stamp(text: &[u8]) -> bool {
    text.len() == STAMP.len()
        && text.iter().zip(STAMP).all(|(c, p)| if *p == b'd' { c.is_ascii_digit() } else { c == p })
}

fn stamp(at: Duration) -> String {
    let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let text: String = Wall(nanos).to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let seconds = text.split('.').next().unwrap_or_default();
    format!("{seconds}.{:06}Z", at.subsec_micros())
}

/// The rotated files of `path`, oldest first. One that is being compressed counts as it was; one that was, ends in `.gz`.
pub(crate) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (dir, name) = place::split(path)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file = entry?.file_name();
        let rest = file.as_bytes().strip_prefix(name.as_bytes()).and_then(|r| r.strip_prefix(b"."));
        if rest.is_some_and(|rest| is_stamp(rest.strip_suffix(b".gz").unwrap_or(rest))) {
            found.push(dir.join(file));
        }
    }
    found.sort();
    found.dedup_by(|later, kept| later.with_extension("") == *kept);
    Ok(found)
}

/// Gives the current file its archive name.
pub(crate) fn rotate(path: &Path, base: &Path) -> io::Result<()> {
    let (dir, name) = place::split(path)?;
    let newest = list(path)?.pop();
    let newest = newest
        .map(|path| if path.extension().is_some_and(|e| e == "gz") { path.with_extension("") } else { path });
    let dir = place::open_dir(dir, base)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // A clock that was set back, or two rotations within a microsecond: go on from the newest name there is.
    let stamp = stamp(now);
    let archive = match newest.as_deref().and_then(Path::file_name) {
        Some(newest) if *newest >= *with_stamp(name, &stamp) => with_stamp(name, &after(newest)),
        _ => with_stamp(name, &stamp),
    };
    if exists(&dir, &archive) {
        return Err(Errno::EEXIST.into());
    }
    renameat(&dir, name, &dir, archive.as_os_str())?;
    Ok(())
}

/// Deletes the oldest rotated files beyond `keep`.
pub(crate) fn prune(path: &Path, base: &Path, keep: u32) -> io::Result<()> {
    let archives = list(path)?;
    let excess = archives.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    if excess == 0 {
        return Ok(());
    }
    let dir = place::open_dir(place::split(path)?.0, base)?;
    for old in &archives[..excess] {
        match unlinkat(&dir, place::split(old)?.1, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn with_stamp(name: &OsStr, stamp: &str) -> OsString {
    let mut archive = name.to_owned();
    archive.push(".");
    archive.push(stamp);
    archive
}

fn exists(dir: &OwnedFd, name: &OsStr) -> bool {
    fstatat(dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// The stamp that follows the one of this archive: its digits as one number, plus one.
fn after(archive: &OsStr) -> String {
    let name = archive.as_bytes();
    let mut stamp = name[name.len().saturating_sub(STAMP.len())..].to_vec();
    for digit in stamp.iter_mut().rev().filter(|c| c.is_ascii_digit()) {
        if *digit < b'9' {
            *digit += 1;
            break;
        }
        *digit = b'0';
    }
    String::from_utf8_lossy(&stamp).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_and_are_told_from_other_names() {
        let at = Duration::from_nanos(1_795_199_850_123_456_789);
        assert_eq!(stamp(at), "20261120T183730.123456Z");
        assert_eq!(after(OsStr::new("web.log.20261120T183730.123456Z")), "20261120T183730.123457Z");
        assert_eq!(after(OsStr::new("web.log.20261120T183759.999999Z")), "20261120T183760.000000Z");
        assert!(is_stamp(b"20261120T183730.123456Z"));
        for bad in
            ["20261120T183730.12345Z", "20261120X183730.123456Z", "1", "", "20261120T183730.123456Z.gz"]
        {
            assert!(!is_stamp(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_new_name_is_greater_than_all_even_after_the_clock_was_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.log");
        let future = dir.path().join("web.log.99990101T000000.000000Z");
        std::fs::write(&future, "old").unwrap();
        for other in ["web.log.1", "web.log.20260101T000000.000000Z.xz", "webb.log.20260101T000000.000000Z"] {
            std::fs::write(dir.path().join(other), "").unwrap();
        }
        for text in ["a", "b"] {
            std::fs::write(&path, text).unwrap();
            rotate(&path, dir.path()).unwrap();
        }
        let all = list(&path).unwrap();
        let texts: Vec<_> = all.iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
        assert_eq!(texts, ["old", "a", "b"]);
        prune(&path, dir.path(), 1).unwrap();
        assert_eq!(list(&path).unwrap(), all[2..]);
        assert!(dir.path().join("web.log.1").exists());
    }
}
