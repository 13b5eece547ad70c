//! Colors, and the gate through which every text for humans goes.
//!
//! What the daemon tells comes in part from the processes (status texts, answers of health checks, lines of output).
//! Written to a terminal as it is, a control character in it could repaint the screen and forge what is read there. So
//! everything is made visible on its way out, and colors travel as marks that no foreign text can contain.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher as _;

use rpc::v1::{HealthState, State};

/// Colors, or none. A color only repeats what a word says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
    /// Part of each mark. Drawn anew for each run, so that nobody can write a mark into a text beforehand.
    seal: u64,
}

impl Paint {
    /// With colors, or without.
    pub(crate) fn new(on: bool) -> Self {
        Self { on, seal: RandomState::new().hash_one(0) }
    }

    /// A text in the color of a state.
    pub(crate) fn state(self, state: State, text: &str) -> Cow<'_, str> {
        let code = match state {
            State::Running => "32",
            State::CrashLoop | State::Failed | State::Invalid => "31",
            State::Starting | State::Reloading | State::Stopping | State::Backoff | State::Waiting => "33",
            State::Stopped | State::Exited | State::Skipped | State::Unspecified => return text.into(),
        };
        self.code(code, text)
    }

    /// A text in the color of a health.
    pub(crate) fn health(self, health: HealthState, text: &str) -> Cow<'_, str> {
        match health {
            HealthState::Healthy => self.code("32", text),
            HealthState::Unhealthy => self.code("31", text),
            HealthState::Starting | HealthState::Unspecified => text.into(),
        }
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> Cow<'_, str> {
        self.code("1", text)
    }

    /// Something bad.
    pub(crate) fn red(self, text: &str) -> Cow<'_, str> {
        self.code("31", text)
    }

    /// Something that may turn bad.
    pub(crate) fn yellow(self, text: &str) -> Cow<'_, str> {
        self.code("33", text)
    }

    /// The line that keys act on.
    pub(crate) fn selected(self, text: &str) -> Cow<'_, str> {
        self.code("7", text)
    }

    fn code<'a>(self, code: &str, text: &'a str) -> Cow<'a, str> {
        if !self.on {
            return text.into();
        }
        let mark = self.mark();
        format!("{mark}{code}m{text}{mark}0m").into()
    }

    fn mark(self) -> String {
        format!("\u{1}{:016x}", self.seal)
    }

    /// The text as it is written: marks become colors, everything else becomes visible.
    pub(crate) fn finish(self, text: &str) -> String {
        let mark = self.mark();
        let mut pieces = text.split(&*mark);
        let mut done = pieces.next().map(visible).unwrap_or_default().into_owned();
        for piece in pieces {
            let (code, rest) = piece.split_once('m').unwrap_or(("0", piece));
            // Writing to a String can't fail.
            let _infallible = write!(done, "\x1b[{code}m{}", visible(rest)).is_ok();
        }
        done
    }
}

/// Whether a terminal would act on it, or show the text around it in another order. New lines and tabs are harmless.
pub(crate) fn acts(c: char) -> bool {
    let reorders =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    (c.is_control() && c != '\n' && c != '\t') || reorders || breaks
}

/// Whether it is printable ASCII, new lines and tabs: most text is, and bytes are looked at ten times as fast as characters.
fn is_plain(text: &str) -> bool {
    // Without a branch for each byte, so that the processor takes many of them at a time.
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
}

/// The text with each control character written out: `\r`, `\u{1b}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.contains(acts) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.into()
}

/// The same on one line, where a second one would look like something that this program says.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    match visible(text.trim_end()) {
        text if text.contains('\n') => text.replace('\n', "\\n").into(),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_come_out_and_nothing_else_does() {
        let paint = Paint::new(true);
        let hostile = "a\x1b[2Jb\u{9b}31mc\rd\u{7f}e\u{202e}f";
        let text = format!("{} {hostile}", paint.red(hostile));
        let shown = r"a\u{1b}[2Jb\u{9b}31mc\rd\u{7f}e\u{202e}f";
        assert_eq!(paint.finish(&text), format!("\x1b[31m{shown}\x1b[0m {shown}"));
        let off = Paint::new(false);
        assert_eq!(off.finish(&off.red(hostile)), shown);
    }

    #[test]
    fn a_mark_can_not_be_forged() {
        let (paint, other) = (Paint::new(true), Paint::new(true));
        let forged = format!("\u{1}0000000000000000{}", other.bold("31m"));
        let shown = paint.finish(&forged);
        assert!(!shown.contains(['\x1b', '\u{1}']), "{shown:?}");
    }

    #[test]
    fn what_is_harmless_stays() {
        for text in ["", "größe ☃ 🦀", "a\tb\nc", "e\u{301}"] {
            assert_eq!(visible(text), text);
            assert_eq!(Paint::new(true).finish(text), text);
        }
        assert_eq!(one_line("a\nb\n"), r"a\nb");
    }
}
