//! What a child prints and what happens to it, in journald and in files.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;
use crate::system_test::journal;

pub(super) fn fields_of_a_line(bed: &Bed) -> Result<()> {
    let pid = bed.pid("chatty")?.to_string();
    let id = bed.process("chatty")?.id;
    let line = journal::latest(bed, &format!("PROCESS_ID={id} PROCESS_PID={pid} PROCESS_STREAM=stdout"))?;
    line.expect("PROCESS_NAME", "chatty")?;
    line.expect("PROCESS_RUN", "1")?;
    line.expect("PROCESS_STREAM", "stdout")?;
    line.expect("SYSLOG_IDENTIFIER", "chatty")?;
    line.expect("PRIORITY", "6")?;
    line.expect("_SYSTEMD_UNIT", "dd-procmgrd.service")?;
    let message = line.present("MESSAGE")?;
    ensure!(message.starts_with("chatty line "), "MESSAGE={message:?}");
    let invocation = line.present("PROCESS_INVOCATION_ID")?;
    ensure!(is_hex(invocation, 32), "PROCESS_INVOCATION_ID={invocation:?}");
    ensure!(is_hex(&id, 12), "PROCESS_ID={id:?}");
    Ok(())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn both_streams(bed: &Bed) -> Result<()> {
    bed.sh(
        "pm-cli create talker sh -c 'echo to stdout; echo to stderr >&2; exec sleep infinity' --auto-start",
    )?;
    for stream in ["stdout", "stderr"] {
        let line = journal::latest(bed, &format!("PROCESS_NAME=talker PROCESS_STREAM={stream}"))?;
        line.expect("MESSAGE", &format!("to {stream}"))?;
    }
    bed.sh("pm-cli delete talker").map(drop)
}

pub(super) fn events(bed: &Bed) -> Result<()> {
    let process = bed.process("steady")?;
    let event = journal::latest(bed, &format!("EVENT=started PROCESS_ID={}", process.id))?;
    event.expect("SYSLOG_IDENTIFIER", "dd-procmgrd")?;
    let message_id = event.present("MESSAGE_ID")?;
    ensure!(is_hex(message_id, 32), "MESSAGE_ID={message_id:?}");
    // The guide's own way to find a process.
    let found = bed.sh(&format!("journalctl -u dd-procmgrd | grep 'process_id={}'", process.id))?;
    ensure!(found.contains("steady"), "the text does not name the process:\n{found}");
    // The catalog explains it, with the name of the process.
    let explained = bed.sh(&format!("journalctl -x MESSAGE_ID={message_id} PROCESS_ID={}", process.id))?;
    let subject = explained.lines().find(|line| line.contains("Subject:"));
    ensure!(subject.is_some_and(|s| s.contains("steady")), "not explained:\n{explained}");
    Ok(())
}

pub(super) fn file(bed: &Bed) -> Result<()> {
    let text = bed.wait("three lines in the file", || {
        let text = bed.sh("head -n 3 /var/log/dd-procmgrd/chatty.log")?;
        Ok((text.lines().count() == 3).then_some(text))
    })?;
    ensure!(text == "chatty line 1\nchatty line 2\nchatty line 3\n", "the file begins with:\n{text}");
    let shown = bed.sh("pm-cli logs -n 2 chatty")?;
    ensure!(
        shown.lines().filter(|l| l.contains("chatty line ")).count() == 2,
        "pm-cli logs -n 2 shows:\n{shown}"
    );
    Ok(())
}
