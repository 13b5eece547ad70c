//! The keys of a definition that can be given on the command line, the same for `create` and `update`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use model::{CommandLine, Definition, EnvironmentFile, MetricsDetail, Output};

use super::ending::EndingArgs;
use super::health::{HealthArgs, HealthChange};
use super::hooks::HookArgs;
use super::limits::LimitArgs;
use super::needs::NeedArgs;
use super::start::StartArgs;
use crate::units;

/// Options that are keys. A flag may be written `--pty=false`, which `update` needs.
#[derive(Debug, Args)]
pub(crate) struct DefinitionArgs {
    /// Start it whenever the daemon starts; `create` also starts it now
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) auto_start: Option<bool>,
    /// One line that says what it is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Address it together with others as @GROUP; may be given several times
    #[arg(long, value_name = "GROUP")]
    member_of: Vec<String>,
    /// Run as this user
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// Run with this group of users [default: the user's]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Run in this directory [default: /]
    #[arg(long, value_name = "DIR")]
    working_dir: Option<PathBuf>,
    /// Set a variable; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Read variables from this file at each start; `-` before it: it may be missing; may be given several times
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    environment_file: Vec<PathBuf>,
    /// Where standard output goes: a file, capture, null, inherit or direct:FILE [default: capture]
    #[arg(long, value_name = "TARGET", value_parser = units::parse_output)]
    pub(super) stdout: Option<Output>,
    /// Where standard error goes [default: capture]
    #[arg(long, value_name = "TARGET", value_parser = units::parse_output)]
    stderr: Option<Output>,
    /// Standard output is a terminal for it, so that it prints at once
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pty: Option<bool>,
    /// How much of it is exported to Prometheus [default: full]
    #[arg(long, value_name = "DETAIL", value_parser = one_of(MetricsDetail::ALL, MetricsDetail::as_str))]
    metrics: Option<MetricsDetail>,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    needs: NeedArgs,
    #[command(flatten)]
    ending: EndingArgs,
    #[command(flatten)]
    hooks: HookArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// One of a few words that the model knows.
pub(super) fn one_of<T, const N: usize>(
    all: [T; N],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.map(word)).try_map(move |text| {
        // Only the words of `all` get here.
        all.into_iter().find(|value| word(*value) == text).ok_or_else(|| format!("{text:?} is not known"))
    })
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

impl DefinitionArgs {
    /// What is to be changed of the health check that a process has.
    pub(crate) fn check_change(&self) -> Option<HealthChange> {
        self.health.change()
    }

    /// The keys that were given. Relative paths mean the caller's directory, since the daemon has another one.
    pub(crate) fn definition(self, cwd: &Path) -> Definition {
        let target = |target: Output| match target {
            Output::File(path) => Output::File(absolute(cwd, &path)),
            Output::Direct(path) => Output::Direct(absolute(cwd, &path)),
            other @ (Output::Capture | Output::Null | Output::Inherit) => other,
        };
        let file = |written: PathBuf| {
            let (optional, path) = prefixed(&written, '-');
            EnvironmentFile { path: absolute(cwd, path), optional }
        };
        let mut definition = Definition {
            auto_start: self.auto_start,
            description: self.description,
            groups: some(self.member_of),
            user: self.user,
            group: self.group,
            working_dir: self.working_dir.map(|dir| absolute(cwd, &dir)),
            env: (!self.env.is_empty()).then(|| self.env.into_iter().collect()),
            environment_file: some(self.environment_file.into_iter().map(file).collect()),
            stdout: self.stdout.map(target),
            stderr: self.stderr.map(target),
            pty: self.pty,
            metrics: self.metrics,
            health_check: self.health.check(cwd),
            ..Definition::default()
        };
        self.start.write(cwd, &mut definition);
        self.needs.write(&mut definition);
        self.ending.write(&mut definition);
        self.hooks.write(cwd, &mut definition);
        self.limits.write(&mut definition);
        definition
    }
}

/// A list that was given at all.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Whether the text begins with the prefix, and the rest of it.
pub(super) fn prefixed(text: &Path, prefix: char) -> (bool, &Path) {
    match text.to_str().and_then(|text| text.strip_prefix(prefix)) {
        Some(rest) => (true, Path::new(rest)),
        None => (false, text),
    }
}

/// A command line, split as a shell splits words; the API takes it in words.
pub(super) fn command_line(text: &str) -> Result<CommandLine, String> {
    let words = shlex::split(text).ok_or("a quote is not closed, or the line ends with a backslash")?;
    let mut words = words.into_iter();
    let program = words.next().filter(|program| !program.is_empty()).ok_or("the command is empty")?;
    Ok(CommandLine { program, args: words.collect() })
}

/// The path below the caller's directory, without `.` components.
pub(super) fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    cwd.join(path).components().collect()
}

