//! Limits and isolation of a definition: as JSON, and as lines of `describe`.

use std::collections::BTreeMap;

use rpc::v1;
use serde_json::{Value, json};

/// `null` = not written, `"max"` = no limit.
pub(crate) fn resources_json(limits: &v1::ResourceLimits) -> Value {
    let ceiling =
        |limit: Option<v1::Ceiling>| limit.map(|limit| limit.value.map_or(json!("max"), |n| json!(n)));
    let cpu = limits.cpu_max.map(|limit| limit.value.map_or(json!("max"), |n| json!(n as f64 / 1000.0)));
    json!({
        "memory_max": ceiling(limits.memory_max),
        "memory_high": ceiling(limits.memory_high),
        "memory_swap_max": ceiling(limits.memory_swap_max),
        "oom_group": limits.oom_group,
        "cpu_max": cpu,
        "cpu_weight": limits.cpu_weight,
        "pids_max": ceiling(limits.pids_max),
        "io_weight": limits.io_weight,
    })
}

/// Each as `[soft, hard]`; null = no limit.
pub(crate) fn rlimits_json(limits: &v1::Rlimits) -> Value {
    let sorted: BTreeMap<&String, Value> =
        limits.values.iter().map(|(name, pair)| (name, json!([pair.soft, pair.hard]))).collect();
    json!(sorted)
}

/// `memory_max 512M, cpu_max 1.5`
pub(crate) fn resources_text(limits: &v1::ResourceLimits) -> String {
    let ceiling = |name: &str, limit: Option<v1::Ceiling>, shown: fn(u64) -> String| {
        Some(format!("{name} {}", limit?.value.map_or("max".to_owned(), shown)))
    };
    let weight = |name: &str, weight: Option<u32>| Some(format!("{name} {}", weight?));
    let parts = [
        ceiling("memory_max", limits.memory_max, size_text),
        ceiling("memory_high", limits.memory_high, size_text),
        ceiling("memory_swap_max", limits.memory_swap_max, size_text),
        limits.oom_group.filter(|group| *group).map(|_| "oom_group".to_owned()),
        ceiling("cpu_max", limits.cpu_max, |millis| (millis as f64 / 1000.0).to_string()),
        weight("cpu_weight", limits.cpu_weight),
        ceiling("pids_max", limits.pids_max, |n| n.to_string()),
        weight("io_weight", limits.io_weight),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `core 0, nofile 1024:65536`
pub(crate) fn rlimits_text(limits: &v1::Rlimits) -> String {
    let bound = |bound: Option<u64>| bound.map_or("unlimited".to_owned(), |n| n.to_string());
    let sorted: BTreeMap<_, _> = limits.values.iter().collect();
    let parts = sorted.into_iter().map(|(name, pair)| match (bound(pair.soft), bound(pair.hard)) {
        (soft, hard) if soft == hard => format!("{name} {soft}"),
        (soft, hard) => format!("{name} {soft}:{hard}"),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What else it is given to run with, on one line.
pub(crate) fn isolation_text(d: &v1::ProcessDefinition) -> String {
    let list = |list: &Option<v1::StringList>| {
        list.as_ref().filter(|list| !list.values.is_empty()).map(|list| list.values.join(", "))
    };
    let parts = [
        d.nice.map(|n| format!("nice {n}")),
        d.oom_score_adj.map(|n| format!("oom_score_adj {n}")),
        list(&d.ambient_capabilities),
        d.no_new_privileges().then(|| "no_new_privileges".to_owned()),
        list(&d.runtime_directory).map(|names| format!("runtime directory {names}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// As in a definition: the largest unit that leaves no rest.
fn size_text(bytes: u64) -> String {
    let unit =
        [("G", 30), ("M", 20), ("K", 10)].into_iter().find(|(_, shift)| bytes.trailing_zeros() >= *shift);
    match unit {
        Some((unit, shift)) if bytes > 0 => format!("{}{unit}", bytes >> shift),
        _ => bytes.to_string(),
    }
}
