//! Limits and isolation, on the command line.

use clap::Args;
use model::{Capabilities, Ceiling, Definition, LimitPair, ResourceLimits, Rlimit};

use super::definition::some;
use crate::units;

/// `--memory-max` and its like.
#[derive(Debug, Args)]
#[command(next_help_heading = "How much it may take")]
pub(crate) struct LimitArgs {
    /// Memory of all its processes, for example 512M or 1GiB, beyond which the kernel kills [default: max]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_max: Option<Ceiling>,
    /// Memory beyond which the kernel slows it down [default: max]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_high: Option<Ceiling>,
    /// Swap space, 0 = none [default: max]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_swap_max: Option<Ceiling>,
    /// When the kernel kills one of its processes for memory, it kills all of them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    oom_group: Option<bool>,
    /// Processor time: processors, for example 1.5, or percent of one, for example 150% [default: max]
    #[arg(long, value_name = "CPUS", value_parser = processors)]
    cpu_max: Option<Ceiling>,
    /// Share of processor time beside others, 1 to 10000 [default: 100]
    #[arg(long, value_name = "WEIGHT")]
    cpu_weight: Option<u16>,
    /// Processes and threads [default: max]
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pids_max: Option<Ceiling>,
    /// Share of disk time beside others, 1 to 10000 [default: 100]
    #[arg(long, value_name = "WEIGHT")]
    io_weight: Option<u16>,
    /// Limit of each process as in setrlimit(2), for example nofile=65536 or core=0:unlimited; may be given several times
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = rlimit)]
    rlimit: Vec<(Rlimit, LimitPair)>,
    /// Place among those that want the processor, -20 (first) to 19 (last) [default: the daemon's]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    nice: Option<i8>,
    /// How likely it is to be killed when memory is short, -1000 (never) to 1000 (first) [default: the daemon's]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    oom_score_adj: Option<i16>,
    /// What it may do although its user is not root, for example CAP_NET_BIND_SERVICE; may be given several times
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    ambient_capability: Vec<Capabilities>,
    /// Nothing that it executes gains privileges
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_new_privileges: Option<bool>,
    /// Make this directory for each run and remove it after it; may be given several times
    #[arg(long, value_name = "NAME")]
    runtime_directory: Vec<String>,
    /// Mode of these directories, in octal [default: 0755]
    #[arg(long, value_name = "MODE", value_parser = octal)]
    runtime_directory_mode: Option<u32>,
}

fn ceiling(text: &str, read: impl FnOnce(&str) -> Result<u64, String>) -> Result<Ceiling, String> {
    match text {
        "max" | "infinity" | "unlimited" => Ok(Ceiling::Max),
        _ => read(text).map(Ceiling::At),
    }
}

fn size(text: &str) -> Result<Ceiling, String> {
    ceiling(text, units::parse_size)
}

fn processors(text: &str) -> Result<Ceiling, String> {
    ceiling(text, units::parse_processors)
}

fn count(text: &str) -> Result<Ceiling, String> {
    ceiling(text, |text| text.parse().map_err(|_| "write a whole number, or max".to_owned()))
}

fn octal(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777 && !digits.starts_with('+'));
    mode.ok_or_else(|| "write octal digits from 0000 to 0777".to_owned())
}

fn capability(text: &str) -> Result<Capabilities, String> {
    Capabilities::default()
        .with(text)
        .ok_or_else(|| "capabilities(7) lists them: CAP_NET_BIND_SERVICE, ...".to_owned())
}

fn rlimit(text: &str) -> Result<(Rlimit, LimitPair), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for example nofile=65536")?;
    let limit = Rlimit::ALL.into_iter().find(|limit| limit.as_str().eq_ignore_ascii_case(name));
    let limit =
        limit.ok_or_else(|| format!("the limits are {}", Rlimit::ALL.map(Rlimit::as_str).join(", ")))?;
    let bound = |text: &str| match text {
        "unlimited" | "infinity" | "max" => Ok(LimitPair::UNLIMITED),
        _ if limit.is_bytes() => units::parse_size(text),
        _ => text.parse().map_err(|_| "write a whole number, or unlimited".to_owned()),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    Ok((limit, LimitPair { soft: bound(soft)?, hard: bound(hard)? }))
}

