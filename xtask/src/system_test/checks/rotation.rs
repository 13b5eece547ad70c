//! Files that somebody else rotates, and a disk that is full.

use std::fs;

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

use super::printers::Printers;

/// As in the installation guide.
const GUIDE: &str = "/var/log/dd-procmgrd/*.log {
    daily
    rotate 14
    compress
    delaycompress
    missingok
    notifempty
    create 0640 dd-procmgrd dd-procmgrd
    sharedscripts
    postrotate
        systemctl reload dd-procmgrd > /dev/null 2>&1 || true
    endscript
}";

/// With logrotate as the guide sets it up, with SIGUSR1 instead of a reload, and with nothing but a rename: no line is
/// lost or there twice, while the process prints 8 MB a second.
pub(super) fn logrotate(bed: &Bed) -> Result<()> {
    const CONFIG: &str = "/etc/logrotate.d/dd-procmgrd";

    bed.sh("id dd-procmgrd || useradd -r -s /bin/false -d /var/lib/dd-procmgrd -g dd-procmgrd dd-procmgrd")?;
    let keys = "restart: never, log: {journald: false, max_size: 0}";
    let printers = Printers::define(bed, &["rotated".to_owned()], 1 << 40, "every=8ms", keys)?;
    printers.start()?;
    let signal = "systemctl kill --kill-whom=main --signal=USR1 dd-procmgrd";
    let steps = [
        (GUIDE.to_owned(), "logrotate --force", 3),
        (GUIDE.replace("systemctl reload dd-procmgrd", signal), "logrotate --force", 2),
        (
            String::new(),
            "mv /var/log/dd-procmgrd/rotated.log /var/log/dd-procmgrd/rotated.log.$RANDOM$RANDOM;",
            2,
        ),
    ];
    for (config, command, times) in steps {
        bed.write(CONFIG, &config)?;
        for _ in 0..times {
            until_it_grows(bed)?;
            bed.sh(&format!("{command} {}", if config.is_empty() { "" } else { CONFIG }))?;
        }
    }
    until_it_grows(bed)?;
    printers.stop()?;
    bed.sh(&format!("rm {CONFIG}; gunzip /var/log/dd-procmgrd/rotated.log*.gz"))?;
    let files = bed.sh("ls /var/log/dd-procmgrd/ | grep -c '^rotated.log'")?;
    ensure!(files.trim() == "8", "{files} files: not every rotation gave one");
    let account = &printers.until_settled(&[1])?[0];
    printers.check_files(account, 1, true)
}

/// Waits until lines come to the file that has the name now: the daemon has noticed.
fn until_it_grows(bed: &Bed) -> Result<()> {
    let path = bed.path("/var/log/dd-procmgrd/rotated.log");
    bed.wait("lines in the new file", || {
        Ok(fs::metadata(&path).is_ok_and(|meta| meta.len() > 0).then_some(()))
    })
}

/// The process whose disk is full waits, nobody else does, and when there is room again every line is there.
pub(super) fn full_disk(bed: &Bed) -> Result<()> {
    const LINES: u64 = 50_000;

    bed.sh("mkdir -p /mnt/small && mount -t tmpfs -o size=1m small /mnt/small")?;
    let keys = "restart: never, stdout: /mnt/small/cramped.log, log: {journald: false, max_size: 0}";
    let result = Printers::define(bed, &["cramped".to_owned()], LINES, "every=0", keys)
        .map(|printers| printers.logging_to("/mnt/small"))
        .and_then(|printers| cramped(bed, &printers));
    bed.sh("umount /mnt/small")?;
    result
}

fn cramped(bed: &Bed, printers: &Printers<'_>) -> Result<()> {
    printers.start()?;
    bed.wait("the disk to be full", || {
        let account = printers.account("cramped")?.sink("file");
        Ok((account.errors > 0 && account.queued > 0).then_some(()))
    })?;
    ensure!(!printers.is_done("cramped", 1), "it has printed more than its disk and its pipe can hold");
    let before = printers.account("chatty")?.sink("file").written;
    bed.wait("lines of somebody else", || {
        Ok((printers.account("chatty")?.sink("file").written > before + 1).then_some(()))
    })?;
    bed.sh("pm-cli create bystander sleep infinity --auto-start && pm-cli delete bystander")?;
    bed.sh("mount -o remount,size=8m /mnt/small")?;
    printers.until_done("cramped", 1)?;
    let account = &printers.until_settled(&[1])?[0];
    printers.check_files(account, 1, false)?;
    printers.stop()
}
