//! A booted systemd: its own PID 1, journald, cgroup tree and loopback network. Nothing in it outlives the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use testkit::{Finished, eventually_within, run};

use super::cgroup::Cgroup;

/// Time for the boot, which takes half a second on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// A booted container. Dropping it ends everything in it.
#[derive(Debug)]
pub(crate) struct Container {
    /// Kills the container's processes when it is dropped, which is after `drop` below has ended systemd-nspawn.
    _cgroup: Cgroup,
    nspawn: Child,
    init: u32,
    console: PathBuf,
}

impl Container {
    /// Boots the image with a throw-away layer above it and waits until every unit is up. `binds` are mounted
    /// read-only.
    pub(crate) fn boot(image: &Path, binds: &[(&Path, &str)]) -> Result<Self> {
        let console =
            std::env::temp_dir().join(format!("dd-procmgrd-testbed-{}.console", std::process::id()));
        let output = File::create(&console).with_context(|| format!("creating {}", console.display()))?;
        let cgroup = Cgroup::new()?;
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(cgroup.procs());
        // setpriv: when this program is killed, systemd-nspawn switches the container off.
        command.args(["setpriv", "--pdeathsig", "TERM"]);
        command.args(["systemd-nspawn", "--quiet", "--boot", "--volatile=overlay"]);
        // A network of its own: the daemon's ports are free there, whatever this machine runs. Its groups go below
        // the one made here.
        command.args(["--private-network", "--register=no", "--keep-unit", "--directory"]).arg(image);
        for (from, to) in binds {
            command.arg(format!("--bind-ro={}:{to}", from.display()));
        }
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let nspawn = command.spawn().context("running sh")?;
        let mut container = Self { _cgroup: cgroup, nspawn, init: 0, console };
        container.wait_for_boot()?;
        Ok(container)
    }

    fn wait_for_boot(&mut self) -> Result<()> {
        let booted = eventually_within(BOOT_LIMIT, || {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                return Some(Err(status));
            }
            self.init = only_child(self.nspawn.id())?;
            let state = self.run(&["systemctl", "is-system-running", "--wait"]).ok()?;
            // `degraded` is up as well; a check of its own looks at failed units.
            matches!(state.stdout.trim(), "running" | "degraded").then_some(Ok(()))
        });
        match booted {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => bail!(
                "the container ended ({status}); systemd-nspawn is in the package systemd-container\n{}",
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
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// Its PID 1, as this program sees it.
    pub(crate) fn init(&self) -> u32 {
        self.init
    }

    /// Runs a program in the container, as root in `/` with a clean environment, for two minutes at most.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Finished> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(["--all", "--", "env", "--ignore-environment"]);
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
        self.nspawn.kill().ok();
        self.nspawn.wait().ok();
        fs::remove_file(&self.console).ok();
    }
}

/// The container's PID 1 is the only child of systemd-nspawn, once there is one.
fn only_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}