/// The program with its path from the root when it is a relative one; a bare name is looked up in PATH.
pub(super) fn program(cwd: &Path, program: String) -> String {
    if program.contains('/') && !program.starts_with('/') {
        return absolute(cwd, Path::new(&program)).to_string_lossy().into_owned();
    }
    program
}

/// The same for a command line.
pub(super) fn located(cwd: &Path, line: CommandLine) -> CommandLine {
    CommandLine { program: program(cwd, line.program), ..line }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use model::{Dependency, HealthSpec, Probe};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: DefinitionArgs,
    }

    fn read(words: &[&str]) -> Result<Definition, clap::Error> {
        let line = Line::try_parse_from([&["x"], words].concat())?;
        Ok(line.options.definition(Path::new("/home/me")))
    }

    #[test]
    fn nothing_given_is_nothing_written() {
        assert_eq!(read(&[]).unwrap(), Definition::default());
    }

    #[test]
    fn flags_can_be_taken_back() {
        assert_eq!(read(&["--pty"]).unwrap().pty, Some(true));
        let d = read(&["--pty=false", "--auto-start=true", "--critical"]).unwrap();
        assert_eq!((d.pty, d.auto_start, d.critical), (Some(false), Some(true), Some(true)));
    }

    #[test]
    fn metrics_are_as_much_as_a_word_says() {
        assert_eq!(read(&["--metrics", "off"]).unwrap().metrics, Some(MetricsDetail::Off));
        let error = read(&["--metrics", "none"]).unwrap_err().to_string();
        assert!(error.contains("full, basic, off"), "{error}");
    }

    #[test]
    fn dependencies_hooks_and_prefixes() {
        let d = read(&[
            "--requires",
            "db",
            "--requires",
            "migrate:completed",
            "--environment-file",
            "-env",
            "--environment-file=/etc/x",
            "--condition-path-exists",
            "!./lock",
            "--exec-start-pre",
            "-bin/mkdir -p 'a b'",
            "--exec-start-pre",
            "true",
        ])
        .unwrap();
        let written = |list: Option<Vec<Dependency>>| list.unwrap().iter().map(ToString::to_string).collect();
        let requires: Vec<String> = written(d.requires);
        assert_eq!(requires, ["db", "migrate: completed"]);
        let files: Vec<String> = d.environment_file.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(files, ["-/home/me/env", "/etc/x"]);
        let conditions: Vec<String> =
            d.condition_path_exists.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(conditions, ["!/home/me/lock"]);
        let hooks = d.exec_start_pre.unwrap();
        assert_eq!(hooks[0].command.program, "/home/me/bin/mkdir");
        assert_eq!(hooks[0].command.args, ["-p", "a b"]);
        assert_eq!((hooks[0].ignore_failure, hooks[1].ignore_failure), (true, false));
        assert_eq!(hooks[1].command.program, "true");
    }

    #[test]
    fn health_checks() {
        let d = read(&["--health-http", "http://127.0.0.1/", "--health-interval", "2s"]).unwrap();
        let check = d.health_check.unwrap();
        assert_eq!(check.probe.to_string(), "http http://127.0.0.1/");
        assert_eq!((check.interval, check.retries), (Duration::from_secs(2), 3));
        let check = read(&["--health-grpc", "h:1/my.Service"]).unwrap().health_check.unwrap();
        assert_eq!(check.probe, Probe::Grpc { address: "h:1".into(), service: "my.Service".into() });
        let check = read(&["--health-exec", "./check --fast", "--health-restart-after=5"]).unwrap();
        let check = check.health_check.unwrap();
        assert_eq!(
            (check.probe.to_string(), check.restart_after),
            ("exec /home/me/check --fast".to_owned(), 5)
        );
    }

    #[test]
    fn a_part_of_a_health_check_changes_the_one_that_is_there() {
        let line = Line::try_parse_from(["x", "--health-interval", "2s"]).unwrap();
        let mut now = HealthSpec::new(Probe::Tcp { address: "h:1".into() });
        now.retries = 9;
        let changed = line.options.check_change().unwrap().of(now.clone());
        assert_eq!(changed, HealthSpec { interval: Duration::from_secs(2), ..now });
        assert_eq!(line.options.definition(Path::new("/")).health_check, None);
        // Another check brings its own defaults.
        let line = Line::try_parse_from(["x", "--health-tcp", "h:2", "--health-retries=2"]).unwrap();
        assert_eq!(line.options.check_change(), None);
    }

    #[test]
    fn what_is_refused() {
        for words in [
            &["--pty=perhaps"][..],
            &["--type", "dbus"],
            &["--requires", "db:soon"],
            &["--requires", "a/b"],
            &["--exec-stop", ""],
            &["--exec-stop", "-"],
            &["--exec-stop", "sh -c 'x"],
            &["--health-http", "http://a/", "--health-tcp", "a:1"],
            &["--health-http", "http://a/", "--health-retries", "-1"],
            &["--start-timeout", "soon"],
        ] {
            assert_eq!(read(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }
}
