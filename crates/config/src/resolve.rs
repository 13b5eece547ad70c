//! Layers of keys to one complete specification. The default values of all keys stand in `model::spec`.

use model::{
    Definition, ExecSpec, LogSpec, Origin, OutputSpec, ProcessId, ProcessName, ProcessSpec, RestartSpec,
    StopSpec,
};

use crate::definition::check;
use crate::fault::{Fault, Faults};
use crate::keys::overlay;
use crate::tree::Step;

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
    faults.found = check(&merged);
    let (program, args) = command_line(&merged, &mut faults);
    let restart = restart(&merged, &mut faults);
    if !faults.found.is_empty() {
        return Err(faults.found);
    }
    Ok(ProcessSpec {
        restart,
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
    let log = &default.output.log;
    ProcessSpec {
        description: merged.description.clone().unwrap_or_default(),
        exec: exec(merged),
        auto_start: merged.auto_start.unwrap_or(default.auto_start),
        after: merged.after.clone().unwrap_or_default(),
        before: merged.before.clone().unwrap_or_default(),
        restart: restart(merged, &mut Faults::default()),
        stop: StopSpec {
            signal: merged.kill_signal.unwrap_or(default.stop.signal),
            mode: merged.kill_mode.unwrap_or(default.stop.mode),
            timeout: merged.stop_timeout.unwrap_or(default.stop.timeout),
            send_sighup: merged.send_sighup.unwrap_or(default.stop.send_sighup),
        },
        output: OutputSpec {
            stdout: merged.stdout.clone().unwrap_or_default(),
            stderr: merged.stderr.clone().unwrap_or_default(),
            pty: merged.pty.unwrap_or(default.output.pty),
            log: LogSpec {
                journald: merged.log.journald.unwrap_or(log.journald),
                file: merged.log.file.unwrap_or(log.file),
                max_size: merged.log.max_size.unwrap_or(log.max_size),
                max_files: merged.log.max_files.unwrap_or(log.max_files),
                max_line: merged.log.max_line.unwrap_or(log.max_line),
            },
        },
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
    }
}

fn restart(merged: &Definition, faults: &mut Faults) -> RestartSpec {
    let default = RestartSpec::default();
    let delay = merged.restart_sec.unwrap_or(default.delay);
    let longest = merged.restart_max_delay_sec;
    if longest.is_some_and(|longest| longest < delay) {
        faults.below(Step::Key("restart_max_delay_sec".to_owned()), |faults| {
            let message =
                format!("the longest delay is shorter than the first one ({} s)", delay.as_secs_f64());
            faults.value(message, "raise it, or lower `restart_sec` (1 when it is not written)");
        });
    }
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

/// Program and arguments. A command without `args` is split when it has blanks; with `args` it is taken literally.
fn command_line(merged: &Definition, faults: &mut Faults) -> (String, Vec<String>) {
    let Some(command) = merged.command.as_deref() else {
        faults.value("a process needs a `command`", "add `command: /path/of/the/program`");
        return Default::default();
    };
    let words = match &merged.args {
        Some(args) => Some((command.to_owned(), args.clone())),
        None if !command.contains(char::is_whitespace) => Some((command.to_owned(), Vec::new())),
        None => split(command),
    };
    words.unwrap_or_else(|| {
        faults.below(Step::Key("command".to_owned()), |faults| {
            // An empty command was complained about by its own check.
            if !command.trim().is_empty() {
                faults.value(
                    "this command can't be split into words: a quote is not closed, or there is no program",
                    "close the quote, or write the program here and its words below `args:`",
                );
            }
        });
        Default::default()
    })
}

fn split(command: &str) -> Option<(String, Vec<String>)> {
    let mut words = shlex::split(command)?.into_iter();
    let program = words.next().filter(|program| !program.is_empty())?;
    Some((program, words.collect()))
}

/// A word of the command line that only a shell would obey, when the command was split by us.
pub(crate) fn shell_syntax(merged: &Definition) -> Option<String> {
    const OPERATORS: [&str; 12] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>"];
    if merged.args.is_some() {
        return None;
    }
    let words = shlex::split(merged.command.as_deref()?)?;
    words.into_iter().find(|word| OPERATORS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests;
