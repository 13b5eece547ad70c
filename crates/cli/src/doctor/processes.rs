//! Processes: what needs somebody, what is not as it was asked for, what runs as root for no reason.

use rpc::v1::{HealthState, Process, State};

use super::{Facts, Finding, count, quoted, some};
use crate::render::state_word;

pub(super) fn states(facts: &Facts) -> Vec<Finding> {
    let processes = match &facts.processes {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(processes) => processes,
    };
    let named = |p: &Process| format!("{} ({})", p.name, state_word(p.state()));
    let bad: Vec<&Process> = processes
        .iter()
        .filter(|p| matches!(p.state(), State::CrashLoop | State::Failed | State::Invalid))
        .collect();
    let waits: Vec<&Process> = processes.iter().filter(|p| p.state() == State::Backoff).collect();
    let unhealthy = |p: &&Process| p.health.as_ref().is_some_and(|h| h.state() == HealthState::Unhealthy);
    let unhealthy: Vec<&Process> = processes.iter().filter(unhealthy).collect();
    let mut findings = Vec::new();
    if let Some(first) = bad.first() {
        let names: Vec<String> = bad.iter().map(|p| named(p)).collect();
        findings.push(Finding::problem(
            format!("{}: {}", count(bad.len(), "process has failed", "processes have failed"), some(&names)),
            "crash_loop: failed too often and is tried again after a cool-down; failed: given up; invalid: its definition is \
             broken",
            why(first),
        ));
    }
    if let Some(first) = waits.first() {
        let names: Vec<String> = waits.iter().map(|p| p.name.clone()).collect();
        findings.push(Finding::warning(
            format!("{}: {}", count(waits.len(), "process waits", "processes wait"), some(&names)),
            "it ended badly and is started again by itself when its delay is over",
            why(first),
        ));
    }
    if let Some(first) = unhealthy.first() {
        let names: Vec<String> = unhealthy.iter().map(|p| p.name.clone()).collect();
        findings.push(Finding::warning(
            format!(
                "{}: {}",
                count(unhealthy.len(), "process is unhealthy", "processes are unhealthy"),
                some(&names)
            ),
            "it runs, and its health check fails",
            why(first),
        ));
    }
    if findings.is_empty() {
        let up = processes.iter().filter(|p| p.state() == State::Running).count();
        let all = count(processes.len(), "process", "processes");
        findings.push(Finding::ok(format!("{all}, {up} running, none has failed")));
    }
    findings
}

fn why(process: &Process) -> String {
    format!("pm-cli why {}", quoted(&process.name))
}

pub(super) fn degraded(facts: &Facts) -> Vec<Finding> {
    let processes = match &facts.processes {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(processes) => processes,
    };
    let without_cgroups = facts.status().is_ok_and(|status| status.containment != "cgroup");
    let (refused, others): (Vec<&Process>, Vec<&Process>) =
        processes.iter().partition(|p| without_cgroups && has_vital_limit(p));
    let mut findings = Vec::new();
    if let Some(first) = refused.first() {
        let names: Vec<String> = refused.iter().map(|p| p.name.clone()).collect();
        let what = count(refused.len(), "process can't be started", "processes can't be started");
        findings.push(Finding::problem(
            format!("{what}: {}", some(&names)),
            "`memory_max` or `pids_max` can't be had here, and nothing starts without them; one that runs will not start again",
            format!("pm-cli update {} --memory-max max --pids-max max", quoted(&first.name)),
        ));
    }
    let less: Vec<&Process> = others.into_iter().filter(|p| p.degraded.is_some()).collect();
    let Some(first) = less.first() else {
        if findings.is_empty() {
            findings.push(Finding::ok("every definition can be carried out as it stands"));
        }
        return findings;
    };
    let names: Vec<String> = less.iter().map(|p| p.name.clone()).collect();
    let what = first.degraded.as_deref().unwrap_or_default();
    findings.push(Finding::warning(
        format!(
            "{}: {}",
            count(less.len(), "process runs with less", "processes run with less"),
            some(&names)
        ),
        format!("{}: {}", first.name, what.lines().next().unwrap_or_default()),
        why(first),
    ));
    findings
}

/// Whether it has one of the limits without which nothing is started.
fn has_vital_limit(process: &Process) -> bool {
    let limits = process.definition.as_ref().and_then(|definition| definition.resource_limits.as_ref());
    limits.is_some_and(|limits| {
        [&limits.memory_max, &limits.pids_max].into_iter().flatten().any(|limit| limit.value.is_some())
    })
}

pub(super) fn users(facts: &Facts) -> Vec<Finding> {
    let processes = match &facts.processes {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(processes) => processes,
    };
    if facts.daemon_uid() != 0 {
        return vec![Finding::ok("the daemon is not root, and what has no `user:` is not either")];
    }
    let root = |p: &&Process| {
        p.definition
            .as_ref()
            .is_some_and(|d| d.user.as_deref().is_none_or(|user| user == "root" || user == "0"))
    };
    let names: Vec<String> = processes.iter().filter(root).map(|p| p.name.clone()).collect();
    if names.is_empty() {
        return vec![Finding::ok("every process has a `user:` of its own")];
    }
    vec![Finding::warning(
        format!("{} as root: {}", count(names.len(), "process runs", "processes run"), some(&names)),
        "a mistake in one of them is a mistake in the whole machine; give it a user that owns nothing but its data",
        format!("pm-cli update {} --user USER --dry-run", quoted(&names[0])),
    )]
}
