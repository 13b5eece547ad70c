//! How people look for a process in the journal.

use anyhow::{Context as _, Result, ensure};

use crate::system_test::bed::Bed;

pub(super) fn queries(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let id = variant.process(bed, "lab")?.id;
    // Explanations are installed by root, as docs/INSTALL.md has it; the guide does without.
    bed.sh("cp /src/systemd/dd-procmgrd.catalog /usr/lib/systemd/catalog/ && journalctl --update-catalog")?;
    variant.try_sh(bed, "pm-cli create broken /no/such/program --restart never --auto-start")?;
    let (pid, ask) = (variant.pid(bed, "lab")?, variant.journalctl);
    variant.sh(bed, &format!("kill -9 {pid}"))?;
    variant.next_pid(bed, "lab", pid)?;
    variant.until_logged(bed, "EVENT=spawn_failed", "broken")?;
    variant.until_logged(bed, &format!("EVENT=exited PROCESS_PID={pid}"), "lab")?;

    let holds = |words: &str, wanted: &[&str], unwanted: &str| -> Result<()> {
        let found = variant.sh(bed, &format!("{ask} {words}"))?;
        for text in wanted {
            ensure!(found.contains(text), "`{ask} {words}` does not show {text}:\n{found}");
        }
        ensure!(
            unwanted.is_empty() || !found.contains(unwanted),
            "`{ask} {words}` shows {unwanted}:\n{found}"
        );
        Ok(())
    };
    let field = format!("\"PROCESS_ID\" : \"{id}\"");
    holds("-o json-pretty", &[&field, "\"MESSAGE_ID\"", "\"PROCESS_NAME\" : \"lab\""], "")?;
    holds("-p warning", &["lab", "broken"], "Application starting")?;
    holds("-p err", &["broken"], "lab was killed")?;
    holds(&format!("| grep 'process_id={id}'"), &["lab"], "broken")?;
    holds(&format!("PROCESS_ID={id} -o cat"), &["Application starting", "killed"], "broken")?;

    let exited = variant.sh(bed, &format!("{ask} -o json EVENT=exited PROCESS_PID={pid}"))?;
    let entry: serde_json::Value = serde_json::from_str(exited.trim()).context(exited)?;
    let message_id = entry["MESSAGE_ID"].as_str().context("the end of a process has no MESSAGE_ID")?;
    holds(&format!("MESSAGE_ID={message_id} -o cat"), &["lab"], "broken")?;
    holds(&format!("-x MESSAGE_ID={message_id} PROCESS_PID={pid}"), &["Subject:", "lab"], "")?;
    variant.sh(bed, "pm-cli delete broken").map(drop)
}
