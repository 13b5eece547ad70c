//! Who may do what on the Unix socket.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

pub(super) fn viewer(bed: &Bed) -> Result<()> {
    let pid = bed.pid("steady")?;
    let list = bed.try_sh_as_nobody("pm-cli list")?;
    ensure!(list.code == 0 && list.stdout.contains("steady"), "{list}");
    for verb in ["stop", "restart", "delete"] {
        let refused = bed.try_sh_as_nobody(&format!("pm-cli {verb} steady"))?;
        ensure!(refused.code == 1, "exit code {} of {verb}: {refused}", refused.code);
        ensure!(refused.stderr.to_lowercase().contains("permission"), "{refused}");
    }
    let created = bed.try_sh_as_nobody("pm-cli create evil sleep 10 --auto-start")?;
    ensure!(created.code == 1, "{created}");
    let token = bed.try_sh_as_nobody("cat /run/dd-procmgrd/token")?;
    ensure!(token.code != 0, "anybody can read the token");
    ensure!(bed.pid("steady")? == pid, "it was stopped all the same");
    ensure!(!bed.list()?.iter().any(|p| p.name == "evil"), "it was created all the same");
    Ok(())
}
