//! How much a process may take: `resource_limits` of a run as a whole, `rlimits` of each of its processes.

use model::{Ceiling, LimitPair, ResourceLimits, Rlimit, Rlimits};
use serde_yaml::{Mapping, Value};

use super::fields::{Field, Fields};
use super::number::{decimal, size, size_text, time};
use super::{Flag, Kind, scalar};
use crate::fault::Faults;
use crate::suggest::closest;
use crate::tree::{Node, Step, quoted};

/// `resource_limits`
pub(crate) struct Resources;

/// No program can be executed in less.
const LEAST_MEMORY: u64 = 1 << 20;
/// Thousandths of a processor: below it the kernel takes no quota.
const LEAST_CPU: u64 = 10;
/// More processors than Linux supports.
const MOST_CPU: u64 = 8192 * 1000;
/// What the kernel takes for a weight.
const WEIGHTS: std::ops::RangeInclusive<u16> = 1..=10_000;
/// The kernel has no more pids.
const MOST_PIDS: u64 = 4 << 20;

const BYTES: &str = "bytes, a size (`512M`, `1GiB`), or `max` for no limit";
const WEIGHT: &str = "a whole number from 1 to 10000; 100 is usual";

macro_rules! field {
    ($name:literal, $also:expr, $kind:expr, $default:literal, $doc:literal) => {
        Field { name: $name, also: &$also, kind: $kind, default: $default, doc: $doc }
    };
}

/// The keys of `resource_limits`.
pub(crate) const FIELDS: [Field; 8] = [
    field!(
        "memory_max",
        ["memory", "memory_limit", "mem_limit", "MemoryLimit", "limit_memory"],
        BYTES,
        "`max`",
        "Memory; beyond it the kernel kills (`exits_total{reason=\"oom\"}`)."
    ),
    field!(
        "memory_high",
        ["memory_soft_limit", "mem_reservation"],
        BYTES,
        "`max`",
        "Memory; beyond it the kernel slows it down and takes memory back."
    ),
    field!("memory_swap_max", ["swap", "swap_max", "memswap_limit"], BYTES, "`max`", "Swap space; 0 = none."),
    field!(
        "oom_group",
        ["memory_oom_group", "oom_policy"],
        Flag::WORDS,
        "`false`",
        "When the kernel kills one process of a run for its memory, it kills all of them."
    ),
    field!(
        "cpu_max",
        ["cpu", "cpus", "cpu_quota", "cpu_limit"],
        "processors (`1.5`) or percent of one (`150%`), or `max`",
        "`max`",
        "Processor time."
    ),
    field!(
        "cpu_weight",
        ["cpu_shares"],
        WEIGHT,
        "`100`",
        "Share of processor time beside others, while there is not enough for all."
    ),
    field!(
        "pids_max",
        ["tasks_max", "pids_limit", "max_processes"],
        "a whole number, or `max`",
        "`max`",
        "Processes and threads."
    ),
    field!("io_weight", ["blkio_weight"], WEIGHT, "`100`", "Share of disk time beside others."),
];

/// A number or `max`.
fn ceiling(
    node: &Node,
    expected: &str,
    faults: &mut Faults,
    read: impl FnOnce(&Node, &mut Faults) -> Option<u64>,
) -> Option<Ceiling> {
    match node.value.text() {
        Some("max" | "infinity" | "unlimited" | "none") => Some(Ceiling::Max),
        Some(_) => read(node, faults).map(Ceiling::At),
        None => {
            scalar(node, expected, faults);
            None
        }
    }
}

fn whole(node: &Node, hint: &str, faults: &mut Faults) -> Option<u64> {
    let text = scalar(node, "a whole number", faults)?;
    let value = text.parse().ok().filter(|_: &u64| text.bytes().all(|b| b.is_ascii_digit()));
    if value.is_none() {
        faults.value(format!("expected a whole number, found {}", quoted(text)), hint);
    }
    value
}

