//! The text of one file: bounded, known to be UTF-8, and cut into the lines that the parser counts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::problem::{Place, Problem};
use crate::secret::mask_line;

/// Largest file that is read. Ten thousand processes fit; a core dump given by mistake doesn't.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Open brackets beyond which no text is handed to the parser: its scanner needs quadratic time for nested
/// `{a: {a: …` (three minutes for 640 kB), long before its own limit of 128 levels is looked at.
const MAX_OPEN_BRACKETS: usize = 1000;

/// `%` directives beyond which no text is handed to the parser: it compares each `%TAG` with all before it.
const MAX_DIRECTIVES: usize = 16;

/// Where something stands. Lines and columns count from 1, columns in characters; line 0 = not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Characters to underline, at least 1.
    pub(crate) width: usize,
}

impl Span {
    pub(crate) fn is_known(self) -> bool {
        self.line > 0
    }
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Byte offset at which each line begins.
    starts: Vec<usize>,
    /// Whether columns and bytes are the same.
    ascii: bool,
    /// The lines of at least `LONG_LINE` bytes that were shown, masked: at most as many characters as the text has.
    shown: Mutex<HashMap<usize, Arc<[char]>>>,
}

/// Lines that are kept masked once they were shown, because each of their words may have its own mistake.
const LONG_LINE: usize = 512;

/// Why a file gave no text.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The system said no.
    Io(io::Error),
    /// It is there, but it can't be a configuration.
    Unfit(Box<Problem>),
}

/// Whether a file is afterwards as it was before: as long, and not written since.
fn stays(file: &File, read: impl FnOnce(&File) -> io::Result<()>) -> io::Result<bool> {
    let before = file.metadata()?;
    read(file)?;
    let after = file.metadata()?;
    Ok((before.len(), before.modified()?) == (after.len(), after.modified()?))
}

impl Source {
    /// Reads a regular file. A directory, a pipe or a device is refused before it is opened, because opening a
    /// pipe waits for a writer.
    pub(crate) fn read(path: &Path) -> Result<Self, ReadError> {
        let meta = std::fs::metadata(path).map_err(ReadError::Io)?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a directory" } else { "not a regular file" };
            let message = format!("this is {what}");
            let problem = Problem::whole_file(path, message, "name a YAML file here");
            return Err(ReadError::Unfit(Box::new(problem)));
        }
        // Room for all of it, so that it comes in one read where that is possible.
        let mut bytes =
            Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(MAX_BYTES).min(MAX_BYTES) + 1);
        let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
        let file = File::open(path).map_err(ReadError::Io)?;
        if !stays(&file, |file| file.take(limit).read_to_end(&mut bytes).map(drop)).map_err(ReadError::Io)? {
            // Its beginning may be a whole document with some of the processes, and the others would be stopped.
            let message = "somebody was writing this file while it was read";
            let hint = "try again once it is written, and write it with a rename";
            return Err(ReadError::Unfit(Box::new(Problem::whole_file(path, message, hint))));
        }
        Self::from_bytes(path, bytes).map_err(ReadError::Unfit)
    }

    /// A file that could not be read, so that its problems have something to belong to.
    pub(crate) fn empty(path: &Path) -> Self {
        Self::new(path, String::new())
    }

    fn new(path: &Path, text: String) -> Self {
        let (starts, ascii) = (line_starts(&text), text.is_ascii());
        Self { path: path.to_owned(), starts, ascii, text, shown: Mutex::default() }
    }

    /// Checks what was read.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Box<Problem>> {
        if bytes.len() > MAX_BYTES {
            let message = format!("this file is larger than {} MiB", MAX_BYTES >> 20);
            let hint = "spread the processes over files in the `processes.d` directory";
            return Err(Box::new(Problem::whole_file(path, message, hint)));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(path, &error)))?;
        // The parser would skip the byte order mark too, but count it as a column.
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let source = Self::new(path, text);
        match source.too_costly() {
            Some(problem) => Err(Box::new(problem)),
            None => Ok(source),
        }
    }

    /// A line without its end; empty when there is no such line.
    pub(crate) fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|i| self.starts.get(i)) else { return "" };
        let end = self.starts.get(number).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(is_break)
    }

    /// The line of a place from its column on. Asked for each scalar, so it must not take a time that grows with the
    /// line's length: in a text that isn't ASCII, what stands beyond `SEARCHED` characters is not found (empty).
    pub(crate) fn rest_of_line(&self, span: Span) -> &str {
        const SEARCHED: usize = 1000;
        let line = self.line(span.line);
        let skip = span.column.saturating_sub(1);
        match self.ascii {
            true => line.get(skip..).unwrap_or(""),
            false if skip > SEARCHED => "",
            false => line.char_indices().nth(skip).map_or("", |(i, _)| &line[i..]),
        }
    }

    /// The place of a byte.
    pub(crate) fn span_of(&self, byte: usize) -> Span {
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..byte).unwrap_or_default();
        Span { line, column: before.chars().count() + 1, width: 1 }
    }

    /// A place in this file, with its excerpt.
    pub(crate) fn place(&self, span: Span) -> Option<Place> {
        if !span.is_known() {
            return None;
        }
        let line = self.line(span.line);
        if line.len() < LONG_LINE {
            return Some(Place::new(&masked(line), span));
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let line = shown.entry(span.line).or_insert_with(|| masked(line));
        Some(Place::new(line, span))
    }

    /// Finds texts that would keep the parser busy for minutes.
    fn too_costly(&self) -> Option<Problem> {
        let (mut open, mut directives) = (0_usize, 0_usize);
        for number in 1..=self.starts.len() {
            let line = self.line(number);
            let span = |column| Span { line: number, column, width: 1 };
            directives += usize::from(line.starts_with('%'));
            if directives > MAX_DIRECTIVES {
                let message = format!("more than {MAX_DIRECTIVES} lines that begin with `%`");
                return Some(Problem::at(self, span(1), message, "YAML directives are not needed here"));
            }
            for (column, c) in line.chars().enumerate() {
                match c {
                    '[' | '{' => open += 1,
                    ']' | '}' => open = open.saturating_sub(1),
                    _ => {}
                }
                if open > MAX_OPEN_BRACKETS {
                    let message = format!("more than {MAX_OPEN_BRACKETS} brackets are open here");
                    return Some(Problem::at(self, span(column + 1), message, "close them"));
                }
            }
        }
        None
    }
}

