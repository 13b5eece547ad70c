//! Opening a log file so that nobody but the daemon decides where its writes land.
//!
//! A process's own user may own the directory that its log lies in. Therefore: the path is walked one component at a
//! time and a symbolic link in it is followed only when root or the daemon's own user made it; the last component is
//! never a link; only a regular file is written to; and one with a second name (a hard link) only when nobody else
//! can write to the directory. Opening never waits: a FIFO is refused and not hung on.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, geteuid, unlinkat};

/// Mode of a new log file, and of what stands beside it.
pub(crate) const FILE_MODE: Mode = Mode::from_bits_truncate(0o640);
/// Mode of a new directory below the log directory.
const DIR_MODE: Mode = Mode::from_bits_truncate(0o750);
/// How a last component is opened, whatever for: no link is followed, and nothing waits or becomes our terminal.
const CAREFUL: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
/// How a log file is opened.
const TO_APPEND: OFlag = OFlag::O_WRONLY.union(OFlag::O_APPEND).union(CAREFUL);
/// How a directory on the way is opened.
const PATH_ONLY: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);
/// Symbolic links followed in one path before it is taken for a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Tells one file from another whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }

    /// The file that `path` names now, if any.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::symlink_metadata(path).ok().map(|m| Self::of(&m))
    }
}

/// Why a file was refused although the system would have opened it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("not a regular file")]
    NotRegular,
    #[error("it has {0} hard links and others can write to its directory")]
    HardLinked(u64),
    #[error("the symbolic link {link:?} in the path belongs to uid {uid}")]
    ForeignLink { link: OsString, uid: u32 },
    #[error("no file name in the path")]
    NoName,
    #[error("not an absolute path")]
    Relative,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refused)
    }
}

/// Opens `dir` for use with the *at system calls. Missing directories below `base` are made.
pub(crate) fn open_dir(dir: &Path, base: &Path) -> io::Result<OwnedFd> {
    if let Some(dir) = straight(dir, PATH_ONLY | OFlag::O_DIRECTORY) {
        return Ok(dir);
    }
    let own = geteuid().as_raw();
    walk(dir, base, |uid| uid == 0 || uid == own)
}

/// Opens what is there and has no link in its path, in one system call: nothing of it is for [`walk`] to decide. `None` =
/// there is a link, or nothing, or it can't be opened so: the long way finds out, and has the right words for it.
fn straight(path: &Path, flags: OFlag) -> Option<OwnedFd> {
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    if path.is_absolute() { openat2(AT_FDCWD, path, how).ok() } else { None }
}

fn walk(dir: &Path, base: &Path, trusted: impl Fn(u32) -> bool) -> io::Result<OwnedFd> {
    if !dir.is_absolute() {
        return Err(Refused::Relative.into());
    }
    let root = || open("/", PATH_ONLY | OFlag::O_DIRECTORY, Mode::empty());
    let may_make = dir.starts_with(base);
    let mut here = root()?;
    let mut todo: Vec<OsString> = Vec::new();
    push_components(&mut todo, dir);
    let mut links = 0;
    while let Some(name) = todo.pop() {
        let step = openat(&here, name.as_os_str(), PATH_ONLY | OFlag::O_NOFOLLOW, Mode::empty());
        let next = match step {
            Err(Errno::ENOENT) if may_make => {
                match mkdirat(&here, name.as_os_str(), DIR_MODE) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                openat(&here, name.as_os_str(), PATH_ONLY | OFlag::O_NOFOLLOW, Mode::empty())?
            }
            other => other?,
        };
        let next = File::from(next);
        let meta = next.metadata()?;
        if meta.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP.into());
            }
            if !trusted(meta.uid()) {
                return Err(Refused::ForeignLink { link: name, uid: meta.uid() }.into());
            }
            // Read through the descriptor whose owner was just checked: a link put in its place has no effect.
            let target = PathBuf::from(readlinkat(&next, "")?);
            if target.is_absolute() {
                here = root()?;
            }
            push_components(&mut todo, &target);
        } else if meta.is_dir() {
            here = next.into();
        } else {
            return Err(Errno::ENOTDIR.into());
        }
    }
    Ok(here)
}

