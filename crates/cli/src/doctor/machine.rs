//! What the machine gives the daemon: capabilities, cgroups, descriptors, a clock.

use std::time::Duration;

use super::facts::{Capabilities, Fact, Metrics};
use super::{Facts, Finding, some};
use crate::units::wall;

const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const SYS_NICE: u64 = 1 << 23;
const SYS_RESOURCE: u64 = 1 << 24;
/// 2020-01-01
const BUILT_AFTER: Duration = Duration::from_secs(1_577_836_800);
/// Descriptors that a running process takes in the daemon: four were counted, and one more while it starts.
const EACH: u64 = 5;
/// Those of the daemon itself: 36 were counted.
const BASE: u64 = 40;

/// What definitions ask for: who asks, which capabilities, why.
struct Need {
    process: String,
    set: u64,
    key: &'static str,
}

pub(super) fn capabilities(facts: &Facts) -> Vec<Finding> {
    let have = match &facts.proc.capabilities {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(have) => *have,
    };
    let needs = match needs(facts) {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(needs) => needs,
    };
    let mut findings = Vec::new();
    for key in ["user", "ambient_capabilities", "nice", "oom_score_adj"] {
        let short = |need: &&Need| need.key == key && lacking(need, have) != 0;
        let lacking: Vec<&Need> = needs.iter().filter(short).collect();
        let Some(first) = lacking.first() else { continue };
        let names: Vec<String> = lacking.iter().map(|need| need.process.clone()).collect();
        let missing = lacking.iter().fold(0, |set, need| set | self::lacking(need, have));
        let found =
            format!("{} missing, which `{key}` needs of: {}", capability_names(missing), some(&names));
        let why = super::quoted(&first.process);
        findings.push(Finding::problem(found, way_out(key, facts.daemon_uid()), format!("pm-cli why {why}")));
    }
    if findings.is_empty() {
        let all = have.effective & (SETUID | SETGID) == SETUID | SETGID;
        findings.push(Finding::ok(match (needs.is_empty(), all) {
            (false, _) => "the daemon has what the definitions need",
            (true, true) => "processes may have users of their own (CAP_SETUID, CAP_SETGID)",
            (true, false) => "none, and no definition needs any; a `user:` would be refused",
        }));
    }
    findings
}

/// What of a need is not there.
fn lacking(need: &Need, have: Capabilities) -> u64 {
    need.set & !if need.key == "ambient_capabilities" { have.bounding } else { have.effective }
}

fn way_out(key: &str, uid: u32) -> String {
    let how = match (key, uid) {
        ("user", 0) => "The unit takes them away from root: CapabilityBoundingSet=CAP_SETUID CAP_SETGID",
        ("user", _) => {
            "A daemon of a user can't start processes as somebody else. With the capability unit, \
             AmbientCapabilities= gives them; capabilities set on the file with setcap are gone after each upgrade"
        }
        _ => "The unit gives them: AmbientCapabilities=, and CapabilityBoundingSet= where it is limited",
    };
    format!("the start is refused, and nothing runs as the wrong user. {how}")
}

fn needs(facts: &Facts) -> Fact<Vec<Need>> {
    let own = facts.daemon_uid();
    let processes = facts.processes.as_ref().map_err(Clone::clone)?;
    let mut needs = Vec::new();
    for process in processes {
        let Some(definition) = &process.definition else { continue };
        let mut need = |set, key| needs.push(Need { process: process.name.clone(), set, key });
        let other = |user: &String| *user != own.to_string() && Some(user) != facts.proc.user.as_ref();
        if definition.user.as_ref().is_some_and(other) {
            need(SETUID | SETGID, "user");
        }
        if definition.nice.is_some_and(|nice| nice < 0) {
            need(SYS_NICE, "nice");
        }
        if definition.oom_score_adj.is_some_and(|adj| adj < 0) {
            need(SYS_RESOURCE, "oom_score_adj");
        }
        let mut ambient = definition.ambient_capabilities.iter().flat_map(|list| &list.values);
        let ambient = ambient.try_fold(model::Capabilities::default(), |set, name| set.with(name));
        if let Some(set) = ambient.filter(|set| !set.is_empty()) {
            need(set.bits(), "ambient_capabilities");
        }
    }
    Ok(needs)
}

fn capability_names(set: u64) -> String {
    model::Capabilities::from_bits(set).names().collect::<Vec<_>>().join(", ")
}

pub(super) fn cgroup(facts: &Facts) -> Vec<Finding> {
    let status = match facts.status() {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(status) => status,
    };
    let finding = match (status.containment.as_str(), &facts.unit) {
        ("cgroup", _) => Finding::ok("each run has a cgroup of its own"),
        (other, Err(why)) => Finding::warning(
            format!("{other}: resource_limits can't be had ({why})"),
            "memory_max and pids_max keep a process from being started, other limits are left out; what leaves its process is \
             found by its parent. Run the daemon as a unit with Delegate=yes, or with a writable cgroup v2 of its own",
            "pm-cli daemon status",
        ),
        (other, Ok(unit)) => Finding::warning(
            format!("{other}: systemd gave {} no cgroups of its own", unit.name),
            "memory_max and pids_max keep a process from being started, other limits are left out. Write Delegate=yes below \
             [Service] and restart the daemon; it takes cgroup v2",
            format!("systemctl show {} -p Delegate -p ControlGroup", super::quoted(&unit.name)),
        ),
    };
    vec![finding]
}

pub(super) fn descriptors(facts: &Facts) -> Vec<Finding> {
    let limit = match &facts.proc.nofile {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(limit) => *limit,
    };
    let open = match &facts.metrics {
        Metrics::Answers(scrape) => scrape.open_fds,
        _ => None,
    };
    let processes = facts.processes.as_ref().map_or(0, Vec::len) as u64;
    let will = BASE + processes * EACH;
    let used = open.unwrap_or(0).max(will);
    let uses = match open {
        Some(open) => format!("{open} of {limit} are open, and about {will} when all processes run"),
        None => format!("about {will} of {limit} when all processes run"),
    };
    let means = "without descriptors no process can be started, no file opened and no connection accepted. Write \
                 LimitNOFILE=65536 (or more) below [Service] and restart the daemon";
    let command = "sudo systemctl edit dd-procmgrd";
    vec![if used >= limit.saturating_mul(95) / 100 {
        Finding::problem(uses, means, command)
    } else if used >= limit.saturating_mul(80) / 100 {
        Finding::warning(uses, means, command)
    } else {
        Finding::ok(uses)
    }]
}

pub(super) fn clock(facts: &Facts) -> Vec<Finding> {
    if let Err(why) = &facts.here {
        return vec![Finding::not_checked(why)];
    }
    let clock = &facts.clock;
    let now = clock.moment(clock.now);
    if u128::from(clock.now.0) < BUILT_AFTER.as_nanos() {
        return vec![Finding::problem(
            format!("it is {now}"),
            "the clock was never set: times of logs mean nothing, certificates are not valid yet. Restarts and delays do \
             not depend on it",
            "timedatectl",
        )];
    }
    let started = facts.status().ok().and_then(|status| status.start_time.as_ref()).map(wall);
    vec![match started {
        Some(started) if started.0 > clock.now.0 + 60_000_000_000 => Finding::warning(
            format!("it is {now}, and the daemon was started at {}", clock.moment(started)),
            "the clock was set back since: times of logs are not in order; --since and --until find less",
            "timedatectl",
        ),
        _ => Finding::ok(now),
    }]
}
