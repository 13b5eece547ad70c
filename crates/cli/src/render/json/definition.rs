//! A definition in JSON: the keys of processes.yaml, times in seconds.

use std::collections::BTreeMap;

use rpc::v1::{self, health_check::Probe};
use serde_json::{Value, json};

use super::seconds;
use crate::render::definition::{
    condition_text, environment_file_text, output_text, policy_word, until_word,
};
use crate::render::{limits, log};

/// Every key; null where it has no value.
pub(super) fn definition(d: &v1::ProcessDefinition) -> Value {
    let list = |l: &Option<v1::StringList>| l.as_ref().map(|l| l.values.clone());
    let matchers = |l: &Option<v1::ExitMatcherList>| {
        l.as_ref().map(|l| l.values.iter().map(matcher).collect::<Vec<Value>>())
    };
    let env: BTreeMap<&String, &String> = d.env.iter().flat_map(|e| &e.values).collect();
    let files: Vec<String> =
        d.environment_file.iter().flat_map(|l| &l.values).map(environment_file_text).collect();
    let conditions: Vec<String> =
        d.condition_path_exists.iter().flat_map(|l| &l.values).map(condition_text).collect();
    let mut value = json!({
        "description": d.description,
        "command": d.command,
        "args": list(&d.args),
        "working_dir": d.working_dir,
        "env": env,
        "environment_file": files,
        "inherit_env": d.inherit_env.as_ref().map(|i| if i.all { json!(true) } else { json!(i.names) }),
        "user": d.user,
        "group": d.group,
        "supplementary_groups": list(&d.supplementary_groups),
        "umask": d.umask,
        "auto_start": d.auto_start,
        "after": list(&d.after),
        "before": list(&d.before),
        "condition_path_exists": conditions,
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
    });
    // One macro call with all keys would be too deep for the compiler.
    let more = [
        ("groups", json!(list(&d.groups))),
        ("type", json!(policy_word(d.r#type().as_str_name(), "PROCESS_TYPE_"))),
        ("remain_after_exit", json!(d.remain_after_exit)),
        ("pidfile", json!(d.pidfile)),
        ("start_timeout", json!(seconds(d.start_timeout))),
        ("watchdog_sec", json!(seconds(d.watchdog_sec))),
        ("requires", dependencies(d.requires.as_ref())),
        ("wants", dependencies(d.wants.as_ref())),
        ("binds_to", dependencies(d.binds_to.as_ref())),
        ("conflicts", json!(list(&d.conflicts))),
        ("exec_start_pre", hooks(d.exec_start_pre.as_ref())),
        ("exec_start_post", hooks(d.exec_start_post.as_ref())),
        ("exec_reload", hooks(d.exec_reload.as_ref())),
        ("reload_signal", json!(d.reload_signal)),
        ("exec_stop", hooks(d.exec_stop.as_ref())),
        ("exec_stop_post", hooks(d.exec_stop_post.as_ref())),
        ("health_check", d.health_check.as_ref().map_or(Value::Null, health_check)),
        ("critical", json!(d.critical)),
        ("pty", json!(d.pty)),
        ("metrics", json!(d.metrics.map(|_| policy_word(d.metrics().as_str_name(), "METRICS_DETAIL_")))),
        ("resource_limits", d.resource_limits.as_ref().map_or(Value::Null, limits::resources_json)),
        ("rlimits", d.rlimits.as_ref().map_or(Value::Null, limits::rlimits_json)),
        ("nice", json!(d.nice)),
        ("oom_score_adj", json!(d.oom_score_adj)),
        ("ambient_capabilities", json!(list(&d.ambient_capabilities))),
        ("no_new_privileges", json!(d.no_new_privileges)),
        ("runtime_directory", json!(list(&d.runtime_directory))),
        ("runtime_directory_mode", json!(d.runtime_directory_mode)),
        ("log", log::json(&d.log.clone().unwrap_or_default())),
    ];
    for (key, item) in more {
        value[key] = item;
    }
    value
}

fn matcher(m: &v1::ExitMatcher) -> Value {
    match &m.status {
        Some(v1::exit_matcher::Status::Code(code)) => json!(code),
        Some(v1::exit_matcher::Status::Signal(signal)) => json!(signal),
        None => Value::Null,
    }
}

fn dependencies(list: Option<&v1::DependencyList>) -> Value {
    let item = |d: &v1::Dependency| json!({ "name": d.name, "until": until_word(d) });
    list.map(|l| l.values.iter().map(item).collect::<Vec<Value>>()).into()
}

fn hooks(list: Option<&v1::HookList>) -> Value {
    let item = |hook: &v1::Hook| {
        let command = hook.command.clone().unwrap_or_default();
        json!({
            "command": command.program,
            "args": command.args,
            "timeout": seconds(hook.timeout),
            "ignore_failure": hook.ignore_failure,
        })
    };
    list.map(|l| l.values.iter().map(item).collect::<Vec<Value>>()).into()
}

fn health_check(check: &v1::HealthCheck) -> Value {
    let mut value = match &check.probe {
        Some(Probe::Http(probe)) => json!({ "type": "http", "url": probe.url }),
        Some(Probe::Tcp(probe)) => json!({ "type": "tcp", "address": probe.address }),
        Some(Probe::Exec(line)) => json!({ "type": "exec", "command": line.program, "args": line.args }),
        Some(Probe::Grpc(probe)) => {
            json!({ "type": "grpc", "address": probe.address, "service": probe.service })
        }
        None => json!({ "type": null }),
    };
    let settings = [
        ("interval", json!(seconds(check.interval))),
        ("timeout", json!(seconds(check.timeout))),
        ("retries", json!(check.retries)),
        ("start_period", json!(seconds(check.start_period))),
        ("success_threshold", json!(check.success_threshold)),
        ("restart_after", json!(check.restart_after)),
    ];
    for (key, item) in settings {
        value[key] = item;
    }
    value
}
