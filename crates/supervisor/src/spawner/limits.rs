//! What a definition's limits are to the kernel: settings of the run's cgroup, and what the child is given on its way.

use std::ffi::CString;
use std::io;

use model::{Ceiling, IsolationSpec, ResourceLimits, Rlimit, SpawnFailure};
use nix::errno::Errno;
use sys::cgroup::{Controller, Delegated};
use sys::spawn::{Isolation, Limit, Resource};

use super::failure;
use crate::containment::Containment;

/// Microseconds in which a share of processor time is given: the kernel's usual.
const PERIOD: u64 = 100_000;

/// One setting of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    /// The key that asks for it.
    key: &'static str,
    controller: Controller,
    file: &'static str,
    value: String,
    /// Whether it limits at all, or takes a limit back.
    limits: bool,
    /// Without it the process could harm others: it is not started.
    vital: bool,
}

/// What a leaf with the limits `old` needs in order to have the limits `new`. One that is new has the default.
fn settings(old: &ResourceLimits, new: &ResourceLimits) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut add = |key, controller, file, vital, values: [String; 2], default: &str| {
        let [old, value] = values;
        let limits = value != default;
        // What is in force is written again: it may not have been possible before.
        if limits || old != default {
            found.push(Setting { key, controller, file, value, limits, vital });
        }
    };
    let bound = |limit: Option<Ceiling>| limit.unwrap_or(Ceiling::Max).to_string();
    let weight = |weight: Option<u16>| weight.unwrap_or(100).to_string();
    let group = |group: Option<bool>| u8::from(group.unwrap_or(false)).to_string();
    let quota = |limit: Option<Ceiling>| match limit.and_then(Ceiling::value) {
        Some(millis) => format!("{} {PERIOD}", millis.saturating_mul(PERIOD / 1000)),
        None => format!("max {PERIOD}"),
    };
    let both = [old, new];
    use Controller::{Cpu, Io, Memory, Pids};
    // Before the limit that may make it matter.
    add("oom_group", Memory, "memory.oom.group", false, both.map(|l| group(l.oom_group)), "0");
    add("memory_high", Memory, "memory.high", false, both.map(|l| bound(l.memory_high)), "max");
    add("memory_swap_max", Memory, "memory.swap.max", false, both.map(|l| bound(l.memory_swap_max)), "max");
    add("memory_max", Memory, "memory.max", true, both.map(|l| bound(l.memory_max)), "max");
    add("pids_max", Pids, "pids.max", true, both.map(|l| bound(l.pids_max)), "max");
    add("cpu_weight", Cpu, "cpu.weight", false, both.map(|l| weight(l.cpu_weight)), "100");
    add("cpu_max", Cpu, "cpu.max", false, both.map(|l| quota(l.cpu_max)), &quota(None));
    add("io_weight", Io, "io.weight", false, both.map(|l| weight(l.io_weight)), "100");
    found
}

/// Why a limit is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) key: &'static str,
    pub(super) errno: Errno,
    /// `the memory controller is not delegated to the daemon`
    pub(crate) why: String,
    pub(crate) hint: &'static str,
}

const DELEGATE: &str = "the unit needs Delegate=yes, on a system with cgroup v2 alone: see docs/LIMITS.md";
const KERNEL: &str = "the kernel was built or booted without it";

/// Sets the limits of a leaf. What can't be had and is vital is the error; else a sentence about all that is missing.
pub(super) fn apply(
    delegated: Option<&Delegated>,
    leaf: &str,
    old: &ResourceLimits,
    new: &ResourceLimits,
) -> Result<Option<String>, SpawnFailure> {
    let (vital, degraded) = try_all(delegated, leaf, old, new);
    match vital {
        Some(missing) => Err(failure::resource_limit(&missing)),
        None => Ok(degraded),
    }
}

/// The limit that a start with these would be refused for, as far as that is known without one.
pub(crate) fn refused(containment: &Containment, limits: &ResourceLimits) -> Option<Missing> {
    let delegated = match containment {
        Containment::Cgroup(delegated) => Some(&**delegated),
        Containment::Subreaper => None,
    };
    let wanted = settings(&ResourceLimits::default(), limits);
    wanted.iter().filter(|setting| setting.vital).find_map(|setting| enabled(delegated, setting).err())
}

/// The same for a run that is there: nothing is vital any more.
pub(super) fn change(
    delegated: Option<&Delegated>,
    leaf: &str,
    old: &ResourceLimits,
    new: &ResourceLimits,
) -> Option<String> {
    let (vital, degraded) = try_all(delegated, leaf, old, new);
    let vital = vital.map(|missing| format!("{}; without it, it will not start again", sentence(&[missing])));
    match (vital, degraded) {
        (Some(a), Some(b)) => Some(format!("{a}; {b}")),
        (a, b) => a.or(b),
    }
}

