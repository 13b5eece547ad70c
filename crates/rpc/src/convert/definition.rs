//! A definition to the wire and back.

use std::path::PathBuf;
use std::time::Duration;

use model::{
    Definition, ExitMatcher, InheritEnv, KillMode, LogDefinition, OnStartLimit, Output, ProcessName,
    RestartPolicy, Signal,
};

use super::duration;
use crate::{Violation, v1};

/// Every key that is written, as the wire has it.
pub(crate) fn to_wire(d: Definition) -> v1::ProcessDefinition {
    v1::ProcessDefinition {
        description: d.description,
        command: d.command,
        args: d.args.map(strings),
        working_dir: d.working_dir.map(path_text),
        env: d.env.map(|env| v1::Environment { values: env.into_iter().collect() }),
        inherit_env: d.inherit_env.map(|inherit| match inherit {
            InheritEnv::None => v1::InheritEnv::default(),
            InheritEnv::Names(names) => v1::InheritEnv { all: false, names },
            InheritEnv::All => v1::InheritEnv { all: true, names: Vec::new() },
        }),
        user: d.user,
        group: d.group,
        supplementary_groups: d.supplementary_groups.map(strings),
        umask: d.umask,
        auto_start: d.auto_start,
        after: d.after.map(names_text),
        before: d.before.map(names_text),
        restart: d.restart.map_or(v1::RestartPolicy::Unspecified, restart).into(),
        restart_sec: d.restart_sec.map(duration),
        restart_max_delay_sec: d.restart_max_delay_sec.map(duration),
        restart_jitter: d.restart_jitter,
        runtime_success_sec: d.runtime_success_sec.map(duration),
        start_limit_burst: d.start_limit_burst,
        start_limit_interval_sec: d.start_limit_interval_sec.map(duration),
        on_start_limit: d.on_start_limit.map_or(v1::OnStartLimit::Unspecified, on_start_limit).into(),
        success_exit_status: d.success_exit_status.map(matchers),
        restart_prevent_exit_status: d.restart_prevent_exit_status.map(matchers),
        kill_signal: d.kill_signal.map(|s| s.to_string()),
        kill_mode: d.kill_mode.map_or(v1::KillMode::Unspecified, kill_mode).into(),
        stop_timeout: d.stop_timeout.map(duration),
        send_sighup: d.send_sighup,
        stdout: d.stdout.map(output),
        stderr: d.stderr.map(output),
        log: (d.log != LogDefinition::default()).then_some(v1::LogDefinition {
            journald: d.log.journald,
            file: d.log.file,
            max_size: d.log.max_size,
            max_files: d.log.max_files,
            max_line: d.log.max_line,
        }),
    }
}

