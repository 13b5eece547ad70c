//! The other three units: each starts, runs what it can, and leaves nothing behind. The root unit is stopped by now.

use anyhow::{Result, ensure};

use crate::system_test::bed::{Bed, UNIT_CGROUP};

/// Fresh directories, the unit in place, running.
fn install(bed: &Bed, unit: &str) -> Result<()> {
    bed.sh("rm -rf /var/lib/dd-procmgrd /var/log/dd-procmgrd /tmp/variant.log")?;
    bed.sh(&format!(
        "cp /src/systemd/{unit} /etc/systemd/system/dd-procmgrd.service && systemctl daemon-reload"
    ))?;
    bed.sh("systemctl start dd-procmgrd").map(drop)
}

/// A process of another user is started, logged, contained and stopped; then the unit is.
fn run_as_nobody(bed: &Bed) -> Result<()> {
    let script = "id -un; setsid --fork sleep 5432; exec sleep infinity";
    bed.sh(&format!("pm-cli create visitor sh -c '{script}' --user nobody --auto-start"))?;
    let pid = bed.pid("visitor")?;
    bed.wait("its line", || {
        let lines = bed.sh("pm-cli logs visitor")?;
        Ok((lines == "nobody\n").then_some(()))
    })?;
    bed.wait("the runaway", || Ok((bed.try_sh("pgrep -xf 'sleep 5432'")?.code == 0).then_some(())))?;
    let leaf = bed.cgroup(pid)?;
    ensure!(leaf.starts_with(UNIT_CGROUP), "visitor is in {leaf}");
    // Its socket has to be within reach of a user who is not the daemon's.
    let report = "systemd-notify READY=1; exec sleep infinity";
    bed.sh(&format!("pm-cli create reporter sh -c '{report}' --type notify --user nobody --auto-start"))?;
    bed.sh("pm-cli stop reporter visitor")?;
    ensure!(!bed.is_alive(pid)?, "{pid} is alive");
    ensure!(bed.try_sh("pgrep -xf 'sleep 5432'")?.code == 1, "stopped, but the runaway lives");
    bed.sh("systemctl stop dd-procmgrd")?;
    ensure!(bed.try_sh(&format!("test -e {UNIT_CGROUP}"))?.code == 1, "the unit's cgroup is still there");
    Ok(())
}

pub(super) fn capability(bed: &Bed) -> Result<()> {
    bed.sh("id dd-procmgrd || useradd -r -s /bin/false -d /var/lib/dd-procmgrd -g dd-procmgrd dd-procmgrd")?;
    bed.sh("chown root:dd-procmgrd /etc/dd-procmgrd /etc/dd-procmgrd/processes.yaml")?;
    bed.sh("chmod 750 /etc/dd-procmgrd && chmod 640 /etc/dd-procmgrd/processes.yaml")?;
    install(bed, "dd-procmgrd-capability.service")?;
    let daemon = bed.sh("systemctl show --value --property=MainPID dd-procmgrd")?;
    let status = bed.sh(&format!("cat /proc/{}/status", daemon.trim()))?;
    // CAP_SETGID is 6, CAP_SETUID is 7.
    ensure!(status.lines().any(|l| l == "CapEff:\t00000000000000c0"), "other capabilities in:\n{status}");
    run_as_nobody(bed)
}

pub(super) fn secure(bed: &Bed) -> Result<()> {
    install(bed, "dd-procmgrd-secure.service")?;
    run_as_nobody(bed)
}

pub(super) fn user(bed: &Bed) -> Result<()> {
    bed.sh("id alice || useradd --create-home --shell /bin/bash alice")?;
    bed.sh("loginctl enable-linger alice")?;
    let uid = bed.sh("id -u alice")?;
    let uid = uid.trim();
    let own = |script: &str| {
        bed.try_sh_as(
            "alice",
            "alice",
            &format!("export HOME=/home/alice XDG_RUNTIME_DIR=/run/user/{uid}; {script}"),
        )
    };
    bed.wait("alice's service manager", || {
        Ok((own("systemctl --user is-system-running --wait")?.code == 0).then_some(()))
    })?;
    let guide = "mkdir -p ~/.local/bin ~/.config/dd-procmgrd ~/.local/share/dd-procmgrd ~/.config/systemd/user/ && \
                 cp /usr/bin/dd-procmgrd ~/.local/bin/dd-procmgrd && \
                 cp /src/systemd/dd-procmgrd-user.service ~/.config/systemd/user/dd-procmgrd.service && \
                 systemctl --user daemon-reload && systemctl --user start dd-procmgrd";
    let started = own(guide)?;
    ensure!(started.code == 0, "{started}");
    let created = own(
        "pm-cli create mine sh -c 'setsid --fork sleep 6543; exec sleep infinity' --auto-start && pm-cli list",
    )?;
    ensure!(created.code == 0 && created.stdout.contains("running"), "{created}");
    bed.wait("the runaway", || Ok((bed.try_sh("pgrep -xf 'sleep 6543'")?.code == 0).then_some(())))?;
    let status = own("pm-cli status")?;
    ensure!(status.stdout.contains("cgroup"), "the delegated cgroup is not used:\n{status}");
    let refused = own("pm-cli create other sleep 1 --user nobody --auto-start")?;
    ensure!(refused.code == 1 && refused.stderr.contains("CAP_SETUID"), "no precise refusal: {refused}");
    let stopped = own("pm-cli stop mine && systemctl --user stop dd-procmgrd")?;
    ensure!(stopped.code == 0, "{stopped}");
    ensure!(bed.try_sh("pgrep -xf 'sleep 6543'")?.code == 1, "stopped, but the runaway lives");
    Ok(())
}
