//! Lines of processes on a terminal: behind name and time, and unable to do anything to it but color themselves.

use jiff::tz::TimeZone;
use model::Wall;

use super::paint::acts;
use crate::when;

/// Colors of the names, the same as those of a daemon in the foreground: readable on dark and light backgrounds.
const COLORS: [u8; 6] = [36, 33, 32, 35, 34, 31];
/// Columns of a time.
const TIME_WIDTH: usize = when::LOCAL_WIDTH;

/// How lines are shown.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// Columns of the longest name; `None` = no names.
    pub(crate) names: Option<usize>,
    /// Show times, of this zone.
    pub(crate) times: Option<TimeZone>,
    /// Color the names, and let the colors of lines through.
    pub(crate) color: bool,
}

impl Lines {
    /// Appends lines (each with its newline) of one process that were printed at one time.
    pub(crate) fn write(&self, out: &mut Vec<u8>, name: &str, at: Option<Wall>, text: &[u8]) {
        let start = self.start(name, at);
        for line in text.split_inclusive(|b| *b == b'\n') {
            out.extend_from_slice(start.as_bytes());
            show(out, line.strip_suffix(b"\n").unwrap_or(line), self.color);
            out.push(b'\n');
        }
    }

    fn start(&self, name: &str, at: Option<Wall>) -> String {
        let mut start = String::new();
        if let Some(zone) = &self.times {
            let time = at.map_or_else(|| "-".to_owned(), |at| when::local(at, zone));
            start.push_str(&format!("{time:<TIME_WIDTH$} "));
        }
        if let Some(width) = self.names {
            let prefix = format!("{name:<width$} | ");
            if self.color {
                let hash = name.bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
                start.push_str(&format!("\x1b[{}m{prefix}\x1b[0m", COLORS[hash % COLORS.len()]));
            } else {
                start.push_str(&prefix);
            }
        }
        start
    }
}

/// Appends a line, with everything written out that a terminal would act on.
fn show(out: &mut Vec<u8>, line: &[u8], color: bool) {
    let mut colored = false;
    for chunk in line.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            if c == '\x1b'
                && let Some(length) = color_code(rest)
            {
                if color {
                    out.extend_from_slice(&rest.as_bytes()[..length]);
                    colored = true;
                }
                rest = &rest[length..];
                continue;
            }
            let (this, after) = rest.split_at(c.len_utf8());
            if acts(c) {
                out.extend(c.escape_default().collect::<String>().into_bytes());
            } else {
                out.extend_from_slice(this.as_bytes());
            }
            rest = after;
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    if colored {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// Length of the color code (`ESC [ digits and semicolons m`) that the text starts with.
fn color_code(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    body[end..].starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &Lines, at: Option<Wall>, text: &[u8]) -> String {
        let mut out = Vec::new();
        lines.write(&mut out, "web", at, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_can_do_nothing_to_a_terminal_but_color_themselves() {
        let plain = Lines { names: None, times: None, color: false };
        let colored = Lines { color: true, ..plain.clone() };
        let hostile = "a\tä\x1b[2J\x07\r\u{9b}\u{202e}\x1b".as_bytes();
        let written = "a\tä\\u{1b}[2J\\u{7}\\r\\u{9b}\\u{202e}\\u{1b}\n";
        assert_eq!(shown(&plain, None, hostile), written);
        assert_eq!(shown(&colored, None, hostile), written);
        assert_eq!(shown(&plain, None, b"\xff\xc2\n"), "\\xff\\xc2\n");
        let red = b"\x1b[1;31mred\n\x1b[0mback\n";
        assert_eq!(shown(&plain, None, red), "red\nback\n");
        assert_eq!(shown(&colored, None, red), "\x1b[1;31mred\x1b[0m\n\x1b[0mback\x1b[0m\n");
    }

    #[test]
    fn names_and_times_stand_in_columns() {
        let lines = Lines { names: Some(5), times: Some(TimeZone::UTC), color: false };
        let at = Some(Wall(1_795_284_184_500_000_000));
        assert_eq!(
            shown(&lines, at, b"one\ntwo"),
            "2026-11-21 18:03:04.500+00:00 web   | one\n2026-11-21 18:03:04.500+00:00 web   | two\n"
        );
        assert_eq!(shown(&lines, None, b"one\n"), "-                             web   | one\n");
        let colored = Lines { times: None, color: true, ..lines };
        let start = shown(&colored, None, b"x\n");
        assert!(start.starts_with("\x1b[3") && start.ends_with("mweb   | \x1b[0mx\n"), "{start:?}");
    }
}
