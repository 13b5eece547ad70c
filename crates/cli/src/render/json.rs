//! JSON for programs. Keys are only ever added; an absent value is null. docs/CLI.md describes it.

use std::collections::BTreeMap;

use model::Wall;
use rpc::v1::{self, ListenerState, NextActionKind, OutputKind, Stream};
use serde_json::{Value, json};

use super::{state_word, uptime, word};
use crate::units::{duration, wall};

/// `{"processes": […]}`
pub(crate) fn processes(processes: &[v1::Process], now: Wall) -> Value {
    let list: Vec<Value> = processes.iter().map(|p| process(p, now)).collect();
    json!({ "processes": list })
}

fn process(p: &v1::Process, now: Wall) -> Value {
    let counters = p.counters.clone().unwrap_or_default();
    let exits: BTreeMap<String, u64> = counters.exits.iter().map(|e| (reason(e.reason()), e.count)).collect();
    let mut value = json!({
        "name": p.name,
        "process_id": p.process_id,
        "state": state_word(p.state()),
        "reason": p.reason,
        "hint": p.hint,
        "since": time(p.state_time.as_ref()),
        "wanted_up": p.wanted_up,
        "pid": p.run.as_ref().and_then(|run| run.pid),
        "uptime_seconds": uptime(p, now).map(|up| up.as_secs()),
        "run": p.run.as_ref().map(|run| json!({
            "number": run.number,
            "invocation_id": run.invocation_id,
            "start_time": time(run.start_time.as_ref()),
        })),
        "next_action": p.next_action.as_ref().map(|next| json!({
            "action": match next.kind() {
                NextActionKind::Start => "start",
                NextActionKind::Kill => "kill",
                NextActionKind::Unspecified => "unknown",
            },
            "time": time(next.time.as_ref()),
        })),
        "last_exit": p.last_exit.as_ref().map(last_exit),
        "restarts": counters.restarts,
        "starts": counters.starts,
        "exits": exits,
        "finished_runs_cpu_seconds": seconds(counters.cpu),
        "origin": origin(p.origin.as_ref()),
        "description": p.description,
        "command_line": p.command_line,
        "problem": p.problem,
        "stdout_path": p.stdout_path,
        "stderr_path": p.stderr_path,
    });
    // Only where it was asked for: a list without definitions must not look like definitions without keys.
    if let Some(d) = &p.definition {
        value["definition"] = definition(d);
    }
    value
}

fn last_exit(last: &v1::LastExit) -> Value {
    let (code, signal) = match last.status.as_ref().and_then(|s| s.how.as_ref()) {
        Some(v1::exit_status::How::Code(code)) => (Some(*code), None),
        Some(v1::exit_status::How::Signal(signal)) => (None, Some(signal.as_str())),
        None => (None, None),
    };
    json!({
        "run": last.run,
        "exit_code": code,
        "signal": signal,
        "core_dumped": last.status.as_ref().is_some_and(|s| s.core_dumped),
        "reason": reason(last.reason()),
        "time": time(last.end_time.as_ref()),
        "ran_seconds": seconds(last.ran),
        "user_cpu_seconds": seconds(last.user_cpu),
        "system_cpu_seconds": seconds(last.system_cpu),
        "max_rss_bytes": last.max_rss_bytes,
    })
}

