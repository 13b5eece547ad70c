//! What Prometheus has to say at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{INTERVAL, say};
use crate::prometheus::{Prometheus, lines};

/// Prometheus' own counts of what was wrong with a scrape. The last three are of all targets; one of them is Prometheus.
const TROUBLE: [&str; 6] = [
    r#"count_over_time((up{job="dd-procmgrd"} == 0)[WINDOW:1s])"#,
    r#"max_over_time(scrape_samples_scraped{job="dd-procmgrd"}[WINDOW]) == 0"#,
    r#"(scrape_samples_scraped - scrape_samples_post_metric_relabeling) != 0"#,
    "prometheus_target_scrapes_sample_duplicate_timestamp_total > 0",
    "prometheus_target_scrapes_sample_out_of_order_total > 0",
    "prometheus_target_scrapes_sample_out_of_bounds_total > 0",
];

/// Counters of processes that were never deleted.
const COUNTERS: [&str; 4] = [
    "ddprocmgr_process_restarts_total",
    "ddprocmgr_process_starts_total",
    "ddprocmgr_process_cpu_seconds_total",
    "ddprocmgr_process_log_lines_total",
];

/// Checks it and prints what was measured.
pub(crate) fn check(
    prometheus: &Prometheus,
    names: &BTreeSet<String>,
    kills: u64,
    lasted: Duration,
) -> Result<()> {
    let window = format!("{}s", lasted.as_secs() + 60);
    let ask = |expr: &str| prometheus.query(&expr.replace("WINDOW", &window));
    let one = |expr: &str| -> Result<f64> { Ok(ask(expr)?.first().map_or(f64::NAN, |sample| sample.value)) };

    let longest = one(r#"max_over_time(scrape_duration_seconds{job="dd-procmgrd"}[WINDOW])"#)?;
    for expr in TROUBLE {
        let found = ask(expr)?;
        ensure!(found.is_empty(), "{expr}:{}\n(a scrape took {longest:.3} s at most)", lines(&found));
        // A name that Prometheus doesn't know would be as empty.
        let counter = expr.strip_suffix(" > 0");
        ensure!(
            counter.is_none_or(|counter| ask(counter).is_ok_and(|s| !s.is_empty())),
            "no data for {expr}"
        );
    }
    // Prometheus begins within its first interval, and may leave one out when the machine is busy.
    let scrapes = one(r#"count_over_time(up{job="dd-procmgrd"}[WINDOW])"#)?;
    ensure!(
        scrapes > 0.95 * lasted.as_secs_f64() / f64::from(INTERVAL) - 5.0,
        "only {scrapes} scrapes in {lasted:?}"
    );

    let left: BTreeSet<String> = ask("group by (process) ({process!=\"\"})")?
        .iter()
        .filter_map(|sample| sample.labels["process"].as_str().map(str::to_owned))
        .collect();
    ensure!(
        left == *names,
        "series of processes that are gone: {:?}; missing: {:?}",
        left.difference(names),
        names.difference(&left)
    );
    for counter in COUNTERS {
        let back = ask(&format!(
            "resets({counter}{{process=~\"steady|crasher|looper|family|target\"}}[WINDOW]) > 0"
        ))?;
        ensure!(back.is_empty(), "{counter} went back:{}", lines(&back));
        // Otherwise the line above would be about nothing.
        ensure!(!ask(&format!("{counter}{{process=\"steady\"}}"))?.is_empty(), "no {counter}");
    }
    let counted = one(r#"ddprocmgr_process_restarts_total{process="target"}"#)?;
    ensure!(
        counted.to_bits() == (kills as f64).to_bits(),
        "{kills} restarts happened, {counted} were counted"
    );

    let ever = one(r#"count(count by (process) (last_over_time(ddprocmgr_process_state[WINDOW])))"#)?;
    let mean = one(r#"avg_over_time(scrape_duration_seconds{job="dd-procmgrd"}[WINDOW])"#)?;
    let least = one(r#"min_over_time(process_resident_memory_bytes{job="dd-procmgrd"}[WINDOW])"#)?;
    let most = one(r#"max_over_time(process_resident_memory_bytes{job="dd-procmgrd"}[WINDOW])"#)?;
    say(&format!("{scrapes} scrapes, none failed; {ever} processes seen; no series left over or twice"));
    say(&format!("a scrape took {:.1} ms, at most {:.1} ms", mean * 1e3, longest * 1e3));
    say(&format!("the daemon's RSS: {:.1} to {:.1} MB", least / 1e6, most / 1e6));
    Ok(())
}
