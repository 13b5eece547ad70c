//! `describe`: everything about one process, for humans.

use std::fmt::Write as _;
use std::time::Duration;

use rpc::v1::{self, NextActionKind, OnStartLimit, ProcessType};

use super::definition::{
    condition_text, dependencies_text, environment_file_text, health_check_text, hooks_text, limit_text,
    matcher_text, output_text, policy_word,
};
use super::limits;
use super::paint::one_line;
use super::{Paint, ending, health_word, starts, state_word, uptime};
use crate::units::{bytes, duration, setting, shortly, span, wall};
use crate::when::Clock;

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

/// The sheet of one process. `journal` = what tells its daemon's entries from others, for journalctl.
pub(crate) fn process(p: &v1::Process, now: &Clock, journal: &str, paint: Paint) -> String {
    let mut sheet = Sheet(format!("{} ({})\n", paint.bold(&p.name), p.process_id));
    sheet.line("description", &p.description);
    let word = state_word(p.state());
    let since = p.state_time.as_ref().map(wall);
    let since =
        since.map_or(String::new(), |at| format!(" since {} ({})", now.moment(at), span(now.since(at))));
    sheet.line("state", format!("{}{since}", paint.state(p.state(), &word)));
    sheet.line("reason", &p.reason);
    sheet.line("hint", p.hint.as_deref().unwrap_or_default());
    sheet.line("next", p.next_action.as_ref().map(|next| next_action(next, now)).unwrap_or_default());
    sheet.line("health", p.health.as_ref().map(|h| health(h, now, paint)).unwrap_or_default());
    sheet.line("status", &p.status_text);
    if let Some(problem) = &p.problem {
        sheet.line("problem", paint.red(&format!("not in force: {problem}")));
    }
    if let Some(degraded) = &p.degraded {
        sheet.line("degraded", paint.red(&one_line(degraded)));
    }
    if let Some(run) = &p.run {
        let pid = run.pid.map_or("no main process".to_owned(), |pid| format!("pid {pid}"));
        let up = uptime(p, now.now).map_or(String::new(), |up| format!(", up {}", span(up)));
        sheet.line("run", format!("{}, {pid}{up}, invocation {}", run.number, run.invocation_id));
    }
    sheet.line("last exit", p.last_exit.as_ref().map(|last| last_exit(last, now)).unwrap_or_default());
    let before: Vec<String> = p.exits.iter().skip(1).map(|exit| exit_line(exit, now)).collect();
    sheet.line("before that", before.join("\n"));
    if let Some(counters) = &p.counters {
        sheet.line("restarts", starts(counters));
        if counters.oom_kills > 0 {
            sheet.line("out of memory", format!("the kernel killed {} of its processes", counters.oom_kills));
        }
    }
    sheet.line("groups", p.groups.join(", "));
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
    sheet.line("journal", format!("journalctl {journal} PROCESS_ID={}", p.process_id));
    sheet.0
}

fn next_action(next: &v1::NextAction, now: &Clock) -> String {
    let what = match next.kind() {
        NextActionKind::Start => "start",
        NextActionKind::Kill => "SIGKILL",
        NextActionKind::Unspecified => "something",
    };
    let Some(at) = next.time.as_ref().map(wall) else { return what.to_owned() };
    format!("{what} in {} ({})", shortly(at.since(now.now)), now.moment(at))
}

/// `unhealthy since … (5m 3s), 4 failures in a row: connection refused`
pub(super) fn health(health: &v1::Health, now: &Clock, paint: Paint) -> String {
    let word = health_word(health.state());
    let mut text = paint.health(health.state(), &word).into_owned();
    if let Some(at) = health.since.as_ref().map(wall) {
        let _infallible = write!(text, " since {} ({})", now.moment(at), span(now.since(at))).is_ok();
    }
    if health.failures > 0 {
        let plural = if health.failures == 1 { "" } else { "s" };
        let _infallible = write!(text, ", {} failure{plural} in a row", health.failures).is_ok();
    }
    if !health.message.is_empty() {
        let _infallible = write!(text, ": {}", one_line(&health.message)).is_ok();
    }
    text
}

fn last_exit(last: &v1::LastExit, now: &Clock) -> String {
    let mut text = format!("{} (run {})", ending(last), last.run);
    if let Some(at) = last.end_time.as_ref().map(wall) {
        let _infallible = write!(text, ", {} ago ({})", span(now.since(at)), now.moment(at)).is_ok();
    }
    for part in [cause(last), used(last)].into_iter().flatten() {
        text.push('\n');
        text.push_str(&part);
    }
    text
}

