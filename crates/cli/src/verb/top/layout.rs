//! `top` as lines: never more than the terminal has, never wider than it is.

use rpc::v1::{HealthState, State as ProcessState};

use super::state::{Mode, Page, Row, State, cpu_cell, totals};
use crate::args::look::SortArg;
use crate::render::columns::{Column, cell, cut, fit};
use crate::render::stats::percent_text;
use crate::render::{Paint, state_word};
use crate::units::{bytes, span};

const COLUMNS: [Column; 9] = [
    Column::left("NAME", 0),
    Column::left("STATE", 1),
    Column::right("PID", 4),
    Column::right("CPU %", 2),
    Column::right("MEMORY", 3),
    Column::right("PROCS", 8),
    Column::right("UPTIME", 5),
    Column::right("RESTARTS", 6),
    Column::left("REASON", 7),
];
/// What the reason is content with.
const LEAST: usize = 12;
/// What cells usually hold: columns that jump when something is sorted or scrolled can't be read.
const USUAL: [&str; 8] = ["", "crash_loop", "999999", "100.0", "999.9 MiB", "999", "59m 59s", "999"];

pub(super) const HELP: [&str; 24] = [
    "up, down, j, k        one line",
    "page up, page down    one page",
    "home, end, g, G       first, last",
    "",
    "c                     sort by CPU",
    "m                     sort by memory",
    "n                     sort by name",
    "u                     sort by uptime",
    "R                     sort by restarts",
    "                      the same again: the other way round",
    "/                     show only names and states with this text; Esc shows all",
    "",
    "enter                 everything about the process",
    "l                     its last lines, as they come",
    "r                     restart it",
    "s                     stop it",
    "t                     start it",
    "                      each of these asks first",
    "",
    "Ctrl-L                draw anew",
    "Ctrl-Z                back to the shell for a while",
    "q, Ctrl-C             quit",
    "",
    "CPU is in percent of one CPU. Memory and CPU are those of the process with all that it started.",
];

/// What is shown now.
pub(super) fn frame(state: &State, clock: &str, paint: Paint) -> Vec<String> {
    let (width, height) = state.size;
    let mut lines = match &state.mode {
        Mode::Table | Mode::Filter | Mode::Confirm(..) => table(state, clock, paint),
        Mode::Help { from } => page(state, "help", &HELP.map(str::to_owned), *from, paint),
        Mode::Text(text) => {
            let what = match text.page {
                Page::Details => "details of",
                Page::Logs => "last lines of",
            };
            let lines = wrapped(state);
            let from = if text.at_end { last_start(state) } else { text.from };
            page(state, &format!("{what} {}", text.name), &lines, from, paint)
        }
    };
    let asks = matches!(state.mode, Mode::Filter | Mode::Confirm(..));
    if height == 1 && asks {
        lines = vec![bottom(state, paint)];
    } else if height >= 2 {
        lines.resize(height - 1, String::new());
        lines.push(bottom(state, paint));
    }
    lines.truncate(height);
    // A terminal that has no columns shows nothing.
    if width == 0 { Vec::new() } else { lines.iter().map(|line| paint.finish(line)).collect() }
}

fn table(state: &State, clock: &str, paint: Paint) -> Vec<String> {
    let (width, height) = state.size;
    let end = (state.from + state.body()).min(state.order.len());
    let places = state.order.get(state.from..end).unwrap_or_default();
    let rows: Vec<&Row> = places.iter().map(|place| &state.rows[*place]).collect();
    // A name may have 128 letters, and the other columns tell something as well.
    let longest = (width / 3).max(16);
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, longest)).collect();
    let mut usual: Vec<String> = USUAL.map(str::to_owned).into();
    let name = state.rows.iter().map(|row| row.process.name.len()).max().unwrap_or(0);
    usual[0] = " ".repeat(name.min(longest));
    usual.push(" ".repeat(LEAST));
    cells.push(usual);
    // Two columns for the mark of the cursor.
    let columns = columns(state);
    let layout = fit(&columns, &cells, Some(width.saturating_sub(2)), Some(LEAST));
    let mut lines = Vec::new();
    if height >= 4 {
        lines.push(title(state, clock));
    }
    if height >= 3 {
        let header = layout.header(&columns);
        lines.push(paint.bold(&cut(&format!("  {header}"), width)).into_owned());
    }
    for (i, (row, cells)) in rows.iter().zip(&cells).enumerate() {
        let text = layout.line(&columns, cells);
        lines.push(if state.from + i == state.cursor {
            let line = format!("> {text}");
            paint.selected(&cut(&format!("{line:<width$}"), width)).into_owned()
        } else {
            colored(row, &cut(&format!("  {text}"), width), paint)
        });
    }
    if rows.is_empty() && height >= 4 {
        let text = match (state.at.is_some(), state.filter.is_empty()) {
            (false, _) => "  looking …".to_owned(),
            (true, true) => "  no processes are defined".to_owned(),
            (true, false) => format!("  nothing fits {:?}; Esc shows all", state.filter),
        };
        lines.push(cut(&cell(&text), width));
    }
    lines
}

/// The columns; the one that the rows are sorted by says so, and which way round.
fn columns(state: &State) -> [Column; 9] {
    let (column, down, up) = match state.sort {
        SortArg::Name => (0, "NAME▲", "NAME▼"),
        SortArg::Cpu => (3, "CPU %▼", "CPU %▲"),
        SortArg::Memory => (4, "MEMORY▼", "MEMORY▲"),
        SortArg::Uptime => (6, "UPTIME▼", "UPTIME▲"),
        SortArg::Restarts => (7, "RESTARTS▼", "RESTARTS▲"),
    };
    let mut columns = COLUMNS;
    columns[column].title = if state.reversed { up } else { down };
    columns
}