fn try_all(
    delegated: Option<&Delegated>,
    leaf: &str,
    old: &ResourceLimits,
    new: &ResourceLimits,
) -> (Option<Missing>, Option<String>) {
    let (mut vital, mut rest) = (None, Vec::new());
    for setting in settings(old, new) {
        match set(delegated, leaf, &setting) {
            Ok(()) => {}
            // A limit that is gone was not in force, or can't be taken back: then it is still shown by the kernel.
            Err(_) if !setting.limits => {}
            Err(missing) if setting.vital => {
                vital.get_or_insert(missing);
            }
            Err(missing) => rest.push(missing),
        }
    }
    (vital, (!rest.is_empty()).then(|| sentence(&rest)))
}

fn sentence(missing: &[Missing]) -> String {
    let parts: Vec<String> = missing
        .iter()
        .map(|m| format!("resource_limits.{} is not in force: {} ({})", m.key, m.why, m.hint))
        .collect();
    parts.join("; ")
}

/// The group in which the controller of a setting is enabled.
fn enabled<'a>(delegated: Option<&'a Delegated>, setting: &Setting) -> Result<&'a Delegated, Missing> {
    let missing = |why| Missing { key: setting.key, errno: Errno::ENOENT, why, hint: DELEGATE };
    let Some(delegated) = delegated else {
        return Err(missing("the daemon has no cgroup of its own to make groups in".to_owned()));
    };
    match delegated.enable(setting.controller) {
        Ok(()) => Ok(delegated),
        Err(unavailable) => {
            Err(missing(format!("the {} controller {unavailable}", setting.controller.as_str())))
        }
    }
}

fn set(delegated: Option<&Delegated>, leaf: &str, setting: &Setting) -> Result<(), Missing> {
    let missing = |errno, why: String, hint| Missing { key: setting.key, errno, why, hint };
    let delegated = enabled(delegated, setting)?;
    let Err(mut error) = delegated.set(leaf, setting.file, &setting.value) else { return Ok(()) };
    if error.kind() == io::ErrorKind::NotFound && setting.controller == Controller::Io {
        // The other scheduler that knows weights, with a scale of its own.
        match delegated.set(leaf, "io.bfq.weight", &bfq(&setting.value)) {
            Ok(()) => return Ok(()),
            Err(other) => error = other,
        }
    }
    let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    Err(match errno {
        Errno::ENOENT => missing(errno, format!("there is no {}", setting.file), KERNEL),
        errno => missing(
            errno,
            format!("writing {} failed: {}", setting.file, errno.desc()),
            "see the kernel's log",
        ),
    })
}

/// 1 to 1,000, where 100 is usual as well.
fn bfq(weight: &str) -> String {
    let weight: u32 = weight.parse().unwrap_or(100);
    let scaled = if weight <= 100 { weight } else { 100 + (weight - 100) * 900 / 9900 };
    scaled.to_string()
}

/// What a child is given on its way. Nothing is prepared where nothing is asked for.
pub(super) fn isolation(spec: &IsolationSpec) -> Isolation {
    Isolation {
        rlimits: spec
            .rlimits
            .iter()
            .map(|(limit, pair)| (resource(*limit), Limit { soft: pair.soft, hard: pair.hard }))
            .collect(),
        nice: spec.nice.map(i32::from),
        // A number has no NUL in it.
        oom_score_adj: spec.oom_score_adj.map(|score| CString::new(score.to_string()).unwrap_or_default()),
        capabilities: spec.ambient_capabilities.bits(),
        no_new_privileges: spec.no_new_privileges,
    }
}

