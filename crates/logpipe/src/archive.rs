//! Rotated files: their names, which of them exist, and which go.
//!
//! `web.log` becomes `web.log.20261120T183730.123456Z`: UTC with microseconds, so that sorting by name is sorting by
//! time, and a new name is always greater than every existing one, even when the clock was set back. Beside it:
//!
//! - `web.log.20261120T183730.123456Z.gz`: the same, compressed. While both are there the plain one counts.
//! - `.web.log.20261120T183730.123456Z.idx`: its [`index`], which goes with it.
//! - `.web.log.20261120T183730.123456Z.gz.tmp`: one that is being compressed, or was when the daemon crashed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Compression, Wall};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::stat::fstatat;

use crate::index;
use crate::place;
use crate::release::Releaser;
use crate::store::Limits;

const STAMP: &[u8] = b"ddddddddTdddddd.ddddddZ";
const COMPRESSED: &str = ".gz";
const DRAFT: &str = ".gz.tmp";

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

/// The name of an archive once it is compressed.
pub(crate) fn compressed_name(archive: &OsStr) -> OsString {
    [archive, OsStr::new(COMPRESSED)].into_iter().collect()
}

/// The name that it has until it is whole.
pub(crate) fn draft_name(archive: &OsStr) -> OsString {
    [OsStr::new("."), archive, OsStr::new(DRAFT)].into_iter().collect()
}

/// One rotated file.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    /// Its name, without `.gz`.
    pub(crate) name: OsString,
    /// It is there as it was written.
    pub(crate) plain: bool,
}

impl Archive {
    /// The name of the file that counts.
    fn file_name(&self) -> OsString {
        if self.plain { self.name.clone() } else { compressed_name(&self.name) }
    }

    fn size(&self, dir: &OwnedFd) -> u64 {
        let size = fstatat(dir, &*self.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW).map_or(0, |s| s.st_size);
        u64::try_from(size).unwrap_or(0)
    }

    /// With everything that belongs to it.
    fn delete(&self, dir: &OwnedFd) -> io::Result<()> {
        // The plain one first: whoever is compressing it looks for it last (`compress`).
        place::remove(dir, &self.name)?;
        place::remove(dir, &compressed_name(&self.name))?;
        place::remove(dir, &index::name_of(&self.name))
    }
}

/// What lies beside a log file.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Oldest first.
    pub(crate) archives: Vec<Archive>,
    /// Names of what is being compressed, or was when the daemon crashed.
    pub(crate) drafts: Vec<OsString>,
}

/// Looks through the directory of `path`.
pub(crate) fn find(path: &Path) -> io::Result<Found> {
    let (dir, name) = place::split(path)?;
    let mut archives: BTreeMap<Vec<u8>, Archive> = BTreeMap::new();
    let mut drafts = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file = entry?.file_name();
        let stamp_of = |hidden: &[u8], suffix: &str| {
            let rest = file.as_bytes().strip_prefix(hidden)?.strip_prefix(name.as_bytes())?;
            let stamp = rest.strip_prefix(b".")?.strip_suffix(suffix.as_bytes())?;
            is_stamp(stamp).then(|| stamp.to_owned())
        };
        if let Some(stamp) = stamp_of(b"", "") {
            archives.insert(stamp, Archive { name: file, plain: true });
        } else if let Some(stamp) = stamp_of(b"", COMPRESSED) {
            let plain = with_stamp(name, OsStr::from_bytes(&stamp));
            archives.entry(stamp).or_insert(Archive { name: plain, plain: false });
        } else if stamp_of(b".", DRAFT).is_some() {
            drafts.push(file);
        }
    }
    Ok(Found { archives: archives.into_values().collect(), drafts })
}

/// The rotated files of `path`, oldest first; each once, with `.gz` where only that is there.
pub(crate) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let dir = place::split(path)?.0;
    Ok(find(path)?.archives.iter().map(|a| dir.join(a.file_name())).collect())
}

