//! `why`: what a process is, why, what comes next, and what it waits for, down to the cause.

mod chain;
mod sentence;

use std::collections::HashMap;
use std::fmt::Write as _;

use rpc::v1::{self, State};
use serde_json::{Value, json};

use super::describe::{exit_line, health};
use super::paint::one_line;
use super::{Paint, json, starts};
use crate::units::{span, wall};
use crate::when::Clock;
pub(crate) use chain::{Link, chain};
pub(crate) use sentence::way_out;

/// Indentation grows up to here: a chain may be as long as there are processes.
const DEEPEST: usize = 8;

/// What a process printed last, or why that can't be told.
#[derive(Clone, Debug)]
pub(crate) enum Printed {
    Lines(Vec<String>),
    Unknown(String),
}

/// Whether its last lines may tell why it is not up.
pub(crate) fn output_helps(process: &v1::Process) -> bool {
    matches!(process.state(), State::Backoff | State::CrashLoop | State::Failed)
}

/// All that an explanation is made of.
pub(crate) struct Facts<'a> {
    pub(crate) processes: &'a [v1::Process],
    /// By place in the list.
    pub(crate) printed: &'a HashMap<usize, Printed>,
    pub(crate) now: &'a Clock,
}

/// The explanation for humans.
pub(crate) fn text(link: &Link, facts: &Facts<'_>, paint: Paint) -> String {
    let mut text = String::new();
    write(&mut text, link, facts, paint, 0);
    text
}

fn write(text: &mut String, link: &Link, facts: &Facts<'_>, paint: Paint, depth: usize) {
    let indent = " ".repeat(depth.min(DEEPEST) * 4);
    let mut line = |words: &str| {
        let _infallible = writeln!(text, "{indent}{words}").is_ok();
    };
    let process = match link.place {
        None => return line(&format!("{}: nothing of that name is defined", one_line(&link.name))),
        Some(place) => &facts.processes[place],
    };
    let name = &process.name;
    if link.again {
        return line(&format!("{name}: see above"));
    }
    let phrase = sentence::phrase(process.state());
    let since = process.state_time.as_ref().map(wall);
    let since = since.map_or(String::new(), |at| {
        format!(" since {} ({})", facts.now.moment(at), span(facts.now.since(at)))
    });
    line(&format!("{} {}{since}", paint.bold(name), paint.state(process.state(), phrase)));
    let mut item = |label: &str, value: &str| {
        if !value.is_empty() {
            line(&format!("  {label}: {value}"));
        }
    };
    let broken = process.state() == State::Invalid;
    item("why", &if broken { quoted(&process.reason, &indent) } else { one_line(&process.reason).into() });
    if let Some(degraded) = &process.degraded {
        item("degraded", &paint.red(&format!("it runs, but {}", quoted(degraded, &indent))));
    }
    if let Some(problem) = &process.problem {
        let problem = quoted(problem, &indent);
        item("problem", &paint.red(&format!("a newer definition is not in force: {problem}")));
    }
    item("next", &sentence::next(process, facts.now));
    if let Some(h) = &process.health {
        item("health", &health(h, facts.now, paint));
    }
    item("status", &one_line(&process.status_text));
    if let Some(counters) = process.counters.as_ref().filter(|c| c.starts > 0 || c.restarts > 0) {
        item("restarts", &starts(counters));
    }
    if !process.exits.is_empty() {
        line("  last exits:");
        for exit in &process.exits {
            line(&format!("    {}", exit_line(exit, facts.now)));
        }
    }
    match link.place.and_then(|place| facts.printed.get(&place)) {
        None => {}
        Some(Printed::Lines(lines)) if lines.is_empty() => line("  last output: none"),
        Some(Printed::Lines(lines)) => {
            line("  last output:");
            for printed in lines {
                line(&format!("    | {}", one_line(printed)));
            }
        }
        Some(Printed::Unknown(why)) => line(&format!("  last output: not shown: {}", one_line(why))),
    }
    let hint = sentence::way_out(process);
    // The way out may be to ask what is told below.
    if !hint.is_empty() && (link.causes.is_empty() || !hint.contains("pm-cli why ")) {
        line(&format!("  way out: {}", one_line(&hint)));
    }
    for cause in &link.causes {
        write(text, cause, facts, paint, depth + 1);
    }
}

/// What the daemon says of a definition: with the line that it is about, below its first line. Other texts stay on one
/// line, as they may come from a process.
fn quoted(text: &str, indent: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(one_line).collect();
    lines.join(&format!("\n{indent}       "))
}

/// The same for programs.
pub(crate) fn json(link: &Link, facts: &Facts<'_>) -> Value {
    let Some(place) = link.place else { return json!({ "name": link.name, "defined": false }) };
    let process = &facts.processes[place];
    if link.again {
        return json!({ "name": process.name, "process_id": process.process_id, "again": true });
    }
    let mut value = json::process(process, facts.now.now);
    if let Some(object) = value.as_object_mut() {
        object.remove("definition");
    }
    let (lines, note) = match facts.printed.get(&place) {
        None => (None, None),
        Some(Printed::Lines(lines)) => (Some(lines), None),
        Some(Printed::Unknown(why)) => (None, Some(why)),
    };
    let hint = sentence::way_out(process);
    value["hint"] = (!hint.is_empty()).then_some(hint).into();
    value["output"] = json!(lines);
    value["output_note"] = json!(note);
    value["waits_for"] = link.causes.iter().map(|cause| json(cause, facts)).collect();
    value
}
