//! `runtime_directory`: directories that are made anew for each run and removed after it.
//!
//! They lie in a directory of the daemon's that nobody else can write to, so that nobody can put something else in their
//! place. What is in them belongs to the process, which may be hostile: a directory is set aside by a rename, and only then
//! removed, without following links.
//!
//! Two spawner threads may be at it for one process, one removing what the last run left while the other begins the next
//! run: the number of the run decides. What is made for a new run is not removed for an old one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ProcessName, RunNumber};
use nix::fcntl::OFlag;
use nix::unistd::{getegid, geteuid};
use sys::credentials::Credentials;

/// Mode of a directory for which none is given.
const MODE: u32 = 0o755;

/// Why there is no directory.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is this process's.
    Taken(ProcessName),
    /// This failed.
    Failed(&'static str, io::Error),
}

/// The directories of all processes.
#[derive(Debug)]
pub(crate) struct Directories {
    base: PathBuf,
    /// Whose each one is, by its name, and for which run it was made.
    made: Mutex<BTreeMap<String, (ProcessName, RunNumber)>>,
}

impl Directories {
    pub(crate) fn new(base: PathBuf) -> Self {
        Self { base, made: Mutex::default() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Makes a directory for a run, unless something of the same run has done so already.
    pub(super) fn make(
        &self,
        name: &str,
        of: &ProcessName,
        run: RunNumber,
        owner: &Credentials,
        mode: Option<u32>,
    ) -> Result<(), Trouble> {
        let failed = |what| move |error| Trouble::Failed(what, error);
        let mut made = self.lock();
        match made.get(name) {
            Some((other, _)) if other != of => return Err(Trouble::Taken(other.clone())),
            Some((_, number)) if *number == run => return Ok(()),
            _ => {}
        }
        DirBuilder::new().recursive(true).mode(0o755).create(&self.base).map_err(failed("making"))?;
        let path = self.path(name);
        let left = self.set_aside(name).map_err(failed("removing what an earlier run left at"))?;
        // Nobody gets in before it has its mode.
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("making"))?;
        made.insert(name.to_owned(), (of.clone(), run));
        let dir = open(&path).map_err(failed("opening"))?;
        // While it is the daemon's own: of somebody else's, only CAP_FOWNER may change the mode. It is empty until then.
        let mode = Permissions::from_mode(mode.unwrap_or(MODE));
        dir.set_permissions(mode).map_err(failed("setting the mode of"))?;
        if (owner.uid, owner.gid) != (geteuid().as_raw(), getegid().as_raw()) {
            fchown(&dir, Some(owner.uid), Some(owner.gid)).map_err(failed("changing the owner of"))?;
        }
        drop(made);
        discard(left);
        Ok(())
    }

    /// Removes what was made for the runs of a process up to this one.
    pub(super) fn remove(&self, of: &ProcessName, run: RunNumber) {
        let mut made = self.lock();
        let done: Vec<String> = made
            .iter()
            .filter(|(_, (name, number))| name == of && *number <= run)
            .map(|(name, _)| name.clone())
            .collect();
        let mut left = Vec::new();
        for name in done {
            made.remove(&name);
            // One that can't be moved is in the way of the next run, which says so.
            left.extend(self.set_aside(&name).unwrap_or(None));
        }
        drop(made);
        left.into_iter().for_each(|path| discard(Some(path)));
    }

    /// Moves what is there out of the way; where to.
    fn set_aside(&self, name: &str) -> io::Result<Option<PathBuf>> {
        // No name of a directory begins with a dot.
        let aside = self.base.join(format!(".{:016x}", sys::random_u64()));
        match fs::rename(self.path(name), &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (ProcessName, RunNumber)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn discard(path: Option<PathBuf>) {
    let Some(path) = path else { return };
    // It is out of everybody's way; what can't be removed (a mount) stays until the machine is restarted.
    let _is_no_directory = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn own() -> Credentials {
        sys::credentials::lookup(None, None, None).unwrap().credentials
    }

    fn entries(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_finds_it_empty_and_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let dirs = Directories::new(base.path().join("processes"));
        let make = |run| dirs.make("web", &name("web"), RunNumber(run), &own(), Some(0o750)).unwrap();
        make(1);
        let meta = fs::metadata(dirs.path("web")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o750, own().uid));
        fs::write(dirs.path("web").join("sock"), "").unwrap();
        // A hook of the same run.
        make(1);
        assert_eq!(entries(&dirs.path("web")), ["sock"]);
        make(2);
        assert_eq!(entries(&dirs.path("web")), Vec::<String>::new());
        fs::create_dir(dirs.path("web").join("sub")).unwrap();
        dirs.remove(&name("web"), RunNumber(1));
        assert_eq!(entries(&dirs.path("web")), ["sub"], "removed for a run that was over already");
        dirs.remove(&name("other"), RunNumber(9));
        dirs.remove(&name("web"), RunNumber(2));
        assert_eq!(entries(&base.path().join("processes")), Vec::<String>::new());
    }

    #[test]
    fn one_name_is_one_processes() {
        let base = tempfile::tempdir().unwrap();
        let dirs = Directories::new(base.path().into());
        dirs.make("run", &name("a"), RunNumber(1), &own(), None).unwrap();
        let taken = dirs.make("run", &name("b"), RunNumber(1), &own(), None);
        assert!(matches!(taken, Err(Trouble::Taken(other)) if other == name("a")));
        dirs.remove(&name("a"), RunNumber(1));
        dirs.make("run", &name("b"), RunNumber(1), &own(), None).unwrap();
    }

    #[test]
    fn what_lies_in_its_place_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("kept"), "").unwrap();
        let dirs = Directories::new(base.path().join("processes"));
        fs::create_dir(base.path().join("processes")).unwrap();
        symlink(&elsewhere, dirs.path("web")).unwrap();
        dirs.make("web", &name("web"), RunNumber(1), &own(), None).unwrap();
        assert!(fs::symlink_metadata(dirs.path("web")).unwrap().is_dir());
        symlink(&elsewhere, dirs.path("web").join("link")).unwrap();
        dirs.remove(&name("web"), RunNumber(1));
        assert_eq!(entries(&elsewhere), ["kept"]);
        assert_eq!(entries(&base.path().join("processes")), Vec::<String>::new());
    }

    #[test]
    fn a_place_that_can_t_be_had_is_named() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("file"), "").unwrap();
        let dirs = Directories::new(base.path().join("file/processes"));
        let failed = dirs.make("web", &name("web"), RunNumber(1), &own(), None);
        assert!(matches!(failed, Err(Trouble::Failed("making", _))), "{failed:?}");
    }
}