/// The keys that the caller wrote, or every field that is not what its type allows. Ranges and what keys mean
/// together are for `config` to judge.
pub(crate) fn from_wire(w: v1::ProcessDefinition) -> Result<Definition, Vec<Violation>> {
    let mut check = Check::default();
    let log = w.log.unwrap_or_default();
    let definition = Definition {
        description: w.description,
        command: w.command,
        args: w.args.map(|l| l.values),
        working_dir: w.working_dir.map(PathBuf::from),
        env: w.env.map(|e| e.values.into_iter().collect()),
        inherit_env: w.inherit_env.map(|i| match (i.all, i.names) {
            (true, _) => InheritEnv::All,
            (false, names) if names.is_empty() => InheritEnv::None,
            (false, names) => InheritEnv::Names(names),
        }),
        user: w.user,
        group: w.group,
        supplementary_groups: w.supplementary_groups.map(|l| l.values),
        umask: w.umask,
        auto_start: w.auto_start,
        after: w.after.map(|l| check.names("after", &l)),
        before: w.before.map(|l| check.names("before", &l)),
        restart: check.choice("restart", w.restart, |w| match w {
            v1::RestartPolicy::Unspecified => None,
            v1::RestartPolicy::Always => Some(RestartPolicy::Always),
            v1::RestartPolicy::OnFailure => Some(RestartPolicy::OnFailure),
            v1::RestartPolicy::OnSuccess => Some(RestartPolicy::OnSuccess),
            v1::RestartPolicy::Never => Some(RestartPolicy::Never),
        }),
        restart_sec: check.duration("restart_sec", w.restart_sec),
        restart_max_delay_sec: check.duration("restart_max_delay_sec", w.restart_max_delay_sec),
        restart_jitter: w.restart_jitter,
        runtime_success_sec: check.duration("runtime_success_sec", w.runtime_success_sec),
        start_limit_burst: w.start_limit_burst,
        start_limit_interval_sec: check.duration("start_limit_interval_sec", w.start_limit_interval_sec),
        on_start_limit: check.choice("on_start_limit", w.on_start_limit, |w| match w {
            v1::OnStartLimit::Unspecified => None,
            v1::OnStartLimit::Cooldown => Some(OnStartLimit::Cooldown),
            v1::OnStartLimit::Fail => Some(OnStartLimit::Fail),
        }),
        success_exit_status: check.matchers("success_exit_status", w.success_exit_status),
        restart_prevent_exit_status: check
            .matchers("restart_prevent_exit_status", w.restart_prevent_exit_status),
        kill_signal: w.kill_signal.and_then(|s| check.signal("kill_signal", &s)),
        kill_mode: check.choice("kill_mode", w.kill_mode, |w| match w {
            v1::KillMode::Unspecified => None,
            v1::KillMode::ControlGroup => Some(KillMode::ControlGroup),
            v1::KillMode::Mixed => Some(KillMode::Mixed),
            v1::KillMode::Process => Some(KillMode::Process),
        }),
        stop_timeout: check.duration("stop_timeout", w.stop_timeout),
        send_sighup: w.send_sighup,
        stdout: check.output("stdout", w.stdout),
        stderr: check.output("stderr", w.stderr),
        log: LogDefinition {
            journald: log.journald,
            file: log.file,
            max_size: log.max_size,
            max_files: log.max_files,
            max_line: log.max_line,
        },
        ..Definition::default()
    };
    if check.violations.is_empty() { Ok(definition) } else { Err(check.violations) }
}

/// Collects what is wrong, so that a caller sees all of it at once.
#[derive(Default)]
struct Check {
    violations: Vec<Violation>,
}

impl Check {
    fn fault(&mut self, field: &str, text: impl Into<String>) {
        self.violations.push(Violation { field: format!("definition.{field}"), text: text.into() });
    }

    fn names(&mut self, field: &str, list: &v1::StringList) -> Vec<ProcessName> {
        let mut names = Vec::new();
        for text in &list.values {
            match ProcessName::new(text) {
                Ok(name) => names.push(name),
                Err(e) => self.fault(field, format!("{text:?}: {e}")),
            }
        }
        names
    }

    fn choice<W: TryFrom<i32>, M>(
        &mut self,
        field: &str,
        raw: i32,
        map: impl Fn(W) -> Option<M>,
    ) -> Option<M> {
        match W::try_from(raw) {
            Ok(w) => map(w),
            Err(_) => {
                self.fault(field, format!("{raw} is not a value of this field in this version of the API"));
                None
            }
        }
    }

    fn duration(&mut self, field: &str, raw: Option<prost_types::Duration>) -> Option<Duration> {
        let result = Duration::try_from(raw?);
        if result.is_err() {
            self.fault(field, "a duration can't be negative");
        }
        result.ok()
    }

    fn signal(&mut self, field: &str, text: &str) -> Option<Signal> {
        let result = text.parse();
        result.map_err(|e: String| self.fault(field, e)).ok()
    }