fn push_components(todo: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let start = todo.len();
    todo.extend(parts);
    todo[start..].reverse();
}

/// Directory and file name of a log file's path.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => Ok((dir, name)),
        _ => Err(Refused::NoName.into()),
    }
}

/// Whether [`open_log`] will open `path`, as far as that can be known: what is there is opened; where nothing is, the
/// daemon may write to the directory. Directories below `base` are made; the file is not.
///
/// Making it here would be the greatest part of a start: some 30 µs of ext4, and more than all the rest together where
/// many files were deleted within the last seconds.
pub(crate) fn check_log(path: &Path, base: &Path) -> io::Result<()> {
    if open_straight(path)?.is_some() {
        return Ok(());
    }
    let (dir, name) = split(path)?;
    let dir = open_dir(dir, base)?;
    match openat(&dir, name, TO_APPEND, Mode::empty()) {
        Ok(file) => checked(&dir, file.into(), false).map(drop),
        Err(Errno::ENOENT) => {
            let rights = AccessFlags::W_OK | AccessFlags::X_OK;
            Ok(faccessat(&dir, ".", rights, AtFlags::AT_EACCESS)?)
        }
        Err(other) => Err(other.into()),
    }
}

/// A log file that is there and has no link in its path. One with a second name takes the long way.
fn open_straight(path: &Path) -> io::Result<Option<File>> {
    let Some(file) = straight(path, TO_APPEND).map(File::from) else { return Ok(None) };
    let meta = file.metadata()?;
    Ok((meta.is_file() && meta.nlink() < 2).then_some(file))
}

/// Opens `path` for appending; makes it when it is missing. Directories below `base` are made as well.
pub(crate) fn open_log(path: &Path, base: &Path) -> io::Result<File> {
    if let Some(file) = open_straight(path)? {
        return Ok(file);
    }
    let (dir, name) = split(path)?;
    let dir = open_dir(dir, base)?;
    open_in(&dir, name, false)
}

/// Opens `path` to be handed to a child. Like [`open_log`], and below /dev character devices as well.
pub(crate) fn open_direct(path: &Path, base: &Path) -> io::Result<File> {
    let (dir, name) = split(path)?;
    let file = open_in(&open_dir(dir, base)?, name, path.starts_with("/dev"))?;
    // The child shall find an ordinary blocking file; O_NONBLOCK was for the opening only.
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

/// Opens a log file to read it back, under the same rules: what can't be written to as a log isn't shown as one.
pub(crate) fn open_to_read(path: &Path, base: &Path) -> io::Result<File> {
    let (dir, name) = split(path)?;
    let file = File::from(openat(open_dir(dir, base)?, name, CAREFUL, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(Refused::NotRegular.into()) }
}

/// Opens an existing file of ours (an archive, an index) in a directory that was opened with [`open_dir`].
pub(crate) fn open_own(dir: &OwnedFd, name: &OsStr, access: OFlag) -> io::Result<File> {
    checked(dir, openat(dir, name, access | CAREFUL, Mode::empty())?.into(), false)
}

/// Makes a file that must not be there yet, for reading and appending.
pub(crate) fn create(dir: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL | CAREFUL;
    Ok(openat(dir, name, flags, mode)?.into())
}

/// Deletes a name; one that isn't there is deleted.
pub(crate) fn remove(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Whether there was no room, which deleting something helps against.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOSPC | Errno::EDQUOT))
}

