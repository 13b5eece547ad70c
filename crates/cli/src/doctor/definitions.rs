//! Definitions: as they stand in the files, and as the daemon read them last.

use super::facts::shown;
use super::{Facts, Finding, count};

pub(super) fn files(facts: &Facts) -> Vec<Finding> {
    let found = match &facts.definitions {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(found) => found,
    };
    let main = shown(&found.main);
    let mut findings = Vec::new();
    if let Some(first) = found.errors.first() {
        findings.push(Finding::problem(
            format!("{} in {main} and beside it; the first: {}", count(found.errors.len(), "error", "errors"), line(first)),
            "what has an error is not applied: a process keeps its last good definition, a new one is invalid",
            validate(facts),
        ));
    }
    if !found.exists && findings.is_empty() {
        findings.push(Finding::warning(
            format!("there is no {main}"),
            "only processes that other files define, or that were created with pm-cli, are run",
            format!("sudo install -D -m 640 /dev/null {}", super::quoted(&main)),
        ));
    }
    if let Some(first) = found.warnings.first() {
        let number = count(found.warnings.len(), "warning", "warnings");
        findings.push(Finding::warning(
            format!("{number}; the first: {}", line(first)),
            "it is applied, and probably not what was meant",
            validate(facts),
        ));
    }
    if let Some(first) = found.left_out.first() {
        let good = count(found.good, "good definition", "good definitions");
        findings.push(Finding::not_checked(format!(
            "your user may not read {}; {good} in what it may",
            shown(first)
        )));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{main}: {}",
            count(found.good, "good definition", "good definitions")
        )));
    }
    findings
}

/// What shows all of it; `validate` reads what a daemon of the caller would.
fn validate(facts: &Facts) -> String {
    match (facts.status(), &facts.definitions) {
        (Ok(_), _) => "pm-cli plan".to_owned(),
        (Err(_), Ok(found)) => format!("pm-cli validate {}", super::quoted(&shown(&found.main))),
        (Err(_), Err(_)) => "pm-cli validate".to_owned(),
    }
}

pub(super) fn last_load(facts: &Facts) -> Vec<Finding> {
    let status = match facts.status() {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(status) => status,
    };
    let finding = match &status.last_reload {
        None => Finding::not_checked("the definitions were not loaded yet"),
        Some(load) => match (load.ok, load.problems.first()) {
            (_, None) => Finding::ok("everything in the files is in force"),
            (true, Some(first)) => Finding::warning(
                format!(
                    "the last load had {}: {}",
                    count(load.problems.len(), "warning", "warnings"),
                    line(first)
                ),
                "it is in force, and probably not what was meant",
                "pm-cli status",
            ),
            (false, Some(first)) => Finding::problem(
                format!(
                    "the last load had {}: {}",
                    count(load.problems.len(), "problem", "problems"),
                    line(first)
                ),
                "what has an error is not in force: put it right, look with pm-cli plan, then reload",
                "pm-cli reload-config",
            ),
        },
    };
    vec![finding]
}

/// The first line of a problem, with its place, which stands on the second one.
fn line(problem: &str) -> String {
    let mut lines = problem.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    match lines.next().and_then(|second| second.strip_prefix("--> ")) {
        Some(place) => format!("{first} ({place})"),
        None => first.to_owned(),
    }
}
