//! Tables that fit the terminal.

use std::borrow::Cow;
use std::time::Duration;

use model::Wall;
use rpc::v1::{self, HealthState};

use super::paint::one_line;
use super::{Paint, ending, state_word, uptime};
use crate::units::{bytes, span};

/// Between two columns.
const GAP: usize = 2;
/// What the command gets at least; when there is less room, other columns go.
const MIN_COMMAND: usize = 12;

/// A column of `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Host,
    Name,
    Id,
    State,
    Pid,
    Uptime,
    Restarts,
    Memory,
    Cpu,
    LastExit,
    Groups,
    Origin,
    Command,
}
use Column::{Command, Cpu, Groups, Host, Id, LastExit, Memory, Name, Origin, Pid, Restarts, State, Uptime};

/// All of them, in their order.
const COLUMNS: [(Column, &str); 13] = [
    (Host, "HOST"),
    (Name, "NAME"),
    (Id, "ID"),
    (State, "STATE"),
    (Pid, "PID"),
    (Uptime, "UPTIME"),
    (Restarts, "RESTARTS"),
    (Memory, "MEMORY"),
    (Cpu, "CPU"),
    (LastExit, "LAST EXIT"),
    (Groups, "GROUPS"),
    (Origin, "DEFINED IN"),
    (Command, "COMMAND"),
];
/// Columns that go when the terminal is too narrow, the least missed first.
const DISPENSABLE: [Column; 7] = [Id, LastExit, Restarts, Pid, Uptime, Cpu, Memory];

/// A process, and what is known of it beside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The daemon that it belongs to, where there are several.
    pub(crate) host: Option<String>,
    pub(crate) process: v1::Process,
    /// What it uses, where that was asked for.
    pub(crate) usage: Option<Usage>,
}

/// What a process with all of its descendants uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes in memory.
    pub(crate) memory: u64,
    /// CPU time since the run began.
    pub(crate) cpu: Duration,
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) now: Wall,
    /// Columns of the terminal.
    pub(crate) width: Option<usize>,
    /// More columns.
    pub(crate) wide: bool,
}

/// `list`.
pub(crate) fn list(rows: &[Row], look: Look, paint: Paint) -> String {
    let usage = rows.iter().any(|row| row.usage.is_some());
    let several = rows.iter().any(|row| row.host.is_some());
    let columns: Vec<(Column, &str)> = COLUMNS
        .into_iter()
        .filter(|(column, _)| match column {
            Host => several,
            Memory | Cpu => usage,
            Groups | Origin => look.wide,
            _ => true,
        })
        .collect();
    // Made visible before it is measured: what is written out is longer.
    let cells: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| columns.iter().map(|(c, _)| seen(cell(row, *c, look.now))).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (_, title))| {
            let cells = cells.iter().map(|row| row[i].chars().count());
            cells.max().unwrap_or(0).max(title.len())
        })
        .collect();
    let (shown, room) = layout(&columns, &widths, look.width);
    let mut text = String::new();
    let mut line = String::new();
    for &i in &shown {
        let last = columns[i].0 == Command;
        let title = if last { &cut(columns[i].1, room) } else { columns[i].1 };
        pad(&mut line, title, widths[i], last);
    }
    text.push_str(&paint.bold(&line));
    text.push('\n');
    for (row, cells) in rows.iter().zip(&cells) {
        for &i in &shown {
            line.clear();
            match columns[i].0 {
                Command => text.push_str(&cut(&cells[i], room)),
                State => {
                    pad(&mut line, &cells[i], widths[i], false);
                    let sick = unhealthy(&row.process);
                    text.push_str(&if sick {
                        paint.red(&line)
                    } else {
                        paint.state(row.process.state(), &line)
                    });
                }
                _ => pad(&mut text, &cells[i], widths[i], false),
            }
        }
        text.push('\n');
    }
    text
}

/// On one line, without a copy where nothing acts on a terminal.
fn seen(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => one_line(text),
        Cow::Owned(text) => match one_line(&text) {
            Cow::Borrowed(same) if same.len() == text.len() => Cow::Owned(text),
            other => Cow::Owned(other.into_owned()),
        },
    }
}

fn pad(line: &mut String, cell: &str, width: usize, last: bool) {
    line.push_str(cell);
    if !last {
        let missing = (width + GAP).saturating_sub(cell.chars().count());
        line.extend(std::iter::repeat_n(' ', missing));
    }
}

fn cell(row: &Row, column: Column, now: Wall) -> Cow<'_, str> {
    let p = &row.process;
    let dash = Cow::Borrowed("-");
    match column {
        Host => row.host.as_deref().unwrap_or("-").into(),
        Name => p.name.as_str().into(),
        Id => p.process_id.as_str().into(),
        State if unhealthy(p) => format!("{} (unhealthy)", state_word(p.state())).into(),
        State => state_word(p.state()).into(),
        Pid => p.run.as_ref().and_then(|run| run.pid).map_or(dash, |pid| pid.to_string().into()),
        Uptime => uptime(p, now).map_or(dash, |up| span(up).into()),
        Restarts => p.counters.as_ref().map_or(0, |c| c.restarts).to_string().into(),
        Memory => row.usage.map_or(dash, |usage| bytes(usage.memory).into()),
        Cpu => row.usage.map_or(dash, |usage| span(usage.cpu).into()),
        LastExit => p.last_exit.as_ref().map_or(dash, |last| ending(last).into()),
        Groups if p.groups.is_empty() => dash,
        Groups => p.groups.join(",").into(),
        Origin => super::json::origin_text(p.origin.as_ref()).into(),
        // Of a broken definition nobody knows the program.
        Command if p.command_line.is_empty() || p.command_line == "''" => dash,
        Command => p.command_line.as_str().into(),
    }
}

