//! A process as the API shows it.

mod hint;
mod written;

use std::path::Path;

use model::{
    ExitReason, ExitStatus, HealthState, HealthView, LastExit, LogSpec, Mono, NextActionKind, Origin, Output,
    ProcessSpec, ProcessView, State, Stream,
};

use super::{duration, log_to_wire, timestamp, to_wire};
use crate::{Role, v1};

/// What a caller sees.
pub(crate) struct Sight<'a> {
    /// Viewers see no value of any variable.
    pub(crate) role: Role,
    /// Hides values of variables that look secret.
    pub(crate) mask: fn(&str, &str) -> String,
    /// Where `stdout: capture` goes.
    pub(crate) log_dir: &'a Path,
    /// Whether the definition is shown.
    pub(crate) full: bool,
    /// When it looks.
    pub(crate) now: Mono,
}

/// The keys below `log:` with the values that hold where none is written: what a client compares with, so as to show
/// what differs.
#[must_use]
pub fn default_log() -> v1::LogDefinition {
    log_to_wire(written::log(&LogSpec::default(), Role::Admin)).unwrap_or_default()
}

pub(crate) fn process(view: &ProcessView, sight: &Sight<'_>) -> v1::Process {
    let spec = &view.spec;
    v1::Process {
        name: spec.name.to_string(),
        process_id: spec.id.to_string(),
        state: state(view.state).into(),
        reason: view.reason.to_string(),
        state_time: Some(timestamp(view.since)),
        wanted_up: view.wanted_up,
        run: view.run.as_ref().map(|run| v1::Run {
            number: run.number.0,
            invocation_id: run.invocation.to_string(),
            pid: run.pid,
            start_time: Some(timestamp(run.started.wall)),
            uptime: Some(duration(sight.now.since(run.started.mono))),
        }),
        next_action: view.next.map(|next| v1::NextAction {
            kind: match next.kind {
                NextActionKind::Start => v1::NextActionKind::Start,
                NextActionKind::Kill => v1::NextActionKind::Kill,
            }
            .into(),
            time: Some(timestamp(next.at)),
        }),
        last_exit: view.last_exit().map(last_exit),
        counters: Some(v1::Counters {
            restarts: view.counters.restarts,
            starts: view.counters.starts,
            exits: ExitReason::ALL
                .into_iter()
                .zip(view.counters.exits)
                .filter(|(_, count)| *count > 0)
                .map(|(r, count)| v1::ExitCount { reason: reason(r).into(), count })
                .collect(),
            cpu: Some(duration(view.counters.cpu)),
            oom_kills: view.counters.oom_kills,
        }),
        origin: Some(v1::Origin {
            place: Some(match &spec.origin {
                Origin::File { path, line } => v1::origin::Place::File(v1::FileOrigin {
                    path: path.display().to_string(),
                    line: u64::try_from(*line).unwrap_or(0),
                }),
                Origin::Runtime => v1::origin::Place::Runtime(v1::RuntimeOrigin {}),
            }),
        }),
        description: spec.description.clone(),
        command_line: command_line(spec),
        problem: view.problem.clone(),
        stdout_path: log_path(spec, Stream::Stdout, sight.log_dir),
        stderr_path: log_path(spec, Stream::Stderr, sight.log_dir),
        definition: sight.full.then(|| Box::new(to_wire(written::written(spec, sight)))),
        hint: hint::hint(view),
        status_text: view.status.clone(),
        held_up_by: view.reason.held_up_by().iter().map(ToString::to_string).collect(),
        health: view.health.as_ref().map(health),
        exits: view.exits.iter().map(last_exit).collect(),
        groups: spec.groups.clone(),
        degraded: view.degraded.clone(),
    }
}

pub(crate) fn state(state: State) -> v1::State {
    match state {
        State::Stopped => v1::State::Stopped,
        State::Starting => v1::State::Starting,
        State::Running => v1::State::Running,
        State::Reloading => v1::State::Reloading,
        State::Stopping => v1::State::Stopping,
        State::Backoff => v1::State::Backoff,
        State::CrashLoop => v1::State::CrashLoop,
        State::Exited => v1::State::Exited,
        State::Failed => v1::State::Failed,
        State::Waiting => v1::State::Waiting,
        State::Invalid => v1::State::Invalid,
        State::Skipped => v1::State::Skipped,
    }
}

pub(super) fn reason(reason: ExitReason) -> v1::ExitReason {
    match reason {
        ExitReason::Success => v1::ExitReason::Success,
        ExitReason::ExitCode => v1::ExitReason::ExitCode,
        ExitReason::Signal => v1::ExitReason::Signal,
        ExitReason::Stopped => v1::ExitReason::Stopped,
        ExitReason::SpawnFailed => v1::ExitReason::SpawnFailed,
        ExitReason::HookFailed => v1::ExitReason::HookFailed,
        ExitReason::NotReady => v1::ExitReason::NotReady,
        ExitReason::Watchdog => v1::ExitReason::Watchdog,
        ExitReason::Unhealthy => v1::ExitReason::Unhealthy,
        ExitReason::Oom => v1::ExitReason::Oom,
    }
}

pub(super) fn exit_status(status: ExitStatus) -> v1::ExitStatus {
    let (how, core_dumped) = match status {
        ExitStatus::Code(code) => (Some(v1::exit_status::How::Code(code.into())), false),
        ExitStatus::Signal { signal, core } => (Some(v1::exit_status::How::Signal(signal.to_string())), core),
        ExitStatus::Unknown => (None, false),
    };
    v1::ExitStatus { how, core_dumped }
}

fn last_exit(last: &LastExit) -> v1::LastExit {
    v1::LastExit {
        run: last.run.0,
        status: last.status.map(exit_status),
        reason: reason(last.reason).into(),
        end_time: Some(timestamp(last.at)),
        ran: Some(duration(last.ran)),
        user_cpu: Some(duration(last.usage.user)),
        system_cpu: Some(duration(last.usage.system)),
        max_rss_bytes: last.usage.max_rss,
        cause: last.cause.as_ref().map(ToString::to_string),
    }
}

fn health(view: &HealthView) -> v1::Health {
    let state = match view.state {
        HealthState::Starting => v1::HealthState::Starting,
        HealthState::Healthy => v1::HealthState::Healthy,
        HealthState::Unhealthy => v1::HealthState::Unhealthy,
    };
    v1::Health {
        state: state.into(),
        since: Some(timestamp(view.since)),
        failures: view.failures,
        message: view.message.clone(),
    }
}

fn log_path(spec: &ProcessSpec, stream: Stream, log_dir: &Path) -> Option<String> {
    let path = match spec.output.of(stream) {
        Output::Capture if spec.output.log.file => log_dir.join(format!("{}.log", spec.name)),
        Output::File(path) if spec.output.log.file => path.clone(),
        Output::Direct(path) => path.clone(),
        Output::Capture | Output::File(_) | Output::Null | Output::Inherit => return None,
    };
    Some(path.display().to_string())
}

/// Program and arguments as one line that a shell would split the same way.
fn command_line(spec: &ProcessSpec) -> String {
    let mut line = quoted(&spec.exec.program);
    for arg in &spec.exec.args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    line
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // A control character would break the line it is shown on.
    if word.chars().any(char::is_control) {
        return format!("$'{}'", word.escape_debug());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_for_a_shell() {
        for (word, shown) in [
            ("ls", "ls"),
            ("--port=80", "--port=80"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("a\nb", r"$'a\nb'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
