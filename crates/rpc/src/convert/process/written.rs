//! A definition in force as the API shows it: every key resolved, values of variables hidden or masked.

use std::time::Duration;

use model::{Definition, LogDefinition, LogSpec, ProcessSpec};

use super::Sight;
use crate::Role;

/// What a viewer sees instead of a value.
pub(super) const HIDDEN: &str = "***";

/// A resolved definition with every key written. Of a file of variables only the path is there, never what it holds.
pub(super) fn written(spec: &ProcessSpec, sight: &Sight<'_>) -> Definition {
    let (exec, start, needs, restart) = (&spec.exec, &spec.start, &spec.needs, &spec.restart);
    let (stop, hooks, isolation) = (&spec.stop, &spec.hooks, &exec.isolation);
    let env = exec.env.iter().map(|(key, value)| {
        let shown = if sight.role == Role::Viewer { HIDDEN.to_owned() } else { (sight.mask)(key, value) };
        (key.clone(), shown)
    });
    // No `..Definition::default()`: a key that `model` gains must not be left out here without a word.
    Definition {
        description: Some(spec.description.clone()),
        groups: Some(spec.groups.clone()),
        command: Some(exec.program.clone()),
        args: Some(exec.args.clone()),
        working_dir: exec.working_dir.clone(),
        env: Some(env.collect()),
        environment_file: Some(exec.environment_files.clone()),
        inherit_env: Some(exec.inherit_env.clone()),
        user: exec.user.clone(),
        group: exec.group.clone(),
        supplementary_groups: exec.supplementary_groups.clone(),
        umask: exec.umask,
        auto_start: Some(spec.auto_start),
        after: Some(spec.after.clone()),
        before: Some(spec.before.clone()),
        requires: Some(needs.requires.clone()),
        wants: Some(needs.wants.clone()),
        binds_to: Some(needs.binds_to.clone()),
        conflicts: Some(needs.conflicts.clone()),
        condition_path_exists: Some(start.conditions.clone()),
        kind: Some(start.kind),
        remain_after_exit: Some(start.remain_after_exit),
        pidfile: start.pidfile.clone(),
        start_timeout: Some(or_zero(start.timeout)),
        watchdog_sec: Some(or_zero(start.watchdog)),
        restart: Some(restart.policy),
        restart_sec: Some(restart.delay),
        restart_max_delay_sec: Some(restart.max_delay),
        restart_jitter: Some(restart.jitter),
        runtime_success_sec: Some(restart.stable_after),
        start_limit_burst: Some(restart.limit_burst),
        start_limit_interval_sec: Some(restart.limit_interval),
        on_start_limit: Some(restart.on_limit),
        success_exit_status: Some(restart.success.clone()),
        restart_prevent_exit_status: Some(restart.prevent.clone()),
        kill_signal: Some(stop.signal),
        kill_mode: Some(stop.mode),
        stop_timeout: Some(stop.timeout),
        send_sighup: Some(stop.send_sighup),
        exec_start_pre: Some(hooks.start_pre.clone()),
        exec_start_post: Some(hooks.start_post.clone()),
        exec_reload: Some(hooks.reload.clone()),
        reload_signal: Some(spec.reload_signal),
        exec_stop: Some(hooks.stop.clone()),
        exec_stop_post: Some(hooks.stop_post.clone()),
        health_check: spec.health.clone(),
        critical: Some(spec.critical),
        stdout: Some(spec.output.stdout.clone()),
        stderr: Some(spec.output.stderr.clone()),
        pty: Some(spec.output.pty),
        metrics: Some(spec.metrics),
        resource_limits: (!spec.limits.is_empty()).then_some(spec.limits),
        rlimits: (!isolation.rlimits.is_empty()).then(|| isolation.rlimits.clone()),
        nice: isolation.nice,
        oom_score_adj: isolation.oom_score_adj,
        ambient_capabilities: Some(isolation.ambient_capabilities),
        no_new_privileges: Some(isolation.no_new_privileges),
        runtime_directory: Some(isolation.runtime_directories.clone()),
        runtime_directory_mode: isolation.runtime_directory_mode,
        log: log(&spec.output.log, sight.role),
    }
}

