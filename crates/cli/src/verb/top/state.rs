//! What `top` shows and what its keys do. Pure: samples and keys in, wishes out.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use model::Wall;
use rpc::v1;

use super::keys::Key;
use crate::args::look::SortArg;
use crate::render::stats::Before;
use crate::render::{state_word, stats, uptime};
use crate::units::{duration, wall};

/// One process.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) process: v1::Process,
    /// Percent of one CPU, once it is known.
    pub(super) cpu: Option<f64>,
    pub(super) cpu_time: Duration,
    pub(super) memory: u64,
    pub(super) processes: u32,
    pub(super) uptime: Option<Duration>,
    /// Whether it has a live run whose usage is known.
    pub(super) known: bool,
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// What is read about one process on a screen of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Details,
    Logs,
}

/// What the keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Table,
    /// The filter is being typed.
    Filter,
    /// Asked whether to do this to the process of this name.
    Confirm(Action, String),
    Help {
        from: usize,
    },
    Text(Text),
}

/// A text that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) page: Page,
    pub(super) name: String,
    /// `None` = it has not come yet.
    pub(super) lines: Option<Vec<String>>,
    /// The first line that is shown.
    pub(super) from: usize,
    /// The end stays in sight.
    pub(super) at_end: bool,
}

/// What is to be done because of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    /// Back to the shell, until it is continued.
    Suspend,
    Redraw,
    Act(Action, String),
    Read(Page, String),
}

/// Everything that is seen.
#[derive(Debug)]
pub(super) struct State {
    /// Columns and lines.
    pub(super) size: (usize, usize),
    pub(super) rows: Vec<Row>,
    /// Places in `rows`, sorted, without what the filter hides.
    pub(super) order: Vec<usize>,
    pub(super) sort: SortArg,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Place in `order`.
    pub(super) cursor: usize,
    /// The first place that is shown.
    pub(super) from: usize,
    /// The process under the cursor, which follows it once somebody has moved it.
    held: Option<String>,
    pub(super) mode: Mode,
    /// What came of the last action.
    pub(super) note: Option<String>,
    /// Why what is shown is old.
    pub(super) trouble: Option<String>,
    /// When what is shown was read.
    pub(super) at: Option<Wall>,
    before: Before,
}

impl State {
    pub(super) fn new(size: (usize, usize), sort: SortArg) -> Self {
        Self {
            size,
            rows: Vec::new(),
            order: Vec::new(),
            sort,
            reversed: false,
            filter: String::new(),
            cursor: 0,
            from: 0,
            held: None,
            mode: Mode::Table,
            note: None,
            trouble: None,
            at: None,
            before: Before::default(),
        }
    }

    /// Takes a look at all processes.
    pub(super) fn sample(&mut self, processes: Vec<v1::Process>, usage: &v1::ListStatsResponse, now: Wall) {
        let since = self.before.since(usage);
        let by_id: HashMap<&str, &v1::ProcessStats> =
            usage.stats.iter().map(|s| (s.process_id.as_str(), s)).collect();
        self.rows = processes
            .into_iter()
            .map(|process| {
                let used = by_id.get(process.process_id.as_str()).copied().filter(|s| s.run != 0);
                Row {
                    cpu: used.and_then(|s| self.before.percent(s, since)),
                    cpu_time: used.and_then(|s| s.cpu).map(duration).unwrap_or_default(),
                    memory: used.map_or(0, |s| s.resident_bytes),
                    processes: used.map_or(0, |s| s.processes),
                    uptime: uptime(&process, now),
                    known: used.is_some(),
                    process,
                }
            })
            .collect();
        self.before = Before::new(usage);
        self.at = Some(usage.time.as_ref().map_or(now, wall));
        self.trouble = None;
        self.arrange();
    }

    /// Puts the rows in order anew and finds the cursor's process again.
    fn arrange(&mut self) {
        let wanted = self.filter.to_lowercase();
        let fits = |row: &Row| {
            wanted.is_empty()
                || row.process.name.to_lowercase().contains(&wanted)
                || state_word(row.process.state()).contains(&wanted)
        };
        let mut order: Vec<usize> = (0..self.rows.len()).filter(|place| fits(&self.rows[*place])).collect();
        let (rows, sort, reversed) = (&self.rows, self.sort, self.reversed);
        order.sort_by(|a, b| {
            let (a, b) = (&rows[*a], &rows[*b]);
            let by = compare(a, b, sort);
            let by = if reversed { by.reverse() } else { by };
            by.then_with(|| a.process.name.cmp(&b.process.name))
        });
        self.order = order;
        let held = self.held.as_ref();
        let place =
            held.and_then(|name| self.order.iter().position(|row| self.rows[*row].process.name == *name));
        self.cursor = place.unwrap_or(if held.is_some() { self.cursor } else { 0 });
        self.clamp();
    }