fn open_in(dir: &OwnedFd, name: &OsStr, devices: bool) -> io::Result<File> {
    // Without O_CREAT first: in a sticky world-writable directory fs.protected_regular forbids opening somebody
    // else's file with O_CREAT, even to root. And with O_EXCL then, so that what is made is what is opened.
    let file = loop {
        match openat(dir, name, TO_APPEND, Mode::empty()) {
            Err(Errno::ENOENT) => {}
            other => break File::from(other?),
        }
        match openat(dir, name, TO_APPEND | OFlag::O_CREAT | OFlag::O_EXCL, FILE_MODE) {
            Err(Errno::EEXIST) => {}
            other => break File::from(other?),
        }
    };
    checked(dir, file, devices)
}

fn checked(dir: &OwnedFd, file: File, devices: bool) -> io::Result<File> {
    let meta = file.metadata()?;
    let device = std::os::unix::fs::FileTypeExt::is_char_device(&meta.file_type());
    if !(meta.is_file() || devices && device) {
        return Err(Refused::NotRegular.into());
    }
    if meta.is_file() && meta.nlink() > 1 && writable_by_others(dir)? {
        return Err(Refused::HardLinked(meta.nlink()).into());
    }
    Ok(file)
}

fn writable_by_others(dir: &OwnedFd) -> io::Result<bool> {
    let meta = File::from(dir.as_fd().try_clone_to_owned()?).metadata()?;
    let foreign_owner = meta.uid() != 0 && meta.uid() != geteuid().as_raw();
    Ok(meta.mode() & 0o022 != 0 || foreign_owner)
}