    fn matchers(&mut self, field: &str, list: Option<v1::ExitMatcherList>) -> Option<Vec<ExitMatcher>> {
        let mut matchers = Vec::new();
        for matcher in list?.values {
            match matcher.status {
                Some(v1::exit_matcher::Status::Code(code)) => match u8::try_from(code) {
                    Ok(code) => matchers.push(ExitMatcher::Code(code)),
                    Err(_) => self.fault(field, format!("{code} is not an exit code from 0 to 255")),
                },
                Some(v1::exit_matcher::Status::Signal(text)) => {
                    matchers.extend(self.signal(field, &text).map(ExitMatcher::Signal));
                }
                None => self.fault(field, "a matcher needs an exit code or a signal"),
            }
        }
        Some(matchers)
    }

    fn output(&mut self, field: &str, target: Option<v1::OutputTarget>) -> Option<Output> {
        let target = target?;
        let needs_path = matches!(target.kind(), v1::OutputKind::File | v1::OutputKind::Direct);
        if needs_path && target.path.is_empty() {
            self.fault(field, "this kind of target needs a path");
        }
        let path = PathBuf::from(target.path);
        self.choice(field, target.kind, |kind| match kind {
            v1::OutputKind::Unspecified => None,
            v1::OutputKind::Capture => Some(Output::Capture),
            v1::OutputKind::File => Some(Output::File(path.clone())),
            v1::OutputKind::Null => Some(Output::Null),
            v1::OutputKind::Inherit => Some(Output::Inherit),
            v1::OutputKind::Direct => Some(Output::Direct(path.clone())),
        })
    }
}

fn strings(values: Vec<String>) -> v1::StringList {
    v1::StringList { values }
}

#[expect(clippy::needless_pass_by_value, reason = "fits Option::map")]
fn names_text(names: Vec<ProcessName>) -> v1::StringList {
    strings(names.iter().map(ToString::to_string).collect())
}

// A path in a definition comes from YAML or from the wire and is therefore valid UTF-8.
fn path_text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap_or_else(|raw| raw.to_string_lossy().into_owned())
}

fn matchers(list: Vec<ExitMatcher>) -> v1::ExitMatcherList {
    let values = list.into_iter().map(|matcher| v1::ExitMatcher {
        status: Some(match matcher {
            ExitMatcher::Code(code) => v1::exit_matcher::Status::Code(code.into()),
            ExitMatcher::Signal(signal) => v1::exit_matcher::Status::Signal(signal.to_string()),
        }),
    });
    v1::ExitMatcherList { values: values.collect() }
}

fn restart(policy: RestartPolicy) -> v1::RestartPolicy {
    match policy {
        RestartPolicy::Always => v1::RestartPolicy::Always,
        RestartPolicy::OnFailure => v1::RestartPolicy::OnFailure,
        RestartPolicy::OnSuccess => v1::RestartPolicy::OnSuccess,
        RestartPolicy::Never => v1::RestartPolicy::Never,
    }
}

fn on_start_limit(action: OnStartLimit) -> v1::OnStartLimit {
    match action {
        OnStartLimit::Cooldown => v1::OnStartLimit::Cooldown,
        OnStartLimit::Fail => v1::OnStartLimit::Fail,
    }
}

fn kill_mode(mode: KillMode) -> v1::KillMode {
    match mode {
        KillMode::ControlGroup => v1::KillMode::ControlGroup,
        KillMode::Mixed => v1::KillMode::Mixed,
        KillMode::Process => v1::KillMode::Process,
    }
}

