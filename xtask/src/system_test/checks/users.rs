//! Processes of other users.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

pub(super) fn whoami(bed: &Bed) -> Result<()> {
    bed.sh("pm-cli create test-cap bash -c 'whoami' --user nobody --stdout /tmp/test-cap.log --auto-start")?;
    let text = bed.wait("a line in /tmp/test-cap.log", || {
        Ok(Some(bed.try_sh("cat /tmp/test-cap.log")?.stdout).filter(|text| !text.is_empty()))
    })?;
    ensure!(text == "nobody\n", "the file says {text:?}");
    bed.wait("its end", || Ok((bed.process("test-cap")?.state == "exited").then_some(())))?;
    bed.sh("pm-cli delete test-cap")?;

    let unknown = bed.try_sh("pm-cli create ghost sleep 10 --user no-such-user --auto-start")?;
    ensure!(unknown.code != 0, "an unknown user was accepted: {unknown}");
    ensure!(unknown.stderr.contains("no-such-user"), "the user is not named: {unknown}");
    // Whether it stays defined is the daemon's choice; here it shall not disturb the other checks.
    bed.try_sh("pm-cli delete ghost").map(drop)
}
