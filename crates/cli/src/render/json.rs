//! JSON for programs. Keys are only ever added; an absent value is null. docs/CLI.md describes it.

mod definition;

use std::collections::BTreeMap;

use model::Wall;
use rpc::v1::{self, ListenerState, NextActionKind, Stream};
use serde_json::{Value, json};

use super::{health_word, state_word, up, uptime, word};
use crate::units::{duration, wall};

/// `{"processes": […]}`
pub(crate) fn processes(processes: &[v1::Process], now: Wall) -> Value {
    let list: Vec<Value> = processes.iter().map(|p| process(p, now)).collect();
    json!({ "processes": list })
}

pub(crate) fn process(p: &v1::Process, now: Wall) -> Value {
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
        "last_exits": p.exits.iter().map(last_exit).collect::<Vec<Value>>(),
        "status_text": (!p.status_text.is_empty()).then_some(&p.status_text),
        "health": p.health.as_ref().map(|health| json!({
            "state": health_word(health.state()),
            "since": time(health.since.as_ref()),
            "failures": health.failures,
            "message": (!health.message.is_empty()).then_some(&health.message),
        })),
        "groups": p.groups,
        "restarts": counters.restarts,
        "starts": counters.starts,
        "exits": exits,
        "finished_runs_cpu_seconds": seconds(counters.cpu),
        "oom_kills": counters.oom_kills,
        "origin": origin(p.origin.as_ref()),
        "description": p.description,
        "command_line": p.command_line,
        "problem": p.problem,
        "degraded": p.degraded,
        "stdout_path": p.stdout_path,
        "stderr_path": p.stderr_path,
    });
    // Only where it was asked for: a list without definitions must not look like definitions without keys.
    if let Some(d) = &p.definition {
        value["definition"] = definition::definition(d);
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
        "max_rss_bytes": (last.max_rss_bytes > 0).then_some(last.max_rss_bytes),
        "cause": last.cause,
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
        "uptime_seconds": up(d.uptime.as_ref(), d.start_time.as_ref(), now).map(|up| up.as_secs()),
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
