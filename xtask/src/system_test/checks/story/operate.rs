//! What is done to processes while the service runs.

use anyhow::{Result, ensure};

use super::Variant;
use crate::system_test::bed::Bed;

/// As in the installation guide, with the owner of the files left open.
const LOGROTATE: &str = "LOGS/*.log {
    daily
    rotate 14
    compress
    delaycompress
    missingok
    notifempty
    create 0640 OWNER
    sharedscripts
    postrotate
        SYSTEMCTL reload dd-procmgrd > /dev/null 2>&1 || true
    endscript
}";

pub(super) fn another_user(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    if variant.is_of_a_user() {
        let refused = variant.try_sh(bed, "pm-cli create visitor sleep 1 --user nobody --auto-start")?;
        ensure!(
            refused.code == 1 && refused.stderr.contains("CAP_SETUID"),
            "no refusal with the reason: {refused}"
        );
        variant.try_sh(bed, "pm-cli delete visitor")?;
        return Ok(());
    }
    // To give a directory away takes CAP_CHOWN, which the capability unit has not.
    let directory = if variant.files_of == "root root" { "--runtime-directory visitor" } else { "" };
    bed.sh(&format!(
        "pm-cli create visitor sh -c 'id -un; exec sleep infinity' --user nobody {directory} --auto-start"
    ))?;
    let pid = bed.pid("visitor")?;
    if !directory.is_empty() {
        let made = bed.sh("stat --format='%U %a' /run/dd-procmgrd/processes/visitor")?;
        ensure!(made == "nobody 755\n", "its directory is {made}");
    }
    ensure!(bed.sh(&format!("stat --format=%U /proc/{pid}"))? == "nobody\n", "it is not nobody's");
    bed.wait("its line", || Ok((bed.sh("pm-cli logs visitor")? == "nobody\n").then_some(())))?;
    bed.sh("pm-cli stop visitor && pm-cli delete visitor")?;
    ensure!(!bed.is_alive(pid)?, "{pid} is alive");
    Ok(())
}

pub(super) fn kill(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let before = variant.process(bed, "lab")?;
    let old = variant.pid(bed, "lab")?;
    variant.sh(bed, &format!("kill -9 {old}"))?;
    variant.next_pid(bed, "lab", old)?;
    let after = variant.process(bed, "lab")?;
    ensure!(after.restarts == before.restarts + 1 && after.id == before.id, "{before:?}, then {after:?}");
    Ok(())
}

pub(super) fn hang_up(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let before = (variant.daemon(bed)?, variant.pid(bed, "lab")?);
    variant.sh(bed, "pm-cli kill lab -s HUP")?;
    variant.until_logged(bed, "PROCESS_NAME=lab", "would reload config")?;
    variant.sh(bed, &format!("{} kill --kill-whom=main --signal=HUP dd-procmgrd", variant.systemctl))?;
    variant.sh(bed, &format!("{} reload dd-procmgrd", variant.systemctl))?;
    let after = (variant.daemon(bed)?, variant.pid(bed, "lab")?);
    ensure!(before == after, "daemon and process had the pids {before:?}, and have {after:?}");
    Ok(())
}

pub(super) fn an_override(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let (old, dir) = (variant.pid(bed, "lab")?, format!("{}/overrides.d", variant.config));
    variant.sh(bed, &format!("mkdir -p {dir}"))?;
    // Root makes it for a daemon that has another user.
    bed.write(&format!("{dir}/lab.yaml"), "restart_sec: 2\nenv: {DEBUG: 'true'}")?;
    bed.sh(&format!(
        "chown --reference={0} {dir} {dir}/lab.yaml && chmod --reference={0} {dir}",
        variant.config
    ))?;
    variant.sh(bed, &format!("{} reload dd-procmgrd", variant.systemctl))?;
    variant.next_pid(bed, "lab", old)?;
    variant.until_logged(bed, "PROCESS_NAME=lab", "DEBUG=true")?;
    let shown = variant.sh(bed, "pm-cli cat lab")?;
    ensure!(
        shown.contains("overrides.d/lab.yaml") && shown.contains("restart_sec: 2"),
        "the override is not shown:\n{shown}"
    );
    Ok(())
}

pub(super) fn logrotate(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let config = LOGROTATE.replace("LOGS", variant.logs).replace("SYSTEMCTL", variant.systemctl);
    let config = config.replace("OWNER", variant.files_of);
    let rotate = if variant.is_of_a_user() {
        bed.write("/tmp/logrotate.conf", &config)?;
        "/usr/sbin/logrotate --force --state ~/logrotate.state /tmp/logrotate.conf"
    } else {
        bed.write("/etc/logrotate.d/dd-procmgrd", &config)?;
        "logrotate --force /etc/logrotate.d/dd-procmgrd"
    };
    let pid = variant.pid(bed, "lab")?;
    for _ in 0..2 {
        variant.sh(bed, rotate)?;
        variant.sh(bed, "pm-cli kill lab -s HUP")?;
        until_written(bed, variant)?;
    }
    let first = bed.sh(&format!("zcat -f {0}/lab.log.2.gz", variant.logs))?;
    ensure!(
        first.starts_with("Application starting"),
        "the first lines are not in the oldest file:\n{first}"
    );
    ensure!(variant.pid(bed, "lab")? == pid, "it was restarted");
    Ok(())
}

/// Waits for a line in the file that has the name now.
fn until_written(bed: &Bed, variant: &Variant) -> Result<()> {
    let file = format!("{}/lab.log", variant.logs);
    bed.wait("a line in the new file", || {
        Ok(bed.try_sh(&format!("cat {file}"))?.stdout.contains("would reload config").then_some(()))
    })
}