fn cells(row: &Row, longest: usize) -> Vec<String> {
    let p = &row.process;
    let dash = || "-".to_owned();
    let known = |text: String| if row.known { text } else { dash() };
    vec![
        cut(&cell(&p.name), longest),
        format!("{}{}", state_word(p.state()), if unhealthy(row) { " (unhealthy)" } else { "" }),
        p.run.as_ref().and_then(|run| run.pid).map_or_else(dash, |pid| pid.to_string()),
        cpu_cell(row),
        known(bytes(row.memory)),
        known(row.processes.to_string()),
        row.uptime.map_or_else(dash, span),
        p.counters.as_ref().map_or(0, |c| c.restarts).to_string(),
        cell(if p.status_text.is_empty() { &p.reason } else { &p.status_text }),
    ]
}

fn unhealthy(row: &Row) -> bool {
    row.process.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy)
}

/// The word of the state in its color: the first that fits behind the name, which has no spaces.
fn colored(row: &Row, line: &str, paint: Paint) -> String {
    let word = state_word(row.process.state());
    let name = line.get(2..).and_then(|rest| rest.find("  ")).map(|end| 2 + end);
    let found = name.and_then(|end| line[end..].find(&word).map(|at| end + at));
    let Some(at) = found else { return line.to_owned() };
    let (start, rest) = line.split_at(at);
    let (word, end) = rest.split_at(word.len());
    let word = if unhealthy(row) { paint.red(word) } else { paint.state(row.process.state(), word) };
    format!("{start}{word}{end}")
}

/// `12 processes: 10 running, 2 failed · CPU 12.3 % · 1.2 GiB    19:03:04`
fn title(state: &State, clock: &str) -> String {
    let width = state.size.0;
    let mut counts: Vec<(ProcessState, usize)> = Vec::new();
    for row in &state.rows {
        match counts.iter_mut().find(|(known, _)| *known == row.process.state()) {
            Some((_, count)) => *count += 1,
            None => counts.push((row.process.state(), 1)),
        }
    }
    counts.sort_by_key(|(state, count)| (std::cmp::Reverse(*count), *state as i32));
    let counts: Vec<String> =
        counts.iter().map(|(state, count)| format!("{count} {}", state_word(*state))).collect();
    let colon = if counts.is_empty() { "" } else { ": " };
    let (cpu, memory) = totals(&state.rows);
    let plural = if state.rows.len() == 1 { "" } else { "es" };
    let left = format!(
        "{} process{plural}{colon}{} · CPU {} % · {}",
        state.rows.len(),
        counts.join(", "),
        percent_text(cpu),
        bytes(memory)
    );
    let left = cut(&left, width);
    let gap = width.saturating_sub(left.chars().count());
    // The clock stands there only where it fits: it says whether this is fresh.
    if gap > clock.len() { format!("{left}{clock:>gap$}") } else { left }
}

/// A text below a title.
fn page(state: &State, title: &str, text: &[String], from: usize, paint: Paint) -> Vec<String> {
    let (width, height) = state.size;
    let body = state.body();
    let from = from.min(text.len().saturating_sub(body));
    let end = (from + body).min(text.len());
    let mut lines = Vec::new();
    if height >= 4 {
        let place = if text.len() > body {
            format!(" ({}-{end} of {})", from + 1, text.len())
        } else {
            String::new()
        };
        lines.push(paint.bold(&cut(&cell(&format!("{title}{place}")), width)).into_owned());
    }
    lines.extend(text[from..end].iter().map(|line| cut(line, width)));
    lines
}

/// The text that is read, wrapped to the width: nobody can scroll to the right.
fn wrapped(state: &State) -> Vec<String> {
    let Mode::Text(text) = &state.mode else { return Vec::new() };
    let Some(lines) = &text.lines else { return vec!["reading …".to_owned()] };
    let width = state.size.0.max(1);
    let mut out = Vec::new();
    for line in lines {
        // Tabs would be wider than they count.
        let line = cell(line).replace('\t', "    ");
        let mut chars = line.chars().peekable();
        loop {
            out.push(chars.by_ref().take(width).collect());
            if chars.peek().is_none() {
                break;
            }
        }
    }
    out
}

/// The first line when the end of the text is in sight.
pub(super) fn last_start(state: &State) -> usize {
    wrapped(state).len().saturating_sub(state.body())
}

/// A question, trouble, the outcome of something, or which keys there are.
fn bottom(state: &State, paint: Paint) -> String {
    let width = state.size.0;
    let text = match &state.mode {
        Mode::Confirm(action, name) => {
            return paint
                .bold(&tail(&cell(&format!("{} {name}? [y/N] ", action.word())), width))
                .into_owned();
        }
        Mode::Filter => return tail(&cell(&format!("/{}_", state.filter)), width),
        Mode::Help { .. } => "any other key goes back".to_owned(),
        Mode::Text(_) => "Esc back  up/down scroll".to_owned(),
        Mode::Table => {
            let filter = if state.filter.is_empty() { String::new() } else { format!("[{}] ", state.filter) };
            format!(
                "{filter}q quit  ? help  / filter  enter details  l logs  r restart  s stop  t start  c m n u R sort"
            )
        }
    };
    if let Some(trouble) = &state.trouble {
        return paint.red(&cut(&cell(trouble), width)).into_owned();
    }
    match (&state.note, &state.mode) {
        (Some(note), Mode::Table) => paint.bold(&cut(&cell(note), width)).into_owned(),
        _ => cut(&cell(&text), width),
    }
}

/// Of a text that is too long its end: what is typed, and what is asked.
fn tail(text: &str, width: usize) -> String {
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(width)).collect()
}
