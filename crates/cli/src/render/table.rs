//! Tables that fit the terminal.

use model::Wall;
use rpc::v1;

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
            state_word(p.state()),
            p.run.as_ref().and_then(|run| run.pid).map_or_else(dash, |pid| pid.to_string()),
            uptime(p, now).map_or_else(dash, span),
            p.counters.as_ref().map_or(0, |c| c.restarts).to_string(),
            p.last_exit.as_ref().map_or_else(dash, ending),
            p.command_line.clone(),
        ]);
    }
    let widths = columns(&rows);
    let (shown, room) = layout(&widths, width);
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for column in &shown {
            let padded = format!("{:<1$}", row[*column], widths[*column] + GAP);
            match *column {
                COMMAND => line.push_str(&cut(&row[COMMAND], room)),
                STATE if i > 0 => line.push_str(&paint.state(processes[i - 1].state(), &padded)),
                _ => line.push_str(&padded),
            }
        }
        text.push_str(&if i == 0 { paint.bold(&line).into_owned() } else { line });
        text.push('\n');
    }
    text
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

    const PLAIN: Paint = Paint { on: false };

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
            let text = list(&processes, Wall(0), Some(width), PLAIN);
            assert!(text.lines().all(|l| l.chars().count() <= width), "{width}\n{text}");
        }
        assert!(list(&processes, Wall(0), Some(80), PLAIN).contains('…'));
    }

    #[test]
    fn columns_go_before_the_command_does() {
        let processes = [process("web", "/usr/bin/webserver --port 80")];
        let header = |width| {
            let text = list(&processes, Wall(0), Some(width), PLAIN);
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(header(80), "NAME ID STATE PID UPTIME RESTARTS LAST EXIT COMMAND");
        assert_eq!(header(70), "NAME STATE PID UPTIME RESTARTS LAST EXIT COMMAND");
        assert_eq!(header(40), "NAME STATE PID UPTIME COMMAND");
    }

    #[test]
    fn nothing_is_cut_where_there_is_no_terminal() {
        let long = "x".repeat(1000);
        assert!(list(&[process("web", &long)], Wall(0), None, PLAIN).contains(&long));
    }

    #[test]
    fn a_color_changes_no_width_and_no_word() {
        let processes = [process("web", "a"), process("b", "c")];
        let colored = list(&processes, Wall(0), None, Paint { on: true });
        let stripped =
            ["\x1b[32m", "\x1b[1m", "\x1b[0m"].iter().fold(colored.clone(), |t, code| t.replace(code, ""));
        assert_ne!(colored, stripped);
        assert_eq!(stripped, list(&processes, Wall(0), None, PLAIN));
    }
}
