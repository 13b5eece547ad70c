//! Limits and isolation.

use std::collections::BTreeMap;

use model::{Capabilities, Ceiling, LimitPair, ResourceLimits, Rlimit, Rlimits};

use super::check::Check;
use crate::v1;

pub(super) fn resources(limits: ResourceLimits) -> v1::ResourceLimits {
    let ceiling = |limit: Option<Ceiling>| limit.map(|limit| v1::Ceiling { value: limit.value() });
    v1::ResourceLimits {
        memory_max: ceiling(limits.memory_max),
        memory_high: ceiling(limits.memory_high),
        memory_swap_max: ceiling(limits.memory_swap_max),
        oom_group: limits.oom_group,
        cpu_max: ceiling(limits.cpu_max),
        cpu_weight: limits.cpu_weight.map(u32::from),
        pids_max: ceiling(limits.pids_max),
        io_weight: limits.io_weight.map(u32::from),
    }
}

pub(super) fn rlimits(limits: &Rlimits) -> v1::Rlimits {
    let bound = |value: u64| (value != LimitPair::UNLIMITED).then_some(value);
    let pair = |pair: &LimitPair| v1::Rlimit { soft: bound(pair.soft), hard: bound(pair.hard) };
    let values = limits.iter().map(|(limit, values)| (limit.as_str().to_owned(), pair(values)));
    v1::Rlimits { values: values.collect() }
}

impl Check {
    pub(super) fn resources(&mut self, field: &str, limits: &v1::ResourceLimits) -> ResourceLimits {
        let ceiling =
            |limit: Option<v1::Ceiling>| limit.map(|limit| limit.value.map_or(Ceiling::Max, Ceiling::At));
        let mut weight = |name: &str, weight: Option<u32>| {
            let fits = u16::try_from(weight?);
            fits.map_err(|_| self.fault(&format!("{field}.{name}"), "not from 1 to 10000")).ok()
        };
        ResourceLimits {
            memory_max: ceiling(limits.memory_max),
            memory_high: ceiling(limits.memory_high),
            memory_swap_max: ceiling(limits.memory_swap_max),
            oom_group: limits.oom_group,
            cpu_max: ceiling(limits.cpu_max),
            cpu_weight: weight("cpu_weight", limits.cpu_weight),
            pids_max: ceiling(limits.pids_max),
            io_weight: weight("io_weight", limits.io_weight),
        }
    }

    pub(super) fn rlimits(&mut self, field: &str, limits: v1::Rlimits) -> Rlimits {
        let mut read = Rlimits::new();
        let sorted: BTreeMap<String, v1::Rlimit> = limits.values.into_iter().collect();
        for (name, pair) in sorted {
            let Some(limit) = Rlimit::ALL.into_iter().find(|limit| limit.as_str() == name) else {
                let known = Rlimit::ALL.map(Rlimit::as_str).join(", ");
                self.fault(field, format!("{name:?} is not a limit; the limits are {known}"));
                continue;
            };
            let bound = |value: Option<u64>| value.unwrap_or(LimitPair::UNLIMITED);
            read.insert(limit, LimitPair { soft: bound(pair.soft), hard: bound(pair.hard) });
        }
        read
    }

    pub(super) fn capabilities(&mut self, field: &str, names: &v1::StringList) -> Capabilities {
        let mut set = Capabilities::default();
        for name in &names.values {
            match set.with(name) {
                Some(larger) => set = larger,
                None => {
                    self.fault(field, format!("{name:?} is not a capability; capabilities(7) lists them"));
                }
            }
        }
        set
    }

    /// A number that has to fit into a smaller type; whether it is in range is for `config` to judge.
    pub(super) fn small<T: TryFrom<i32>>(&mut self, field: &str, number: i32) -> Option<T> {
        T::try_from(number).map_err(|_| self.fault(field, format!("{number} is out of range"))).ok()
    }
}