fn masked(line: &str) -> Arc<[char]> {
    mask_line(line).chars().collect()
}

/// The line ends of YAML 1.1, because the parser counts lines by them.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn line_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n') {
            continue;
        }
        if is_break(c) {
            starts.push(at + c.len_utf8());
        }
    }
    starts
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let bytes = error.as_bytes();
    let valid = error.utf8_error().valid_up_to();
    let good = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let starts = line_starts(&good);
    let line_start = starts.last().copied().unwrap_or(0);
    let span = Span { line: starts.len(), column: good[line_start..].chars().count() + 1, width: 1 };
    let hint = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; save it as UTF-8",
        _ => "save the file as UTF-8",
    };
    let end = bytes.iter().skip(valid).position(|b| *b == b'\n').map_or(bytes.len(), |n| valid + n);
    let line = String::from_utf8_lossy(bytes.get(line_start..end).unwrap_or_default());
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Problem {
        place: Some(Place::new(&masked(&line), span)),
        ..Problem::whole_file(path, format!("not UTF-8: byte {valid} is 0x{byte:02x}"), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_the_parser_counts_them() {
        let source = Source::from_bytes(Path::new("x"), "a\r\nb\rc\u{85}d\u{2028}e\n".into()).unwrap();
        let lines: Vec<&str> = (0..=7).map(|n| source.line(n)).collect();
        assert_eq!(lines, ["", "a", "b", "c", "d", "e", "", ""]);
        assert_eq!(source.rest_of_line(Span { line: 2, column: 1, width: 1 }), "b");
        assert_eq!(source.rest_of_line(Span { line: 2, column: 9, width: 1 }), "");
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        let problem = Source::from_bytes(Path::new("x"), b"a: 1\nb\xc3\xa4: \xff!\nc".to_vec()).unwrap_err();
        let place = problem.place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (2, 5));
        assert!(problem.message.contains("byte 10 is 0xff"), "{problem}");
    }

    #[test]
    fn four_mebibytes_and_no_more() {
        let text = |bytes: usize| Source::from_bytes(Path::new("x"), vec![b'#'; bytes]);
        assert!(text(MAX_BYTES).is_ok());
        assert!(text(MAX_BYTES + 1).unwrap_err().message.contains("larger than 4 MiB"));
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        std::fs::write(&path, "processes: {a: {command: a}}\n").unwrap();
        let file = File::open(&path).unwrap();
        let read = |mut file: &File| file.read_to_end(&mut Vec::new()).map(drop);
        assert!(stays(&file, read).unwrap());
        assert!(!stays(&file, |file| std::fs::write(&path, "").and_then(|()| read(file))).unwrap());
        assert!(
            !stays(&file, |file| read(file).and_then(|()| std::fs::write(&path, "processes: {}\n"))).unwrap()
        );
    }

    #[test]
    fn a_pipe_is_refused_without_opening_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            matches!(Source::read(dir.path()), Err(ReadError::Unfit(p)) if p.message.contains("directory"))
        );
        assert!(matches!(Source::read(Path::new("/dev/null")), Err(ReadError::Unfit(_))));
    }
}