/// What an operator can do about it.
pub(crate) fn hint(path: &Path, base: &Path, error: &io::Error) -> String {
    let dir = path.parent().unwrap_or(path);
    if let Some(refused) = error.get_ref().and_then(|e| e.downcast_ref::<Refused>()) {
        return match refused {
            Refused::NotRegular => {
                "captured output goes to regular files only; use `direct:` for a device, `null` to discard"
                    .to_owned()
            }
            Refused::HardLinked(_) => format!(
                "remove the other names of the file, or choose a directory that only root can write to, for example {}",
                base.display()
            ),
            Refused::ForeignLink { .. } => {
                "links are followed only when root or the daemon's own user made them; write the real path"
                    .to_owned()
            }
            Refused::NoName | Refused::Relative => "write the whole path of a file, from /".to_owned(),
        };
    }
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => {
            format!("the directory has to exist: mkdir -p {}, or choose a path below {}", dir.display(), base.display())
        }
        Some(Errno::ELOOP) => "a symbolic link is not followed; write the real path".to_owned(),
        Some(Errno::EISDIR) => "write the path of a file in that directory".to_owned(),
        Some(Errno::ENOTDIR) => format!("{} is not a directory", dir.display()),
        Some(Errno::ENXIO) => "captured output goes to regular files only, not to a FIFO".to_owned(),
        Some(Errno::EACCES | Errno::EPERM) => format!(
            "uid {} (the daemon's) needs write permission for it and search permission on {}",
            geteuid(),
            dir.display()
        ),
        Some(Errno::EROFS) => "the file system is read-only; with systemd's ProtectSystem=, add the directory to ReadWritePaths=".to_owned(),
        Some(Errno::ENOSPC | Errno::EDQUOT) => "no space is left there".to_owned(),
        Some(Errno::EMFILE | Errno::ENFILE) => "no descriptor is left; raise LimitNOFILE= of the daemon".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refused(path: &Path, base: &Path) -> io::Error {
        let error = open_log(path, base).unwrap_err();
        assert!(!hint(path, base, &error).is_empty(), "{error}");
        let checked = check_log(path, base).unwrap_err();
        assert_eq!((checked.kind(), checked.to_string()), (error.kind(), error.to_string()));
        error
    }

    #[test]
    fn new_files_and_directories_get_their_final_mode() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("logs");
        let path = base.join("deep/web.log");
        let file = open_log(&path, &base).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o7777 & !0o640, 0);
        let made = std::fs::metadata(base.join("deep")).unwrap();
        assert_eq!(made.mode() & 0o777 & !0o750, 0);
    }

    #[test]
    fn what_is_not_there_is_checked_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("logs");
        let path = base.join("deep/web.log");
        check_log(&path, &base).unwrap();
        assert!(base.join("deep").is_dir() && !path.exists());
        open_log(&path, &base).unwrap();
        check_log(&path, &base).unwrap();
        std::fs::remove_file(&path).unwrap();
        // Root may write to it all the same, but nobody to what is no file system for files.
        std::fs::set_permissions(base.join("deep"), std::fs::Permissions::from_mode(0o500)).unwrap();
        let error = check_log(&path, &base).err().map(|error| error.kind());
        assert_eq!(error, open_log(&path, &base).err().map(|error| error.kind()));
        assert_eq!(error.is_none(), geteuid().is_root());
        check_log(Path::new("/proc/sys/web.log"), &base).unwrap_err();
    }

    #[test]
    fn a_missing_directory_elsewhere_is_an_error_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nowhere/x.log");
        let base = dir.path().join("logs");
        let error = refused(&path, &base);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(hint(&path, &base, &error).contains("mkdir -p"));
    }

    #[test]
    fn links_fifos_directories_and_devices_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("target"), "kept").unwrap();
        symlink(at("target"), at("link")).unwrap();
        symlink(at("absent"), at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        let base = at("logs");
        for name in ["link", "dangling", "fifo", "dir"] {
            refused(&at(name), &base);
        }
        assert!(!at("absent").exists());
        refused(Path::new("/dev/null"), &base);
        open_direct(Path::new("/dev/null"), &base).unwrap();
        // With a reader at hand the FIFO opens; it is refused all the same.
        let _reader = open(&at("fifo"), OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
        refused(&at("fifo"), &base);
    }

    #[test]
    fn a_hard_link_is_refused_where_others_can_write() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("secret"), "kept").unwrap();
        std::fs::hard_link(at("secret"), at("x.log")).unwrap();
        let base = at("logs");
        open_log(&at("x.log"), &base).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        refused(&at("x.log"), &base);
    }

    #[test]
    fn own_links_in_the_path_are_followed_and_loops_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        symlink("real", at("alias")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let base = at("logs");
        open_log(&at("alias/../alias/x.log"), &base).unwrap();
        assert!(at("real/x.log").exists());
        refused(&at("loop/x.log"), &base);
        refused(Path::new("x.log"), &base);
        refused(&at("real/.."), &base);
    }

    #[test]
    fn the_short_way_is_for_paths_without_links_and_opens_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let at = |name: &str| dir.join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/x.log"), "kept").unwrap();
        symlink("real", at("alias")).unwrap();
        symlink("x.log", at("real/link.log")).unwrap();
        let short = |name: &str| straight(&at(name), TO_APPEND);
        // Without openat2(2) everything goes the long way, which the other tests show.
        let known = openat2(AT_FDCWD, "/", OpenHow::new().flags(PATH_ONLY)).is_ok();
        let found = short("real/x.log").map(|fd| FileId::of(&File::from(fd).metadata().unwrap()));
        assert_eq!(found, FileId::at(&at("real/x.log")).filter(|_| known));
        for name in ["alias/x.log", "real/link.log", "real/none.log", "real", "alias/../real/x.log"] {
            assert!(short(name).is_none(), "{name}");
        }
        assert!(straight(Path::new("x.log"), TO_APPEND).is_none());
        assert_eq!(std::fs::read(at("real/x.log")).unwrap(), b"kept");
    }

    #[test]
    fn somebody_elses_link_in_the_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("etc")).unwrap();
        symlink("etc", at("logs-of-bob")).unwrap();
        let own = geteuid().as_raw();
        let error = walk(&at("logs-of-bob"), &at("logs"), |uid| uid != own).unwrap_err();
        assert!(error.to_string().contains(&format!("uid {own}")), "{error}");
        assert!(hint(&at("logs-of-bob"), &at("logs"), &error).contains("real path"));
        walk(&at("logs-of-bob"), &at("logs"), |uid| uid == own).unwrap();
    }
}
