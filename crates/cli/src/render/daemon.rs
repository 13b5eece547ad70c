//! `daemon status`: what `status` says, and what is known beside.

use std::fmt::Write as _;
use std::path::Path;

use model::Wall;
use rpc::v1::DaemonStatus;
use serde_json::{Value, json};

use super::{Paint, json, status};
use crate::units::bytes;
use crate::when::Clock;

/// What this side knows of a daemon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    /// Bytes of memory that are its own, and its part of what is shared; only where it may be read.
    pub(crate) pss: Option<u64>,
    /// Where it was reached.
    pub(crate) reached: String,
}

/// The sheet.
pub(crate) fn text(d: &DaemonStatus, beside: &Beside, now: &Clock, paint: Paint) -> String {
    let mut text = status::daemon(d, now, paint);
    let mut line = |label: &str, value: &str| {
        let _infallible = writeln!(text, "{label:<11} {value}").is_ok();
    };
    line("reached at", &beside.reached);
    match (d.resident_bytes, beside.pss) {
        (0, None) => {}
        (resident, None) => line("memory", &format!("{} resident", bytes(resident))),
        (0, Some(pss)) => line("memory", &format!("{} (PSS)", bytes(pss))),
        (resident, Some(pss)) => {
            line("memory", &format!("{} (PSS), {} resident", bytes(pss), bytes(resident)));
        }
    }
    if !d.state_dir.is_empty() {
        line("state", &d.state_dir);
    }
    if d.draining {
        line("", &paint.red("it is shutting down"));
    }
    let epoch = if d.epoch.is_empty() { String::new() } else { format!(", epoch {}", d.epoch) };
    line("last event", &format!("{}{epoch}", d.event_seq));
    let version = env!("CARGO_PKG_VERSION");
    if d.version != version {
        line(
            "pm-cli",
            &paint
                .red(&format!("{version}: not the daemon's version, which may lack what this one asks for")),
        );
    }
    text
}

/// The document of `status`, with more keys.
pub(crate) fn document(d: &DaemonStatus, beside: &Beside, now: Wall) -> Value {
    let mut value = json::status(d, now);
    value["reached_at"] = json!(beside.reached);
    value["pss_bytes"] = json!(beside.pss);
    value["resident_bytes"] = json!(Some(d.resident_bytes).filter(|bytes| *bytes > 0));
    value["state_dir"] = json!(Some(&d.state_dir).filter(|dir| !dir.is_empty()));
    value["epoch"] = json!(Some(&d.epoch).filter(|epoch| !epoch.is_empty()));
    value["draining"] = json!(d.draining);
    value
}

/// Reads the `Pss:` line of /proc/PID/smaps_rollup, which only the same user and root may.
pub(crate) fn pss(proc: &Path, pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join(pid.to_string()).join("smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_where_that_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("7")).unwrap();
        let text = "00400000-7fff rollup\nRss:    9000 kB\nPss:            4321 kB\nPss_Dirty:  1 kB\n";
        std::fs::write(dir.path().join("7/smaps_rollup"), text).unwrap();
        assert_eq!(pss(dir.path(), 7), Some(4321 * 1024));
        assert_eq!(pss(dir.path(), 8), None);
    }
}
