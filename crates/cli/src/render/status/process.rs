//! `status NAME`: one process at a glance, as it stands now: what it is, what it uses, its tree, its last lines.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use model::Wall;
use rpc::v1::{self, HealthState, NextActionKind, State};
use serde_json::{Value, json};

use crate::render::json::{origin_text, process as process_json, stream_name};
use crate::render::lines::Lines;
use crate::render::paint::one_line;
use crate::render::why::way_out;
use crate::render::{Paint, ending, health_word, members, starts, state_word, stats};
use crate::units::{bytes, shortly, span, wall};
use crate::verb::tail::Line;
use crate::when::Clock;

/// Width of the labels.
const LABEL: usize = 10;

/// What it printed last, or why that can't be told.
#[derive(Clone, Debug)]
pub(crate) enum Printed {
    Lines(Vec<Line>),
    Unknown(String),
}

/// All that is known of one process.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) process: v1::Process,
    /// What it uses, or why that can't be told.
    pub(crate) stats: Result<v1::ProcessStats, String>,
    pub(crate) printed: Printed,
}

/// How it is shown.
#[derive(Debug)]
pub(crate) struct Style<'a> {
    pub(crate) now: Wall,
    pub(crate) zone: &'a TimeZone,
    pub(crate) width: Option<usize>,
    pub(crate) paint: Paint,
}

/// The sheet without the output.
pub(crate) fn sheet(facts: &Facts, style: &Style<'_>) -> String {
    let (p, paint) = (&facts.process, style.paint);
    let about =
        if p.description.is_empty() { String::new() } else { format!(": {}", one_line(&p.description)) };
    let dot =
        if matches!(p.state(), State::Stopped | State::Exited | State::Skipped) { "○" } else { "●" };
    let dot = match unhealthy(p) {
        true => paint.red(dot),
        false => paint.state(p.state(), dot),
    };
    let mut text = format!("{dot} {} ({}){about}\n", paint.bold(&p.name), p.process_id);
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let colon = if label.is_empty() { ' ' } else { ':' };
            let _infallible = writeln!(text, "{label:>LABEL$}{colon} {value}").is_ok();
        }
    };
    let definition = p.definition.as_ref();
    let enabled = definition.map_or("", |d| if d.auto_start() { "; enabled" } else { "; disabled" });
    line("loaded", &format!("{}{enabled}", one_line(&origin_text(p.origin.as_ref()))));
    line("state", &standing(p, style));
    line("reason", &reason(p));
    if let Some(problem) = &p.problem {
        let first = one_line(problem.lines().next().unwrap_or_default());
        line("problem", &paint.red(&format!("a newer definition is not in force: {first}")));
    }
    line("next", &p.next_action.as_ref().map(|next| next_action(next, style.now)).unwrap_or_default());
    line("way out", &one_line(&way_out(p)));
    line("health", &p.health.as_ref().map(|h| health(h, style)).unwrap_or_default());
    line("status", &one_line(&p.status_text));
    if let Some(last) = p.last_exit.as_ref().filter(|_| p.run.is_none()) {
        let ago = last.end_time.as_ref().map(|at| format!(", {} ago", span(style.now.since(wall(at)))));
        line("last exit", &format!("{}{}", ending(last), ago.unwrap_or_default()));
    }
    if let Some(counters) = p.counters.as_ref().filter(|counters| counters.restarts > 0) {
        line("restarts", &starts(counters));
    }
    if let Some(run) = &p.run {
        line("main pid", &run.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string()));
        match &facts.stats {
            Ok(s) if s.run == run.number => usage(s, style, &mut line),
            // It ended or began just now.
            Ok(_) => {}
            Err(why) => line("memory", &format!("not known: {}", one_line(why))),
        }
    }
    text
}

/// What is wrong with a definition has lines that point at it; any other reason stands on one.
fn reason(p: &v1::Process) -> String {
    if p.state() != State::Invalid {
        return one_line(&p.reason).into_owned();
    }
    let lines: Vec<_> = p.reason.trim_end().lines().map(one_line).collect();
    lines.join(&format!("\n{}", " ".repeat(LABEL + 2)))
}

fn usage(s: &v1::ProcessStats, style: &Style<'_>, line: &mut impl FnMut(&str, &str)) {
    let plural = if s.processes == 1 { "" } else { "es" };
    line("tasks", &format!("{} in {} process{plural}", s.threads, s.processes));
    let of_main = if s.processes > 1 && s.pid.is_some() {
        format!(" (main process {})", bytes(s.main_resident_bytes))
    } else {
        String::new()
    };
    line("memory", &format!("{}{of_main}", bytes(s.resident_bytes)));
    line("cpu", &stats::cpu_text(stats::used(s)));
    let room = style.width.map(|width| width.saturating_sub(LABEL + 2).max(8));
    for (i, member) in members::lines(&s.members, s.pid, room).iter().enumerate() {
        line(if i == 0 { "processes" } else { "" }, member);
    }
}

fn standing(p: &v1::Process, style: &Style<'_>) -> String {
    let word = style.paint.state(p.state(), &state_word(p.state())).into_owned();
    let Some(since) = p.state_time.as_ref().map(wall) else { return word };
    let at = Clock { now: style.now, zone: style.zone.clone() }.moment(since);
    format!("{word} since {at} ({})", span(style.now.since(since)))
}

