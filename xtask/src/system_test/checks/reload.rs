//! `systemctl reload`.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

use super::install::CONFIG;

const FILE: &str = "/etc/dd-procmgrd/processes.yaml";

pub(super) fn only_what_changed(bed: &Bed) -> Result<()> {
    let (chatty, steady) = (bed.pid("chatty")?, bed.pid("steady")?);
    bed.write(FILE, &CONFIG.replace("chatty line", "changed line"))?;
    bed.sh("systemctl reload dd-procmgrd")?;
    let result = bed.wait("a new run of the changed process", || {
        let now = bed.process("chatty")?;
        Ok((now.pid.is_some_and(|pid| pid != chatty) && now.state == "running").then_some(()))
    });
    let unchanged = bed.pid("steady")?;
    restore(bed)?;
    result?;
    ensure!(unchanged == steady, "the unchanged process was restarted: pid {steady}, then {unchanged}");
    Ok(())
}

pub(super) fn broken_file(bed: &Bed) -> Result<()> {
    let before = (bed.pid("chatty")?, bed.pid("steady")?);
    let since = bed.sh("date '+@%s.%N'")?;
    // The ninth line is a misspelt key, beside a change of the same process that must not be applied alone.
    let misspelt = format!("{}\n    enviroment: {{A: b}}", CONFIG.replace("sleep infinity", "sleep 3333"));
    bed.write(FILE, &misspelt)?;
    bed.sh("systemctl reload dd-procmgrd")?;
    let said = bed.wait("the misspelt key in the journal", || {
        let read = format!("journalctl -u dd-procmgrd --since '{}' --output=cat", since.trim());
        Ok(Some(bed.sh(&read)?).filter(|text| text.contains("enviroment")))
    })?;
    // The command answers when the reload is done, with the same problem.
    let answer = bed.try_sh("pm-cli reload-config")?;
    bed.write(FILE, "processes: [")?;
    let no_yaml = bed.try_sh("pm-cli reload-config")?;
    let after = (bed.pid("chatty")?, bed.pid("steady")?);
    restore(bed)?;
    ensure!(said.contains("processes.yaml"), "the file is not named:\n{said}");
    ensure!(answer.code != 0, "pm-cli reload-config is content with a misspelt key: {answer}");
    ensure!(answer.to_string().contains("processes.yaml:9"), "file and line are not named: {answer}");
    ensure!(no_yaml.code != 0, "pm-cli reload-config is content with what is no YAML: {no_yaml}");
    ensure!(no_yaml.to_string().contains("processes.yaml:1"), "file and line are not named: {no_yaml}");
    ensure!(before == after, "pids {before:?}, then {after:?}");
    Ok(())
}

fn restore(bed: &Bed) -> Result<()> {
    bed.write(FILE, CONFIG)?;
    bed.sh("pm-cli reload-config").map(drop)
}
