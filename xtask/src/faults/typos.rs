//! Reloads with a file that is empty, cut, gone, unreadable, a directory, a pipe, or wrong in one word: whatever it is, no
//! healthy process ends.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Size;
use super::bed::{Bed, many};
use super::dice::Dice;
use super::report::Report;
use super::watch::Watch;

const PROCESSES: usize = 12;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let mutations = size.of(60, 2_000);
    let mut dice = Dice::new(size.seed);
    let bed = Bed::start(&many(PROCESSES, "{command: PROBE sleep}"))?;
    bed.until_all(&["running"])?;
    let mut pids = pids(&bed)?;
    let watch = std::time::Duration::from_secs(10);
    let asked = Watch::start(&bed)?;
    let good = fs::read_to_string(bed.config_path())?;
    let path = bed.config_path();
    let mut tried = 0;
    for (what, text) in [
        ("empty", String::new()),
        ("blanks", "\n\n  \n".to_owned()),
        ("a comment", "# to be written\n".to_owned()),
        ("nothing below processes", "processes:\n".to_owned()),
        ("null", "null\n".to_owned()),
        ("a list", "- a\n- b\n".to_owned()),
        ("a misspelt key", good.replace("processes:", "proceses:")),
        ("cut", good[..good.len() - 20].to_owned()),
        ("a tab", good.replacen("  p3", "\tp3", 1)),
        ("a wrong value", good.replacen("restart_sec: 0", "restart_sec: -1", 1)),
        ("zeros", "\0".repeat(4096)),
    ] {
        fs::write(&path, text)?;
        untouched(&bed, &pids, what)?;
        tried += 1;
    }
    fs::remove_file(&path)?;
    untouched(&bed, &pids, "gone")?;
    fs::create_dir(&path)?;
    untouched(&bed, &pids, "a directory")?;
    fs::remove_dir(&path)?;
    let status = Command::new("mkfifo").arg(&path).status().context("mkfifo(1)")?;
    ensure!(status.success(), "mkfifo: {status}");
    untouched(&bed, &pids, "a pipe")?;
    fs::remove_file(&path)?;
    std::os::unix::fs::symlink("/nonexistent/processes.yaml", &path)?;
    untouched(&bed, &pids, "a link to nowhere")?;
    fs::remove_file(&path)?;
    tried += 4;
    // A byte that is another, in any place: what remains valid may change what it says, but the others stay.
    for _ in 0..mutations {
        let mut text = good.clone().into_bytes();
        let from = good.find("processes:").unwrap_or_default();
        let at = from + dice.below(text.len() - from);
        text[at] = dice.byte();
        fs::write(&path, &text)?;
        bed.pm(&["reload-config"]);
        tried += 1;
        let now = running(&bed)?;
        // The line that was hit may define another process, or be one of two.
        let moved = pids.iter().filter(|pid| !now.contains(pid)).count();
        ensure!(moved <= 1, "one byte at {at} ended {moved} processes:\n{}", String::from_utf8_lossy(&text));
        if moved == 1 {
            fs::write(&path, &good)?;
            ensure!(bed.pm(&["reload-config"]).code == 0, "the good file is refused");
            bed.until_all(&["running"])?;
            pids = self::pids(&bed)?;
        }
    }
    fs::write(&path, &good)?;
    finish(bed, asked.end_within(watch)?.to_string(), tried)
}

fn finish(bed: Bed, asked: String, tried: usize) -> Result<Report> {
    ensure!(bed.pm(&["reload-config"]).code == 0, "the good file is refused");
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!("{tried} broken files reloaded below {PROCESSES} processes"))
        .and("no healthy process ended")
        .and(asked))
}

/// A reload is refused or does nothing, and says what is wrong.
fn untouched(bed: &Bed, before: &[i64], what: &str) -> Result<()> {
    let answer = bed.pm(&["reload-config"]);
    let now = pids(bed).with_context(|| format!("a file that is {what}"))?;
    ensure!(now == before, "a file that is {what} ended healthy processes: {answer}");
    ensure!(answer.code != 0, "a reload of a file that is {what} was a success: {answer}");
    Ok(())
}

fn pids(bed: &Bed) -> Result<Vec<i64>> {
    let pids = running(bed)?;
    ensure!(pids.len() == PROCESSES, "{} of {PROCESSES} processes are running", pids.len());
    Ok(pids)
}

fn running(bed: &Bed) -> Result<Vec<i64>> {
    let all = bed.processes()?;
    let mut pids: Vec<i64> =
        all.iter().filter(|p| p["state"] == "running").filter_map(|p| p["pid"].as_i64()).collect();
    pids.sort_unstable();
    Ok(pids)
}
