//! The directories that the daemon needs, made with their final modes.
//!
//! A daemon on a host does not start without them: somebody is there to repair it. The init of a container starts all the
//! same, with what can be had:
//!
//! | can't be written | instead |
//! |---|---|
//! | runtime directory | `/tmp/dd-procmgrd-<uid>`, `/dev/shm/dd-procmgrd-<uid>` (the first that can be) |
//! | state directory | `state` in the runtime directory: gone with the container |
//! | log directory | none: lines are shown on standard output. Files in memory would fill it, and a full one makes its process wait. Only what names a file of its own for one stream has the other in `logs` in the runtime directory |

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access, geteuid};

use crate::settings::Settings;

/// Makes what is missing. An existing directory keeps the mode that its owner gave it.
pub(crate) fn prepare(mut settings: Settings) -> Result<Settings> {
    if settings.init {
        find_substitutes(&mut settings, &["/tmp", "/dev/shm"].map(Path::new))?;
    }
    make(&settings.state_dir, 0o755)?;
    make(&settings.layout.runtime_dir, 0o700)?;
    // Everybody may connect to the socket in it; who may do what is decided by credentials.
    make(&settings.runtime_dir, 0o755)?;
    own(&settings.runtime_dir)?;
    make(&settings.layout.log_dir, 0o750)?;
    // A process of another user may reach its own socket in it, and see nobody else's.
    make(&settings.notify_dir(), 0o711)?;
    Ok(settings)
}

/// Replaces the directories that can't be written, or, for the logs, does without.
fn find_substitutes(settings: &mut Settings, places: &[&Path]) -> Result<()> {
    if let Err(error) = usable(&settings.runtime_dir, 0o755) {
        let name = format!("dd-procmgrd-{}", geteuid());
        let found = places
            .iter()
            .map(|place| place.join(&name))
            .find(|path| usable(path, 0o755).is_ok() && own(path).is_ok());
        let Some(path) = found else {
            let tried: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            bail!(
                "{error:#}; {} can't be written either\n\nhint: mount something writable (docker run --tmpfs /run), or \
                 set RUNTIME_DIRECTORY to what is",
                tried.join(" and ")
            );
        };
        tracing::warn!(
            "{error:#}: the control socket is {}; for pm-cli set PM_SOCKET to that, or mount something writable \
             (docker run --tmpfs /run)",
            path.join("control.sock").display()
        );
        settings.runtime_dir = path;
    }
    if let Err(error) =
        usable(&settings.state_dir, 0o755).and_then(|()| usable(&settings.layout.runtime_dir, 0o700))
    {
        let path = settings.runtime_dir.join("state");
        tracing::warn!(
            "{error:#}: what is created or changed with pm-cli (and, without /etc/machine-id, each PROCESS_ID) is kept in \
             {} and gone with this container; mount a volume, or set STATE_DIRECTORY",
            path.display()
        );
        settings.layout.runtime_dir = path.join("processes.d");
        settings.state_dir = path;
    }
    if let Err(error) = usable(&settings.layout.log_dir, 0o750) {
        tracing::warn!(
            "{error:#}: there are no log files and no `pm-cli logs`, lines are shown on standard output only; mount a \
             volume, or set LOGS_DIRECTORY"
        );
        // The log pipeline wants one.
        settings.layout.log_dir = settings.runtime_dir.join("logs");
        settings.log_files = false;
        settings.console = true;
    }
    Ok(())
}

/// Makes a directory and looks whether files can be made in it.
fn usable(path: &Path, mode: u32) -> Result<()> {
    make(path, mode)?;
    // Also tells of a read-only file system.
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)
        .with_context(|| format!("writing to {}", path.display()))
}

fn make(path: &Path, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).with_context(|| failed(path))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.with_context(|| failed(path)),
    }
}

fn failed(path: &Path) -> String {
    format!("making the directory {}", path.display())
}

/// The fallback runtime directory is in /tmp, where anybody may have made it first and waits for our token.
fn own(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    let me = geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != me {
        bail!(
            "{} does not belong to the daemon's user (uid {me})\n\nhint: remove it, or set RUNTIME_DIRECTORY to a directory of your own",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Nobody can make a directory in there, not even root.
    const UNWRITABLE: &str = "/proc/dd-procmgrd";

    fn settings(root: &Path, init: bool, unwritable: &[&str]) -> Settings {
        let dir = |name: &str| {
            if unwritable.contains(&name) { Path::new(UNWRITABLE).join(name) } else { root.join(name) }
        };
        Settings {
            layout: config::Layout {
                main: dir("etc").join("processes.yaml"),
                package_dir: dir("usr"),
                admin_dir: dir("etc").join("processes.d"),
                overrides_dir: dir("etc").join("overrides.d"),
                runtime_dir: dir("state").join("processes.d"),
                log_dir: dir("logs"),
            },
            strict: false,
            state_dir: dir("state"),
            runtime_dir: dir("run"),
            grpc: None,
            tls: None,
            metrics: None,
            web_config: None,
            console: false,
            color: false,
            journal: None,
            init,
            log_files: true,
        }
    }

    #[test]
    fn each_has_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let settings = prepare(settings(root.path(), false, &[])).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = [&settings.layout.runtime_dir, &settings.layout.log_dir, &settings.notify_dir()]
            .map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o750, 0o711]);
    }

    #[test]
    fn a_daemon_on_a_host_does_not_start_without_them() {
        let root = tempfile::tempdir().unwrap();
        for missing in ["run", "state", "logs"] {
            let error = format!("{:#}", prepare(settings(root.path(), false, &[missing])).unwrap_err());
            assert!(error.contains(UNWRITABLE), "{error}");
        }
    }

    #[test]
    fn the_init_of_a_container_starts_without_any_of_them() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = settings(root.path(), true, &["etc", "run", "state", "logs"]);
        find_substitutes(&mut settings, &[Path::new(UNWRITABLE), root.path()]).unwrap();
        let run = root.path().join(format!("dd-procmgrd-{}", geteuid()));
        assert_eq!(settings.runtime_dir, run);
        assert_eq!(settings.state_dir, run.join("state"));
        assert!(!settings.log_files && settings.console, "lines are shown where they can't be kept");
        let settings = prepare(settings).unwrap();
        assert!(settings.layout.runtime_dir.is_dir() && settings.layout.log_dir.is_dir());
        assert!(!settings.log_files, "what was found at first stays");
    }

    #[test]
    fn what_can_be_written_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let before = settings(root.path(), true, &["logs"]);
        let after = prepare(before.clone()).unwrap();
        assert_eq!((after.runtime_dir, after.state_dir), (before.runtime_dir, before.state_dir));
        assert_eq!(after.layout.runtime_dir, before.layout.runtime_dir);
        assert!(!after.log_files);
    }

    #[test]
    fn where_nothing_can_be_written_the_error_names_the_way_out() {
        let mut settings = settings(Path::new(UNWRITABLE), true, &[]);
        let error = find_substitutes(&mut settings, &[Path::new(UNWRITABLE)]).unwrap_err().to_string();
        assert!(error.contains("hint: mount") && error.contains("/proc/dd-procmgrd"), "{error}");
    }

    #[test]
    fn a_runtime_directory_of_somebody_else_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join(format!("dd-procmgrd-{}", geteuid()));
        let target = root.path().join("target");
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut settings = settings(root.path(), true, &["run"]);
        assert!(find_substitutes(&mut settings, &[root.path()]).is_err(), "a link may lead anywhere");
    }
}
