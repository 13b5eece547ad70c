//! The daemon itself: whether it answers, which one it is, and which program it runs.

use super::facts::shown;
use super::{Facts, Finding, count};

pub(super) fn daemon(facts: &Facts) -> Vec<Finding> {
    let answer = match &facts.daemon {
        Ok(answer) => answer,
        Err(silence) => {
            // `no daemon answers; looked at`, and below it a line for each place.
            let mut lines = silence.message.lines().map(str::trim);
            let first = lines.next().unwrap_or_default();
            let rest = lines.collect::<Vec<_>>().join("; ");
            let (found, means) = match first.strip_suffix("; looked at") {
                Some(found) => (found, format!("looked at {rest}")),
                None => (first, rest),
            };
            return vec![Finding::problem(found, means, silence.hint.clone())];
        }
    };
    let status = &answer.status;
    let found = format!("dd-procmgrd (pid {}, uid {}) answers at {}", status.pid, status.uid, answer.at);
    if status.draining {
        return vec![Finding::warning(
            format!("{found} and is shutting down"),
            "it stops its processes and ends; nothing new is accepted",
            "pm-cli list",
        )];
    }
    if !status.ready {
        return vec![Finding::warning(
            format!("{found} and is not ready"),
            "it is starting, or the first load of the definitions has not ended",
            "pm-cli status",
        )];
    }
    vec![Finding::ok(found)]
}

pub(super) fn versions(facts: &Facts) -> Vec<Finding> {
    let own = &facts.own_version;
    let finding = match facts.status() {
        Err(why) => Finding::not_checked(format!("{why}; this pm-cli is {own}")),
        Ok(status) if status.version == *own => Finding::ok(format!("both are {own}")),
        Ok(status) => Finding::warning(
            format!("this pm-cli is {own}, the daemon is {}", status.version),
            "one may ask for what the other does not know; a daemon that was updated while it ran is the old one until it \
             is restarted, with all of its processes",
            "sudo systemctl restart dd-procmgrd",
        ),
    };
    vec![finding]
}

pub(super) fn role(facts: &Facts) -> Vec<Finding> {
    let status = match facts.status() {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(status) => status,
    };
    let lacks = match status.caller_role.as_str() {
        "admin" => "",
        "operator" => ": you may not define processes; root and the daemon's own user may",
        _ => {
            ": you see states and may not read logs, start or stop; members of the group dd-procmgrd, root and the daemon's \
             own user may"
        }
    };
    vec![Finding::ok(format!("{}{lacks}", status.caller_role))]
}

pub(super) fn running_program(facts: &Facts) -> Vec<Finding> {
    let exe = match &facts.proc.exe {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(exe) => shown(exe),
    };
    let finding = match exe.strip_suffix(" (deleted)") {
        None => Finding::ok(format!("{exe} is what runs")),
        Some(path) => Finding::warning(
            format!("{path} was replaced or removed while the daemon runs"),
            "an upgrade waits for a restart of the daemon, which restarts every process",
            restart(facts),
        ),
    };
    vec![finding]
}

/// How the daemon is restarted here.
fn restart(facts: &Facts) -> String {
    match &facts.unit {
        Ok(unit) if unit.user => format!("systemctl --user restart {}", unit.name),
        Ok(unit) => format!("sudo systemctl restart {}", unit.name),
        Err(_) => "stop the daemon and start it anew".to_owned(),
    }
}

pub(super) fn boot(facts: &Facts) -> Vec<Finding> {
    let unit = match &facts.unit {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(unit) => unit,
    };
    let name = super::quoted(&unit.name);
    let user = if unit.user { "systemctl --user" } else { "sudo systemctl" };
    vec![match unit.properties.get("UnitFileState").map(String::as_str) {
        Some("enabled" | "enabled-runtime" | "alias" | "static" | "indirect" | "generated") => {
            Finding::ok(format!("systemd starts {} at boot", unit.name))
        }
        None | Some("") => {
            Finding::not_checked(format!("systemd does not say whether {} is enabled", unit.name))
        }
        Some(state) => Finding::warning(
            format!("{} is {state}: it runs now, and is not started at boot", unit.name),
            "after a restart of the machine none of its processes runs, whatever pm-cli enable says",
            format!("{user} enable {name}"),
        ),
    }]
}

pub(super) fn installations(facts: &Facts) -> Vec<Finding> {
    if let Err(why) = &facts.here {
        return vec![Finding::not_checked(why)];
    }
    let mut findings = Vec::new();
    for (name, paths) in &facts.installed {
        let [first, others @ ..] = paths.as_slice() else { continue };
        if !others.is_empty() {
            let all: Vec<String> = paths.iter().map(|path| shown(path)).collect();
            findings.push(Finding::warning(
                format!(
                    "{} of {name} in PATH: {}",
                    count(paths.len(), "program", "programs"),
                    all.join(", ")
                ),
                format!("{} is the one that is found; the other may be an older version", shown(first)),
                format!("type -a {name}"),
            ));
        }
    }
    if findings.is_empty() {
        let found: Vec<String> =
            facts.installed.values().filter_map(|paths| paths.first()).map(|path| shown(path)).collect();
        findings.push(if found.is_empty() {
            Finding::ok("nothing is installed in PATH")
        } else {
            Finding::ok(found.join(", "))
        });
    }
    findings
}