/// All keys below `log:`. Viewers don't see what is redacted: a pattern may be the very secret that it hides.
pub(super) fn log(log: &LogSpec, role: Role) -> LogDefinition {
    let pattern = |pattern: &String| match role {
        Role::Viewer => HIDDEN.to_owned(),
        Role::Operator | Role::Admin => pattern.clone(),
    };
    LogDefinition {
        journald: Some(log.journald),
        file: Some(log.file),
        max_size: Some(log.max_size),
        max_age: Some(log.max_age),
        max_files: Some(log.max_files),
        max_total_size: Some(log.max_total_size),
        compress: Some(log.compress),
        format: Some(log.format),
        max_line: Some(log.max_line),
        overflow: Some(log.overflow),
        journald_overflow: Some(log.journald_overflow),
        file_rate_limit: Some(log.file_rate_limit),
        rate_limit: Some(log.rate_limit),
        multiline: Some(log.multiline.clone()),
        parse: Some(log.parse),
        json_fields: Some(log.json_fields.clone()),
        redact: Some(log.redact.iter().map(pattern).collect()),
    }
}

/// "No limit" as it is written.
fn or_zero(limit: Option<Duration>) -> Duration {
    limit.unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{
        CommandLine, EnvironmentFile, HealthSpec, Hook, Mono, Origin, Probe, ProcessId, ProcessName,
    };

    use super::*;
    use crate::convert::{from_wire, to_wire};

    fn spec() -> ProcessSpec {
        let (name, id) = (ProcessName::new("web").unwrap(), ProcessId::from_digest([0; 6]));
        ProcessSpec::new(name, id, Origin::Runtime, "/usr/bin/web")
    }

    fn shown(spec: &ProcessSpec, role: Role) -> Definition {
        let mask =
            |key: &str, value: &str| if key == "KEY" { "<secret>".to_owned() } else { value.to_owned() };
        written(spec, &Sight { role, mask, log_dir: Path::new("/logs"), full: true, now: Mono(0) })
    }

    #[test]
    fn a_default_is_written_too_and_survives_the_wire() {
        let definition = shown(&spec(), Role::Admin);
        assert_eq!(definition.kind, Some(model::ProcessType::Simple));
        assert_eq!(definition.start_timeout, Some(Duration::from_secs(90)));
        assert_eq!(definition.watchdog_sec, Some(Duration::ZERO));
        assert_eq!(definition.reload_signal, Some(model::Signal::HUP));
        assert_eq!(definition.exec_stop_post, Some(vec![]));
        assert_eq!((definition.critical, definition.pty), (Some(false), Some(false)));
        assert_eq!(from_wire(to_wire(definition.clone())), Ok(definition));
        // What is left out is what has no value at all.
        let text = format!("{:?}", shown(&spec(), Role::Admin));
        let absent: Vec<_> = text.split(": None").filter_map(|part| part.rsplit(' ').next()).collect();
        assert_eq!(
            absent[..absent.len() - 1],
            [
                "working_dir",
                "user",
                "group",
                "supplementary_groups",
                "umask",
                "pidfile",
                "health_check",
                "resource_limits",
                "rlimits",
                "nice",
                "oom_score_adj",
                "runtime_directory_mode",
            ]
        );
    }

    #[test]
    fn no_limit_is_written_as_zero() {
        let mut spec = spec();
        spec.start.timeout = None;
        spec.start.watchdog = Some(Duration::from_secs(3));
        let definition = shown(&spec, Role::Admin);
        assert_eq!(definition.start_timeout, Some(Duration::ZERO));
        assert_eq!(definition.watchdog_sec, Some(Duration::from_secs(3)));
    }

    #[test]
    fn values_are_hidden_and_command_lines_are_shown() {
        let mut spec = spec();
        spec.exec.env =
            [("KEY".to_owned(), "hunter2".to_owned()), ("PORT".to_owned(), "80".to_owned())].into();
        spec.exec.environment_files = vec![EnvironmentFile { path: "/etc/web.env".into(), optional: true }];
        spec.output.log.redact = vec!["hunter2".to_owned()];
        let command = CommandLine { program: "/bin/check".into(), args: vec!["--fast".into()] };
        let hook = Hook { command: command.clone(), timeout: None, ignore_failure: false };
        spec.hooks.start_pre = vec![hook.clone()];
        spec.health = Some(HealthSpec::new(Probe::Exec(command.clone())));
        for (role, key, port) in [
            (Role::Viewer, HIDDEN, HIDDEN),
            (Role::Operator, "<secret>", "80"),
            (Role::Admin, "<secret>", "80"),
        ] {
            let definition = shown(&spec, role);
            let env = definition.env.unwrap();
            assert_eq!((env["KEY"].as_str(), env["PORT"].as_str()), (key, port), "{role}");
            let redacted = if role == Role::Viewer { HIDDEN } else { "hunter2" };
            assert_eq!(definition.log.redact, Some(vec![redacted.to_owned()]));
            assert_eq!(definition.environment_file, Some(spec.exec.environment_files.clone()));
            assert_eq!(definition.exec_start_pre, Some(vec![hook.clone()]));
            assert_eq!(definition.health_check.unwrap().probe, Probe::Exec(command.clone()));
        }
    }
}