/// Gives the current file its archive name, and its index too.
pub(crate) fn rotate(path: &Path, base: &Path) -> io::Result<()> {
    let newest = find(path)?.archives.pop();
    let (dir, name) = place::split(path)?;
    let dir = place::open_dir(dir, base)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut archive = with_stamp(name, OsStr::new(&stamp(now)));
    // A clock that was set back, or two rotations within a microsecond: go on from the newest name there is.
    if let Some(newest) = newest.filter(|newest| newest.name >= archive) {
        archive = with_stamp(name, OsStr::new(&after(&newest.name)));
    }
    if exists(&dir, &archive) {
        return Err(Errno::EEXIST.into());
    }
    renameat(&dir, name, &dir, archive.as_os_str())?;
    let old = index::name_of(name);
    if let Err(e) = renameat(&dir, old.as_os_str(), &dir, index::name_of(&archive).as_os_str())
        && e != Errno::ENOENT
    {
        // It stays behind under the name of the next file's index, which replaces it.
        tracing::warn!(path = %path.display(), error = %e, "an archive is left without its index");
    }
    Ok(())
}

/// Deletes the oldest rotated files until the others are within the limits.
pub(crate) fn prune(path: &Path, base: &Path, limits: &Limits) -> io::Result<()> {
    let found = find(path)?;
    let dir = place::open_dir(place::split(path)?.0, base)?;
    let archives = found.archives;
    let mut excess = archives.len().saturating_sub(usize::try_from(limits.max_files).unwrap_or(usize::MAX));
    if limits.max_total_size > 0 {
        let mut total = 0u64;
        let too_much = archives.iter().rposition(|archive| {
            total = total.saturating_add(archive.size(&dir));
            total > limits.max_total_size
        });
        excess = excess.max(too_much.map_or(0, |i| i + 1));
    }
    // One that can't be deleted doesn't keep the others.
    let mut result = Ok(());
    let mut releaser = Releaser::default();
    for old in &archives[..excess] {
        releaser.hold(&dir, &old.file_name());
        result = result.and(old.delete(&dir));
    }
    if limits.compress == Compression::None {
        // Else the compressing thread, which knows which one is its own, takes care of them.
        for draft in &found.drafts {
            result = result.and(place::remove(&dir, draft));
        }
    }
    result
}

/// Deletes the oldest rotated file that can be deleted, to make room; `None` = there is none.
pub(crate) fn free_oldest(path: &Path, base: &Path) -> io::Result<Option<OsString>> {
    let dir = place::open_dir(place::split(path)?.0, base)?;
    let mut result = Ok(None);
    for archive in find(path)?.archives {
        match archive.delete(&dir) {
            Ok(()) => return Ok(Some(archive.file_name())),
            Err(e) => result = Err(e),
        }
    }
    result
}

fn with_stamp(name: &OsStr, stamp: &OsStr) -> OsString {
    [name, OsStr::new("."), stamp].into_iter().collect()
}

