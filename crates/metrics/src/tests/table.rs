//! The table of names against the exposition, and against the rules that `promtool check metrics` applies.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fixture, exporter};
use crate::names::{Group, Kind, Metric, TABLE, Unit};

#[test]
fn the_exposition_is_the_table() {
    let text = String::from_utf8(exporter(Fixture::default()).render().into()).unwrap();
    let table: BTreeMap<&str, &Metric> = TABLE.iter().map(|m| (m.name, *m)).collect();
    assert_eq!(table.len(), TABLE.len(), "a name stands twice");
    let mut exported = Vec::new();
    for family in text.split("# HELP ").skip(1) {
        let (name, rest) = family.split_once(' ').unwrap();
        let metric = table.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let head = format!("{}\n# TYPE {name} {}\n", metric.help, metric.kind.as_str());
        let samples = rest.strip_prefix(&head).unwrap_or_else(|| panic!("{name} begins {rest:?}"));
        for sample in samples.lines() {
            let (series, _) = sample.rsplit_once("} ").or(sample.split_once(' ')).unwrap();
            let (full, labels) = series.split_once('{').unwrap_or((series, ""));
            let suffix = full.strip_prefix(name).unwrap_or_else(|| panic!("{sample} among those of {name}"));
            let of_histogram = ["_bucket", "_sum", "_count"].contains(&suffix);
            assert_eq!(of_histogram, metric.kind == Kind::Histogram, "{sample}");
            assert!(of_histogram || suffix.is_empty(), "{sample}");
            let mut names: Vec<&str> =
                labels.split("\",").filter_map(|l| Some(l.split_once("=\"")?.0)).collect();
            if suffix == "_bucket" {
                assert_eq!(names.pop(), Some("le"), "{sample}");
            }
            assert_eq!(names, metric.labels, "{sample}");
        }
        exported.push(name);
    }
    assert_eq!(
        BTreeSet::from_iter(exported.clone()),
        table.keys().copied().collect(),
        "left: exported, right: in the table"
    );
    assert_eq!(exported.len(), table.len(), "a family stands twice");
}

/// OpenMetrics names a counter's family without `_total`.
#[test]
fn families_stay_apart_without_total() {
    let bare: BTreeSet<&str> =
        TABLE.iter().map(|m| m.name.strip_suffix("_total").unwrap_or(m.name)).collect();
    assert_eq!(bare.len(), TABLE.len());
}

/// Labels that Prometheus or its users put on every target.
const TARGET_LABELS: [&str; 8] = ["job", "instance", "service", "env", "zone", "stage", "type", "le"];

/// Endings that mean a unit other than the base unit.
const NOT_BASE_UNITS: [&str; 12] =
    ["s", "ms", "sec", "secs", "milliseconds", "minutes", "hours", "b", "kb", "mb", "kilobytes", "percent"];

#[test]
fn names_follow_the_rules() {
    for m in TABLE {
        let name = m.name;
        let words: Vec<&str> = name.split('_').collect();
        let prefix = match m.group {
            Group::SelfProcess => "process",
            Group::Grpc => "grpc",
            _ => "ddprocmgr",
        };
        assert_eq!(words[0], prefix, "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: snake case");
        assert!(!words.contains(&""), "{name}: one underscore at a time");
        assert_eq!(m.kind == Kind::Counter, name.ends_with("_total"), "{name}: _total is for counters");
        for ending in ["_sum", "_count", "_bucket"] {
            assert!(!name.ends_with(ending), "{name}: {ending} is for histograms");
        }
        for word in &words {
            assert!(!["gauge", "counter", "histogram", "summary"].contains(word), "{name}: type in the name");
            assert!(!NOT_BASE_UNITS.contains(word), "{name}: not a base unit");
        }
        let bare = name.strip_suffix("_total").unwrap_or(name);
        let (seconds, bytes) = (bare.ends_with("_seconds"), bare.ends_with("_bytes"));
        assert_eq!(seconds, matches!(m.unit, Unit::Seconds | Unit::UnixSeconds), "{name}: unit at the end");
        assert_eq!(bytes, m.unit == Unit::Bytes, "{name}: unit at the end");
        let point_in_time = bare.ends_with("_timestamp_seconds") || bare.ends_with("_start_time_seconds");
        assert_eq!(point_in_time, m.unit == Unit::UnixSeconds, "{name}: a point in time says so");
    }
}

#[test]
fn labels_follow_the_rules() {
    for m in TABLE {
        assert_eq!(m.labels.iter().collect::<BTreeSet<_>>().len(), m.labels.len(), "{}", m.name);
        for label in m.labels {
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}: {label}", m.name);
            assert!(!TARGET_LABELS.contains(label), "{}: {label} clashes with a target's label", m.name);
            assert!(
                !label.contains("pid") && !label.contains("invocation"),
                "{}: {label} has no bound",
                m.name
            );
            assert!(*label != "process_id" || m.name == "ddprocmgr_process_info", "{}", m.name);
            let named_after =
                m.name.strip_prefix("ddprocmgr_process_").unwrap_or(m.name).contains(&format!("by_{label}"));
            assert!(!named_after, "{}: label {label} in the name", m.name);
        }
        let per_process = m.name.starts_with("ddprocmgr_process_");
        assert_eq!(per_process, m.labels.first() == Some(&"process"), "{}: label process first", m.name);
        assert_eq!(
            m.labels.is_empty(),
            matches!(m.series, "1" | "at most 1") && m.name != "ddprocmgr_build_info",
            "{}",
            m.name
        );
    }
}

#[test]
fn help_is_a_sentence() {
    for m in TABLE {
        assert!(m.help.ends_with('.') && m.help.starts_with(|c: char| c.is_ascii_uppercase()), "{}", m.name);
        assert!(m.help.is_ascii() && !m.help.contains(['\n', '\\', '"']), "{}", m.name);
    }
}