/// The keys of processes.yaml, each as it is written there; times in seconds.
fn definition(d: &v1::ProcessDefinition) -> Value {
    let list = |l: &Option<v1::StringList>| l.as_ref().map(|l| l.values.clone());
    let matchers = |l: &Option<v1::ExitMatcherList>| {
        l.as_ref().map(|l| l.values.iter().map(matcher).collect::<Vec<Value>>())
    };
    let log = d.log.unwrap_or_default();
    let env: BTreeMap<&String, &String> = d.env.iter().flat_map(|e| &e.values).collect();
    json!({
        "description": d.description,
        "command": d.command,
        "args": list(&d.args),
        "working_dir": d.working_dir,
        "env": env,
        "inherit_env": d.inherit_env.as_ref().map(|i| if i.all { json!(true) } else { json!(i.names) }),
        "user": d.user,
        "group": d.group,
        "supplementary_groups": list(&d.supplementary_groups),
        "umask": d.umask,
        "auto_start": d.auto_start,
        "after": list(&d.after),
        "before": list(&d.before),
        "restart": policy_word(d.restart().as_str_name(), "RESTART_POLICY_"),
        "restart_sec": seconds(d.restart_sec),
        "restart_max_delay_sec": seconds(d.restart_max_delay_sec),
        "restart_jitter": d.restart_jitter,
        "runtime_success_sec": seconds(d.runtime_success_sec),
        "start_limit_burst": d.start_limit_burst,
        "start_limit_interval_sec": seconds(d.start_limit_interval_sec),
        "on_start_limit": policy_word(d.on_start_limit().as_str_name(), "ON_START_LIMIT_"),
        "success_exit_status": matchers(&d.success_exit_status),
        "restart_prevent_exit_status": matchers(&d.restart_prevent_exit_status),
        "kill_signal": d.kill_signal,
        "kill_mode": policy_word(d.kill_mode().as_str_name(), "KILL_MODE_"),
        "stop_timeout": seconds(d.stop_timeout),
        "send_sighup": d.send_sighup,
        "stdout": d.stdout.as_ref().map(output_text),
        "stderr": d.stderr.as_ref().map(output_text),
        "log": {
            "journald": log.journald,
            "file": log.file,
            "max_size": log.max_size,
            "max_files": log.max_files,
            "max_line": log.max_line,
        },
    })
}

/// The daemon.
pub(crate) fn status(d: &v1::DaemonStatus, now: Wall) -> Value {
    let counts: BTreeMap<String, u32> =
        d.processes.iter().map(|c| (state_word(c.state()), c.count)).collect();
    let listeners: Vec<Value> = d
        .listeners
        .iter()
        .map(|l| {
            let state = match l.state() {
                ListenerState::Listening => "listening",
                ListenerState::Failed => "failed",
                ListenerState::Disabled => "disabled",
                ListenerState::Unspecified => "unknown",
            };
            json!({ "role": l.role, "address": l.address, "state": state, "error": l.error })
        })
        .collect();
    json!({
        "version": d.version,
        "pid": d.pid,
        "uid": d.uid,
        "start_time": time(d.start_time.as_ref()),
        "uptime_seconds": d.start_time.as_ref().map(|at| now.since(wall(at)).as_secs()),
        "ready": d.ready,
        "config_path": d.config_path,
        "last_reload": d.last_reload.as_ref().map(|r| json!({
            "time": time(r.time.as_ref()),
            "ok": r.ok,
            "problems": r.problems,
        })),
        "listeners": listeners,
        "processes": counts,
        "event_seq": d.event_seq,
        "log_dir": d.log_dir,
        "caller_role": d.caller_role,
        "containment": d.containment,
    })
}

/// `stdout`, `stderr`, or nothing where it is not known.
pub(crate) fn stream_name(stream: Stream) -> Option<&'static str> {
    match stream {
        Stream::Stdout => Some("stdout"),
        Stream::Stderr => Some("stderr"),
        Stream::Unspecified => None,
    }
}

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

fn matcher(m: &v1::ExitMatcher) -> Value {
    match &m.status {
        Some(v1::exit_matcher::Status::Code(code)) => json!(code),
        Some(v1::exit_matcher::Status::Signal(signal)) => json!(signal),
        None => Value::Null,
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

fn origin(origin: Option<&v1::Origin>) -> Value {
    match origin.and_then(|o| o.place.as_ref()) {
        Some(v1::origin::Place::File(file)) => json!({ "file": file.path, "line": file.line }),
        Some(v1::origin::Place::Runtime(_)) => json!({ "runtime": true }),
        None => Value::Null,
    }
}

/// `/etc/dd-procmgrd/processes.yaml:7`, `pm-cli create`.
pub(crate) fn origin_text(origin: Option<&v1::Origin>) -> String {
    match origin.and_then(|o| o.place.as_ref()) {
        Some(v1::origin::Place::File(file)) => format!("{}:{}", file.path, file.line),
        Some(v1::origin::Place::Runtime(_)) => "pm-cli create (kept by the daemon)".to_owned(),
        None => String::new(),
    }
}

fn reason(reason: v1::ExitReason) -> String {
    word(reason.as_str_name(), "EXIT_REASON_")
}

fn time(t: Option<&prost_types::Timestamp>) -> Option<String> {
    t.map(|t| wall(t).to_string())
}

fn seconds(d: Option<prost_types::Duration>) -> Option<f64> {
    d.map(|d| duration(d).as_secs_f64())
}
