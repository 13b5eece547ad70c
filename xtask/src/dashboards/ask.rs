//! Every question to the real Prometheus: each has to be understood, and to give data where data is due.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::promql::selectors;
use super::queries::{Question, below_rules, of_dashboards, of_guide, of_rules};
use crate::prometheus::{Prometheus, Sample, lines};
use crate::wait::{PATIENCE, wait};

/// Metrics that a daemon in the foreground does not have, with the reason. A query about one has to be understood; data
/// is not due.
const NOT_DUE: &[(&str, &str)] = &[
    ("ddprocmgr_process_cgroup_memory_bytes", "a cgroup is only there where systemd delegates one"),
    ("ddprocmgr_process_cgroup_memory_limit_bytes", "the same"),
    ("ddprocmgr_process_cgroup_pressure_seconds_total", "the same"),
    ("ddprocmgr_oom_kills_total", "the same"),
    ("ddprocmgr_journald_connected", "a machine without journald has no connection to it"),
    ("ddprocmgr_journald_errors_total", "the same"),
    ("ddprocmgr_journald_events_dropped_total", "the same"),
];

/// Conditions that keep a panel empty while all is well. Such a query is also asked without it.
const CONDITION: &str = " > 0";

/// Asks all of them.
pub(crate) fn everything(prometheus: &Prometheus, root: &Path) -> Result<()> {
    let rules = of_rules(root)?;
    let mut due = of_dashboards(root)?;
    due.extend(below_rules(&rules));
    // Other exporters have a part in them, which are not there.
    let examples = of_guide(root)?;
    wait("the other job to be there", || {
        Ok((!prometheus.query(r#"process_start_time_seconds{job="prometheus"}"#)?.is_empty()).then_some(()))
    })?;
    for question in due.iter().chain(&rules).chain(&examples) {
        let answer = prometheus.query(&question.expr)?;
        ensure!(
            !answer.iter().any(Sample::is_foreign),
            "{}: {} shows other jobs:{}",
            question.place,
            question.expr,
            lines(&answer)
        );
    }
    let mut missing: Vec<&Question> =
        due.iter().filter(|question| reason(&question.expr).is_none()).collect();
    let all = wait("data for every query", || {
        let mut without = Vec::new();
        for question in &missing {
            let expr = question.expr.strip_suffix(CONDITION).unwrap_or(&question.expr);
            if !has_data(&prometheus.query(expr)?) {
                without.push(*question);
            }
        }
        missing = without;
        Ok(missing.is_empty().then_some(()))
    });
    if all.is_err() && !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(|q| format!("  {}: {}", q.place, q.expr)).collect();
        bail!("no data within {PATIENCE:?} for {} queries:\n{}", list.len(), list.join("\n"));
    }
    all
}

/// Why a query has no data; `None` where data is due.
fn reason(expr: &str) -> Option<&'static str> {
    let excused = |name: &str| NOT_DUE.iter().find(|(metric, _)| *metric == name).map(|(_, reason)| *reason);
    selectors(expr).iter().find_map(|selector| excused(selector.name))
}

/// A quantile of nothing is not a number.
fn has_data(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| !sample.value.is_nan())
}
