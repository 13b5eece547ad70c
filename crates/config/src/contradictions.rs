//! Keys of one definition that can't stand together. Seen once all layers and `defaults:` are merged: each of them may
//! be fine where it stands.

use std::collections::HashSet;
use std::time::Duration;

use model::{Definition, LineParser, ProcessName, ProcessSpec, ProcessType, RestartPolicy, RestartSpec};

use crate::fault::{Fault, Faults, steps};
use crate::tree::{Step, quoted};

/// Shortest watchdog: WATCHDOG_USEC must not be 0, and nobody pings each microsecond.
const WATCHDOG: Duration = Duration::from_millis(1);

/// Everything that can't be.
pub(crate) fn check(name: &ProcessName, merged: &Definition, faults: &mut Faults) {
    start(merged, faults);
    output(merged, faults);
    log(merged, faults);
    delays(merged, faults);
    conflicts(name, merged, faults);
}

fn start(merged: &Definition, faults: &mut Faults) {
    let kind = merged.kind.unwrap_or_default();
    if merged.remain_after_exit == Some(true) && kind != ProcessType::Oneshot {
        faults.at("remain_after_exit", |faults| {
            let message = format!("this is for `type: oneshot`, but the type is `{}`", kind.as_str());
            faults.value(message, "write `type: oneshot`, or remove the key");
        });
    }
    if merged.pidfile.is_some() && kind != ProcessType::Forking {
        faults.at("pidfile", |faults| {
            let message = format!("this is for `type: forking`, but the type is `{}`", kind.as_str());
            let hint = "remove the key, or write `type: forking` if the program goes to the background";
            faults.value(message, hint);
        });
    }
    if merged.watchdog_sec.is_some_and(|time| !time.is_zero() && time < WATCHDOG) {
        faults.at("watchdog_sec", |faults| {
            faults.value("less than a millisecond", "write 0 for none, or a time such as 30");
        });
    }
    let ends = kind == ProcessType::Oneshot && merged.remain_after_exit != Some(true);
    if merged.health_check.is_some() && ends {
        faults.at("health_check", |faults| {
            faults.key(
                "a process of type `oneshot` has ended before it could be asked",
                "remove the check, or add `remain_after_exit: true` if what it did can be asked",
            );
        });
    }
}

fn output(merged: &Definition, faults: &mut Faults) {
    let stdout = merged.stdout.clone().unwrap_or_default();
    if merged.pty == Some(true) && !stdout.is_captured() {
        faults.at("pty", |faults| {
            let message = format!(
                "the terminal takes the place of standard output, but `stdout` is {}, which is not captured",
                quoted(&stdout.to_string())
            );
            faults.value(message, "remove it, or write `stdout: capture` or a path");
        });
    }
}

fn log(merged: &Definition, faults: &mut Faults) {
    let parse = merged.log.parse.unwrap_or_default();
    if merged.log.json_fields.as_ref().is_some_and(|fields| !fields.is_empty()) && parse != LineParser::Json {
        let message = format!("`json_fields` is for `parse: json`, but `parse` is `{}`", parse.as_str());
        faults.at("log", |faults| {
            faults.at("json_fields", |faults| {
                faults.value(message, "write `parse: json`, or `json_fields: []`");
            });
        });
    }
}

fn delays(merged: &Definition, faults: &mut Faults) {
    let delay = merged.restart_sec.unwrap_or(RestartSpec::default().delay);
    if merged.restart_max_delay_sec.is_some_and(|longest| longest < delay) {
        faults.at("restart_max_delay_sec", |faults| {
            let message =
                format!("the longest delay is shorter than the first one ({} s)", delay.as_secs_f64());
            faults.value(message, "raise it, or lower `restart_sec` (1 when it is not written)");
        });
    }
}

fn conflicts(name: &ProcessName, merged: &Definition, faults: &mut Faults) {
    let Some(conflicts) = &merged.conflicts else { return };
    let needs = [("requires", &merged.requires), ("wants", &merged.wants), ("binds_to", &merged.binds_to)];
    let needed: Vec<(&str, HashSet<&ProcessName>)> = needs
        .into_iter()
        .map(|(key, list)| (key, list.iter().flatten().map(|dependency| &dependency.name).collect()))
        .collect();
    faults.at("conflicts", |faults| {
        for (index, other) in conflicts.iter().enumerate() {
            faults.below(Step::Index(index), |faults| {
                if other == name {
                    faults.value(format!("{name} can't conflict with itself"), "remove the name");
                } else if let Some((key, _)) = needed.iter().find(|(_, names)| names.contains(other)) {
                    let message = format!("{other} stands in `{key}`, too: it can't be up together with it");
                    faults.value(message, format!("remove it from `conflicts` or from `{key}`"));
                }
            });
        }
    });
}

/// What can be but is probably not meant.
pub(crate) fn warnings(spec: &ProcessSpec) -> Vec<Fault> {
    let mut found = Vec::new();
    if spec.critical && spec.restart.policy == RestartPolicy::Always {
        let message = "with `restart: always` it never ends for good, so that the daemon never ends with it";
        let hint = "write `restart: on-failure` or `never`, or remove `critical`".to_owned();
        found.push(Fault {
            path: steps("critical"),
            on_key: false,
            message: message.to_owned(),
            hint: Some(hint),
        });
    }
    found
}
