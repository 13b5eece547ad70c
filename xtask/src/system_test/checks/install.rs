//! The installation guide, from the copied binaries to the first created process.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;
use crate::system_test::journal;

/// A process that prints all the time, and one that does nothing at all.
pub(super) const CONFIG: &str = r#"processes:
  chatty:
    command: /bin/sh
    args: ["-c", "n=0; while :; do n=$((n + 1)); echo chatty line $n; sleep 0.2; done"]
    restart: always
    restart_sec: 0
  steady:
    command: sleep infinity"#;

pub(super) fn install(bed: &Bed) -> Result<()> {
    bed.sh("cd /src && install -m 755 target/release/daemon /usr/bin/dd-procmgrd")?;
    bed.sh("cd /src && install -m 755 target/release/cli /usr/bin/dd-procmgr-cli")?;
    bed.sh("ln -s dd-procmgr-cli /usr/bin/pm-cli")?;
    // Its members may operate the daemon without being root.
    bed.sh("groupadd --system dd-procmgrd")?;
    bed.sh("mkdir -p /etc/dd-procmgrd /var/lib/dd-procmgrd /var/log/dd-procmgrd /run/dd-procmgrd")?;
    bed.sh("chmod 755 /var/lib/dd-procmgrd /var/log/dd-procmgrd && chmod 700 /etc/dd-procmgrd")?;
    bed.write("/etc/dd-procmgrd/processes.yaml", CONFIG)?;
    bed.sh("chmod 644 /etc/dd-procmgrd/processes.yaml")?;
    bed.sh("cd /src && cp systemd/dd-procmgrd.service /etc/systemd/system/ && systemctl daemon-reload")?;
    bed.sh("cd /src && install -m 644 systemd/dd-procmgrd.catalog /usr/lib/systemd/catalog/")?;
    bed.sh("journalctl --update-catalog")?;
    bed.sh("systemctl enable --quiet dd-procmgrd")?;
    ensure!(bed.sh("systemctl is-enabled dd-procmgrd")?.trim() == "enabled", "not enabled");
    for name in ["dd-procmgr-cli", "pm-cli"] {
        bed.sh(&format!("{name} --version"))?;
    }
    Ok(())
}

pub(super) fn examples(bed: &Bed) -> Result<()> {
    for example in bed.sh("ls /src/examples/*.yaml")?.lines() {
        let said = bed.sh(&format!("dd-procmgrd --check --config {example}"))?;
        ensure!(said.contains(" 0 problems"), "{said}");
    }
    Ok(())
}

pub(super) fn start(bed: &Bed) -> Result<()> {
    bed.sh("systemctl start dd-procmgrd")?;
    // Type=notify: `start` has returned, so READY=1 was sent, and the daemon answers now, not soon.
    bed.sh("pm-cli list")?;
    let shown = bed.sh("systemctl show dd-procmgrd --property=ActiveState,Type,StatusText,ControlGroup")?;
    for line in ["Type=notify", "ActiveState=active", "ControlGroup=/system.slice/dd-procmgrd.service"] {
        ensure!(shown.lines().any(|l| l == line), "no {line} in:\n{shown}");
    }
    ensure!(shown.contains("StatusText=2 processes"), "STATUS= does not tell how many processes:\n{shown}");
    let first = bed.sh("journalctl -u dd-procmgrd | grep 'Starting Process Manager'")?;
    ensure!(first.contains("addr=127.0.0.1:50051"), "the address is missing in: {first}");
    for name in ["chatty", "steady"] {
        bed.pid(name)?;
    }
    let status = bed.sh("pm-cli status --output json")?;
    ensure!(status.contains("\"containment\": \"cgroup"), "the delegated cgroup is not used:\n{status}");
    let mode = bed.sh("stat --format='%a %G %n' /run/dd-procmgrd /run/dd-procmgrd/token /etc/dd-procmgrd")?;
    for line in
        ["755 root /run/dd-procmgrd", "640 dd-procmgrd /run/dd-procmgrd/token", "700 root /etc/dd-procmgrd"]
    {
        ensure!(mode.lines().any(|l| l == line), "not `{line}`:\n{mode}");
    }
    Ok(())
}

pub(super) fn create(bed: &Bed) -> Result<()> {
    bed.sh("pm-cli create test sleep 10 --auto-start")?;
    let pid = bed.pid("test")?;
    ensure!(bed.sh(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"))?.trim() == "sleep 10", "not `sleep 10`");
    let started = journal::latest(bed, "EVENT=started PROCESS_NAME=test")?;
    started.expect("PROCESS_PID", &pid.to_string())?;
    bed.sh("pm-cli describe test")?;
    bed.sh("pm-cli delete test")?;
    ensure!(!bed.list()?.iter().any(|p| p.name == "test"), "still there after delete");
    ensure!(!bed.is_alive(pid)?, "deleted but alive");
    Ok(())
}
