//! `describe`: everything about one process, for humans.

use std::fmt::Write as _;
use std::time::Duration;

use model::Wall;
use rpc::v1::{self, NextActionKind, OnStartLimit};

use super::json::{matcher_text, output_text, policy_word};
use super::{Paint, ending, state_word, uptime};
use crate::units::{bytes, duration, moment, setting, span, wall};

/// Width of the labels.
const LABEL: usize = 15;

/// Lines of `label: value`; empty values are left out.
struct Sheet(String);

impl Sheet {
    fn line(&mut self, label: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        if !value.is_empty() {
            // Further lines of a value stand below its first one.
            let value = value.trim_end().replace('\n', &format!("\n{:1$}", "", LABEL + 2));
            let _infallible = writeln!(self.0, "{label:>LABEL$}: {value}").is_ok();
        }
    }
}

/// The sheet of one process. `own`: it belongs to the user's own daemon, whose journal is the user's.
pub(crate) fn process(p: &v1::Process, now: Wall, own: bool, paint: Paint) -> String {
    let mut sheet = Sheet(format!("{} ({})\n", paint.bold(&p.name), p.process_id));
    sheet.line("description", &p.description);
    let word = state_word(p.state());
    let since = p.state_time.as_ref().map(wall);
    let since = since.map_or(String::new(), |at| format!(" since {} ({})", moment(at), span(now.since(at))));
    sheet.line("state", format!("{}{since}", paint.state(p.state(), &word)));
    sheet.line("reason", &p.reason);
    sheet.line("hint", p.hint.as_deref().unwrap_or_default());
    sheet.line("next", p.next_action.as_ref().map(|next| next_action(next, now)).unwrap_or_default());
    if let Some(problem) = &p.problem {
        sheet.line("problem", paint.red(&format!("not in force: {problem}")));
    }
    if let Some(run) = &p.run {
        let pid = run.pid.map_or("no main process".to_owned(), |pid| format!("pid {pid}"));
        let up = uptime(p, now).map_or(String::new(), |up| format!(", up {}", span(up)));
        sheet.line("run", format!("{}, {pid}{up}, invocation {}", run.number, run.invocation_id));
    }
    sheet.line("last exit", p.last_exit.as_ref().map(|last| last_exit(last, now)).unwrap_or_default());
    if let Some(counters) = &p.counters {
        sheet.line("restarts", format!("{} automatic, {} starts in all", counters.restarts, counters.starts));
    }
    sheet.line("command", &p.command_line);
    if let Some(definition) = &p.definition {
        self::definition(&mut sheet, definition);
    }
    let target = |target: Option<&v1::OutputTarget>, path: Option<&String>| match (target, path) {
        (Some(target), Some(path)) if target.path != *path => format!("{} to {path}", output_text(target)),
        (Some(target), _) => output_text(target),
        (None, path) => path.cloned().unwrap_or_default(),
    };
    let definition = p.definition.as_ref();
    sheet.line("stdout", target(definition.and_then(|d| d.stdout.as_ref()), p.stdout_path.as_ref()));
    sheet.line("stderr", target(definition.and_then(|d| d.stderr.as_ref()), p.stderr_path.as_ref()));
    sheet.line("defined in", super::json::origin_text(p.origin.as_ref()));
    let user = if own { "--user " } else { "" };
    sheet.line("journal", format!("journalctl {user}-u dd-procmgrd PROCESS_ID={}", p.process_id));
    sheet.0
}

fn next_action(next: &v1::NextAction, now: Wall) -> String {
    let what = match next.kind() {
        NextActionKind::Start => "start",
        NextActionKind::Kill => "SIGKILL",
        NextActionKind::Unspecified => "something",
    };
    let Some(at) = next.time.as_ref().map(wall) else { return what.to_owned() };
    format!("{what} in {} ({})", span(at.since(now)), moment(at))
}

