//! A service's whole life, for each of the four units: installed and verified with the commands of the installation guide,
//! operated, rotated, searched, frozen, stopped, and back after a reboot.

mod journal;
mod life;
mod operate;

use anyhow::{Result, ensure};

use super::{Check, check, essential, guide};
use crate::system_test::bed::Bed;
use crate::system_test::listing::Listed;
use crate::system_test::typed;

/// The same for each unit.
pub(super) static CHECKS: [Check; 12] = [
    essential("install", "the guide's commands, as typed", install),
    essential("install", "the guide's way to verify it, as typed", verify),
    check("users", "a process of another user, or a refusal with the reason", operate::another_user),
    check("restart", "kill -9 of a process, and it is back", operate::kill),
    check("reload", "HUP to a process and to the daemon restarts neither", operate::hang_up),
    check("reload", "an override is in force after systemctl reload", operate::an_override),
    check("files", "logrotate --force, as the guide sets it up", operate::logrotate),
    check("journal", "every way of the guide and of the lab to search it", journal::queries),
    check("boot", "systemctl enable and disable, pm-cli enable and disable", life::enabling),
    check("watchdog", "a frozen daemon is ended, and comes back with one of each process", life::frozen),
    check("stop", "systemctl stop leaves nothing behind", life::stop),
    check("boot", "after a reboot, what was enabled runs and the rest does not", life::reboot),
];

/// What is different between the units.
#[derive(Debug)]
pub(crate) struct Variant {
    /// The section of the guide; another one verifies it.
    section: &'static str,
    /// Who operates it.
    user: &'static str,
    systemctl: &'static str,
    journalctl: &'static str,
    config: &'static str,
    logs: &'static str,
    /// Whose files logrotate makes. The guide's file names a user that only its capability unit has.
    files_of: &'static str,
    runtime: &'static str,
    /// Where its drop-ins go.
    drop_ins: &'static str,
    unit_cgroup: &'static str,
}

pub(super) static ROOT: Variant = Variant {
    section: "root",
    user: "root",
    systemctl: "systemctl",
    journalctl: "journalctl -u dd-procmgrd --no-pager",
    config: "/etc/dd-procmgrd",
    logs: "/var/log/dd-procmgrd",
    files_of: "root root",
    runtime: "/run/dd-procmgrd",
    drop_ins: "/etc/systemd/system/dd-procmgrd.service.d",
    unit_cgroup: "/sys/fs/cgroup/system.slice/dd-procmgrd.service",
};
pub(super) static CAPABILITY: Variant =
    Variant { section: "capability", files_of: "dd-procmgrd dd-procmgrd", ..ROOT };
pub(super) static HARDENED: Variant = Variant { section: "hardened", ..ROOT };
pub(super) static USER: Variant = Variant {
    section: "user",
    user: "alice",
    systemctl: "systemctl --user",
    journalctl: "journalctl --user -u dd-procmgrd --no-pager",
    config: "/home/alice/.config/dd-procmgrd",
    logs: "/home/alice/.local/share/dd-procmgrd/logs",
    files_of: "alice alice",
    runtime: "/run/user/1000/dd-procmgrd",
    drop_ins: "/home/alice/.config/systemd/user/dd-procmgrd.service.d",
    unit_cgroup: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/dd-procmgrd.service",
};

/// The lab report's program in a few words of shell, one that is not started, and nothing else.
const DEFINITIONS: &str = r#"processes:
  lab:
    command: sh
    args:
      - -c
      - |
        trap 'echo would reload config' HUP
        trap 'echo shutting down gracefully; exit 0' TERM
        echo "Application starting with DEBUG=$DEBUG"
        while :; do sleep 0.2 & wait; done
    restart: always
    restart_sec: 0
  spare:
    command: sleep 5555
    auto_start: false"#;

impl Variant {
    fn is_of_a_user(&self) -> bool {
        self.user != "root"
    }

    /// Runs a script as whoever operates it.
    fn try_sh(&self, bed: &Bed, script: &str) -> Result<testkit::Finished> {
        if !self.is_of_a_user() {
            return bed.try_sh(script);
        }
        let env = "export HOME=/home/alice XDG_RUNTIME_DIR=/run/user/1000 PATH=/home/alice/.local/bin:$PATH";
        bed.try_sh_as("alice", "alice", &format!("{env}; cd; {script}"))
    }

    /// The same with a script that has to succeed; what it printed.
    fn sh(&self, bed: &Bed, script: &str) -> Result<String> {
        let done = self.try_sh(bed, script)?;
        ensure!(done.code == 0, "should have succeeded: {done}");
        Ok(done.stdout)
    }

    fn process(&self, bed: &Bed, name: &str) -> Result<Listed> {
        let all = Listed::parse(&self.sh(bed, "pm-cli list --output json")?)?;
        let found = all.into_iter().find(|process| process.name == name);
        found.ok_or_else(|| anyhow::anyhow!("pm-cli list does not show {name}"))
    }

    /// Waits until a process runs; its pid.
    fn pid(&self, bed: &Bed, name: &str) -> Result<u32> {
        bed.wait(&format!("{name} to run"), || {
            let process = self.process(bed, name)?;
            Ok(process.pid.filter(|_| process.state == "running"))
        })
    }

    /// Waits until it runs with another pid than this one.
    fn next_pid(&self, bed: &Bed, name: &str, old: u32) -> Result<u32> {
        bed.wait(&format!("the next run of {name}"), || {
            let process = self.process(bed, name)?;
            Ok(process.pid.filter(|pid| process.state == "running" && *pid != old))
        })
    }

    /// Waits until what is logged of the unit, with these further words, holds a text.
    fn until_logged(&self, bed: &Bed, words: &str, text: &str) -> Result<()> {
        bed.wait(&format!("`{text}` in the journal"), || {
            let found = self.sh(bed, &format!("{} --output=cat {words}", self.journalctl))?;
            Ok(found.contains(text).then_some(()))
        })
    }

    /// The daemon's pid.
    fn daemon(&self, bed: &Bed) -> Result<u32> {
        let pid = self.sh(bed, &format!("{} show --value --property=MainPID dd-procmgrd", self.systemctl))?;
        Ok(pid.trim().parse()?)
    }
}

fn install(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    guide::checkout(bed, DEFINITIONS)?;
    guide::users(bed)?;
    typed::type_all(bed, variant.user, guide::CHECKOUT, &guide::section(variant.section)?)
}

fn verify(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let section = guide::section(&format!("{}, verify", variant.section))?;
    typed::type_all(bed, variant.user, guide::CHECKOUT, &section)?;
    if let Ok(removal) = guide::section(&format!("{}, removal", variant.section)) {
        typed::type_all(bed, variant.user, guide::CHECKOUT, &removal)?;
    }
    // Everything that was typed was typed in logins, and those have ended: nothing may end with them.
    let pid = variant.pid(bed, "lab")?;
    bed.wait("the end of the login", || {
        Ok(bed.sh("loginctl list-sessions --no-legend")?.trim().is_empty().then_some(()))
    })?;
    ensure!(variant.pid(bed, "lab")? == pid && bed.is_alive(pid)?, "it was restarted with the logout");
    variant.try_sh(bed, "pm-cli delete test test-cap")?;
    Ok(())
}