fn next_action(next: &v1::NextAction, now: Wall) -> String {
    let what = match next.kind() {
        NextActionKind::Start => "start",
        NextActionKind::Kill => "SIGKILL",
        NextActionKind::Unspecified => "something that this pm-cli does not know",
    };
    match next.time.as_ref().map(wall) {
        Some(at) => format!("{what} in {}", shortly(at.since(now))),
        None => what.to_owned(),
    }
}

fn health(health: &v1::Health, style: &Style<'_>) -> String {
    let word = health_word(health.state());
    let mut text = style.paint.health(health.state(), &word).into_owned();
    if let Some(at) = health.since.as_ref().map(wall) {
        let _infallible = write!(text, " for {}", span(style.now.since(at))).is_ok();
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

fn unhealthy(p: &v1::Process) -> bool {
    p.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy)
}

/// Its last lines, behind their times; what is written here was made harmless.
pub(crate) fn output(facts: &Facts, style: &Style<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match &facts.printed {
        Printed::Unknown(why) => {
            out.extend_from_slice(format!("(its output is not shown: {})\n", one_line(why)).as_bytes());
        }
        Printed::Lines(lines) if lines.is_empty() => out.extend_from_slice(b"(it has printed nothing)\n"),
        Printed::Lines(lines) => {
            // Without the colors of lines: here they could pass for those of a state.
            let shape = Lines { names: None, times: Some(style.zone.clone()), color: false };
            for line in lines {
                shape.write(&mut out, "", line.at, &[&*line.text, b"\n"].concat());
            }
        }
    }
    out
}

/// A PROCESS with `stats`, `stats_note`, `log` and `log_note`.
pub(crate) fn json(facts: &Facts, now: Wall) -> Value {
    let mut value = process_json(&facts.process, now);
    value["stats"] = facts.stats.as_ref().map_or(Value::Null, stats::one);
    value["stats_note"] = json!(facts.stats.as_ref().err());
    let (log, note) = match &facts.printed {
        Printed::Lines(lines) => (Some(lines), None),
        Printed::Unknown(why) => (None, Some(why)),
    };
    value["log"] = json!(log.map(|lines| {
        let line = |line: &Line| {
            json!({
                "time": line.at.map(|at| at.to_string()),
                "stream": stream_name(line.stream),
                "run": line.run,
                "line": String::from_utf8_lossy(&line.text),
            })
        };
        lines.iter().map(line).collect::<Vec<Value>>()
    }));
    value["log_note"] = json!(note);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let process = v1::Process {
            name: "web".into(),
            process_id: "cccc00000001".into(),
            state: State::Running.into(),
            reason: "wanted".into(),
            run: Some(v1::Run { number: 3, pid: Some(10), ..Default::default() }),
            ..Default::default()
        };
        let member = |pid, parent_pid, command: &str| v1::Member {
            pid,
            parent_pid,
            command_line: command.into(),
            ..Default::default()
        };
        let stats = v1::ProcessStats {
            run: 3,
            pid: Some(10),
            processes: 2,
            threads: 5,
            resident_bytes: 12 << 20,
            main_resident_bytes: 8 << 20,
            cpu: Some(prost_types::Duration { seconds: 1, nanos: 250_000_000 }),
            members: vec![member(10, 1, "/usr/bin/web --port 80"), member(11, 10, "worker\u{1b}[2J")],
            ..Default::default()
        };
        let line = |text: &str| Line {
            at: Some(Wall(1_795_284_184_500_000_000)),
            stream: v1::Stream::Stdout,
            run: Some(3),
            text: text.into(),
        };
        Facts { process, stats: Ok(stats), printed: Printed::Lines(vec![line("up\x1b[2J")]) }
    }

    fn style(width: Option<usize>) -> Style<'static> {
        static ZONE: TimeZone = TimeZone::UTC;
        let now = Wall(1_795_284_184_500_000_000);
        Style { now, zone: &ZONE, width, paint: Paint::new(false) }
    }

    #[test]
    fn what_it_uses_and_its_tree() {
        let text = Paint::new(false).finish(&sheet(&facts(), &style(None)));
        let expected = "  main pid: 10
     tasks: 5 in 2 processes
    memory: 12.0 MiB (main process 8.0 MiB)
       cpu: 1.2s
 processes: 10 /usr/bin/web --port 80
            └─11 worker\\u{1b}[2J
";
        assert!(text.ends_with(expected), "{text}");
        let narrow = sheet(&facts(), &style(Some(24)));
        assert!(narrow.contains(" processes: 10 /usr/bin"), "{narrow}");
        assert_eq!(output(&facts(), &style(None)), b"2026-11-21 18:03:04.500+00:00 up\\u{1b}[2J\n");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut facts = facts();
        facts.stats = Err("this daemon is older".into());
        facts.printed = Printed::Unknown("your role may not read logs".into());
        assert!(sheet(&facts, &style(None)).ends_with("    memory: not known: this daemon is older\n"));
        assert_eq!(output(&facts, &style(None)), b"(its output is not shown: your role may not read logs)\n");
        facts.process.run = None;
        assert!(!sheet(&facts, &style(None)).contains("memory"));
        facts.printed = Printed::Lines(vec![]);
        assert_eq!(output(&facts, &style(None)), b"(it has printed nothing)\n");
    }
}
