//! Every metric that a dashboard or a rule speaks of is in the table of names, with the labels that it is asked for
//! and in the functions that fit its type.

use std::collections::BTreeSet;

use metrics::names::{Kind, Metric, TABLE};

use crate::promql::{Selector, selectors};
use crate::{provisioned, queries};

/// Functions that see through a counter that starts again from 0.
const COUNTED: [&str; 3] = ["rate", "irate", "increase"];

/// Label and value of each matcher, the value with its operator: `("job", "=~\"$job\"")`.
pub(crate) fn labels<'a>(selector: &Selector<'a>) -> Vec<(&'a str, &'a str)> {
    let matchers = selector.matchers.split(',').filter(|m| !m.is_empty());
    matchers.map(|m| m.split_at(m.find(['=', '!']).unwrap_or(m.len()))).collect()
}

/// The entry of a series: histograms have three series each.
fn entry(series: &str) -> Option<&'static Metric> {
    let named = |name: &str| TABLE.iter().copied().find(|m| m.name == name);
    let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| series.strip_suffix(part));
    named(series).or_else(|| parts.and_then(named).filter(|m| is_histogram(m)))
}

fn is_histogram(metric: &Metric) -> bool {
    !matches!(metric.kind, Kind::Counter | Kind::Gauge)
}

/// What is wrong with the selectors of an expression.
pub(crate) fn faults(expr: &str) -> Vec<String> {
    selectors(expr).iter().filter_map(fault).collect()
}

fn fault(selector: &Selector<'_>) -> Option<String> {
    let name = selector.name;
    let own: Vec<&str> = if name == "up" {
        Vec::new()
    } else {
        let Some(metric) = entry(name) else { return Some(format!("no metric is called {name}")) };
        let counts = metric.kind == Kind::Counter || is_histogram(metric);
        let counted = COUNTED.iter().any(|f| selector.inside.last() == Some(f));
        // A variable only asks which labels there are.
        let listed = selector.inside.last() == Some(&"label_values");
        if counts != counted && !listed {
            return Some(format!("{name} is a {:?} and stands in {:?}", metric.kind, selector.inside));
        }
        metric.labels.iter().copied().chain(is_histogram(metric).then_some("le")).collect()
    };
    let known = |label: &str| ["job", "instance"].contains(&label) || own.contains(&label);
    let stranger = labels(selector).into_iter().find(|(label, _)| !known(label))?;
    Some(format!("{name} has no label {}", stranger.0))
}

#[test]
fn dashboards_speak_of_metrics_that_exist() {
    let mut seen = BTreeSet::new();
    for (path, board) in provisioned() {
        for (place, query) in queries(&path, &board) {
            assert_eq!(faults(&query), Vec::<String>::new(), "{place}: {query}");
            seen.extend(selectors(&query).iter().map(|s| s.name.to_owned()));
        }
    }
    assert!(seen.len() > 40, "the queries were not found: {seen:?}");
}

#[test]
fn each_fault_is_found() {
    for (expr, expected) in [
        ("ddprocmgr_process_nothing", "no metric is called ddprocmgr_process_nothing"),
        (
            "ddprocmgr_process_restarts_total > 3",
            "ddprocmgr_process_restarts_total is a Counter and stands in []",
        ),
        ("rate(ddprocmgr_process_up[5m])", r#"ddprocmgr_process_up is a Gauge and stands in ["rate"]"#),
        (r#"ddprocmgr_process_up{pid="1"}"#, "ddprocmgr_process_up has no label pid"),
        ("rate(ddprocmgr_process_up_bucket[5m])", "no metric is called ddprocmgr_process_up_bucket"),
    ] {
        assert_eq!(faults(expr), [expected], "{expr}");
    }
    assert!(
        faults(r#"sum(rate(ddprocmgr_process_restarts_total{process="a",job="b"}[5m])) + up"#).is_empty()
    );
}