fn output(output: Output) -> v1::OutputTarget {
    let (kind, path) = match output {
        Output::Capture => (v1::OutputKind::Capture, PathBuf::new()),
        Output::File(path) => (v1::OutputKind::File, path),
        Output::Null => (v1::OutputKind::Null, PathBuf::new()),
        Output::Inherit => (v1::OutputKind::Inherit, PathBuf::new()),
        Output::Direct(path) => (v1::OutputKind::Direct, path),
    };
    v1::OutputTarget { kind: kind.into(), path: path_text(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Definition {
        let name = |s: &str| ProcessName::new(s).unwrap();
        Definition {
            description: Some("a web server".into()),
            command: Some("/usr/bin/web".into()),
            args: Some(vec!["-p".into(), String::new()]),
            working_dir: Some("/srv".into()),
            env: Some([("A".to_owned(), "1".to_owned())].into()),
            inherit_env: Some(InheritEnv::Names(vec!["PATH".into()])),
            user: Some("www-data".into()),
            group: Some("33".into()),
            supplementary_groups: Some(vec![]),
            umask: Some(0o027),
            auto_start: Some(true),
            after: Some(vec![name("db"), name("cache")]),
            before: Some(vec![]),
            restart: Some(RestartPolicy::Always),
            restart_sec: Some(Duration::from_millis(1500)),
            restart_max_delay_sec: Some(Duration::ZERO),
            restart_jitter: Some(0.25),
            runtime_success_sec: Some(Duration::from_secs(10)),
            start_limit_burst: Some(0),
            start_limit_interval_sec: Some(Duration::from_nanos(1)),
            on_start_limit: Some(OnStartLimit::Fail),
            success_exit_status: Some(vec![ExitMatcher::Code(3), ExitMatcher::Signal(Signal::TERM)]),
            restart_prevent_exit_status: Some(vec![]),
            kill_signal: Some(Signal::INT),
            kill_mode: Some(KillMode::Mixed),
            stop_timeout: Some(Duration::from_secs(90)),
            send_sighup: Some(false),
            stdout: Some(Output::Direct("/var/log/web".into())),
            stderr: Some(Output::Null),
            log: LogDefinition {
                journald: Some(false),
                file: Some(true),
                max_size: Some(1),
                max_files: Some(2),
                max_line: Some(3),
            },
            ..Definition::default()
        }
    }

    #[test]
    fn every_key_survives_the_wire() {
        assert_eq!(from_wire(to_wire(full())), Ok(full()));
        assert_eq!(from_wire(to_wire(Definition::default())), Ok(Definition::default()));
        for inherit in [InheritEnv::None, InheritEnv::All] {
            let d = Definition { inherit_env: Some(inherit), ..Definition::default() };
            assert_eq!(from_wire(to_wire(d.clone())), Ok(d));
        }
        for output in [Output::Capture, Output::File("/x".into()), Output::Null, Output::Inherit] {
            let d = Definition { stdout: Some(output), ..Definition::default() };
            assert_eq!(from_wire(to_wire(d.clone())), Ok(d));
        }
        for policy in RestartPolicy::ALL {
            let d = Definition { restart: Some(policy), ..Definition::default() };
            assert_eq!(from_wire(to_wire(d.clone())), Ok(d));
        }
        for mode in KillMode::ALL {
            let d = Definition { kill_mode: Some(mode), ..Definition::default() };
            assert_eq!(from_wire(to_wire(d.clone())), Ok(d));
        }
    }

    #[test]
    fn every_fault_is_reported() {
        let wire = v1::ProcessDefinition {
            after: Some(strings(vec!["ok".into(), "a/b".into()])),
            restart: 99,
            restart_sec: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            kill_signal: Some("TREM".into()),
            success_exit_status: Some(v1::ExitMatcherList {
                values: vec![
                    v1::ExitMatcher { status: Some(v1::exit_matcher::Status::Code(256)) },
                    v1::ExitMatcher { status: None },
                ],
            }),
            stdout: Some(v1::OutputTarget { kind: v1::OutputKind::File.into(), path: String::new() }),
            ..Default::default()
        };
        let fields: Vec<String> = from_wire(wire).unwrap_err().into_iter().map(|v| v.field).collect();
        assert_eq!(
            fields,
            [
                "definition.after",
                "definition.restart",
                "definition.restart_sec",
                "definition.success_exit_status",
                "definition.success_exit_status",
                "definition.kill_signal",
                "definition.stdout",
            ]
        );
    }
}