impl LimitArgs {
    pub(super) fn write(self, definition: &mut Definition) {
        let limits = ResourceLimits {
            memory_max: self.memory_max,
            memory_high: self.memory_high,
            memory_swap_max: self.memory_swap_max,
            oom_group: self.oom_group,
            cpu_max: self.cpu_max,
            cpu_weight: self.cpu_weight,
            pids_max: self.pids_max,
            io_weight: self.io_weight,
        };
        definition.resource_limits = (!limits.is_empty()).then_some(limits);
        definition.rlimits = some(self.rlimit).map(|list| list.into_iter().collect());
        definition.nice = self.nice;
        definition.oom_score_adj = self.oom_score_adj;
        definition.ambient_capabilities = some(self.ambient_capability)
            .map(|list| Capabilities::from_bits(list.iter().fold(0, |bits, one| bits | one.bits())));
        definition.no_new_privileges = self.no_new_privileges;
        definition.runtime_directory = some(self.runtime_directory);
        definition.runtime_directory_mode = self.runtime_directory_mode;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn read(words: &[&str]) -> Result<Definition, clap::Error> {
        let line = Line::try_parse_from([&["x"], words].concat())?;
        let mut definition = Definition::default();
        line.limits.write(&mut definition);
        Ok(definition)
    }

    #[test]
    fn what_is_given_is_written_and_nothing_else() {
        assert_eq!(read(&[]).unwrap(), Definition::default());
        let d = read(&[
            "--memory-max=64M",
            "--memory-high",
            "max",
            "--cpu-max",
            "150%",
            "--pids-max=20",
            "--nice",
            "-5",
            "--oom-score-adj=-1000",
            "--rlimit",
            "nofile=1024:unlimited",
            "--rlimit=CORE=0",
            "--ambient-capability",
            "net_raw",
            "--ambient-capability=CAP_CHOWN",
            "--no-new-privileges",
            "--runtime-directory-mode=0750",
        ])
        .unwrap();
        let limits = ResourceLimits {
            memory_max: Some(Ceiling::At(64 << 20)),
            memory_high: Some(Ceiling::Max),
            cpu_max: Some(Ceiling::At(1500)),
            pids_max: Some(Ceiling::At(20)),
            ..ResourceLimits::default()
        };
        assert_eq!(d.resource_limits, Some(limits));
        assert_eq!((d.nice, d.oom_score_adj), (Some(-5), Some(-1000)));
        let rlimits = d.rlimits.unwrap();
        assert_eq!(rlimits[&Rlimit::Nofile], LimitPair { soft: 1024, hard: LimitPair::UNLIMITED });
        assert_eq!(rlimits[&Rlimit::Core], LimitPair { soft: 0, hard: 0 });
        assert_eq!(d.ambient_capabilities.unwrap().to_string(), "CAP_CHOWN, CAP_NET_RAW");
        assert_eq!((d.no_new_privileges, d.runtime_directory_mode), (Some(true), Some(0o750)));
    }

    #[test]
    fn what_is_refused() {
        for words in [
            "--memory-max=lots",
            "--memory-max=-1",
            "--cpu-max=fast",
            "--cpu-max=1.x",
            "--cpu-weight=100000",
            "--pids-max=-1",
            "--rlimit=nofile",
            "--rlimit=files=3",
            "--rlimit=nofile=64M",
            "--nice=200",
            "--ambient-capability=ALL",
            "--runtime-directory-mode=888",
        ] {
            assert_eq!(read(&[words]).unwrap_err().exit_code(), 2, "{words}");
        }
    }
}
