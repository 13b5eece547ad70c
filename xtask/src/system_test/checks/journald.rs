//! A journald that stalls, is killed, is restarted, or limits the rate.

use anyhow::{Result, ensure};
use testkit::Account;

use crate::system_test::bed::Bed;
use crate::system_test::journal;

use super::printers::{Printers, exposition, names};

/// A journald that reads nothing makes nobody wait. What it could not get is counted and marked, and the file has it.
pub(super) fn stalled(bed: &Bed) -> Result<()> {
    let printers = Printers::define(bed, &["stalled".to_owned()], 200_000, "every=0", "restart: never")?;
    bed.sh("systemctl kill --kill-whom=main --signal=STOP systemd-journald")?;
    let meanwhile = while_stalled(bed, &printers);
    bed.sh("systemctl kill --kill-whom=main --signal=CONT systemd-journald")?;
    meanwhile?;
    // What happened to others meanwhile arrives.
    journal::latest(bed, "EVENT=started PROCESS_NAME=bystander")?;
    bed.sh("pm-cli delete bystander")?;
    let account = &printers.until_settled(&[1])?[0];
    ensure!(account.sink("journald").dropped > 0, "nothing was dropped: {account:#?}");
    printers.check_files(account, 1, false)?;
    printers.check_journal(account)
}

fn while_stalled(bed: &Bed, printers: &Printers<'_>) -> Result<()> {
    printers.start()?;
    printers.until_done("stalled", 1)?;
    bed.sh("pm-cli create bystander sleep infinity --auto-start")?;
    bed.wait("lines to be dropped", || {
        Ok((printers.account("stalled")?.sink("journald").dropped > 0).then_some(()))
    })
}

/// The journal has as many lines as were written to it: while nothing happens to it, right after kill -9, and over a
/// restart in the middle of the output.
pub(super) fn restarted(bed: &Bed) -> Result<()> {
    // Few enough for a lane, so that nothing has to be dropped.
    let printers = Printers::define(bed, &names("gone", 2), 2000, "every=0", "restart: never")?;
    bed.sh("pm-cli start gone-0")?;
    // What journald has taken and not stored yet is lost with it: it has to be idle.
    printers.until_done("gone-0", 1)?;
    printers.until_settled(&[1])?;
    bed.sh("systemctl kill --kill-whom=main --signal=KILL systemd-journald && pm-cli start gone-1")?;
    printers.until_done("gone-1", 1)?;
    for account in printers.until_settled(&[1, 1])? {
        let journald = account.sink("journald");
        ensure!((journald.written, journald.dropped) == (2000, 0), "{account:#?}");
        printers.check_journal(&account)?;
        printers.check_files(&account, 1, false)?;
    }
    drop(printers);

    let printers = Printers::define(bed, &names("through", 1), 60_000, "every=50ms", "restart: never")?;
    printers.start()?;
    printers.pid("through-0", 1)?;
    bed.sh("systemctl restart systemd-journald")?;
    ensure!(!printers.is_done("through-0", 1), "it had nothing more to print when journald was back");
    printers.until_done("through-0", 1)?;
    let account = &printers.until_settled(&[1])?[0];
    printers.check_journal(account)?;
    printers.check_files(account, 1, false)
}

/// journald limits what a unit may log. All processes share the daemon's unit, which therefore lifts the limit; with
/// systemd's default, lines are lost and the daemon can't know.
pub(super) fn rate_limit(bed: &Bed) -> Result<()> {
    // More than the default allows on the largest disk, and less than the lanes hold.
    const PROCESSES: usize = 80;
    const LINES: u64 = 1000;

    let arrived = |prefix: &str| -> Result<(u64, u64)> {
        let names = names(prefix, PROCESSES);
        let printers = Printers::define(bed, &names, LINES, "every=0", "restart: never, log: {file: false}")?;
        printers.start()?;
        let written = bed.wait("every line to be sent", || {
            let exposition = exposition(bed)?;
            let accounts: Vec<Account> = names.iter().map(|name| Account::of(&exposition, name)).collect();
            let sent = accounts.iter().all(|account| account.is_settled() && account.lines == LINES);
            Ok(sent.then(|| accounts.iter().map(|account| account.sink("journald").written).sum()))
        })?;
        bed.sh("journalctl --sync")?;
        let count = format!("journalctl --quiet --output=cat PROCESS_STREAM=stdout | grep -c '^{prefix}-'");
        Ok((written, bed.sh(&count)?.trim().parse()?))
    };
    let all = u64::try_from(PROCESSES)? * LINES;
    let ours = arrived("ours")?;
    ensure!(ours == (all, all), "{all} lines, of which (sent, arrived) are {ours:?}");

    let unit = "/etc/systemd/system/dd-procmgrd.service";
    let restart = "systemctl daemon-reload && systemctl restart dd-procmgrd";
    bed.sh(&format!("sed -i /^LogRateLimit/d {unit} && {restart}"))?;
    let limited = arrived("limited");
    bed.sh(&format!("cp /src/systemd/dd-procmgrd.service {unit} && {restart}"))?;
    let (sent, arrived) = limited?;
    ensure!(sent == all && arrived < all, "{sent} sent and {arrived} arrived: the default loses nothing?");
    Ok(())
}
