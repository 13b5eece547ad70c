//! A definition to the wire and back: all keys in one place, their values by theme in the modules below.

mod check;
mod health;
mod hooks;
mod limits;
mod log;
mod needs;
mod output;
mod restart;
mod start;

use std::path::PathBuf;

use model::{Definition, InheritEnv, ProcessName, Signal};

use super::duration;
use crate::{Violation, v1};
use check::Check;
pub(crate) use log::log_to_wire;

/// Every key that is written, as the wire has it.
pub(crate) fn to_wire(d: Definition) -> v1::ProcessDefinition {
    v1::ProcessDefinition {
        description: d.description,
        groups: d.groups.map(strings),
        command: d.command,
        args: d.args.map(strings),
        working_dir: d.working_dir.map(path_text),
        env: d.env.map(|env| v1::Environment { values: env.into_iter().collect() }),
        environment_file: d.environment_file.map(start::environment_files),
        inherit_env: d.inherit_env.map(inherit_env),
        user: d.user,
        group: d.group,
        supplementary_groups: d.supplementary_groups.map(strings),
        umask: d.umask,
        auto_start: d.auto_start,
        after: d.after.map(names_text),
        before: d.before.map(names_text),
        requires: d.requires.map(needs::dependencies),
        wants: d.wants.map(needs::dependencies),
        binds_to: d.binds_to.map(needs::dependencies),
        conflicts: d.conflicts.map(names_text),
        condition_path_exists: d.condition_path_exists.map(start::conditions),
        r#type: d.kind.map_or(v1::ProcessType::Unspecified, start::kind).into(),
        remain_after_exit: d.remain_after_exit,
        pidfile: d.pidfile.map(path_text),
        start_timeout: d.start_timeout.map(duration),
        watchdog_sec: d.watchdog_sec.map(duration),
        restart: d.restart.map_or(v1::RestartPolicy::Unspecified, restart::policy).into(),
        restart_sec: d.restart_sec.map(duration),
        restart_max_delay_sec: d.restart_max_delay_sec.map(duration),
        restart_jitter: d.restart_jitter,
        runtime_success_sec: d.runtime_success_sec.map(duration),
        start_limit_burst: d.start_limit_burst,
        start_limit_interval_sec: d.start_limit_interval_sec.map(duration),
        on_start_limit: d
            .on_start_limit
            .map_or(v1::OnStartLimit::Unspecified, restart::on_start_limit)
            .into(),
        success_exit_status: d.success_exit_status.map(restart::matchers),
        restart_prevent_exit_status: d.restart_prevent_exit_status.map(restart::matchers),
        kill_signal: d.kill_signal.map(signal_text),
        kill_mode: d.kill_mode.map_or(v1::KillMode::Unspecified, restart::kill_mode).into(),
        stop_timeout: d.stop_timeout.map(duration),
        send_sighup: d.send_sighup,
        exec_start_pre: d.exec_start_pre.map(hooks::hooks),
        exec_start_post: d.exec_start_post.map(hooks::hooks),
        exec_reload: d.exec_reload.map(hooks::hooks),
        reload_signal: d.reload_signal.map(signal_text),
        exec_stop: d.exec_stop.map(hooks::hooks),
        exec_stop_post: d.exec_stop_post.map(hooks::hooks),
        health_check: d.health_check.map(health::health_check),
        critical: d.critical,
        stdout: d.stdout.map(output::target),
        stderr: d.stderr.map(output::target),
        pty: d.pty,
        metrics: d.metrics.map(|detail| restart::metrics(detail).into()),
        resource_limits: d.resource_limits.map(limits::resources),
        rlimits: d.rlimits.map(|l| limits::rlimits(&l)),
        nice: d.nice.map(i32::from),
        oom_score_adj: d.oom_score_adj.map(i32::from),
        ambient_capabilities: d.ambient_capabilities.map(|set| strings(set.names().collect())),
        no_new_privileges: d.no_new_privileges,
        runtime_directory: d.runtime_directory.map(strings),
        runtime_directory_mode: d.runtime_directory_mode,
        log: log_to_wire(d.log),
    }
}