const CPU: &str = "write processors such as 0.5 or 2, or percent of one such as 50%; at least 0.01";

fn cpu(node: &Node, faults: &mut Faults) -> Option<u64> {
    let text = scalar(node, "processors", faults)?;
    let millis = match text.strip_suffix('%') {
        Some(percent) => decimal(percent.trim(), 10),
        None => decimal(text, 1000),
    };
    let value = millis.and_then(|millis| u64::try_from(millis).ok());
    if value.is_none() {
        faults.value(format!("expected processors, found {}", quoted(text)), CPU);
    }
    value
}

const WEIGHT_HINT: &str = "write a whole number from 1 to 10000; 100 is what the others have";

fn weight(node: &Node, faults: &mut Faults) -> Option<u16> {
    // What is too large for u16 is too large for `check`, which says so.
    whole(node, WEIGHT_HINT, faults).map(|n| u16::try_from(n).unwrap_or(u16::MAX))
}

impl Kind for Resources {
    type Value = ResourceLimits;
    const WORDS: &'static str = "a mapping of [limits](#resource-limits)";

    fn read(node: &Node, faults: &mut Faults) -> Option<ResourceLimits> {
        let Some(map) = node.map() else {
            let hint = "write its keys below it, one to a line: `memory_max: 512M`";
            faults.value(format!("expected a mapping of keys, found {}", node.value), hint);
            return None;
        };
        let fields = Fields::new(map, &FIELDS, "`resource_limits:`", faults);
        let mut bytes = |name: &str| {
            let node = fields.node(name)?;
            faults.at(name, |faults| ceiling(node, "a size", faults, size))
        };
        let (memory_max, memory_high, memory_swap_max) =
            (bytes("memory_max"), bytes("memory_high"), bytes("memory_swap_max"));
        let mut at = |name: &str, read: fn(&Node, &mut Faults) -> Option<u64>| {
            let node = fields.node(name)?;
            faults.at(name, |faults| ceiling(node, "a number", faults, read))
        };
        let cpu_max = at("cpu_max", cpu);
        let pids_max =
            at("pids_max", |node, faults| whole(node, "write a number such as 100, or max", faults));
        let mut share = |name: &str| {
            let node = fields.node(name)?;
            faults.at(name, |faults| weight(node, faults))
        };
        let (cpu_weight, io_weight) = (share("cpu_weight"), share("io_weight"));
        let oom_group = fields.read::<Flag>("oom_group", faults);
        let limits = ResourceLimits {
            memory_max,
            memory_high,
            memory_swap_max,
            oom_group,
            cpu_max,
            cpu_weight,
            pids_max,
            io_weight,
        };
        // Without what can't be read, so that the checks see the rest.
        Some(limits)
    }

    fn check(value: &ResourceLimits, faults: &mut Faults) {
        for (key, limit) in [("memory_max", value.memory_max), ("memory_high", value.memory_high)] {
            if let Some(Ceiling::At(bytes @ ..LEAST_MEMORY)) = limit {
                let hint = "write at least 1M; a number alone is bytes";
                faults.at(key, |faults| faults.value(format!("no program fits into {bytes} bytes"), hint));
            }
        }
        let bytes = [value.memory_max, value.memory_high, value.memory_swap_max];
        for (key, limit) in ["memory_max", "memory_high", "memory_swap_max"].into_iter().zip(bytes) {
            if let Some(Ceiling::At(bytes)) = limit {
                faults.at(key, |faults| super::Bytes::check(&bytes, faults));
            }
        }
        match value.cpu_max {
            Some(Ceiling::At(millis @ ..LEAST_CPU)) => {
                let message = format!("{} processors are less than 0.01", millis as f64 / 1000.0);
                faults.at("cpu_max", |faults| faults.value(message, CPU));
            }
            Some(Ceiling::At(millis)) if millis > MOST_CPU => {
                let message = format!("{} processors are more than Linux has", millis / 1000);
                faults.at("cpu_max", |faults| faults.value(message, CPU));
            }
            _ => {}
        }
        if let Some(Ceiling::At(pids)) = value.pids_max {
            faults.at("pids_max", |faults| match pids {
                0 => faults.value("its program would be one too many", "write at least 1, or max"),
                1..=MOST_PIDS => {}
                _ => {
                    faults.value(format!("{pids} are more than Linux has"), "write a smaller number, or max");
                }
            });
        }
        for (key, weight) in [("cpu_weight", value.cpu_weight), ("io_weight", value.io_weight)] {
            if weight.is_some_and(|weight| !WEIGHTS.contains(&weight)) {
                faults.at(key, |faults| faults.value("not from 1 to 10000", WEIGHT_HINT));
            }
        }
    }

