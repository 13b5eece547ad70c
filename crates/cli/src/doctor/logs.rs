//! Where lines go: journald, what it lets through, and the disks of the files.

use super::facts::{Disk, Journal, Metrics, shown};
use super::{Facts, Finding, quoted};
use crate::units::bytes;

/// Lines a second that one daemon's processes may print together before a limit is worth a word.
const ENOUGH: f64 = 10_000.0;
const GIB: u64 = 1 << 30;

pub(super) fn journald(facts: &Facts) -> Vec<Finding> {
    let says = match &facts.metrics {
        Metrics::Answers(scrape) => scrape.journald,
        _ => None,
    };
    let status = "systemctl status systemd-journald systemd-journald.socket";
    let lost = "lines of processes are in their log files only, until journald is back";
    let finding = match (&facts.journal, says) {
        (Journal::Unknown(why), _) => Finding::not_checked(why),
        (Journal::Off, _) => {
            Finding::ok("switched off by PM_JOURNAL_SOCKET: lines are in the log files only")
        }
        (Journal::Missing(path), None | Some(false)) => Finding::not_checked(format!(
            "there is no journald on this machine ({} does not exist): lines are in the log files only",
            shown(path)
        )),
        (Journal::Refuses(path, why), None | Some(false)) => {
            Finding::problem(format!("{} takes nothing: {why}", shown(path)), lost, status)
        }
        (Journal::Takes(path), Some(false)) => Finding::problem(
            format!("the daemon does not reach journald, although {} takes entries", shown(path)),
            "the daemon can't go there: a hardened unit or a container without /run/systemd/journal; lines are in the \
             log files only",
            "journalctl -u dd-procmgrd -g journald -n 20",
        ),
        (Journal::Takes(path), _) => Finding::ok(format!("{} takes entries", shown(path))),
        (Journal::Missing(_) | Journal::Refuses(..), Some(true)) => {
            Finding::ok("the daemon reaches journald")
        }
    };
    vec![finding]
}

pub(super) fn rate_limit(facts: &Facts) -> Vec<Finding> {
    let unit = match &facts.unit {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(unit) => unit,
    };
    let property = |name: &str| unit.properties.get(name).map(String::as_str).unwrap_or_default();
    let (interval, burst) = (property("LogRateLimitIntervalUSec"), property("LogRateLimitBurst"));
    let shares = "journald counts the lines of all processes of the daemon together; beyond the limit it drops them, of quiet \
                  ones too. The log files have them all";
    if unit.user {
        return vec![Finding::warning(
            format!(
                "{}: journald's own limit holds for a user's unit (10,000 lines in 30 s where nobody changed it)",
                unit.name
            ),
            format!(
                "{shares}. Only the system's systemd can set another one: RateLimitBurst= in journald.conf"
            ),
            "systemd-analyze cat-config systemd/journald.conf",
        )];
    }
    let (seconds, lines) = (seconds(interval), burst.parse::<f64>().ok());
    let finding = match (seconds, lines) {
        (Some(seconds), Some(lines)) if seconds > 0.0 && lines / seconds >= ENOUGH => {
            Finding::ok(format!("{}: {burst} lines in {interval}", unit.name))
        }
        (Some(seconds), Some(lines)) if seconds > 0.0 && lines > 0.0 => Finding::warning(
            format!("{}: {burst} lines in {interval}", unit.name),
            format!(
                "{shares}. Write LogRateLimitIntervalSec=1s and LogRateLimitBurst=1000000 below [Service]"
            ),
            format!("sudo systemctl edit {}", quoted(&unit.name)),
        ),
        (Some(_), Some(_)) => Finding::warning(
            format!("{}: no limit is set, so journald's default holds (10,000 lines in 30 s)", unit.name),
            format!(
                "{shares}. Write LogRateLimitIntervalSec=1s and LogRateLimitBurst=1000000 below [Service]; 0 means \"not set\""
            ),
            format!("sudo systemctl edit {}", quoted(&unit.name)),
        ),
        _ => Finding::not_checked(format!("systemctl does not say which limit {} has", unit.name)),
    };
    vec![finding]
}

/// `1min 30s` as systemctl writes times.
fn seconds(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    for word in text.split_whitespace() {
        let at = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let (number, unit) = word.split_at(at);
        let factor = match unit {
            "" | "s" => 1.0,
            "us" => 1e-6,
            "ms" => 1e-3,
            "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
    }
    (!text.trim().is_empty()).then_some(sum)
}

pub(super) fn disks(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (what, path, disk) in &facts.disks {
        let disk = match disk {
            Err(why) => {
                findings.push(Finding::not_checked(format!("{what} in {}: {why}", shown(path))));
                continue;
            }
            Ok(disk) => *disk,
        };
        let place = format!("{what} in {}", shown(path));
        let df = quoted(&shown(path));
        let found = format!("{place}: {} of {} free", bytes(disk.bytes_free), bytes(disk.bytes));
        let (bytes_left, inodes_left) =
            (share(disk.bytes_free, disk.bytes), share(disk.inodes_free, disk.inodes));
        let full = "a full disk makes processes wait that write to their log files, after the oldest archives are gone";
        if disk.bytes_free < 50 << 20 || (bytes_left < 0.01 && disk.bytes_free < GIB) {
            findings.push(Finding::problem(found, full, format!("df -h {df}")));
        } else if low(disk, bytes_left) {
            findings.push(Finding::warning(found, full, format!("df -h {df}")));
        } else if inodes_left < 0.05 {
            let found = format!("{place}: {} of {} inodes are free", disk.inodes_free, disk.inodes);
            let means = "without one no file can be made, however much space there is";
            let verdict = if inodes_left < 0.01 { Finding::problem } else { Finding::warning };
            findings.push(verdict(found, means.to_owned(), format!("df -i {df}")));
        } else {
            findings.push(Finding::ok(found));
        }
    }
    findings
}

fn low(disk: Disk, left: f64) -> bool {
    left < 0.1 && disk.bytes_free < 10 * GIB
}

/// Which part is left; everything, where there is no limit.
#[expect(clippy::cast_precision_loss, reason = "a share, of which two digits count")]
fn share(free: u64, all: u64) -> f64 {
    if all == 0 { 1.0 } else { free as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_systemctl() {
        for (text, wanted) in [
            ("1s", Some(1.0)),
            ("30s", Some(30.0)),
            ("1min 30s", Some(90.0)),
            ("500ms", Some(0.5)),
            ("0", Some(0.0)),
            ("", None),
            ("infinity", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }
}