/// The keys that the caller wrote, or every field that is not what its type allows. Ranges and what keys mean
/// together are for `config` to judge.
pub(crate) fn from_wire(w: v1::ProcessDefinition) -> Result<Definition, Vec<Violation>> {
    let mut check = Check::default();
    // Each field is named, so that a key that `model` gains does not get lost here without a word.
    let definition = Definition {
        description: w.description,
        groups: w.groups.map(|l| l.values),
        command: w.command,
        args: w.args.map(|l| l.values),
        working_dir: w.working_dir.map(PathBuf::from),
        env: w.env.map(|e| e.values.into_iter().collect()),
        environment_file: check.environment_files("environment_file", w.environment_file),
        inherit_env: w.inherit_env.map(inherit_env_from),
        user: w.user,
        group: w.group,
        supplementary_groups: w.supplementary_groups.map(|l| l.values),
        umask: w.umask,
        auto_start: w.auto_start,
        after: w.after.map(|l| check.names("after", &l)),
        before: w.before.map(|l| check.names("before", &l)),
        requires: check.dependencies("requires", w.requires),
        wants: check.dependencies("wants", w.wants),
        binds_to: check.dependencies("binds_to", w.binds_to),
        conflicts: w.conflicts.map(|l| check.names("conflicts", &l)),
        condition_path_exists: check.conditions("condition_path_exists", w.condition_path_exists),
        kind: check.kind("type", w.r#type),
        remain_after_exit: w.remain_after_exit,
        pidfile: w.pidfile.map(PathBuf::from),
        start_timeout: check.duration("start_timeout", w.start_timeout),
        watchdog_sec: check.duration("watchdog_sec", w.watchdog_sec),
        restart: check.policy("restart", w.restart),
        restart_sec: check.duration("restart_sec", w.restart_sec),
        restart_max_delay_sec: check.duration("restart_max_delay_sec", w.restart_max_delay_sec),
        restart_jitter: w.restart_jitter,
        runtime_success_sec: check.duration("runtime_success_sec", w.runtime_success_sec),
        start_limit_burst: w.start_limit_burst,
        start_limit_interval_sec: check.duration("start_limit_interval_sec", w.start_limit_interval_sec),
        on_start_limit: check.on_start_limit("on_start_limit", w.on_start_limit),
        success_exit_status: check.matchers("success_exit_status", w.success_exit_status),
        restart_prevent_exit_status: check
            .matchers("restart_prevent_exit_status", w.restart_prevent_exit_status),
        kill_signal: w.kill_signal.and_then(|s| check.signal("kill_signal", &s)),
        kill_mode: check.kill_mode("kill_mode", w.kill_mode),
        stop_timeout: check.duration("stop_timeout", w.stop_timeout),
        send_sighup: w.send_sighup,
        exec_start_pre: check.hooks("exec_start_pre", w.exec_start_pre),
        exec_start_post: check.hooks("exec_start_post", w.exec_start_post),
        exec_reload: check.hooks("exec_reload", w.exec_reload),
        reload_signal: w.reload_signal.and_then(|s| check.signal("reload_signal", &s)),
        exec_stop: check.hooks("exec_stop", w.exec_stop),
        exec_stop_post: check.hooks("exec_stop_post", w.exec_stop_post),
        health_check: check.health_check("health_check", w.health_check),
        critical: w.critical,
        stdout: check.output("stdout", w.stdout),
        stderr: check.output("stderr", w.stderr),
        pty: w.pty,
        metrics: w.metrics.and_then(|raw| check.metrics("metrics", raw)),
        resource_limits: w.resource_limits.map(|l| check.resources("resource_limits", &l)),
        rlimits: w.rlimits.map(|l| check.rlimits("rlimits", l)),
        nice: w.nice.and_then(|n| check.small("nice", n)),
        oom_score_adj: w.oom_score_adj.and_then(|n| check.small("oom_score_adj", n)),
        ambient_capabilities: w.ambient_capabilities.map(|l| check.capabilities("ambient_capabilities", &l)),
        no_new_privileges: w.no_new_privileges,
        runtime_directory: w.runtime_directory.map(|l| l.values),
        runtime_directory_mode: w.runtime_directory_mode,
        log: check.log(w.log),
    };
    if check.violations.is_empty() { Ok(definition) } else { Err(check.violations) }
}

fn inherit_env(inherit: InheritEnv) -> v1::InheritEnv {
    match inherit {
        InheritEnv::None => v1::InheritEnv::default(),
        InheritEnv::Names(names) => v1::InheritEnv { all: false, names },
        InheritEnv::All => v1::InheritEnv { all: true, names: Vec::new() },
    }
}

fn inherit_env_from(inherit: v1::InheritEnv) -> InheritEnv {
    match (inherit.all, inherit.names) {
        (true, _) => InheritEnv::All,
        (false, names) if names.is_empty() => InheritEnv::None,
        (false, names) => InheritEnv::Names(names),
    }
}

fn strings(values: Vec<String>) -> v1::StringList {
    v1::StringList { values }
}

#[expect(clippy::needless_pass_by_value, reason = "fits Option::map")]
fn names_text(names: Vec<ProcessName>) -> v1::StringList {
    strings(names.iter().map(ToString::to_string).collect())
}

fn signal_text(signal: Signal) -> String {
    signal.to_string()
}

// A path in a definition comes from YAML or from the wire and is therefore valid UTF-8.
fn path_text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap_or_else(|raw| raw.to_string_lossy().into_owned())
}

#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;
