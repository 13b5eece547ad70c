//! The container's root directory: a small Debian with a real systemd, built once and kept outside of the source tree.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testkit::run;

const SUITE: &str = "bookworm";

/// What is installed beside Debian's minimal base.
const PACKAGES: [&str; 12] = [
    "apparmor",
    "curl",
    "dbus",
    "libcap2-bin",
    "libpam-systemd",
    "logrotate",
    "procps",
    "prometheus",
    "python3-minimal",
    "sudo",
    "systemd",
    "systemd-sysv",
];

/// Prometheus brings 218 MB of JavaScript for consoles that nobody opens here.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/javascript/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"];

/// Debian starts Prometheus on :9090, which is ours; the checks start it elsewhere.
const HOOK: &str = r#"systemctl --root="$1" --quiet mask prometheus.service"#;

/// Path of the image, built when it is not there yet: about 30 s and 260 MB. A changed list of packages gives another
/// path; images that are not used any more may be removed at any time.
pub(crate) fn prepare() -> Result<PathBuf> {
    let dir = cache_dir()?;
    let image = dir.join(format!("testbed-{:016x}", fingerprint()));
    if image.is_dir() {
        return Ok(image);
    }
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    // Renamed when it is complete: an interrupted build leaves nothing that looks like an image.
    let partial = dir.join(format!("partial-{}", std::process::id()));
    let result = build(&partial).and_then(|()| {
        fs::rename(&partial, &image)
            .with_context(|| format!("renaming {} to {}", partial.display(), image.display()))
    });
    if result.is_err() && partial.exists() {
        // The error of the build is the one to report.
        fs::remove_dir_all(&partial).ok();
    }
    result.map(|()| image)
}

/// Where images are kept.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
        _ => Path::new(&std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("dd-procmgrd"))
}

fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    (SUITE, PACKAGES, LEFT_OUT, HOOK).hash(&mut hasher);
    hasher.finish()
}

fn build(dir: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--aptopt=Acquire::Retries \"5\""]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.arg(format!("--customize-hook={HOOK}")).arg(SUITE).arg(dir);
    let done =
        run(&mut command).context("mmdebstrap can't be run: apt-get install mmdebstrap systemd-container")?;
    ensure!(done.code == 0, "building the container image failed: {done}");
    Ok(())
}