    /// The process under the cursor.
    pub(super) fn selected(&self) -> Option<&Row> {
        self.order.get(self.cursor).map(|place| &self.rows[*place])
    }

    pub(super) fn resize(&mut self, size: (usize, usize)) {
        self.size = size;
        self.clamp();
    }

    /// Keeps the cursor on a row and in sight.
    fn clamp(&mut self) {
        self.cursor = self.cursor.min(self.order.len().saturating_sub(1));
        let height = self.body().max(1);
        self.from = self.from.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.from = self.from.min(self.order.len().saturating_sub(height));
    }

    /// Lines for rows or text, between what stands above and below: with less room the title goes first, then the
    /// header, then the last line.
    pub(super) fn body(&self) -> usize {
        let lines = self.size.1;
        match lines {
            0 | 1 => lines,
            2 => 1,
            3 => 1,
            _ => {
                lines
                    - if matches!(self.mode, Mode::Table | Mode::Filter | Mode::Confirm(..)) { 3 } else { 2 }
            }
        }
    }

    fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by);
        self.clamp();
        self.held = self.selected().map(|row| row.process.name.clone());
    }

    fn sort(&mut self, by: SortArg) -> Wish {
        self.reversed = self.sort == by && !self.reversed;
        self.sort = by;
        // What was asked for stands at the top.
        (self.held, self.from) = (None, 0);
        self.arrange();
        Wish::Nothing
    }

    /// Does what a key says.
    pub(super) fn key(&mut self, key: Key) -> Wish {
        match key {
            Key::Ctrl('c') => return Wish::Quit,
            Key::Ctrl('z') => return Wish::Suspend,
            Key::Ctrl('l') => return Wish::Redraw,
            _ => {}
        }
        match &mut self.mode {
            Mode::Table => self.table_key(key),
            Mode::Filter => self.filter_key(key),
            Mode::Confirm(action, name) => {
                let (action, name) = (*action, name.clone());
                self.mode = Mode::Table;
                if matches!(key, Key::Char('y' | 'Y')) {
                    self.note = Some(format!("{} {name} …", action.word()));
                    return Wish::Act(action, name);
                }
                self.note = Some("nothing was done".to_owned());
                Wish::Nothing
            }
            Mode::Help { from } => {
                let shown = *from;
                match moved(key, shown, self.body()) {
                    // The layout knows where the text ends, and shows its end at most.
                    Some(place) => self.mode = Mode::Help { from: place.min(super::layout::HELP.len()) },
                    None => self.mode = Mode::Table,
                }
                Wish::Nothing
            }
            Mode::Text(_) => self.text_key(key),
        }
    }

    fn table_key(&mut self, key: Key) -> Wish {
        self.note = None;
        let page = isize::try_from(self.body().max(2) - 1).unwrap_or(isize::MAX);
        match key {
            Key::Char('q') => return Wish::Quit,
            Key::Up | Key::Char('k') => self.step(-1),
            Key::Down | Key::Char('j') => self.step(1),
            Key::PageUp => self.step(-page),
            Key::PageDown | Key::Char(' ') => self.step(page),
            Key::Home | Key::Char('g') => self.step(isize::MIN),
            Key::End | Key::Char('G') => self.step(isize::MAX),
            Key::Char('c') => return self.sort(SortArg::Cpu),
            Key::Char('m') => return self.sort(SortArg::Memory),
            Key::Char('n') => return self.sort(SortArg::Name),
            Key::Char('u') => return self.sort(SortArg::Uptime),
            Key::Char('R') => return self.sort(SortArg::Restarts),
            Key::Char('r') => self.ask(Action::Restart),
            Key::Char('s') => self.ask(Action::Stop),
            Key::Char('t') => self.ask(Action::Start),
            Key::Char('l') => return self.read(Page::Logs),
            Key::Enter => return self.read(Page::Details),
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Char('?' | 'h') => self.mode = Mode::Help { from: 0 },
            Key::Escape if !self.filter.is_empty() => self.narrow(String::new()),
            _ => {}
        }
        Wish::Nothing
    }

    fn ask(&mut self, action: Action) {
        if let Some(name) = self.selected().map(|row| row.process.name.clone()) {
            self.held = Some(name.clone());
            self.mode = Mode::Confirm(action, name);
        }
    }

    fn read(&mut self, page: Page) -> Wish {
        let Some(name) = self.selected().map(|row| row.process.name.clone()) else { return Wish::Nothing };
        self.held = Some(name.clone());
        let at_end = page == Page::Logs;
        self.mode = Mode::Text(Text { page, name: name.clone(), lines: None, from: 0, at_end });
        Wish::Read(page, name)
    }

    fn narrow(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    fn filter_key(&mut self, key: Key) -> Wish {
        let mut filter = self.filter.clone();
        match key {
            Key::Enter => self.mode = Mode::Table,
            Key::Escape => {
                self.mode = Mode::Table;
                filter.clear();
            }
            Key::Backspace if filter.is_empty() => self.mode = Mode::Table,
            Key::Backspace => {
                filter.pop();
            }
            Key::Ctrl('u') => filter.clear(),
            // No name is longer.
            Key::Char(c) if filter.len() < 128 => filter.push(c),
            Key::Up => self.step(-1),
            Key::Down => self.step(1),
            _ => {}
        }
        self.narrow(filter);
        Wish::Nothing
    }

    fn text_key(&mut self, key: Key) -> Wish {
        let height = self.body();
        let last = super::layout::last_start(self);
        let Mode::Text(text) = &mut self.mode else { return Wish::Nothing };
        let shown = if text.at_end { last } else { text.from.min(last) };
        match moved(key, shown, height) {
            Some(place) => {
                text.from = place.min(last);
                text.at_end = text.page == Page::Logs && text.from == last;
            }
            None if matches!(key, Key::Char('q') | Key::Escape | Key::Left | Key::Enter) => {
                self.mode = Mode::Table;
            }
            None => {}
        }
        Wish::Nothing
    }

    /// Takes a text that was asked for, unless something else is read by now.
    pub(super) fn text(&mut self, page: Page, name: &str, lines: Vec<String>) {
        if let Mode::Text(text) = &mut self.mode
            && text.page == page
            && text.name == name
        {
            text.lines = Some(lines);
        }
    }

    /// The log that is being read, which is looked at again and again.
    pub(super) fn reads(&self) -> Option<(Page, String)> {
        match &self.mode {
            Mode::Text(text) => Some((text.page, text.name.clone())),
            _ => None,
        }
    }
}

