//! Reading the tree: where it is, which files it has, and their code without comments and literals.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Path from the workspace's directory, with the line where there is one.
    pub(crate) place: String,
    /// What was found, and the rule that it breaks.
    pub(crate) message: String,
}

impl Violation {
    pub(crate) fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { place: format!("{path}:{line}"), message: message.into() }
    }
}

/// Panics with one line for each violation.
#[track_caller]
pub(crate) fn none_of(rule: &str, mut violations: Vec<Violation>) {
    violations.sort();
    let list = violations.iter().fold(String::new(), |mut list, v| {
        let _infallible = writeln!(list, "  {}: {}", v.place, v.message);
        list
    });
    assert!(violations.is_empty(), "{} violation(s) of: {rule}\n{list}", violations.len());
}

/// Every file below `dirs` (paths from the workspace's directory) with one of these extensions: path and text,
/// sorted by path. Build output and hidden directories are left out; a directory that is missing has no files.
pub(crate) fn files(dirs: &[&str], extension: &str) -> Vec<(String, String)> {
    let root = root();
    let mut todo: Vec<PathBuf> = dirs.iter().map(|d| root.join(d)).collect();
    let mut found = Vec::new();
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for path in entries.map(|entry| entry.expect("a readable directory").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                todo.push(path);
            } else if path.is_file() && path.extension().is_some_and(|e| e == extension) {
                // A file that goes away between listing and reading is being written by an editor.
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let short = path.strip_prefix(&root).expect("below the root");
                found.push((short.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The text with comments and the contents of literals replaced by spaces, so that every byte of code keeps its
/// line, and words in prose are not taken for code.
pub(crate) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let end = match rest[0] {
            b'/' if rest.starts_with(b"//") => at + line_end(rest),
            b'/' if rest.starts_with(b"/*") => at + block_comment_end(rest),
            b'"' => at + quoted_end(rest, b'"'),
            b'\'' if is_char_literal(rest) => at + quoted_end(rest, b'\''),
            b'r' | b'b' | b'c' if !word_before => at + raw_string_end(rest),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("only whole literals were blanked")
}

fn line_end(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment_end(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted_end(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A quote that is not the start of a lifetime: `'x'`, `'\n'`, `'é'`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(first) => {
            let length = match first {
                0..0xc0 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            rest.get(1 + length) == Some(&b'\'')
        }
        None => false,
    }
}

/// Length of the raw string (`r"…"`, `br#"…"#`) that starts here; 0 when none does.
fn raw_string_end(rest: &[u8]) -> usize {
    let prefix = rest.iter().take_while(|b| matches!(b, b'b' | b'c')).count();
    if prefix > 1 || rest.get(prefix) != Some(&b'r') {
        return 0;
    }
    let hashes = rest[prefix + 1..].iter().take_while(|b| **b == b'#').count();
    let body = prefix + 1 + hashes + 1;
    if rest.get(body - 1) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = rest[body..].windows(close.len()).position(|w| w == close);
    length.map_or(rest.len(), |n| body + n + close.len())
}

/// The identifiers and keywords of a line of code, with their positions.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.split(move |c| !is_word(c)).filter(|word| !word.is_empty()).map(|word| {
        // Both lie in the same allocation, so the difference is the position.
        (word.as_ptr().addr() - line.as_ptr().addr(), word)
    })
}