pub(super) fn resource(limit: Rlimit) -> Resource {
    match limit {
        Rlimit::As => Resource::As,
        Rlimit::Core => Resource::Core,
        Rlimit::Cpu => Resource::Cpu,
        Rlimit::Data => Resource::Data,
        Rlimit::Fsize => Resource::Fsize,
        Rlimit::Locks => Resource::Locks,
        Rlimit::Memlock => Resource::Memlock,
        Rlimit::Msgqueue => Resource::Msgqueue,
        Rlimit::Nice => Resource::Nice,
        Rlimit::Nofile => Resource::Nofile,
        Rlimit::Nproc => Resource::Nproc,
        Rlimit::Rss => Resource::Rss,
        Rlimit::Rtprio => Resource::Rtprio,
        Rlimit::Rttime => Resource::Rttime,
        Rlimit::Sigpending => Resource::Sigpending,
        Rlimit::Stack => Resource::Stack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: ResourceLimits = ResourceLimits {
        memory_max: None,
        memory_high: None,
        memory_swap_max: None,
        oom_group: None,
        cpu_max: None,
        cpu_weight: None,
        pids_max: None,
        io_weight: None,
    };

    fn files(old: &ResourceLimits, new: &ResourceLimits) -> Vec<String> {
        settings(old, new).iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    fn all() -> ResourceLimits {
        ResourceLimits {
            memory_max: Some(Ceiling::At(64 << 20)),
            memory_high: Some(Ceiling::At(32 << 20)),
            memory_swap_max: Some(Ceiling::At(0)),
            oom_group: Some(true),
            cpu_max: Some(Ceiling::At(1500)),
            cpu_weight: Some(50),
            pids_max: Some(Ceiling::At(7)),
            io_weight: Some(200),
        }
    }

    #[test]
    fn nothing_asked_for_is_nothing_done() {
        assert_eq!(files(&NONE, &NONE), Vec::<String>::new());
        let usual = ResourceLimits {
            memory_max: Some(Ceiling::Max),
            cpu_max: Some(Ceiling::Max),
            cpu_weight: Some(100),
            oom_group: Some(false),
            ..NONE
        };
        // What is usual needs no controller.
        assert_eq!(files(&NONE, &usual), Vec::<String>::new());
        assert_eq!(apply(None, "web.1", &NONE, &usual), Ok(None));
        assert_eq!(isolation(&IsolationSpec::default()), *Isolation::NONE);
    }

    #[test]
    fn every_limit_is_a_file_and_is_taken_back_by_its_default() {
        let set = [
            "memory.oom.group=1",
            "memory.high=33554432",
            "memory.swap.max=0",
            "memory.max=67108864",
            "pids.max=7",
            "cpu.weight=50",
            "cpu.max=150000 100000",
            "io.weight=200",
        ];
        assert_eq!(files(&NONE, &all()), set);
        assert_eq!(files(&all(), &all()), set, "what failed before is tried again");
        let back = [
            "memory.oom.group=0",
            "memory.high=max",
            "memory.swap.max=max",
            "memory.max=max",
            "pids.max=max",
            "cpu.weight=100",
            "cpu.max=max 100000",
            "io.weight=100",
        ];
        assert_eq!(files(&all(), &NONE), back);
    }

    #[test]
    fn without_a_cgroup_what_protects_others_is_refused_and_the_rest_is_told() {
        let failure = apply(None, "web.1", &NONE, &all()).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "setting resource_limits \"memory_max\": the daemon has no cgroup of its own to make groups in"
        );
        assert!(failure.hint.contains("Delegate=yes") && failure.hint.contains("memory_max"), "{failure:?}");
        let pids = ResourceLimits { pids_max: Some(Ceiling::At(1)), ..NONE };
        assert_eq!(apply(None, "web.1", &NONE, &pids).unwrap_err().subject, "pids_max");
        let rest = ResourceLimits { memory_max: None, pids_max: None, ..all() };
        let said = apply(None, "web.1", &NONE, &rest).unwrap().unwrap();
        for key in ["oom_group", "memory_high", "memory_swap_max", "cpu_weight", "cpu_max", "io_weight"] {
            assert!(said.contains(&format!("resource_limits.{key} is not in force: ")), "{said}");
        }
        // A run that is there stays.
        let said = change(None, "web.1", &NONE, &all()).unwrap();
        assert!(said.starts_with("resource_limits.memory_max is not in force: "), "{said}");
        assert!(said.contains("without it, it will not start again"), "{said}");
        let said = change(None, "web.1", &NONE, &rest).unwrap();
        assert!(!said.contains("start again"), "what degrades starts: {said}");
        // And what a start would say is known before it.
        let key =
            |limits: &ResourceLimits| refused(&Containment::Subreaper, limits).map(|missing| missing.key);
        assert_eq!(
            [key(&all()), key(&pids), key(&rest), key(&NONE)],
            [Some("memory_max"), Some("pids_max"), None, None]
        );
        // What is taken back was not in force.
        assert_eq!(change(None, "web.1", &all(), &NONE), None);
    }

    #[test]
    fn weights_of_the_other_scheduler() {
        for (weight, scaled) in [("1", "1"), ("100", "100"), ("200", "109"), ("10000", "1000")] {
            assert_eq!(bfq(weight), scaled);
        }
    }
}
