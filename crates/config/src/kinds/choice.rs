//! Values that are one of a few words: booleans, policies, signals.

use model::{KillMode, MetricsDetail, OnStartLimit, ProcessType, RestartPolicy, Signal};
use serde_yaml::Value;

use super::{Kind, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::suggest::{closest, one_of};
use crate::tree::{Node, Yaml, quoted};

/// `true` or `false`, unquoted.
pub(crate) struct Flag;

impl Kind for Flag {
    type Value = bool;
    const WORDS: &'static str = "`true` or `false`";

    fn read(node: &Node, faults: &mut Faults) -> Option<bool> {
        if let Yaml::Bool(value, _) = &node.value {
            return Some(*value);
        }
        let text = node.value.text().unwrap_or_default().to_ascii_lowercase();
        let hint = match text.as_str() {
            "true" | "false" => format!("remove the quotes: {text}"),
            "yes" | "on" | "y" | "1" => "write true".to_owned(),
            "no" | "off" | "n" | "0" => "write false".to_owned(),
            _ => "write true or false, without quotes".to_owned(),
        };
        faults.value(format!("expected true or false, found {}", node.value), hint);
        None
    }

    fn write(value: &bool) -> Value {
        Value::Bool(*value)
    }

    replaced_as_a_whole!();
}

/// A word of a fixed set.
pub(super) fn choice<T: Copy>(
    node: &Node,
    faults: &mut Faults,
    known: &[(&'static str, T)],
    foreign: &[(&str, &'static str)],
) -> Option<T> {
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    let text = scalar(node, &one_of(&words), faults)?;
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let spellings = words.iter().map(|w| (*w, *w)).chain(foreign.iter().copied());
    let hint = closest(text, spellings)
        .map_or_else(|| "write one of these words".to_owned(), |word| format!("did you mean `{word}`?"));
    faults.value(format!("expected {}, found {}", one_of(&words), quoted(text)), hint);
    None
}

/// `type`
pub(crate) struct TypeKind;

impl Kind for TypeKind {
    type Value = ProcessType;
    const WORDS: &'static str = "`simple`, `notify`, `oneshot` or `forking`";

    fn read(node: &Node, faults: &mut Faults) -> Option<ProcessType> {
        let foreign = [
            ("exec", "simple"),
            ("idle", "simple"),
            ("longrun", "simple"),
            ("process", "simple"),
            ("service", "simple"),
            ("notify-reload", "notify"),
            ("sd_notify", "notify"),
            ("scripted", "oneshot"),
            ("task", "oneshot"),
            ("once", "oneshot"),
            ("fork", "forking"),
            ("daemon", "forking"),
            ("bgprocess", "forking"),
        ];
        choice(node, faults, &ProcessType::ALL.map(|t| (t.as_str(), t)), &foreign)
    }

    fn write(value: &ProcessType) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `restart`
pub(crate) struct RestartKind;

impl Kind for RestartKind {
    type Value = RestartPolicy;
    const WORDS: &'static str = "`always`, `on-failure`, `on-success` or `never`";

    fn read(node: &Node, faults: &mut Faults) -> Option<RestartPolicy> {
        let foreign = [
            // A stop that an operator asked for is never undone, so docker's word is our `always`.
            ("unless-stopped", "always"),
            ("true", "always"),
            ("yes", "always"),
            ("false", "never"),
            ("no", "never"),
            ("none", "never"),
            ("on-abnormal", "on-failure"),
            ("unexpected", "on-failure"),
        ];
        choice(node, faults, &RestartPolicy::ALL.map(|p| (p.as_str(), p)), &foreign)
    }

    fn write(value: &RestartPolicy) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `on_start_limit`
pub(crate) struct OnLimitKind;

impl Kind for OnLimitKind {
    type Value = OnStartLimit;
    const WORDS: &'static str = "`cooldown` or `fail`";

    fn read(node: &Node, faults: &mut Faults) -> Option<OnStartLimit> {
        choice(node, faults, &OnStartLimit::ALL.map(|p| (p.as_str(), p)), &[])
    }

    fn write(value: &OnStartLimit) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `kill_mode`
pub(crate) struct KillModeKind;

impl Kind for KillModeKind {
    type Value = KillMode;
    const WORDS: &'static str = "`control-group`, `mixed` or `process`";

    fn read(node: &Node, faults: &mut Faults) -> Option<KillMode> {
        let foreign = [("cgroup", "control-group"), ("group", "control-group"), ("main", "process")];
        choice(node, faults, &KillMode::ALL.map(|p| (p.as_str(), p)), &foreign)
    }

    fn write(value: &KillMode) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `metrics`
pub(crate) struct MetricsKind;

impl Kind for MetricsKind {
    type Value = MetricsDetail;
    const WORDS: &'static str = "`full`, `basic` or `off`";

    fn read(node: &Node, faults: &mut Faults) -> Option<MetricsDetail> {
        let foreign = [
            ("true", "full"),
            ("on", "full"),
            ("all", "full"),
            ("false", "off"),
            ("none", "off"),
            ("no", "off"),
        ];
        choice(node, faults, &MetricsDetail::ALL.map(|d| (d.as_str(), d)), &foreign)
    }

    fn write(value: &MetricsDetail) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// A signal by name or number.
pub(crate) struct SignalKind;

impl Kind for SignalKind {
    type Value = Signal;
    const WORDS: &'static str = "a signal: `TERM`, `SIGTERM`, `RTMIN+1` or a number";

    fn read(node: &Node, faults: &mut Faults) -> Option<Signal> {
        let text = scalar(node, "a signal", faults)?;
        let signal = text.parse().ok();
        if signal.is_none() {
            faults.value(
                format!("{} is not a signal", quoted(text)),
                "write a name such as TERM or HUP, or a number from 1 to 64",
            );
        }
        signal
    }

    fn write(value: &Signal) -> Value {
        value.to_string().into()
    }

    replaced_as_a_whole!();
}
