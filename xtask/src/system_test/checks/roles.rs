//! Who may do what on the Unix socket.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

pub(super) fn viewer(bed: &Bed) -> Result<()> {
    let pid = bed.pid("steady")?;
    let list = bed.try_sh_as("nobody", "nogroup", "pm-cli list")?;
    ensure!(list.code == 0 && list.stdout.contains("steady"), "{list}");
    for verb in ["stop", "restart", "delete"] {
        let refused = bed.try_sh_as("nobody", "nogroup", &format!("pm-cli {verb} steady"))?;
        ensure!(refused.code == 1, "exit code {} of {verb}: {refused}", refused.code);
        ensure!(refused.stderr.contains("needs the role"), "{refused}");
    }
    let created = bed.try_sh_as("nobody", "nogroup", "pm-cli create evil sleep 10 --auto-start")?;
    ensure!(created.code == 1, "{created}");
    let token = bed.try_sh_as("nobody", "nogroup", "cat /run/dd-procmgrd/token")?;
    ensure!(token.code != 0, "anybody can read the token");
    ensure!(bed.pid("steady")? == pid, "it was stopped all the same");
    ensure!(!bed.list()?.iter().any(|p| p.name == "evil"), "it was created all the same");
    Ok(())
}

pub(super) fn operator(bed: &Bed) -> Result<()> {
    let before = bed.pid("steady")?;
    let restarted = bed.try_sh_as("nobody", "dd-procmgrd", "pm-cli restart steady")?;
    ensure!(restarted.code == 0, "{restarted}");
    ensure!(bed.pid("steady")? != before, "the same pid after a restart");
    let created = bed.try_sh_as("nobody", "dd-procmgrd", "pm-cli create evil sleep 10 --auto-start")?;
    ensure!(created.code == 1, "an operator may not say what runs, and as whom: {created}");
    ensure!(!bed.list()?.iter().any(|p| p.name == "evil"), "it was created all the same");
    Ok(())
}
