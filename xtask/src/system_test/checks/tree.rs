//! `stopped` means that nothing is left, however hard it tried to get away.

use anyhow::{Result, ensure};

use crate::system_test::bed::{Bed, UNIT_CGROUP};

pub(super) fn grandchild(bed: &Bed) -> Result<()> {
    // setsid --fork: the parent in between is gone, the session and the process group are new.
    bed.sh("pm-cli create escapee sh -c 'setsid --fork sleep 4321; exec sleep infinity' --auto-start")?;
    let main = bed.pid("escapee")?;
    let runaway = bed.wait("the runaway", || {
        Ok(bed.try_sh("pgrep --full --exact 'sleep 4321'")?.stdout.trim().parse::<u32>().ok())
    })?;
    let leaf = bed.cgroup(main)?;
    ensure!(leaf.starts_with(&format!("{UNIT_CGROUP}/")), "not below the unit's cgroup: {leaf}");
    ensure!(bed.cgroup(runaway)? == leaf, "the runaway is in another cgroup: {}", bed.cgroup(runaway)?);
    let steady = bed.pid("steady")?;
    ensure!(bed.cgroup(steady)? != leaf, "two processes share {leaf}");
    let daemon = bed.sh("systemctl show --property=MainPID --value dd-procmgrd")?;
    ensure!(bed.cgroup(daemon.trim().parse()?)? != leaf, "the daemon itself is in {leaf}");

    bed.sh("pm-cli stop escapee")?;
    // No waiting here: the answer to `stop` says that all of it is gone.
    ensure!(!bed.is_alive(main)?, "the main process {main} is alive");
    ensure!(!bed.is_alive(runaway)?, "the runaway {runaway} is alive");
    ensure!(bed.is_alive(steady)?, "another process was killed with it");
    bed.wait("the leaf's removal", || Ok((bed.try_sh(&format!("test -e {leaf}"))?.code == 1).then_some(())))?;
    bed.sh("pm-cli delete escapee").map(drop)
}
