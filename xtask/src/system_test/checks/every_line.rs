//! Everything at once, beside a real journald: fifty processes at full speed, kill -9 at random, a journald that
//! stalls and restarts, files that are renamed.

use anyhow::{Result, ensure};
use testkit::Account;

use crate::system_test::bed::Bed;

use super::printers::{Printers, exposition, names};

const PROCESSES: usize = 50;
/// Of each run that is not killed before.
const LINES: u64 = 3000;
/// Between two things that happen to journald.
const KILLS: usize = 20;

pub(super) fn everything_at_once(bed: &Bed) -> Result<()> {
    let keys =
        "restart: always, restart_sec: 0, start_limit_burst: 0, log: {max_size: 100KiB, max_files: 10000}";
    let printers = Printers::define(bed, &names("crowd", PROCESSES), LINES, "every=0", keys)?;
    let mut runs = [1; PROCESSES];
    printers.start()?;
    trouble(bed, &printers, &mut runs)?;
    bed.sh("systemctl kill --kill-whom=main --signal=STOP systemd-journald")?;
    let meanwhile = trouble(bed, &printers, &mut runs);
    bed.sh("systemctl kill --kill-whom=main --signal=CONT systemd-journald")?;
    meanwhile?;
    bed.sh("systemctl restart systemd-journald")?;
    trouble(bed, &printers, &mut runs)?;
    for (name, run) in printers.names.iter().zip(runs) {
        printers.until_done(name, run)?;
    }
    printers.stop()?;
    for (account, run) in printers.until_settled(&runs)?.iter().zip(runs) {
        printers.check_files(account, run, false)?;
        printers.check_journal(account)?;
    }
    Ok(())
}

/// Kills at random, and renames files away.
fn trouble(bed: &Bed, printers: &Printers<'_>, runs: &mut [u64; PROCESSES]) -> Result<()> {
    for number in 0..KILLS {
        // No two of them next to each other, and others each time.
        let victim = (number * 17 + usize::try_from(runs.iter().sum::<u64>())?) % PROCESSES;
        let name = &printers.names[victim];
        let pid = printers.pid(name, runs[victim])?;
        let log = format!("/var/log/dd-procmgrd/{name}.log");
        bed.try_sh(&format!("kill -9 {pid}; mv {log} {log}.$RANDOM$RANDOM"))?;
        runs[victim] += 1;
    }
    bed.sh("systemctl kill --kill-whom=main --signal=USR1 dd-procmgrd").map(drop)
}

/// Of every process, stream and sink: as many lines were read as were written, dropped, cut, or wait.
pub(super) fn accounts(bed: &Bed) -> Result<()> {
    bed.wait("accounts that add up", || {
        let all = Account::all(&exposition(bed)?);
        ensure!(all.iter().any(|account| account.process == "chatty" && account.lines > 0), "{all:#?}");
        Ok(all.iter().all(Account::adds_up).then_some(()))
    })
}
