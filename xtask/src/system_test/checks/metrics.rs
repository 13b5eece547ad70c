//! The exposition, as it is and as a real Prometheus takes it.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;
use crate::system_test::prometheus;

pub(super) fn promtool(bed: &Bed) -> Result<()> {
    let get =
        "set -o pipefail; curl --silent --show-error --fail --max-time 10 http://127.0.0.1:9090/metrics";
    let said = bed.try_sh(&format!("{get} | promtool check metrics"))?;
    ensure!(said.code == 0 && said.stdout.is_empty() && said.stderr.is_empty(), "{said}");
    let text = bed.sh(get)?;
    ensure!(text.contains("ddprocmgr_build_info{"), "no build info in:\n{text}");
    Ok(())
}

pub(super) fn scraped(bed: &Bed) -> Result<()> {
    prometheus::start(bed)?;
    prometheus::wait(bed, r#"up{job="dd-procmgrd"}"#, |up| up == 1.0)?;
    prometheus::wait(bed, r#"ddprocmgr_process_resident_memory_bytes{process="steady"}"#, |rss| {
        rss > 4096.0
    })?;
    prometheus::wait(bed, r#"ddprocmgr_process_uptime_seconds{process="steady"}"#, |up| up > 0.0)?;
    prometheus::wait(bed, r#"ddprocmgr_process_state{process="steady",state="running"}"#, |on| on == 1.0)
        .map(drop)
}
