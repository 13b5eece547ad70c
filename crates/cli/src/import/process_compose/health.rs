//! Readiness and liveness probes: here they are one check.

use std::time::Duration;

use model::{CommandLine, Definition, HealthSpec, Probe};

use crate::import::command::of_shell_line;
use crate::import::draft::Import;
use crate::import::tree::Item;

/// Readiness comes first; liveness says after how many failures it is restarted.
pub(super) fn read(process: &Item<'_>, shell: &[String], definition: &mut Definition, into: &mut Import) {
    let items = process.below();
    let of = |key: &str| items.iter().find(|item| item.key == key);
    let mut check = of("readiness_probe").and_then(|item| probe(item, shell, into));
    if let Some(item) = of("liveness_probe") {
        let liveness = probe(item, shell, into);
        match (&mut check, liveness) {
            (Some(check), Some(liveness)) => {
                check.restart_after = liveness.retries.max(check.retries);
                if check.probe != liveness.probe {
                    let why = "a process has one check: the one of readiness_probe restarts it, too";
                    item.lost(into, why, "let one command ask both");
                }
            }
            (None, Some(liveness)) => {
                check = Some(HealthSpec { restart_after: liveness.retries, ..liveness });
            }
            (_, None) => {}
        }
    }
    definition.health_check = check;
}

fn probe(item: &Item<'_>, shell: &[String], into: &mut Import) -> Option<HealthSpec> {
    let keys = item.below();
    let target = keys.iter().find_map(|key| match key.key {
        "exec" => exec(key, shell, into),
        "http_get" => http(key, into),
        _ => None,
    });
    let Some(target) = target else {
        // What is there and can't be asked was reported.
        if !keys.iter().any(|key| matches!(key.key, "exec" | "http_get")) {
            item.lost(into, "it asks nothing that can be asked", "see `health_check` in docs/CONFIG.md");
        }
        return None;
    };
    let second = Duration::from_secs(1);
    // What holds where nothing is said.
    let mut spec = HealthSpec { timeout: second, start_period: Duration::ZERO, ..HealthSpec::new(target) };
    for key in &keys {
        match key.key {
            "initial_delay_seconds" => spec.start_period = key.time(second, into).unwrap_or_default(),
            "period_seconds" => spec.interval = key.time(second, into).unwrap_or(spec.interval).max(second),
            "timeout_seconds" => spec.timeout = key.time(second, into).unwrap_or(spec.timeout).max(second),
            "success_threshold" => spec.success_threshold = key.number(into).unwrap_or(1).clamp(1, 10_000),
            "failure_threshold" => spec.retries = key.number(into).unwrap_or(3).clamp(1, 10_000),
            "exec" | "http_get" => {}
            _ => key.lost(into, "this is not known", ""),
        }
    }
    Some(spec)
}

fn exec(item: &Item<'_>, shell: &[String], into: &mut Import) -> Option<Probe> {
    let mut line = None;
    for key in item.below() {
        match key.key {
            "command" => line = key.text(into),
            "working_dir" => {
                key.lost(into, "a check runs where its process does", "write whole paths in its command");
            }
            _ => key.lost(into, "this is not known", ""),
        }
    }
    let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
    let words = of_shell_line(&line?.replace("$$", "$"), &shell);
    let (program, args) = words.split_first()?;
    Some(Probe::Exec(CommandLine { program: program.clone(), args: args.to_vec() }))
}

fn http(item: &Item<'_>, into: &mut Import) -> Option<Probe> {
    let (mut host, mut port, mut path) = ("127.0.0.1".to_owned(), None, "/".to_owned());
    for key in item.below() {
        match key.key {
            "host" => host = key.text(into)?,
            "port" => port = key.number(into),
            "path" => path = key.text(into)?,
            "scheme" if key.value.text().is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) => {}
            "scheme" => {
                key.lost(into, "https is not asked", "ask a plain port, or use curl in an exec probe");
                return None;
            }
            "status_code" | "headers" if !key.is_off() => {
                key.lost(
                    into,
                    "a plain GET is sent, and a status from 200 to 399 is good",
                    "use curl in an exec probe",
                );
            }
            _ => {}
        }
    }
    let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(Probe::Http { url: format!("http://{host}:{}{slash}{path}", port.unwrap_or(80)) })
}
