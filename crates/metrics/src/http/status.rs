//! The status page: the processes as a table, for a person with a browser.
//!
//! Made here, as plain HTML: it works without its script, which only exchanges the table every few seconds. Everything
//! that comes from a definition or from a process is escaped by [`Escaped`]; the rest is ours. Its size is bounded by
//! [`ROWS`].

use std::fmt::{self, Write as _};
use std::time::Duration;

use model::{HealthState, NextActionKind, State};

use crate::Exporter;
use crate::exporter::Sample;
use crate::fleet::Row;
use crate::history::{Kept, POINTS, Point};

/// The page's style sheet.
pub(super) const STYLE: &str = include_str!("status/page.css");
/// The page's script.
pub(super) const SCRIPT: &str = include_str!("status/page.js");

/// Processes on one page; the others are on the next ones.
const ROWS: usize = 500;
/// Longest description, status or reason that is shown, in characters.
const MAX_TEXT: usize = 300;

/// Which part of the processes is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Only those in this state.
    state: Option<State>,
    /// How many come before the page.
    from: usize,
}

impl View {
    /// From a query; what is not understood is as if it were not there.
    pub(crate) fn from_query(query: &str) -> Self {
        let mut view = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "state" => view.state = State::ALL.into_iter().find(|state| state.as_str() == value),
                "from" => view.from = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        view
    }

    pub(crate) fn link(self) -> String {
        let state = self.state.map(|state| format!("state={}", state.as_str()));
        let from = (self.from > 0).then(|| format!("from={}", self.from));
        let pairs: Vec<String> = state.into_iter().chain(from).collect();
        format!("/?{}", pairs.join("&amp;"))
    }
}

/// The whole page.
pub(crate) fn render(exporter: &Exporter, sample: &Sample, view: &View) -> String {
    let mut html = String::with_capacity(64 * 1024);
    Page { exporter, sample }.write(&mut html, *view).expect("a String takes everything");
    html
}

struct Page<'a> {
    exporter: &'a Exporter,
    sample: &'a Sample,
}

impl Page<'_> {
    fn write(&self, out: &mut String, view: View) -> fmt::Result {
        let (build, ..) = self.exporter.parts();
        let version = Escaped(build.version);
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>dd-procmgrd</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n\
             <link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/page.js\" defer></script></head>\n\
             <body><header><h1>dd-procmgrd <small>{version}</small></h1>\n<nav><a href=\"/metrics\">/metrics</a> \
             <a href=\"/healthz\">/healthz</a> <a href=\"/readyz\">/readyz</a></nav></header>\n<main>\n"
        )?;
        self.states(out, view)?;
        let mut rows: Vec<(usize, &Row)> = self.sample.fleet.rows.iter().enumerate().collect();
        rows.retain(|(_, row)| view.state.is_none_or(|state| row.state == state));
        // Stable: by name within each.
        rows.sort_by_key(|(_, row)| !is_trouble(row));
        self.table(out, rows.iter().skip(view.from).take(ROWS))?;
        pages(out, view, rows.len())?;
        writeln!(
            out,
            "<p class=\"note\">As of {}. Memory and CPU time are of everything that belongs to a process; \
             the line is its memory lately, a mark on it a restart.</p>\n</main></body></html>",
            self.sample.fleet.now.wall
        )
    }

    fn states(&self, out: &mut String, view: View) -> fmt::Result {
        let mut counts = [0_usize; State::ALL.len()];
        self.sample.fleet.rows.iter().for_each(|row| counts[row.state as usize] += 1);
        let current = |state| if view.state == state { " aria-current=\"page\"" } else { "" };
        write!(
            out,
            "<p class=\"states\"><a href=\"/\"{}>all {}</a>",
            current(None),
            self.sample.fleet.rows.len()
        )?;
        for state in State::ALL.into_iter().filter(|state| counts[*state as usize] > 0) {
            let (word, link) = (state.as_str(), View { state: Some(state), from: 0 }.link());
            let count = counts[state as usize];
            write!(out, " <a class=\"{word}\" href=\"{link}\"{}>{word} {count}</a>", current(Some(state)))?;
        }
        out.write_str("</p>\n")
    }

    fn table<'r>(&self, out: &mut String, rows: impl Iterator<Item = &'r (usize, &'r Row)>) -> fmt::Result {
        out.write_str("<table><thead><tr>")?;
        for title in ["process", "state", "why", "uptime", "restarts", "memory", "CPU time", "lately"] {
            write!(out, "<th scope=\"col\">{title}</th>")?;
        }
        out.write_str("</tr></thead><tbody>\n")?;
        let (_, proc, history) = self.exporter.parts();
        let history = history.read();
        for &(place, row) in rows {
            let pages = self.sample.usage.resident_pages(place);
            let cpu = self.sample.usage.cpu(place).unwrap_or(row.counters.cpu);
            self.process(out, row)?;
            cell(out, "memory", &pages.and_then(|pages| proc.pages(pages)).map_or_else(String::new, bytes))?;
            cell(out, "CPU time", &time(cpu))?;
            out.write_str("<td data-title=\"lately\">")?;
            spark(out, &history, row)?;
            out.write_str("</td></tr>\n")?;
        }
        out.write_str("</tbody></table>\n")
    }

    fn process(&self, out: &mut String, row: &Row) -> fmt::Result {
        let (view, now) = (&row.view, self.sample.fleet.now.wall);
        write!(out, "<tr><th scope=\"row\">{}", Escaped(self.sample.fleet.name(row)))?;
        small(out, &view.spec.description)?;
        let state = view.state.as_str();
        write!(out, "</th><td data-title=\"state\"><b class=\"{state}\">{state}</b>")?;
        if let Some(health) = view.health.as_ref().filter(|health| health.state != HealthState::Healthy) {
            let word = health.state.as_str();
            write!(out, " <b class=\"health-{word}\">health {word}</b>")?;
        }
        write!(out, "</td><td data-title=\"why\">{}", Escaped(&view.reason.to_string()))?;
        if let Some(next) = view.next {
            let what = match next.kind {
                NextActionKind::Start => "starts",
                NextActionKind::Kill => "is killed",
            };
            write!(out, "; {what} in {}", time(next.at.since(now)))?;
        }
        let failure = view.health.as_ref().map_or("", |health| health.message.as_str());
        let said = [view.problem.as_deref().unwrap_or_default(), failure, &view.status];
        small(out, said.into_iter().find(|text| !text.is_empty()).unwrap_or_default())?;
        out.write_str("</td>")?;
        cell(
            out,
            "uptime",
            &row.run().map_or_else(String::new, |(run, _)| {
                time(self.sample.fleet.now.mono.since(run.started.mono))
            }),
        )?;
        cell(out, "restarts", &view.counters.restarts.to_string())
    }
}