    fn write(value: &ResourceLimits) -> Value {
        let mut map = Mapping::new();
        let mut put = |key: &str, value: Option<Value>| {
            value.map(|value| map.insert(key.into(), value));
        };
        let ceiling = |limit: Ceiling, at: fn(u64) -> Value| match limit {
            Ceiling::Max => "max".into(),
            Ceiling::At(value) => at(value),
        };
        put("memory_max", value.memory_max.map(|limit| ceiling(limit, size_text)));
        put("memory_high", value.memory_high.map(|limit| ceiling(limit, size_text)));
        put("memory_swap_max", value.memory_swap_max.map(|limit| ceiling(limit, size_text)));
        put("oom_group", value.oom_group.map(Value::from));
        put("cpu_max", value.cpu_max.map(|limit| ceiling(limit, processors)));
        put("cpu_weight", value.cpu_weight.map(Value::from));
        put("pids_max", value.pids_max.map(|limit| ceiling(limit, Value::from)));
        put("io_weight", value.io_weight.map(Value::from));
        Value::Mapping(map)
    }

    /// Limit by limit: an override of one doesn't repeat the others.
    fn overlay(earlier: &mut ResourceLimits, later: &ResourceLimits) {
        earlier.overlay(later);
    }
}

/// A text, as a YAML float doesn't hold every number of thousandths.
fn processors(millis: u64) -> Value {
    match (millis / 1000, millis % 1000) {
        (whole, 0) => whole.into(),
        (whole, rest) => {
            let text = format!("{whole}.{rest:03}");
            text.trim_end_matches('0').into()
        }
    }
}

/// `rlimits`
pub(crate) struct RlimitsKind;

const PAIR: &str = "write a number, `unlimited`, or soft:hard such as 1024:65536; sizes may have units (64M)";
/// The kernel takes it for "raise it up to here", 20 less the niceness.
const MOST_NICE: u64 = 40;
/// Real-time priorities end at 99.
const MOST_PRIORITY: u64 = 99;

impl Kind for RlimitsKind {
    type Value = Rlimits;
    const WORDS: &'static str = "a mapping of [limits](#limits-of-each-process)";

    fn read(node: &Node, faults: &mut Faults) -> Option<Rlimits> {
        let Some(map) = node.map() else {
            let hint = "write its limits below it, one to a line: `nofile: 65536`";
            faults.value(format!("expected a mapping of limits, found {}", node.value), hint);
            return None;
        };
        let mut limits = Rlimits::new();
        for entry in &map.entries {
            faults.at(&entry.key, |faults| match Rlimit::ALL.into_iter().find(|l| l.as_str() == entry.key) {
                Some(limit) => {
                    if let Some(pair) = pair(limit, &entry.value, faults) {
                        limits.insert(limit, pair);
                    }
                }
                None => {
                    let message = format!("{} is not a limit", quoted(&entry.key));
                    faults.key(message, meant(&entry.key));
                }
            });
        }
        // Without what can't be read, so that the checks see the rest.
        Some(limits)
    }