fn last_exit(last: &v1::LastExit, now: Wall) -> String {
    let mut text = format!("{} (run {})", ending(last), last.run);
    if let Some(at) = last.end_time.as_ref().map(wall) {
        let _infallible = write!(text, ", {} ago ({})", span(now.since(at)), moment(at)).is_ok();
    }
    if last.status.is_some() {
        let ran = last.ran.map(duration).unwrap_or_default();
        // Whether a crash came after 1.1 or 1.9 s may tell something; after hours the fraction doesn't.
        let short = Duration::from_secs(1)..Duration::from_secs(10);
        let ran = if short.contains(&ran) { format!("{:.1}s", ran.as_secs_f64()) } else { span(ran) };
        let cpu: Duration = [last.user_cpu, last.system_cpu].into_iter().flatten().map(duration).sum();
        let rss = bytes(last.max_rss_bytes);
        let _infallible = write!(text, "\nran {ran}, used {} CPU, {rss} at most", span(cpu)).is_ok();
    }
    text
}

fn definition(sheet: &mut Sheet, d: &v1::ProcessDefinition) {
    sheet.line("working dir", d.working_dir.as_deref().unwrap_or("/"));
    let group = d.group.as_ref().map_or(String::new(), |group| format!(", group {group}"));
    sheet.line("user", format!("{}{group}", d.user.as_deref().unwrap_or("the daemon's")));
    let list = |l: &Option<v1::StringList>| l.as_ref().map_or(String::new(), |l| l.values.join(", "));
    sheet.line("extra groups", list(&d.supplementary_groups));
    sheet.line("umask", d.umask.map_or(String::new(), |mask| format!("{mask:04o}")));
    let mut env: Vec<String> =
        d.env.iter().flat_map(|e| &e.values).map(|(key, value)| format!("{key}={value}")).collect();
    env.sort();
    sheet.line("environment", env.join("\n"));
    let inherited = d.inherit_env.as_ref();
    sheet.line(
        "inherits",
        inherited.map_or(String::new(), |i| if i.all { "all variables".into() } else { i.names.join(", ") }),
    );
    sheet.line("auto start", if d.auto_start() { "yes" } else { "no" });
    sheet.line("after", list(&d.after));
    sheet.line("before", list(&d.before));
    sheet.line("restart", restart(d));
    let matchers = |l: &Option<v1::ExitMatcherList>| {
        let texts: Vec<String> = l.iter().flat_map(|l| &l.values).map(matcher_text).collect();
        texts.join(", ")
    };
    sheet.line("success", matchers(&d.success_exit_status));
    sheet.line("no restart on", matchers(&d.restart_prevent_exit_status));
    let signal = d.kill_signal.as_deref().unwrap_or("SIGTERM");
    let timeout =
        d.stop_timeout.map_or(String::new(), |t| format!(", SIGKILL after {}", setting(duration(t))));
    let mode = policy_word(d.kill_mode().as_str_name(), "KILL_MODE_");
    sheet.line("stop", format!("{signal} to {mode}{timeout}"));
}

fn restart(d: &v1::ProcessDefinition) -> String {
    let mut text = policy_word(d.restart().as_str_name(), "RESTART_POLICY_");
    let time = |t: Option<prost_types::Duration>| t.map(|t| setting(duration(t)));
    if let (Some(first), Some(most)) = (time(d.restart_sec), time(d.restart_max_delay_sec)) {
        let _infallible = write!(text, ", after {first}, growing to {most}").is_ok();
    }
    if let (Some(burst @ 1..), Some(interval)) = (d.start_limit_burst, time(d.start_limit_interval_sec)) {
        let then = match d.on_start_limit() {
            OnStartLimit::Fail => "give up",
            OnStartLimit::Cooldown | OnStartLimit::Unspecified => "cool down",
        };
        let _infallible = write!(text, "; {burst} starts within {interval}, then {then}").is_ok();
    }
    text
}