/// One finished run on one line: `run 3: exit code 3, 2h 5m ago, ran 1.5s, used 33ms CPU, 5.0 MiB at most; why`.
pub(super) fn exit_line(last: &v1::LastExit, now: &Clock) -> String {
    let mut text = format!("run {}: {}", last.run, ending(last));
    if let Some(at) = last.end_time.as_ref().map(wall) {
        let _infallible = write!(text, ", {} ago", span(now.since(at))).is_ok();
    }
    if let Some(used) = used(last) {
        let _infallible = write!(text, ", {used}").is_ok();
    }
    if let Some(cause) = cause(last) {
        let _infallible = write!(text, "; {cause}").is_ok();
    }
    text
}

/// Why, without the words that stand before it.
fn cause(last: &v1::LastExit) -> Option<String> {
    let cause = last.cause.as_deref()?;
    let known = format!("{}: ", ending(last));
    Some(one_line(cause.strip_prefix(&known).unwrap_or(cause)).into_owned())
}

/// `ran 1.5s, used 33ms CPU, 5.0 MiB at most`, of a run that began.
fn used(last: &v1::LastExit) -> Option<String> {
    last.status.as_ref()?;
    let ran = shortly(last.ran.map(duration).unwrap_or_default());
    let cpu: Duration = [last.user_cpu, last.system_cpu].into_iter().flatten().map(duration).sum();
    let memory = match last.max_rss_bytes {
        0 => String::new(),
        most => format!(", {} at most", bytes(most)),
    };
    Some(format!("ran {ran}, used {} CPU{memory}", span(cpu)))
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
    let files: Vec<String> =
        d.environment_file.iter().flat_map(|l| &l.values).map(environment_file_text).collect();
    sheet.line("env files", files.join("\n"));
    let inherited = d.inherit_env.as_ref();
    sheet.line(
        "inherits",
        inherited.map_or(String::new(), |i| if i.all { "all variables".into() } else { i.names.join(", ") }),
    );
    sheet.line("auto start", if d.auto_start() { "yes" } else { "no" });
    sheet.line("type", kind(d));
    sheet.line("pidfile", d.pidfile.as_deref().unwrap_or_default());
    sheet.line("start timeout", limit_text(d.start_timeout));
    // Most have none, and it is no news.
    let watchdog = d.watchdog_sec.filter(|limit| !duration(*limit).is_zero());
    sheet.line("watchdog", limit_text(watchdog));
    let conditions: Vec<String> =
        d.condition_path_exists.iter().flat_map(|l| &l.values).map(condition_text).collect();
    sheet.line("conditions", conditions.join("\n"));
    sheet.line("requires", dependencies_text(d.requires.as_ref()));
    sheet.line("wants", dependencies_text(d.wants.as_ref()));
    sheet.line("binds to", dependencies_text(d.binds_to.as_ref()));
    sheet.line("conflicts", list(&d.conflicts));
    sheet.line("after", list(&d.after));
    sheet.line("before", list(&d.before));
    sheet.line("health check", d.health_check.as_ref().map(health_check_text).unwrap_or_default());
    for (key, hooks) in [
        ("exec_start_pre", &d.exec_start_pre),
        ("exec_start_post", &d.exec_start_post),
        ("exec_reload", &d.exec_reload),
        ("exec_stop", &d.exec_stop),
        ("exec_stop_post", &d.exec_stop_post),
    ] {
        sheet.line(key, hooks_text(hooks.as_ref()));
    }
    if d.exec_reload.as_ref().is_none_or(|hooks| hooks.values.is_empty()) {
        sheet.line("reload", d.reload_signal.as_deref().unwrap_or_default());
    }
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
    sheet.line("critical", if d.critical() { "yes: the daemon ends with it" } else { "" });
    sheet.line("log", d.log.as_ref().map(super::log::unusual).unwrap_or_default());
    // Most have all of them, and it is no news.
    let metrics = policy_word(d.metrics().as_str_name(), "METRICS_DETAIL_");
    sheet.line("metrics", if ["full", "unspecified"].contains(&metrics.as_str()) { "" } else { &metrics });
    sheet.line("limits", d.resource_limits.as_ref().map(limits::resources_text).unwrap_or_default());
    sheet.line("rlimits", d.rlimits.as_ref().map(limits::rlimits_text).unwrap_or_default());
    sheet.line("isolation", limits::isolation_text(d));
    sheet.line("terminal", if d.pty() { "stdout is one (pty)" } else { "" });
}

/// `oneshot, counts as up after its end`; nothing where it is the usual one.
fn kind(d: &v1::ProcessDefinition) -> String {
    let word = policy_word(d.r#type().as_str_name(), "PROCESS_TYPE_");
    match d.r#type() {
        ProcessType::Unspecified | ProcessType::Simple => String::new(),
        _ if d.remain_after_exit() => format!("{word}, counts as up after its end"),
        _ => word,
    }
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