    fn check(value: &Rlimits, faults: &mut Faults) {
        for (limit, LimitPair { soft, hard }) in value {
            faults.below(Step::Key(limit.as_str().to_owned()), |faults| {
                if soft > hard {
                    let hint =
                        "write the smaller one first: it is in force, and may be raised up to the other";
                    faults.value("the soft limit is above the hard one", hint);
                }
                let most = match limit {
                    Rlimit::Nice => MOST_NICE,
                    Rlimit::Rtprio => MOST_PRIORITY,
                    _ => return,
                };
                if *hard > most && *hard != LimitPair::UNLIMITED {
                    faults.value(
                        format!("{hard} is more than {most}"),
                        format!("write a number from 0 to {most}"),
                    );
                }
            });
        }
    }

    fn write(value: &Rlimits) -> Value {
        let pairs = value.iter().map(|(limit, pair)| {
            let (soft, hard) = (written(*limit, pair.soft), written(*limit, pair.hard));
            let text = if pair.soft == pair.hard { soft } else { format!("{soft}:{hard}") };
            let number = text.parse::<u64>().map_or_else(|_| text.as_str().into(), Value::from);
            (limit.as_str().into(), number)
        });
        Value::Mapping(pairs.collect::<Mapping>())
    }

    /// Limit by limit: an override of one doesn't repeat the others.
    fn overlay(earlier: &mut Rlimits, later: &Rlimits) {
        earlier.extend(later);
    }
}

/// One value for both, or `soft:hard`.
fn pair(limit: Rlimit, node: &Node, faults: &mut Faults) -> Option<LimitPair> {
    let text = scalar(node, "a limit", faults)?;
    let read = match text.split_once(':') {
        Some((soft, hard)) => Some((value(limit, soft.trim()), value(limit, hard.trim()))),
        None => Some(value(limit, text.trim())).map(|both| (both, both)),
    };
    if let Some((Some(soft), Some(hard))) = read {
        return Some(LimitPair { soft, hard });
    }
    faults.value(format!("expected a limit, found {}", quoted(text)), PAIR);
    None
}

fn value(limit: Rlimit, text: &str) -> Option<u64> {
    if matches!(text, "unlimited" | "infinity" | "max") {
        return Some(LimitPair::UNLIMITED);
    }
    if limit.is_bytes() {
        return super::number::bytes(text);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match limit {
        Rlimit::Cpu if !digits => {
            time(text).and_then(|nanos| u64::try_from(nanos.div_ceil(1_000_000_000)).ok())
        }
        _ => text.parse().ok().filter(|_| digits),
    }
}

fn written(limit: Rlimit, value: u64) -> String {
    match value {
        LimitPair::UNLIMITED => "unlimited".to_owned(),
        bytes if limit.is_bytes() => match size_text(bytes) {
            Value::String(text) => text,
            _ => bytes.to_string(),
        },
        value => value.to_string(),
    }
}

/// The limit that was probably meant.
fn meant(name: &str) -> String {
    // systemd's and the kernel's own names.
    let bare = ["LIMIT_", "RLIMIT_", "Limit"].into_iter().find_map(|prefix| {
        let head = name.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| name.get(prefix.len()..)).flatten()
    });
    let words = [
        ("open_files", "nofile"),
        ("max_open_files", "nofile"),
        ("processes", "nproc"),
        ("core_size", "core"),
        ("file_size", "fsize"),
        ("address_space", "as"),
        ("vmem", "as"),
        ("locked_memory", "memlock"),
    ];
    let known = Rlimit::ALL.into_iter().map(|limit| (limit.as_str(), limit.as_str())).chain(words);
    match closest(bare.unwrap_or(name), known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("the limits are {}", Rlimit::ALL.map(Rlimit::as_str).join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_written_as_they_are_read() {
        for (millis, text) in [(1500, "1.5"), (10, "0.01"), (1001, "1.001")] {
            assert_eq!(processors(millis), Value::from(text));
        }
        assert_eq!(processors(2000), Value::from(2));
    }
}
