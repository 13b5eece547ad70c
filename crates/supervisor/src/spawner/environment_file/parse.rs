//! The text of an `environment_file`, by the rules of systemd.exec(5), `EnvironmentFile=`.
//!
//! * `NAME=value`, one to a line; white space around the name, around the `=` and at the line's end is dropped.
//! * Lines that begin with `#` or `;` are comments. After a value there are none: `A=1 # one` is all value.
//! * `'…'` is taken verbatim, `"…"` knows `\"`, `\\`, `` \` `` and `\$`; both may span lines. Quotes mean that only before
//!   anything else of the value: `A=it's` needs none.
//! * Without quotes a backslash takes the next character as it is. At a line's end it joins the next line to it, within
//!   double quotes as well.
//! * Nothing is expanded: `$HOME` is five characters.
//!
//! What differs: `export ` before a name is taken for what a shell makes of it, the lines may end in CR LF, the text may
//! begin with a byte order mark; and what systemd skips with a word in its log, or without (a line without `=`, a name
//! that is none, a quote without an end), is an error here, so that no start goes on without a variable that it needs.

use std::str::Chars;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with a line. The texts are fixed: they can't repeat what the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct BadLine {
    /// 1 = the first.
    pub(in super::super) line: usize,
    /// What is wrong.
    pub(in super::super) message: &'static str,
    /// What to do about it.
    pub(in super::super) hint: &'static str,
}

/// Names and values in the order of the text; a name may come twice.
pub(super) fn parse(text: &[u8]) -> Result<Vec<(String, String)>, BadLine> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if let Some(nul) = text.iter().position(|byte| *byte == 0) {
        let hint = "it is binary or UTF-16: save it as UTF-8 text";
        return Err(BadLine { line: line_at(text, nul), message: "holds a NUL character", hint });
    }
    let text = str::from_utf8(text).map_err(|error| BadLine {
        line: line_at(text, error.valid_up_to()),
        message: "holds something that is not a UTF-8 character",
        hint: "save it as UTF-8 text",
    })?;
    let mut scanner = Scanner { rest: text.chars(), line: 1 };
    let mut variables = Vec::new();
    while let Some(name) = scanner.name()? {
        variables.push((name, scanner.value()?));
    }
    Ok(variables)
}

/// The line that the byte at `end` is on.
fn line_at(text: &[u8], end: usize) -> usize {
    let ends = text[..end].iter().enumerate();
    1 + ends.filter(|(at, byte)| is_line_end(char::from(**byte), text.get(at + 1) == Some(&b'\n'))).count()
}

/// Whether a line ends with `c`: LF, CR, or the second character of CR LF.
fn is_line_end(c: char, before_lf: bool) -> bool {
    c == '\n' || (c == '\r' && !before_lf)
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

struct Scanner<'a> {
    rest: Chars<'a>,
    /// Of the next character.
    line: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if is_line_end(c, self.peek() == Some('\n')) {
            self.line += 1;
        }
        Some(c)
    }

    /// Up to the first character that `end` is true for, or to the end of the text.
    fn take_until(&mut self, end: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| !end(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    /// The next name, with its `=` taken; `None` = the end of the text.
    fn name(&mut self) -> Result<Option<String>, BadLine> {
        loop {
            let _blank = self.take_until(|c| !is_blank(c) && !is_break(c));
            match self.peek() {
                None => return Ok(None),
                Some('#' | ';') => drop(self.take_until(is_break)),
                Some(_) => break,
            }
        }
        let line = self.line;
        let bad = |message, hint| Err(BadLine { line, message, hint });
        let words = self.take_until(|c| c == '=' || is_break(c));
        let words = words.trim_end_matches(is_blank);
        let exported = words.strip_prefix("export").filter(|rest| rest.starts_with(is_blank));
        let name = exported.map_or(words, |rest| rest.trim_start_matches(is_blank));
        if self.peek() != Some('=') {
            return match exported {
                Some(_) => bad("exports without a value", "write export NAME=value, or take the line out"),
                None => bad(
                    "has no `=`",
                    "write NAME=value, quotes around a value of several lines, or # before a comment",
                ),
            };
        }
        self.next();
        if name.is_empty() {
            return bad("has no name before its `=`", "write NAME=value");
        }
        if !is_name(name) {
            let hint = "letters, digits and _ make a name, and no digit begins it";
            return bad("has something before its `=` that can't be a variable's name", hint);
        }
        Ok(Some(name.to_owned()))
    }

    /// What follows the `=`, up to and without the line's end.
    fn value(&mut self) -> Result<String, BadLine> {
        let mut value = String::new();
        // Quoted parts, and then one without quotes, to the line's end.
        loop {
            match self.peek() {
                Some(c) if is_blank(c) => drop(self.next()),
                Some('\'') => self.verbatim(&mut value)?,
                Some('"') => self.quoted(&mut value)?,
                None => return Ok(value),
                Some(c) if is_break(c) => return Ok(value),
                Some(_) => break,
            }
        }
        // Blanks at the end are cut down to here: those that were quoted or escaped stay.
        let mut solid = value.len();
        while let Some(c) = self.peek().filter(|c| !is_break(*c)) {
            self.next();
            if c == '\\' {
                solid = value.len();
                if !self.joined()
                    && let Some(escaped) = self.next()
                {
                    value.push(escaped);
                    solid = value.len();
                }
            } else {
                value.push(c);
                if !is_blank(c) {
                    solid = value.len();
                }
            }
        }
        value.truncate(solid);
        Ok(value)
    }

    /// Takes the line's end after a backslash, if there is one.
    fn joined(&mut self) -> bool {
        let first = self.peek().filter(|c| is_break(*c));
        if first.is_some() {
            self.next();
        }
        if first == Some('\r') && self.peek() == Some('\n') {
            self.next();
        }
        first.is_some()
    }

    fn verbatim(&mut self, value: &mut String) -> Result<(), BadLine> {
        let line = self.line;
        self.next();
        value.push_str(&self.take_until(|c| c == '\''));
        self.next().map(drop).ok_or_else(|| unterminated(line))
    }

    fn quoted(&mut self, value: &mut String) -> Result<(), BadLine> {
        let line = self.line;
        self.next();
        loop {
            match self.next().ok_or_else(|| unterminated(line))? {
                '"' => return Ok(()),
                '\\' if self.joined() => {}
                '\\' => match self.next().ok_or_else(|| unterminated(line))? {
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }
}

fn unterminated(line: usize) -> BadLine {
    let hint = "close it; write \\ before a quote that belongs to the value";
    BadLine { line, message: "opens a quote that nothing closes", hint }
}

/// POSIX: letters, digits and underscores, no digit first.
fn is_name(text: &str) -> bool {
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