/// Whether its health check fails: of the healths only this one asks for somebody's attention.
pub(crate) fn unhealthy(p: &v1::Process) -> bool {
    p.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy)
}

/// The columns that are shown, and the characters that are left for the command (`None` = as many as it likes).
fn layout(
    columns: &[(Column, &str)],
    widths: &[usize],
    terminal: Option<usize>,
) -> (Vec<usize>, Option<usize>) {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let Some(terminal) = terminal else { return (shown, None) };
    let command = columns.len() - 1;
    let used = |shown: &[usize]| -> usize {
        shown.iter().filter(|i| **i != command).map(|i| widths[*i] + GAP).sum()
    };
    let wanted = widths[command].min(MIN_COMMAND);
    for column in DISPENSABLE {
        if used(&shown) + wanted <= terminal {
            break;
        }
        shown.retain(|i| columns[*i].0 != column);
    }
    let room = terminal.saturating_sub(used(&shown)).max(1);
    (shown, Some(room))
}

/// At most `room` characters, the last of them `…` when something is missing.
fn cut(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) if text.chars().count() > room => {
            text.chars().take(room - 1).chain(std::iter::once('…')).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Paint {
        Paint::new(false)
    }

    fn list(processes: &[v1::Process], now: Wall, width: Option<usize>, paint: Paint) -> String {
        let row = |process: &v1::Process| Row { process: process.clone(), ..Row::default() };
        let rows: Vec<Row> = processes.iter().map(row).collect();
        super::list(&rows, Look { now, width, wide: false }, paint)
    }

    #[test]
    fn wide_tables_and_several_hosts_have_columns_of_their_own() {
        let mut groups = process("web", "x");
        groups.groups = vec!["a".into(), "b".into()];
        let usage = Usage { memory: 3 << 20, cpu: Duration::from_secs(61) };
        let rows = [
            Row { host: Some("prod-1".into()), process: groups, usage: Some(usage) },
            Row { host: Some("prod-2".into()), process: process("db", "y"), usage: None },
        ];
        let look = Look { now: Wall(0), width: None, wide: true };
        let text = super::list(&rows, look, plain());
        let lines: Vec<String> =
            text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "HOST NAME ID STATE PID UPTIME RESTARTS MEMORY CPU LAST EXIT GROUPS DEFINED IN COMMAND",
                "prod-1 web 0123456789ab running - - 0 3.0 MiB 1m 1s - a,b x",
                "prod-2 db 0123456789ab running - - 0 - - - - y",
            ]
        );
    }

    fn process(name: &str, command: &str) -> v1::Process {
        v1::Process {
            name: name.into(),
            process_id: "0123456789ab".into(),
            state: v1::State::Running.into(),
            command_line: command.into(),
            ..Default::default()
        }
    }

    #[test]
    fn the_command_is_cut_on_a_character_to_fit() {
        let processes = [process("web", "/usr/bin/wéb --größe ☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃")];
        for width in 20..120 {
            let text = list(&processes, Wall(0), Some(width), plain());
            assert!(text.lines().all(|l| l.chars().count() <= width), "{width}\n{text}");
        }
        assert!(list(&processes, Wall(0), Some(80), plain()).contains('…'));
    }

    #[test]
    fn columns_go_before_the_command_does() {
        let processes = [process("web", "/usr/bin/webserver --port 80")];
        let header = |width| {
            let text = list(&processes, Wall(0), Some(width), plain());
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(header(80), "NAME ID STATE PID UPTIME RESTARTS LAST EXIT COMMAND");
        assert_eq!(header(70), "NAME STATE PID UPTIME RESTARTS LAST EXIT COMMAND");
        assert_eq!(header(40), "NAME STATE PID UPTIME COMMAND");
    }

    #[test]
    fn eighty_columns_do_for_the_unhealthy() {
        let mut sick = process("a-name-of-20-letters", "/usr/bin/webserver --port 80");
        sick.health = Some(v1::Health { state: HealthState::Unhealthy.into(), ..Default::default() });
        let text = list(&[sick, process("b", "c")], Wall(0), Some(80), plain());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("running (unhealthy)") && text.contains("/usr/bin/web"), "{text}");
    }

    #[test]
    fn what_acts_on_a_terminal_is_seen_and_measured() {
        let text = list(&[process("web", "ls \u{9b}2J\nx")], Wall(0), Some(60), plain());
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains(r"ls \u{9b}2J\nx"), "{text}");
    }

    #[test]
    fn nothing_is_cut_where_there_is_no_terminal() {
        let long = "x".repeat(1000);
        assert!(list(&[process("web", &long)], Wall(0), None, plain()).contains(&long));
    }

    #[test]
    fn a_color_changes_no_width_and_no_word() {
        let mut processes = [process("web", "a"), process("b", "c")];
        let health = v1::Health { state: HealthState::Unhealthy.into(), ..Default::default() };
        processes[0].health = Some(health);
        let paint = Paint::new(true);
        let colored = paint.finish(&list(&processes, Wall(0), None, paint));
        let stripped = ["\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"]
            .iter()
            .fold(colored.clone(), |t, code| t.replace(code, ""));
        assert_ne!(colored, stripped);
        assert_eq!(stripped, list(&processes, Wall(0), None, plain()));
    }
}
