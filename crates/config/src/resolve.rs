//! Layers of keys to one complete specification. The default values of all keys stand in `model::spec`.

use std::time::Duration;

use model::{
    CommandLine, Definition, DependencySpec, ExecSpec, HealthSpec, HookSpec, IsolationSpec, LogSpec, Origin,
    OutputSpec, Probe, ProcessId, ProcessName, ProcessSpec, ProcessType, RestartSpec, StartSpec, StopSpec,
};

use crate::contradictions;
use crate::definition::check;
use crate::fault::{Fault, Faults};
use crate::keys::overlay;
use crate::kinds::with_path;
use crate::words::{UNSPLITTABLE, command_line};

/// Puts a definition on top of `defaults:` and fills in what neither says.
///
/// # Errors
/// Everything that is wrong with the two together: no command, a command line that can't be split, a value out of
/// range, contradicting keys.
pub fn resolve(
    name: &ProcessName,
    id: ProcessId,
    origin: Origin,
    definition: &Definition,
    defaults: &Definition,
) -> Result<ProcessSpec, Vec<Fault>> {
    let mut merged = defaults.clone();
    overlay(&mut merged, definition);
    let mut faults = Faults::default();
    check(&merged, &mut faults);
    let CommandLine { program, args } = program(&merged, &mut faults);
    contradictions::check(name, &merged, &mut faults);
    if faults.count() > 0 {
        return Err(faults.finish());
    }
    Ok(ProcessSpec {
        exec: ExecSpec { program, args, ..exec(&merged) },
        ..placeholder(name, id, origin, &merged)
    })
}

/// A specification that has everything but a program: what is shown of an invalid definition.
pub(crate) fn placeholder(
    name: &ProcessName,
    id: ProcessId,
    origin: Origin,
    merged: &Definition,
) -> ProcessSpec {
    let default = ProcessSpec::new(name.clone(), id, origin, "");
    ProcessSpec {
        description: merged.description.clone().unwrap_or_default(),
        groups: merged.groups.clone().unwrap_or_default(),
        exec: exec(merged),
        start: start(merged),
        auto_start: merged.auto_start.unwrap_or(default.auto_start),
        after: merged.after.clone().unwrap_or_default(),
        before: merged.before.clone().unwrap_or_default(),
        needs: DependencySpec {
            requires: merged.requires.clone().unwrap_or_default(),
            wants: merged.wants.clone().unwrap_or_default(),
            binds_to: merged.binds_to.clone().unwrap_or_default(),
            conflicts: merged.conflicts.clone().unwrap_or_default(),
        },
        restart: restart(merged),
        stop: StopSpec {
            signal: merged.kill_signal.unwrap_or(default.stop.signal),
            mode: merged.kill_mode.unwrap_or(default.stop.mode),
            timeout: merged.stop_timeout.unwrap_or(default.stop.timeout),
            send_sighup: merged.send_sighup.unwrap_or(default.stop.send_sighup),
        },
        hooks: HookSpec {
            start_pre: merged.exec_start_pre.clone().unwrap_or_default(),
            start_post: merged.exec_start_post.clone().unwrap_or_default(),
            reload: merged.exec_reload.clone().unwrap_or_default(),
            stop: merged.exec_stop.clone().unwrap_or_default(),
            stop_post: merged.exec_stop_post.clone().unwrap_or_default(),
        },
        reload_signal: merged.reload_signal.unwrap_or(default.reload_signal),
        health: health(merged),
        critical: merged.critical.unwrap_or(default.critical),
        output: OutputSpec {
            stdout: merged.stdout.clone().unwrap_or_default(),
            stderr: merged.stderr.clone().unwrap_or_default(),
            pty: merged.pty.unwrap_or(default.output.pty),
            log: log(merged),
        },
        metrics: merged.metrics.unwrap_or(default.metrics),
        limits: merged.resource_limits.unwrap_or_default(),
        ..default
    }
}

