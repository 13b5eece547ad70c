//! Tables that fit the terminal.

use model::Wall;
use rpc::v1::{self, HealthState};

use super::paint::one_line;
use super::{Paint, ending, state_word, uptime};
use crate::units::span;

/// Between two columns.
const GAP: usize = 2;
/// What the command gets at least; when there is less room, other columns go.
const MIN_COMMAND: usize = 12;
const HEADER: [&str; 8] = ["NAME", "ID", "STATE", "PID", "UPTIME", "RESTARTS", "LAST EXIT", "COMMAND"];
const STATE: usize = 2;
const COMMAND: usize = 7;
/// Columns that go when the terminal is too narrow, the least missed first: ID, LAST EXIT, RESTARTS, PID, UPTIME.
const DISPENSABLE: [usize; 5] = [1, 6, 5, 3, 4];

/// `list`.
pub(crate) fn list(processes: &[v1::Process], now: Wall, width: Option<usize>, paint: Paint) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    for p in processes {
        let dash = || "-".to_owned();
        rows.push([
            p.name.clone(),
            p.process_id.clone(),
            standing(p),
            p.run.as_ref().and_then(|run| run.pid).map_or_else(dash, |pid| pid.to_string()),
            uptime(p, now).map_or_else(dash, span),
            p.counters.as_ref().map_or(0, |c| c.restarts).to_string(),
            p.last_exit.as_ref().map_or_else(dash, ending),
            p.command_line.clone(),
        ]);
    }
    // Made visible before it is measured: what is written out is longer.
    let rows: Vec<[String; 8]> =
        rows.into_iter().map(|row| row.map(|cell| one_line(&cell).into_owned())).collect();
    let widths = columns(&rows);
    let (shown, room) = layout(&widths, width);
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for column in &shown {
            let padded = format!("{:<1$}", row[*column], widths[*column] + GAP);
            match *column {
                COMMAND => line.push_str(&cut(&row[COMMAND], room)),
                STATE if i > 0 && unhealthy(&processes[i - 1]) => line.push_str(&paint.red(&padded)),
                STATE if i > 0 => line.push_str(&paint.state(processes[i - 1].state(), &padded)),
                _ => line.push_str(&padded),
            }
        }
        text.push_str(&if i == 0 { paint.bold(&line).into_owned() } else { line });
        text.push('\n');
    }
    text
}

/// `running`, or `running (unhealthy)`: of the healths only this one asks for somebody's attention.
fn standing(p: &v1::Process) -> String {
    format!("{}{}", state_word(p.state()), if unhealthy(p) { " (unhealthy)" } else { "" })
}

fn unhealthy(p: &v1::Process) -> bool {
    p.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy)
}

/// The columns that are shown, and the characters that are left for the command (`None` = as many as it likes).
fn layout(widths: &[usize; 8], terminal: Option<usize>) -> (Vec<usize>, Option<usize>) {
    let mut shown: Vec<usize> = (0..HEADER.len()).collect();
    let Some(terminal) = terminal else { return (shown, None) };
    let used = |shown: &[usize]| -> usize {
        shown.iter().filter(|column| **column != COMMAND).map(|column| widths[*column] + GAP).sum()
    };
    let wanted = widths[COMMAND].min(MIN_COMMAND);
    for column in DISPENSABLE {
        if used(&shown) + wanted <= terminal {
            break;
        }
        shown.retain(|c| *c != column);
    }
    let room = terminal.saturating_sub(used(&shown)).max(1);
    (shown, Some(room))
}

/// Widest cell of each column, in characters.
fn columns<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
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