/// Where the first line stands after a key that moves; `None` = it does not.
fn moved(key: Key, from: usize, height: usize) -> Option<usize> {
    let page = height.max(2) - 1;
    Some(match key {
        Key::Up | Key::Char('k') => from.saturating_sub(1),
        Key::Down | Key::Char('j') => from.saturating_add(1),
        Key::PageUp => from.saturating_sub(page),
        Key::PageDown | Key::Char(' ') => from.saturating_add(page),
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => usize::MAX,
        _ => return None,
    })
}

/// What is more interesting comes first.
fn compare(a: &Row, b: &Row, sort: SortArg) -> Ordering {
    let restarts = |row: &Row| row.process.counters.as_ref().map_or(0, |c| c.restarts);
    match sort {
        SortArg::Name => a.process.name.cmp(&b.process.name),
        SortArg::Cpu => {
            let cpu = |row: &Row| row.cpu.unwrap_or(-1.0);
            // Before the second look nothing tells more than what was used so far.
            cpu(b).total_cmp(&cpu(a)).then(b.cpu_time.cmp(&a.cpu_time))
        }
        SortArg::Memory => b.memory.cmp(&a.memory),
        SortArg::Uptime => b.uptime.cmp(&a.uptime),
        SortArg::Restarts => restarts(b).cmp(&restarts(a)),
    }
}

/// Sums over all processes: CPU % and memory.
pub(super) fn totals(rows: &[Row]) -> (f64, u64) {
    rows.iter().fold((0.0, 0), |(cpu, memory), row| (cpu + row.cpu.unwrap_or(0.0), memory + row.memory))
}

/// `0.3`, or a dash where it is not known yet.
pub(super) fn cpu_cell(row: &Row) -> String {
    row.cpu.map_or_else(|| "-".to_owned(), stats::percent_text)
}

#[cfg(test)]
mod tests;
