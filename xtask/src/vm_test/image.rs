//! What the machine boots: a small Debian, built once; and a second disk with what is tested, made for each run.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;
use testkit::run;

use crate::system_test::image::cache_dir;

const SUITE: &str = "bookworm";
/// The kernel of the cloud has every controller and no drivers for hardware that nobody has here.
const PACKAGES: [&str; 5] = ["dbus", "linux-image-cloud-amd64", "procps", "systemd", "systemd-sysv"];
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"];

/// Runs what the second disk holds, and switches the machine off.
const UNIT: &str = "[Unit]
After=multi-user.target systemd-journald.service

[Service]
Type=oneshot
ExecStart=/bin/bash -c 'mkdir -p /payload && mount -o ro /dev/vdb /payload && bash /payload/checks.sh; \
echo \"@@ done\"; sync; systemctl poweroff --force --force'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
";

/// What is done to the image once the packages are in it.
const HOOK: &str = r#"ln -s ../vm-test.service "$1/etc/systemd/system/multi-user.target.wants/" 2>/dev/null ||
{ mkdir -p "$1/etc/systemd/system/multi-user.target.wants" &&
ln -s ../vm-test.service "$1/etc/systemd/system/multi-user.target.wants/"; }
systemctl --root="$1" --quiet mask serial-getty@ttyS0.service getty@tty1.service apt-daily.timer"#;

/// Bytes of the disks, which are sparse files.
const DISK: u64 = 1536 << 20;
const PAYLOAD: u64 = 768 << 20;

/// Where the parts of the machine are.
pub(super) struct Image {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

/// The image, built when it is not there yet: a minute or two, and 700 MB. A changed list of packages gives another one;
/// images that are not used any more may be removed at any time.
pub(super) fn prepare() -> Result<Image> {
    let mut hasher = DefaultHasher::new();
    (SUITE, PACKAGES, LEFT_OUT, UNIT, HOOK, DISK).hash(&mut hasher);
    let cache = cache_dir()?;
    let dir = cache.join(format!("vm-{:016x}", hasher.finish()));
    let image =
        Image { disk: dir.join("disk.img"), kernel: dir.join("vmlinuz"), initrd: dir.join("initrd.img") };
    if dir.is_dir() {
        return Ok(image);
    }
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    // Renamed when it is complete: an interrupted build leaves nothing that looks like an image.
    let partial = tempfile::Builder::new().prefix("partial-vm-").tempdir_in(&cache)?;
    build(partial.path())?;
    let partial = partial.keep();
    fs::rename(&partial, &dir).with_context(|| format!("renaming {}", partial.display()))?;
    Ok(image)
}

fn build(dir: &Path) -> Result<()> {
    let root = dir.join("root");
    let unit = dir.join("vm-test.service");
    fs::write(&unit, UNIT)?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--aptopt=Acquire::Retries \"5\""]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.arg(format!("--customize-hook=copy-in {} /etc/systemd/system", unit.display()));
    command.arg(format!("--customize-hook={HOOK}")).arg(SUITE).arg(&root);
    let done = run(&mut command).context(
        "mmdebstrap can't be run: apt-get install --no-install-recommends qemu-system-x86 seabios mmdebstrap",
    )?;
    ensure!(done.code == 0, "building the image of the machine failed: {done}");
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
        let file = fs::read_dir(root.join("boot"))?
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .with_context(|| format!("the image has no /boot/{prefix}*"))?;
        fs::copy(file.path(), dir.join(name))?;
    }
    make_disk(&root, &dir.join("disk.img"), DISK)?;
    fs::remove_dir_all(&root).context("removing what the disk was made from")
}

/// The second disk: the binaries, the units, and the checks.
pub(super) fn payload(root: &Path, binaries: &Path, only: &str) -> Result<NamedTempFile> {
    let dir = tempfile::tempdir()?;
    for name in ["daemon", "cli"] {
        let (from, to) = (binaries.join(name), dir.path().join(name));
        // Symbols are most of a debug build, and the disk is read through an emulated controller.
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&to).arg(&from);
        let stripped = run(&mut strip).is_ok_and(|done| done.code == 0);
        if !stripped {
            fs::copy(&from, &to).with_context(|| format!("{} is not built", from.display()))?;
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    for unit in ["dd-procmgrd.service", "dd-procmgrd-secure.service"] {
        fs::copy(root.join("systemd").join(unit), dir.path().join(unit)).context(unit)?;
    }
    fs::write(dir.path().join("checks.sh"), include_str!("checks.sh"))?;
    fs::write(dir.path().join("only"), only)?;
    let disk = NamedTempFile::new()?;
    make_disk(dir.path(), disk.path(), PAYLOAD)?;
    Ok(disk)
}

fn make_disk(from: &Path, disk: &Path, size: u64) -> Result<()> {
    fs::File::create(disk)?.set_len(size)?;
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-O", "^has_journal", "-d"]).arg(from).arg(disk);
    let done = run(&mut command).context("mkfs.ext4 can't be run (package e2fsprogs)")?;
    ensure!(done.code == 0, "making a disk failed: {done}");
    Ok(())
}
