//! Finding our own cgroup v2 directory, and whether it was delegated.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Set to 1 by systemd on what it delegates. The first is readable for CAP_SYS_ADMIN only; the second exists since
/// systemd 251 on Linux 5.7, and serves unprivileged daemons.
const MARKS: [&CStr; 2] = [c"trusted.delegate", c"user.delegate"];

/// Where we are in relation to what was delegated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the delegated group itself.
    Base,
    /// One below it.
    Subgroup,
    /// Nowhere near.
    Elsewhere,
}

/// `declared`: somebody who knows says that our cgroup was delegated. systemd's user manager sets no mark at all
/// (systemd 252), so that a unit of its has to say it.
pub(super) fn place(own: &Path, declared: bool) -> Place {
    if declared {
        let moved = own.file_name().is_some_and(|name| name == super::SUPERVISOR);
        return if moved { Place::Subgroup } else { Place::Base };
    }
    if is_delegated(own) {
        Place::Base
    } else if own.parent().is_some_and(is_delegated) {
        Place::Subgroup
    } else {
        Place::Elsewhere
    }
}

fn is_delegated(dir: &Path) -> bool {
    let Ok(dir) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    MARKS.iter().any(|mark| {
        let mut value = [0_u8; 8];
        // JUSTIFICATION: neither std nor nix reads extended attributes.
        // SAFETY: both strings end with NUL, and the buffer has the length that is given.
        let got =
            unsafe { libc::getxattr(dir.as_ptr(), mark.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        usize::try_from(got).ok().and_then(|n| value.get(..n)) == Some(b"1")
    })
}

/// The directory of our cgroup v2, from the texts of /proc/self/cgroup and /proc/self/mountinfo. With v1 beside it
/// (hybrid) it is the one of the `0::` line all the same.
pub(super) fn own_directory(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    // What was removed under our feet cannot be used.
    if own.ends_with(" (deleted)") {
        return None;
    }
    // The last mount over the same place hides the earlier ones.
    mountinfo.lines().rev().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        // A part of the tree may be mounted (a container): then paths below it are relative to that part.
        let below = Path::new(own).strip_prefix(root).ok()?;
        let below = below.strip_prefix("/").unwrap_or(below);
        let dir = if below.as_os_str().is_empty() { point } else { point.join(below) };
        // `/..` means a group outside of our cgroup namespace, which we cannot name.
        (!own.contains("/..")).then_some(dir)
    })
}

/// proc(5): blank, tab, newline and backslash are written as `\040` and so on.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "24 1 0:21 / /proc rw - proc proc rw\n\
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn dir(cgroup: &str, mounts: &str) -> Option<String> {
        own_directory(cgroup, mounts).map(|dir| dir.to_str().unwrap().into())
    }

    #[test]
    fn unified() {
        let own = "0::/system.slice/dd-procmgrd.service\n";
        assert_eq!(dir(own, UNIFIED).unwrap(), "/sys/fs/cgroup/system.slice/dd-procmgrd.service");
        assert_eq!(dir("0::/\n", UNIFIED).unwrap(), "/sys/fs/cgroup");
    }

    #[test]
    fn hybrid_has_it_beside_the_old_ones() {
        let own = "9:name=systemd:/x\n1:cpu:/\n0::/system.slice/d.service\n";
        let mounts = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(dir(own, mounts).unwrap(), "/sys/fs/cgroup/unified/system.slice/d.service");
    }

    #[test]
    fn a_mounted_part_and_blanks_in_its_place() {
        let mounts = "41 31 0:38 /docker/ab /a\\040b\\134 rw - cgroup2 cgroup2 rw\n";
        assert_eq!(dir("0::/docker/ab/init\n", mounts).unwrap(), "/a b\\/init");
        assert_eq!(dir("0::/docker/ab\n", mounts).unwrap(), "/a b\\");
        assert_eq!(dir("0::/docker/abc\n", mounts), None);
    }

    #[test]
    fn none() {
        assert_eq!(dir("1:cpu:/\n", UNIFIED), None);
        assert_eq!(dir("0::/\n", "24 1 0:21 / /proc rw - proc proc rw\n"), None);
        assert_eq!(dir("0::/gone (deleted)\n", UNIFIED), None);
        assert_eq!(dir("0::/../sibling\n", UNIFIED), None);
    }

    #[test]
    fn an_ordinary_directory_is_not_delegated() {
        assert_eq!(place(Path::new("/proc/self"), false), Place::Elsewhere);
        assert_eq!(place(Path::new("/does/not/exist"), false), Place::Elsewhere);
    }

    #[test]
    fn what_was_declared_needs_no_mark() {
        assert_eq!(place(Path::new("/cg/d.service"), true), Place::Base);
        assert_eq!(place(Path::new("/cg/d.service/supervisor"), true), Place::Subgroup);
    }
}
