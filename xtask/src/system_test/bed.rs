//! What the checks work with: the container, and the verbs that they share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use testkit::{Finished, eventually_within, patience};

use super::checks::Variant;
use super::container::Container;
use super::listing::Listed;

/// The unit's cgroup as seen from outside of it.
pub(crate) const UNIT_CGROUP: &str = "/sys/fs/cgroup/system.slice/dd-procmgrd.service";

/// The test bed.
#[derive(Debug)]
pub(crate) struct Bed {
    container: Container,
    /// The unit that the checks are about, where there are the same ones for each unit.
    variant: Option<&'static Variant>,
}

impl Bed {
    pub(crate) fn new(container: Container, variant: Option<&'static Variant>) -> Self {
        Self { container, variant }
    }

    /// The unit that the checks are about.
    pub(crate) fn variant(&self) -> Result<&'static Variant> {
        self.variant.context("these checks are about a unit, and none was chosen")
    }

    /// Switches the machine off and on again.
    pub(crate) fn reboot(&self) -> Result<()> {
        self.container.reboot()
    }

    /// Runs a script at a shell as `login` gives it to a user: a session of its own, which ends with the script.
    pub(crate) fn login(&self, user: &str, script: &str) -> Result<Finished> {
        const FILE: &str = "/tmp/typed.sh";
        self.write(FILE, script)?;
        let mut done = self.container.run(&["su", "-", user, "-c", &format!("exec bash -li {FILE}")])?;
        script.clone_into(&mut done.command);
        Ok(done)
    }

    /// Runs a script with `bash -c` and gives back how it ended.
    pub(crate) fn try_sh(&self, script: &str) -> Result<Finished> {
        let mut done = self.container.run(&["bash", "-c", script])?;
        script.clone_into(&mut done.command);
        Ok(done)
    }

    /// Standard output of a script that has to succeed.
    pub(crate) fn sh(&self, script: &str) -> Result<String> {
        let done = self.try_sh(script)?;
        if done.code == 0 { Ok(done.stdout) } else { bail!("should have succeeded: {done}") }
    }

    /// The same as another user, who is in one group only.
    pub(crate) fn try_sh_as(&self, user: &str, group: &str, script: &str) -> Result<Finished> {
        let (user, group) = (format!("--reuid={user}"), format!("--regid={group}"));
        self.container.run(&[
            "setpriv",
            &user,
            &group,
            "--clear-groups",
            "--no-new-privs",
            "bash",
            "-c",
            script,
        ])
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<()> {
        self.sh(&format!("cat > {path} <<'END OF FILE'\n{text}\nEND OF FILE")).map(drop)
    }

    /// How a path of the container is called outside of it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.container.path(inside)
    }

    /// Asks again and again until there is an answer. An error of the question ends the wait.
    pub(crate) fn wait<T>(&self, what: &str, mut question: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        // Everything here goes through nsenter and a shell, on a machine that also runs a whole system.
        let limit: Duration = 3 * patience();
        eventually_within(limit, || question().transpose())
            .unwrap_or_else(|| bail!("waited {limit:?} in vain for: {what}"))
    }

    /// All processes, as `pm-cli list` tells them.
    pub(crate) fn list(&self) -> Result<Vec<Listed>> {
        Listed::parse(&self.sh("pm-cli list --output json")?)
    }

    /// One process, as `pm-cli list` tells it.
    pub(crate) fn process(&self, name: &str) -> Result<Listed> {
        let all = self.list()?;
        all.into_iter().find(|p| p.name == name).with_context(|| format!("pm-cli list does not show {name}"))
    }

    /// Waits until a process runs; its pid.
    pub(crate) fn pid(&self, name: &str) -> Result<u32> {
        self.wait(&format!("{name} to run"), || {
            let process = self.process(name)?;
            Ok(process.pid.filter(|_| process.state == "running"))
        })
    }

    /// Whether a process of this number is there and no zombie.
    pub(crate) fn is_alive(&self, pid: u32) -> Result<bool> {
        let done = self.try_sh(&format!("grep -q '^State:.[^ZX]' /proc/{pid}/status"))?;
        Ok(done.code == 0)
    }

    /// The path of a process's cgroup below the mount point.
    pub(crate) fn cgroup(&self, pid: u32) -> Result<String> {
        let path = self.sh(&format!("sed -n 's/^0:://p' /proc/{pid}/cgroup"))?;
        Ok(format!("/sys/fs/cgroup{}", path.trim()))
    }

    /// Everything that helps to understand a failure.
    pub(crate) fn state(&self) -> String {
        let script = "systemctl status --no-pager --full --lines=0 dd-procmgrd; \
                      timeout 5 pm-cli list --output json; timeout 5 pm-cli status; \
                      journalctl --boot --no-pager --lines=80";
        match self.try_sh(script) {
            Ok(done) => format!("{}{}", done.stdout, done.stderr),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Ends the container the way a machine is switched off.
    pub(crate) fn shut_down(self) {
        drop(self.container);
    }
}
