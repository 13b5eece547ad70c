//! Limits and isolation: systemd's keys are those of the kernel, as ours are.

use model::{Capabilities, Ceiling, Definition, LimitPair, Rlimit};

use super::flag;
use crate::import::draft::Import;
use crate::import::systemd::unit::Assignment;
use crate::units;

/// Reads the key; false when it is none of these.
pub(super) fn read(from: &Assignment, definition: &mut Definition, into: &mut Import) -> bool {
    let value = from.value.trim();
    let known = match from.key.as_str() {
        "Nice" => value
            .parse()
            .ok()
            .filter(|nice| (-20..=19).contains(nice))
            .map(|nice| definition.nice = Some(nice)),
        "OOMScoreAdjust" => value
            .parse()
            .ok()
            .filter(|score| (-1000..=1000).contains(score))
            .map(|score| definition.oom_score_adj = Some(score)),
        "NoNewPrivileges" => flag::read(value).map(|on| definition.no_new_privileges = Some(on)),
        "AmbientCapabilities" => capabilities(value, definition),
        "RuntimeDirectory" => {
            directories(from, value, definition, into);
            Some(())
        }
        "RuntimeDirectoryMode" => u32::from_str_radix(value, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(|mode| definition.runtime_directory_mode = Some(mode)),
        key => match key.strip_prefix("Limit").and_then(rlimit) {
            Some(limit) => pair(limit, value).map(|pair| {
                definition.rlimits.get_or_insert_default().insert(limit, pair);
            }),
            None => match resource(key, value, definition) {
                Some(read) => read,
                None => return false,
            },
        },
    };
    if known.is_none() {
        into.lost(
            &from.at,
            &from.written(),
            "its value is none that has a counterpart",
            "see docs/LIMITS.md",
        );
    }
    true
}

/// `None` = another key; `Some(None)` = a value that can't be had.
fn resource(key: &str, value: &str, definition: &mut Definition) -> Option<Option<()>> {
    let known = matches!(
        key,
        "MemoryMax"
            | "MemoryLimit"
            | "MemoryHigh"
            | "MemorySwapMax"
            | "CPUQuota"
            | "CPUWeight"
            | "IOWeight"
            | "TasksMax"
            | "OOMPolicy"
    );
    if !known {
        return None;
    }
    let limits = definition.resource_limits.get_or_insert_default();
    let read = match key {
        "MemoryMax" | "MemoryLimit" => bytes(value).map(|limit| limits.memory_max = Some(limit)),
        "MemoryHigh" => bytes(value).map(|limit| limits.memory_high = Some(limit)),
        "MemorySwapMax" => bytes(value).map(|limit| limits.memory_swap_max = Some(limit)),
        // Without a value there is no quota.
        "CPUQuota" if value.is_empty() => {
            limits.cpu_max = Some(Ceiling::Max);
            Some(())
        }
        "CPUQuota" => {
            units::parse_processors(value).ok().map(|limit| limits.cpu_max = Some(Ceiling::At(limit)))
        }
        "CPUWeight" => weight(value).map(|weight| limits.cpu_weight = Some(weight)),
        "IOWeight" => weight(value).map(|weight| limits.io_weight = Some(weight)),
        "TasksMax" if value == "infinity" => {
            limits.pids_max = Some(Ceiling::Max);
            Some(())
        }
        "TasksMax" => value.parse().ok().map(|limit| limits.pids_max = Some(Ceiling::At(limit))),
        _ => match value {
            // What happens to the others is told by `restart`.
            "continue" | "stop" => Some(()),
            "kill" => {
                limits.oom_group = Some(true);
                Some(())
            }
            _ => None,
        },
    };
    if limits.is_empty() {
        definition.resource_limits = None;
    }
    Some(read)
}

/// Percent are of the machine, which is another one there.
fn bytes(value: &str) -> Option<Ceiling> {
    match value {
        "infinity" => Some(Ceiling::Max),
        _ => units::parse_size(value).ok().map(Ceiling::At),
    }
}

/// `idle` is a policy, and not a share.
fn weight(value: &str) -> Option<u16> {
    value.parse().ok().filter(|weight| (1..=10_000).contains(weight))
}

/// `~` is all but these, which nobody wants of ambient ones.
fn capabilities(value: &str, definition: &mut Definition) -> Option<()> {
    let mut all = definition.ambient_capabilities.unwrap_or_default();
    for word in value.split_whitespace() {
        all = all.with(word)?;
    }
    definition.ambient_capabilities = Some(all).filter(|set| *set != Capabilities::default());
    Some(())
}

fn directories(from: &Assignment, value: &str, definition: &mut Definition, into: &mut Import) {
    for word in value.split_whitespace() {
        let (name, link) = word.split_once(':').map_or((word, false), |(name, _)| (name, true));
        if name.contains('/') || link {
            let why = "a directory has one name, without a slash, and no link to it";
            into.lost(
                &from.at,
                &from.written(),
                why,
                "make it with `exec_start_pre`: install -d -o USER PATH",
            );
            return;
        }
        definition.runtime_directory.get_or_insert_default().push(name.to_owned());
    }
    let why = "the directory is below the daemon's own and not in /run";
    into.changed(&from.at, &from.written(), why, "the program finds its path in $RUNTIME_DIRECTORY");
}

fn rlimit(name: &str) -> Option<Rlimit> {
    Rlimit::ALL.into_iter().find(|limit| limit.as_str().eq_ignore_ascii_case(name))
}

fn pair(limit: Rlimit, value: &str) -> Option<LimitPair> {
    let bound = |text: &str| match text.trim() {
        "infinity" => Some(LimitPair::UNLIMITED),
        text if limit.is_bytes() => units::parse_size(text).ok(),
        text => text.parse().ok(),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    Some(LimitPair { soft: bound(soft)?, hard: bound(hard)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::draft::At;

    fn read_all(lines: &[(&str, &str)]) -> (Definition, usize) {
        let (mut definition, mut into) = (Definition::default(), Import::default());
        for (key, value) in lines {
            let from = Assignment {
                section: "Service".into(),
                key: (*key).into(),
                value: (*value).into(),
                at: At { file: "x.service".into(), line: 1 },
            };
            assert!(read(&from, &mut definition, &mut into), "{key}");
        }
        (definition, into.notes.len())
    }

    #[test]
    fn what_both_have_is_carried_over() {
        let (d, notes) = read_all(&[
            ("LimitNOFILE", "1024:65536"),
            ("LimitCORE", "infinity"),
            ("LimitMEMLOCK", "64K"),
            ("MemoryMax", "1G"),
            ("MemorySwapMax", "infinity"),
            ("CPUQuota", "150%"),
            ("TasksMax", "50"),
            ("OOMPolicy", "kill"),
            ("Nice", "-5"),
            ("OOMScoreAdjust", "100"),
            ("NoNewPrivileges", "yes"),
            ("AmbientCapabilities", "CAP_NET_BIND_SERVICE CAP_CHOWN"),
            ("RuntimeDirectoryMode", "0750"),
        ]);
        assert_eq!(notes, 0);
        let (limits, rlimits) = (d.resource_limits.unwrap(), d.rlimits.unwrap());
        assert_eq!(rlimits[&Rlimit::Nofile], LimitPair { soft: 1024, hard: 65536 });
        assert_eq!(rlimits[&Rlimit::Core].soft, LimitPair::UNLIMITED);
        assert_eq!(rlimits[&Rlimit::Memlock].hard, 64 << 10);
        assert_eq!(
            (limits.memory_max, limits.cpu_max),
            (Some(Ceiling::At(1 << 30)), Some(Ceiling::At(1500)))
        );
        assert_eq!((limits.memory_swap_max, limits.pids_max), (Some(Ceiling::Max), Some(Ceiling::At(50))));
        assert_eq!((limits.oom_group, d.nice, d.oom_score_adj), (Some(true), Some(-5), Some(100)));
        assert_eq!(d.ambient_capabilities.unwrap().to_string(), "CAP_CHOWN, CAP_NET_BIND_SERVICE");
        assert_eq!((d.no_new_privileges, d.runtime_directory_mode), (Some(true), Some(0o750)));
    }

    #[test]
    fn what_has_no_counterpart_is_said() {
        for line in [
            ("MemoryMax", "50%"),
            ("TasksMax", "20%"),
            ("LimitNOFILE", "many"),
            ("LimitRTTIME", "1s"),
            ("Nice", "20"),
            ("CPUWeight", "idle"),
            ("OOMScoreAdjust", "5000"),
            ("AmbientCapabilities", "~CAP_CHOWN"),
            ("RuntimeDirectory", "a/b"),
            ("RuntimeDirectory", "a:b"),
            ("RuntimeDirectory", "shop"),
        ] {
            let (definition, notes) = read_all(&[line]);
            assert_eq!(notes, 1, "{line:?}");
            assert!(definition.resource_limits.is_none() && definition.rlimits.is_none(), "{line:?}");
        }
    }
}
