//! The parts of a definition as they are written in processes.yaml, or as close to it as one line allows.

use std::fmt::Write as _;
use std::time::Duration;

use rpc::v1::{self, OutputKind, Readiness, health_check::Probe};

use super::word;
use crate::units::{duration, setting};

/// Policies are written with dashes, in definitions as here.
pub(crate) fn policy_word(name: &str, prefix: &str) -> String {
    word(name, prefix).replace('_', "-")
}

/// As written in a definition: `capture`, `null`, `inherit`, `direct:/path` or a path.
pub(crate) fn output_text(target: &v1::OutputTarget) -> String {
    match target.kind() {
        OutputKind::Capture => "capture".to_owned(),
        OutputKind::Null => "null".to_owned(),
        OutputKind::Inherit => "inherit".to_owned(),
        OutputKind::File => target.path.clone(),
        OutputKind::Direct => format!("direct:{}", target.path),
        OutputKind::Unspecified => "unknown".to_owned(),
    }
}

/// As written in a definition: `3`, `SIGTERM`.
pub(crate) fn matcher_text(m: &v1::ExitMatcher) -> String {
    match &m.status {
        Some(v1::exit_matcher::Status::Code(code)) => code.to_string(),
        Some(v1::exit_matcher::Status::Signal(signal)) => signal.clone(),
        None => "unknown".to_owned(),
    }
}

/// As written in a definition: `/path`, or `-/path` where it may be missing.
pub(crate) fn environment_file_text(file: &v1::EnvironmentFile) -> String {
    format!("{}{}", if file.may_be_missing { "-" } else { "" }, file.path)
}

/// As written in a definition: `/path`, or `!/path` where it must not exist.
pub(crate) fn condition_text(condition: &v1::PathCondition) -> String {
    format!("{}{}", if condition.negated { "!" } else { "" }, condition.path)
}

/// How far the other one has to be, where that is said.
pub(crate) fn until_word(dependency: &v1::Dependency) -> Option<String> {
    match dependency.until() {
        Readiness::Unspecified => None,
        until => Some(word(until.as_str_name(), "READINESS_")),
    }
}

/// `db (healthy), cache`
pub(crate) fn dependencies_text(list: Option<&v1::DependencyList>) -> String {
    let texts: Vec<String> = list
        .iter()
        .flat_map(|list| &list.values)
        .map(|d| match until_word(d) {
            Some(until) => format!("{} ({until})", d.name),
            None => d.name.clone(),
        })
        .collect();
    texts.join(", ")
}

/// One command a line: `-/bin/mkdir -p /run/x (within 5s)`.
pub(crate) fn hooks_text(list: Option<&v1::HookList>) -> String {
    let texts: Vec<String> = list
        .iter()
        .flat_map(|list| &list.values)
        .map(|hook| {
            let ignored = if hook.ignore_failure { "-" } else { "" };
            let limit = hook.timeout.map_or(String::new(), |t| format!(" (within {})", setting(duration(t))));
            format!("{ignored}{}{limit}", hook.command.as_ref().map_or(String::new(), command_text))
        })
        .collect();
    texts.join("\n")
}

/// The words as a shell would read them.
fn command_text(line: &v1::CommandLine) -> String {
    let quoted = |word: &String| match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        // Only a NUL byte can't be quoted, and no command has one.
        Err(_) => word.clone(),
    };
    let words: Vec<String> = std::iter::once(&line.program).chain(&line.args).map(quoted).collect();
    words.join(" ")
}

/// `http http://127.0.0.1/ every 10s, answer within 5s, unhealthy after 3 failures, restart after 5`
pub(crate) fn health_check_text(check: &v1::HealthCheck) -> String {
    let mut text = match &check.probe {
        Some(Probe::Http(probe)) => format!("http {}", probe.url),
        Some(Probe::Tcp(probe)) => format!("tcp {}", probe.address),
        Some(Probe::Exec(line)) => format!("exec {}", command_text(line)),
        Some(Probe::Grpc(probe)) if probe.service.is_empty() => format!("grpc {}", probe.address),
        Some(Probe::Grpc(probe)) => format!("grpc {} {}", probe.address, probe.service),
        None => "unknown".to_owned(),
    };
    let time = |t: Option<prost_types::Duration>| t.map(|t| setting(duration(t)));
    if let (Some(interval), Some(timeout)) = (time(check.interval), time(check.timeout)) {
        let _infallible = write!(text, " every {interval}, answer within {timeout}").is_ok();
    }
    if let Some(retries) = check.retries {
        let plural = if retries == 1 { "" } else { "s" };
        let _infallible = write!(text, ", unhealthy after {retries} failure{plural}").is_ok();
    }
    if let Some(successes @ 2..) = check.success_threshold {
        let _infallible = write!(text, ", healthy after {successes} successes").is_ok();
    }
    if let Some(failures @ 1..) = check.restart_after {
        let _infallible = write!(text, ", restart after {failures}").is_ok();
    }
    text
}

/// `0` on the wire is no limit.
pub(crate) fn limit_text(limit: Option<prost_types::Duration>) -> String {
    match limit.map(duration) {
        None => String::new(),
        Some(Duration::ZERO) => "none".to_owned(),
        Some(limit) => setting(limit),
    }
}
