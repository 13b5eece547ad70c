//! A booted systemd: its own PID 1, journald, cgroup tree and loopback network. Nothing in it outlives the test.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use testkit::{Finished, eventually_within, run};

use super::cgroup::Cgroup;

/// Time for the boot, which takes half a second on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// $1 is an empty directory, $2 the image. What the container writes goes to memory, and stays there when it reboots:
/// systemd-nspawn ends with 133 then, since the unit around it is not its own. The mounts are in a namespace of this shell
/// and gone with it. setpriv: when the shell is killed, systemd-nspawn switches the container off.
const BOOT: &str = r#"
    dir=$1 image=$2 status=133
    shift 2
    mount -t tmpfs -o mode=755 layer "$dir" && mkdir "$dir/upper" "$dir/work" "$dir/root" || exit 1
    mount -t overlay -o "lowerdir=$image,upperdir=$dir/upper,workdir=$dir/work" layer "$dir/root" || exit 1
    while [ $status = 133 ]; do
        setpriv --pdeathsig TERM systemd-nspawn --directory="$dir/root" "$@" && status=0 || status=$?
    done
    exit $status"#;

/// A booted container. Dropping it ends everything in it.
#[derive(Debug)]
pub(crate) struct Container {
    /// Kills the container's processes when it is dropped, which is after `drop` below has ended the shell.
    _cgroup: Cgroup,
    /// The shell that boots it.
    shell: Child,
    /// Another one after a reboot.
    init: Cell<u32>,
    console: PathBuf,
    /// Where the shell has its mounts.
    _place: TempDir,
}

impl Container {
    /// Boots the image with a throw-away layer above it and waits until every unit is up. `binds` are mounted
    /// read-only.
    pub(crate) fn boot(image: &Path, binds: &[(&Path, &str)]) -> Result<Self> {
        let console =
            std::env::temp_dir().join(format!("dd-procmgrd-testbed-{}.console", std::process::id()));
        let output = File::create(&console).with_context(|| format!("creating {}", console.display()))?;
        let cgroup = Cgroup::new()?;
        let place = tempfile::tempdir().context("making a directory for the container")?;
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(cgroup.procs());
        command.args(["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c", BOOT, "sh"]);
        command.arg(place.path()).arg(image);
        // A network of its own: the daemon's ports are free there, whatever this machine runs. Its groups go below
        // the one made here.
        command.args(["--quiet", "--boot", "--private-network", "--register=no", "--keep-unit"]);
        for (from, to) in binds {
            command.arg(format!("--bind-ro={}:{to}", from.display()));
        }
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let shell = command.spawn().context("running sh")?;
        let container = Self { _cgroup: cgroup, shell, init: Cell::new(0), console, _place: place };
        container.wait_for_boot()?;
        Ok(container)
    }

    /// Boots it again, as `systemctl reboot` does, and waits until every unit is up.
    pub(crate) fn reboot(&self) -> Result<()> {
        // Its own answer may be lost with everything else.
        self.run(&["systemctl", "reboot"])?;
        self.wait_for_boot()
    }

    fn wait_for_boot(&self) -> Result<()> {
        let before = self.init.get();
        let booted = eventually_within(BOOT_LIMIT, || {
            if !Path::new("/proc").join(self.shell.id().to_string()).join("exe").exists() {
                return Some(Err("its shell is gone"));
            }
            let init = only_child(only_child(self.shell.id())?).filter(|init| *init != before)?;
            self.init.set(init);
            let state = self.run(&["systemctl", "is-system-running", "--wait"]).ok()?;
            // `degraded` is up as well; a check of its own looks at failed units.
            matches!(state.stdout.trim(), "running" | "degraded").then_some(Ok(()))
        });
        match booted {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => bail!(
                "the container ended ({why}); systemd-nspawn is in the package systemd-container\n{}",
                self.console()
            ),
            None => bail!("the container did not boot within {BOOT_LIMIT:?}\n{}", self.console()),
        }
    }

    /// What the boot printed.
    fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// How a path of the container is called outside of it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init.get()))
    }

    /// Its PID 1, as this program sees it.
    pub(crate) fn init(&self) -> u32 {
        self.init.get()
    }

    /// Runs a program in the container, as root in `/` with a clean environment, for two minutes at most.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Finished> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init.get())).args([
            "--all",
            "--",
            "env",
            "--ignore-environment",
        ]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").arg("HOME=/root");
        command
            .args(["LANG=C.UTF-8", "SYSTEMD_COLORS=0", "PAGER=cat", "timeout", "--kill-after=5", "120"])
            .args(words);
        let mut done = run(&mut command).context("running nsenter (package util-linux)")?;
        done.command = words.join(" ");
        Ok(done)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Both calls fail only when it has ended already. Its container outlives it, for a moment: see `_cgroup`.
        self.shell.kill().ok();
        self.shell.wait().ok();
        fs::remove_file(&self.console).ok();
    }
}

/// The container's PID 1 is the only child of systemd-nspawn, once there is one; that is the only one of the shell.
fn only_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}