fn exec(merged: &Definition) -> ExecSpec {
    ExecSpec {
        program: String::new(),
        args: Vec::new(),
        working_dir: merged.working_dir.clone(),
        env: merged.env.clone().unwrap_or_default(),
        environment_files: merged.environment_file.clone().unwrap_or_default(),
        inherit_env: merged.inherit_env.clone().unwrap_or_default(),
        user: merged.user.clone(),
        group: merged.group.clone(),
        supplementary_groups: merged.supplementary_groups.clone(),
        umask: merged.umask,
        isolation: IsolationSpec {
            rlimits: merged.rlimits.clone().unwrap_or_default(),
            nice: merged.nice,
            oom_score_adj: merged.oom_score_adj,
            ambient_capabilities: merged.ambient_capabilities.unwrap_or_default(),
            no_new_privileges: merged.no_new_privileges.unwrap_or_default(),
            runtime_directories: merged.runtime_directory.clone().unwrap_or_default(),
            runtime_directory_mode: merged.runtime_directory_mode,
        },
    }
}

fn restart(merged: &Definition) -> RestartSpec {
    let default = RestartSpec::default();
    let delay = merged.restart_sec.unwrap_or(default.delay);
    let longest = merged.restart_max_delay_sec;
    RestartSpec {
        policy: merged.restart.unwrap_or(default.policy),
        delay,
        max_delay: longest.unwrap_or(default.max_delay.max(delay)),
        jitter: merged.restart_jitter.unwrap_or(default.jitter),
        stable_after: merged.runtime_success_sec.unwrap_or(default.stable_after),
        limit_burst: merged.start_limit_burst.unwrap_or(default.limit_burst),
        limit_interval: merged.start_limit_interval_sec.unwrap_or(default.limit_interval),
        on_limit: merged.on_start_limit.unwrap_or(default.on_limit),
        success: merged.success_exit_status.clone().unwrap_or_default(),
        prevent: merged.restart_prevent_exit_status.clone().unwrap_or_default(),
    }
}

fn start(merged: &Definition) -> StartSpec {
    let default = StartSpec::default();
    let kind = merged.kind.unwrap_or(default.kind);
    let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
    StartSpec {
        kind,
        remain_after_exit: merged.remain_after_exit.unwrap_or(default.remain_after_exit),
        pidfile: merged.pidfile.clone(),
        timeout: match merged.start_timeout {
            Some(time) => unless_zero(time),
            None if kind == ProcessType::Oneshot => None,
            None => default.timeout,
        },
        watchdog: merged.watchdog_sec.and_then(unless_zero),
        conditions: merged.condition_path_exists.clone().unwrap_or_default(),
    }
}

fn health(merged: &Definition) -> Option<HealthSpec> {
    let mut health = merged.health_check.clone()?;
    if let Probe::Http { url } = &mut health.probe {
        *url = with_path(url);
    }
    Some(health)
}

fn log(merged: &Definition) -> LogSpec {
    let (log, default) = (&merged.log, LogSpec::default());
    // No `..default`: a key that `model` gains must not be left out here without a word.
    LogSpec {
        journald: log.journald.unwrap_or(default.journald),
        file: log.file.unwrap_or(default.file),
        max_size: log.max_size.unwrap_or(default.max_size),
        max_age: log.max_age.unwrap_or(default.max_age),
        max_files: log.max_files.unwrap_or(default.max_files),
        max_total_size: log.max_total_size.unwrap_or(default.max_total_size),
        compress: log.compress.unwrap_or(default.compress),
        format: log.format.unwrap_or(default.format),
        max_line: log.max_line.unwrap_or(default.max_line),
        overflow: log.overflow.unwrap_or(default.overflow),
        journald_overflow: log.journald_overflow.unwrap_or(default.journald_overflow),
        file_rate_limit: log.file_rate_limit.unwrap_or(default.file_rate_limit),
        rate_limit: log.rate_limit.unwrap_or(default.rate_limit),
        multiline: log.multiline.clone().unwrap_or(default.multiline),
        parse: log.parse.unwrap_or(default.parse),
        json_fields: log.json_fields.clone().unwrap_or(default.json_fields),
        redact: log.redact.clone().unwrap_or(default.redact),
    }
}

/// `command` and `args`.
fn program(merged: &Definition, faults: &mut Faults) -> CommandLine {
    let Some(command) = merged.command.as_deref() else {
        faults.value("a process needs a `command`", "add `command: /path/of/the/program`");
        return CommandLine::default();
    };
    command_line(command, merged.args.clone()).unwrap_or_else(|| {
        faults.at("command", |faults| {
            // An empty command was complained about by its own check.
            if !command.trim().is_empty() {
                let hint = "close the quote, or write the program here and its words below `args:`";
                faults.value(UNSPLITTABLE, hint);
            }
        });
        CommandLine::default()
    })
}

#[cfg(test)]
mod tests;
