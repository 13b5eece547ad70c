//! What an operator can do about the state of a process.

use model::{Lack, ProcessName, ProcessSpec, ProcessType, ProcessView, Reason};

/// The way out of its state, when the reason has one.
pub(super) fn hint(view: &ProcessView) -> Option<String> {
    let text = way_out(&view.reason, view)?;
    Some(text).filter(|text| !text.is_empty())
}

fn way_out(reason: &Reason, view: &ProcessView) -> Option<String> {
    let spec = &*view.spec;
    let name = &spec.name;
    Some(match reason {
        Reason::SpawnFailed(failure) => failure.hint.clone(),
        Reason::StartLimit { last, .. } => return way_out(last, view),
        Reason::Lacks(needed, lack) => lacking(needed, *lack),
        Reason::WaitsFor(names) => format!("see what holds it up: pm-cli why {}", names.first()?),
        Reason::StoppedWith(_) if !view.wanted_up => {
            format!("start it with all that it needs: pm-cli start {name}")
        }
        Reason::ConflictsWith(other) => {
            format!("the two are never up together; pm-cli start {name} stops {other}")
        }
        Reason::ConditionFailed(condition) => conditional(condition, name),
        Reason::HookFailed(hook, _) => {
            format!("see what {} printed: pm-cli logs {name}", hook.as_str())
        }
        Reason::StartTimedOut(_) => late(spec),
        Reason::EndedBeforeReady(ProcessType::Notify, _) => format!(
            "see what it printed: pm-cli logs {name}; the program must send READY=1 (sd_notify(3)) and go on \
             running; if it doesn't do that, write `type: simple`"
        ),
        Reason::EndedBeforeReady(..) => format!("see what it printed: pm-cli logs {name}"),
        Reason::NoMainProcess(_) => lost(spec),
        Reason::WatchdogExpired(_) => format!(
            "see whether it hangs: pm-cli logs {name}; a program that sends WATCHDOG=1 (sd_notify(3)), but \
             less often, needs a longer `watchdog_sec`, and one that doesn't send it none"
        ),
        Reason::Unhealthy(_) => match &spec.health {
            Some(health) => {
                format!("see what it printed: pm-cli logs {name}; what was asked is {}", health.probe)
            }
            None => format!("see what it printed: pm-cli logs {name}"),
        },
        Reason::OutOfMemory(Some(_)) => format!(
            "see what it did: pm-cli logs {name}; if it needs that much, raise it: pm-cli update {name} --memory-max SIZE"
        ),
        Reason::OutOfMemory(None) => format!(
            "the machine, or the unit of the daemon, was out of memory: see what it did: pm-cli logs {name}; \
             resource_limits.memory_max keeps one process from taking all"
        ),
        _ => return None,
    })
}

fn lacking(needed: &ProcessName, lack: Lack) -> String {
    match lack {
        Lack::NotDefined => format!("define {needed}, or take it out of `requires`, `wants` and `binds_to`"),
        Lack::Stopped => format!("start it: pm-cli start {needed}"),
        Lack::Ended => format!(
            "start it again: pm-cli start {needed}; if it is meant to end, need it as `{needed}: completed`"
        ),
        Lack::Invalid | Lack::Failed | Lack::Restarting | Lack::Unhealthy => {
            format!("see why: pm-cli why {needed}")
        }
    }
}

/// The condition as written, with `!` when it is negated.
fn conditional(condition: &str, name: &ProcessName) -> String {
    match condition.strip_prefix('!') {
        Some(path) => format!("once {path} is gone: pm-cli start {name}"),
        None => format!("once {condition} is there: pm-cli start {name}"),
    }
}

fn late(spec: &ProcessSpec) -> String {
    let name = &spec.name;
    let otherwise = match spec.start.kind {
        ProcessType::Notify => "; if it never sends READY=1 (sd_notify(3)), write `type: simple`",
        ProcessType::Forking => "; if it stays in the foreground, write `type: simple`",
        ProcessType::Simple | ProcessType::Oneshot => "",
    };
    format!(
        "see what it was doing: pm-cli logs {name}; if it needs more time, raise `start_timeout`{otherwise}"
    )
}

fn lost(spec: &ProcessSpec) -> String {
    match &spec.start.pidfile {
        Some(path) => format!(
            "the daemon has to write its pid to {} before its first process ends; see what it printed: \
             pm-cli logs {}",
            path.display(),
            spec.name
        ),
        None => "write `pidfile:` with the file to which the daemon writes its pid; if it can stay in the foreground, \
                 do that and write `type: simple`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
