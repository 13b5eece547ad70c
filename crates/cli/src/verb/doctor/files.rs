//! Which files matter, and what their owners and modes are.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::Layout;
use rpc::v1::DaemonStatus;

use super::proc::Process;
use crate::context::Context;
use crate::doctor::facts::{Fact, Meta, Role, Seen};
use crate::verb::validate::layout;

/// Where the daemon has its things; without a daemon, where one that is started here would have them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) layout: Layout,
    pub(super) state_dir: PathBuf,
    /// Control socket and token.
    runtime_dir: Option<PathBuf>,
    program: Option<PathBuf>,
    /// The key of the control port's certificate.
    key: Option<PathBuf>,
}

impl Places {
    pub(super) fn find(context: &Context, status: Option<&DaemonStatus>, process: &Process) -> Fact<Self> {
        let known = status.filter(|status| !status.config_path.is_empty() && !status.state_dir.is_empty());
        let mut layout = match layout(context) {
            Ok(layout) => layout,
            Err(failure) => return Err(failure.message),
        };
        let mut state_dir = layout.runtime_dir.parent().unwrap_or(Path::new("/")).to_path_buf();
        if let Some(status) = known {
            let main = PathBuf::from(&status.config_path);
            let beside = main.parent().unwrap_or(Path::new("/")).to_path_buf();
            state_dir = PathBuf::from(&status.state_dir);
            layout = Layout {
                package_dir: layout.package_dir,
                admin_dir: beside.join("processes.d"),
                overrides_dir: beside.join("overrides.d"),
                runtime_dir: state_dir.join("processes.d"),
                log_dir: PathBuf::from(&status.log_dir),
                main,
            };
        }
        let listeners = status.map(|status| status.listeners.as_slice()).unwrap_or_default();
        let socket = listeners.iter().find(|listener| listener.role == "control socket");
        let runtime_dir =
            socket.and_then(|socket| Path::new(&socket.address).parent()).map(Path::to_path_buf);
        let program = process.facts.exe.as_ref().ok().map(|exe| {
            let text = exe.to_string_lossy();
            PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
        });
        Ok(Self { layout, state_dir, runtime_dir, program, key: process.key.clone() })
    }
}

/// Looks at all of them. What is not there is left out, but for those that should be.
pub(super) fn look(places: &Places, beside: &[(Role, PathBuf)]) -> Vec<Seen> {
    let layout = &places.layout;
    let mut wanted: Vec<(Role, PathBuf)> = Vec::new();
    if let Some(dir) = layout.main.parent() {
        wanted.push((Role::Config, dir.to_path_buf()));
        wanted.push((Role::Settings, dir.join("daemon.env")));
    }
    for path in [&layout.main, &layout.admin_dir, &layout.overrides_dir, &layout.package_dir] {
        wanted.push((Role::Config, path.clone()));
    }
    wanted.extend(beside.iter().cloned());
    wanted.push((Role::State, places.state_dir.clone()));
    wanted.push((Role::Made, layout.runtime_dir.clone()));
    wanted.push((Role::Logs, layout.log_dir.clone()));
    if let Some(dir) = &places.runtime_dir {
        wanted.push((Role::Runtime, dir.clone()));
        wanted.push((Role::Socket, dir.join("control.sock")));
        wanted.push((Role::Token, dir.join("token")));
    }
    wanted.extend(places.program.iter().map(|path| (Role::Program, path.clone())));
    wanted.extend(places.key.iter().map(|path| (Role::Key, path.clone())));
    let mut seen: Vec<Seen> = Vec::new();
    for (role, path) in wanted {
        // Definitions that were made over the API are files of their own directory, and 0600.
        let made = role == Role::Config && path.starts_with(&layout.runtime_dir);
        if !made && !seen.iter().any(|seen| seen.path == path) {
            seen.push(Seen { role, meta: meta(&path), path });
        }
    }
    seen
}

fn meta(path: &Path) -> Fact<Option<Meta>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some(Meta {
        uid: meta.uid(),
        gid: meta.gid(),
        mode: meta.mode() & 0o7777,
        directory: meta.is_dir(),
        open: open(path),
    }))
}

/// Whether everybody may pass through the directories above. What this user may not look at is not open to everybody.
fn open(path: &Path) -> bool {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    real.ancestors().skip(1).all(|dir| fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_in_a_closed_directory_is_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&file, 0o666);
        mode(dir.path(), 0o755);
        let found = meta(&file).unwrap().unwrap();
        // As open as the place of the test.
        assert_eq!((found.mode, found.open, found.directory), (0o666, open(dir.path()), false));
        mode(dir.path(), 0o700);
        assert!(!meta(&file).unwrap().unwrap().open);
        assert_eq!(meta(&dir.path().join("none")), Ok(None));
        assert_eq!(meta(&file.join("none")), Ok(None));
    }
}