fn exists(dir: &OwnedFd, name: &OsStr) -> bool {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
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
    use model::LogSpec;

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
        prune(&path, dir.path(), &keeping(1, 0)).unwrap();
        assert_eq!(list(&path).unwrap(), all[2..]);
        assert!(dir.path().join("web.log.1").exists());
    }

    fn keeping(max_files: u32, max_total_size: u64) -> Limits {
        Limits::from(&LogSpec { max_files, max_total_size, ..LogSpec::default() })
    }

    /// Files of these names and sizes.
    fn directory(files: &[(&str, usize)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for (name, size) in files {
            std::fs::write(dir.path().join(name), vec![b'x'; *size]).unwrap();
        }
        let path = dir.path().join("web.log");
        (dir, path)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    const DAY: [&str; 4] = [
        "web.log.20260101T000000.000000Z",
        "web.log.20260102T000000.000000Z",
        "web.log.20260103T000000.000000Z",
        "web.log.20260104T000000.000000Z",
    ];

    #[test]
    fn an_archive_is_listed_once_and_compressed_only_when_nothing_else_is_there() {
        let gz = |i: usize| format!("{}.gz", DAY[i]);
        let (_dir, path) = directory(&[(&gz(1), 1), (DAY[0], 1), (&gz(0), 1), (DAY[2], 1), (&gz(3), 1)]);
        let listed: Vec<_> = list(&path)
            .unwrap()
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(listed, [DAY[0].to_owned(), gz(1), DAY[2].to_owned(), gz(3)]);
        assert_eq!(list(&path.with_file_name("other.log")).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_oldest_go_until_the_others_fit() {
        let gz = format!("{}.gz", DAY[1]);
        let index = format!(".{}.idx", DAY[0]);
        let all = [(DAY[0], 100), (&*index, 500), (&*gz, 10), (DAY[2], 100), (DAY[3], 100)];
        for (keep, total, left) in
            [(9, 0, 4), (9, 310, 4), (9, 309, 3), (9, 209, 2), (1, 309, 1), (9, 100, 1), (9, 99, 0)]
        {
            let (dir, path) = directory(&all);
            prune(&path, dir.path(), &keeping(keep, total)).unwrap();
            assert_eq!(list(&path).unwrap().len(), left, "{keep} {total}");
            assert_eq!(names(dir.path()).contains(&index), left == 4, "{keep} {total}");
        }
    }

    #[test]
    fn one_archive_goes_with_all_that_belongs_to_it() {
        let beside = [format!(".{}.idx", DAY[0]), format!("{}.gz", DAY[0]), format!(".{}.idx", DAY[1])];
        let (dir, path) =
            directory(&[(&*beside[0], 9), (&beside[1], 9), (DAY[0], 9), (DAY[1], 9), (&beside[2], 9)]);
        assert_eq!(free_oldest(&path, dir.path()).unwrap(), Some(DAY[0].into()));
        assert_eq!(names(dir.path()), [beside[2].as_str(), DAY[1]]);
        assert!(free_oldest(&path, dir.path()).unwrap().is_some());
        assert_eq!(free_oldest(&path, dir.path()).unwrap(), None);
    }

    #[test]
    fn one_that_cannot_be_deleted_does_not_keep_the_others() {
        let (dir, path) = directory(&[(DAY[1], 9), (DAY[2], 9), (DAY[3], 9)]);
        std::fs::create_dir(dir.path().join(DAY[0])).unwrap();
        prune(&path, dir.path(), &keeping(2, 0)).unwrap_err();
        assert_eq!(names(dir.path()), [DAY[0], DAY[2], DAY[3]]);
        assert_eq!(free_oldest(&path, dir.path()).unwrap(), Some(DAY[2].into()));
        free_oldest(&path, dir.path()).unwrap();
        free_oldest(&path, dir.path()).unwrap_err();
    }

    #[test]
    fn drafts_go_at_once_where_nothing_is_compressed_any_more() {
        let draft = format!(".{}.gz.tmp", DAY[0]);
        let (dir, path) = directory(&[(&draft, 9), (".web.log.gz.tmp", 9), (DAY[0], 9)]);
        let gzip = Limits { compress: Compression::Gzip, ..keeping(5, 0) };
        prune(&path, dir.path(), &gzip).unwrap();
        assert_eq!(names(dir.path()).len(), 3);
        prune(&path, dir.path(), &keeping(5, 0)).unwrap();
        assert_eq!(names(dir.path()), [".web.log.gz.tmp", DAY[0]]);
    }

    #[test]
    fn the_index_is_renamed_along() {
        let (dir, path) = directory(&[("web.log", 9), (".web.log.idx", 9)]);
        rotate(&path, dir.path()).unwrap();
        let archive = list(&path).unwrap().pop().unwrap();
        let index = index::name_of(archive.file_name().unwrap()).into_string().unwrap();
        assert_eq!(names(dir.path()), [index, archive.file_name().unwrap().to_str().unwrap().to_owned()]);
    }
}