fn cell(out: &mut String, title: &str, text: &str) -> fmt::Result {
    write!(out, "<td class=\"number\" data-title=\"{title}\">{text}</td>")
}

/// Free text of a definition or of a process.
fn small(out: &mut String, text: &str) -> fmt::Result {
    if text.is_empty() { Ok(()) } else { write!(out, "<small>{}</small>", Escaped(text)) }
}

/// Links to the pages before and after.
fn pages(out: &mut String, view: View, all: usize) -> fmt::Result {
    if all <= ROWS && view.from == 0 {
        return Ok(());
    }
    let last = all.min(view.from.saturating_add(ROWS));
    write!(out, "<p class=\"pages\">{} to {last} of {all}", all.min(view.from.saturating_add(1)))?;
    if view.from > 0 {
        write!(
            out,
            " <a href=\"{}\">previous</a>",
            View { from: view.from.saturating_sub(ROWS), ..view }.link()
        )?;
    }
    if last < all {
        write!(out, " <a href=\"{}\">next</a>", View { from: last, ..view }.link())?;
    }
    out.write_str("</p>\n")
}

/// What should not be looked for.
fn is_trouble(row: &Row) -> bool {
    let unhealthy = row.health().is_some_and(|health| health.state == HealthState::Unhealthy);
    let bad = matches!(row.state, State::Backoff | State::CrashLoop | State::Failed | State::Invalid);
    unhealthy || bad || row.is_broken
}

/// Memory as a line from 0 to its largest value, and a mark where restarts happened.
fn spark(out: &mut String, history: &Kept, row: &Row) -> fmt::Result {
    const HEIGHT: u64 = 20;
    let points = history.of(&row.view.spec.name);
    let most = points.clone().map(|point| point.kib).max().unwrap_or(0);
    if points.len() < 2 {
        return Ok(());
    }
    let y = |point: Point| HEIGHT - u64::from(point.kib) * HEIGHT / u64::from(most).max(1);
    write!(
        out,
        "<svg viewBox=\"-1 -1 {} {}\" aria-hidden=\"true\"><polyline points=\"",
        2 * POINTS,
        HEIGHT + 2
    )?;
    for (n, point) in points.clone().enumerate() {
        write!(out, "{},{} ", 2 * n, y(point))?;
    }
    out.write_str("\"/>")?;
    for (n, (before, after)) in points.clone().zip(points.skip(1)).enumerate() {
        if after.restarts > before.restarts {
            write!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"1.5\"/>", 2 * (n + 1), y(after))?;
        }
    }
    out.write_str("</svg>")
}

/// `5 s`, `12 min`, `3 h 4 min`, `12 d 3 h`
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `512 KiB`, `1.5 GiB`
fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes / 1024),
        0x10_0000..0x4000_0000 => {
            let (whole, tenth) = tenths(0x10_0000);
            format!("{whole}.{tenth} MiB")
        }
        _ => {
            let (whole, tenth) = tenths(0x4000_0000);
            format!("{whole}.{tenth} GiB")
        }
    }
}

/// Text that can't become markup, nor longer than [`MAX_TEXT`].
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_TEXT) {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Also what turns the direction of the text around.
                c if c.is_control()
                    || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    f.write_str("\u{fffd}")?;
                }
                c => f.write_char(c)?,
            }
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
