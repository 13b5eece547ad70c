//! The file format of supervisord.conf, which is that of Python's configparser.

use std::path::Path;

use crate::import::draft::{At, Unusable};

/// `[name]` with what stands below it.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) entries: Vec<Entry>,
}

/// `key = value`
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) at: At,
}

impl Entry {
    /// For a note; without the value of what may be a secret.
    pub(super) fn written(&self) -> String {
        match self.key.as_str() {
            "environment" | "password" => self.key.clone(),
            _ => format!("{} = {}", self.key, self.value.replace('\n', " ")),
        }
    }
}

impl Section {
    /// The value of a key; the last one counts.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }
}

/// Reads a file. A line that begins with a blank goes on with the value before it.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Section>, Unusable> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open = false;
    for (index, raw) in text.lines().enumerate() {
        let at = At { file: path.display().to_string(), line: index + 1 };
        let indented = raw.starts_with([' ', '\t']);
        let line = without_comment(raw).trim();
        if line.is_empty() {
            // A blank line ends no value, but a comment between two lines of one does not belong to it.
            continue;
        }
        if let Some(entry) =
            sections.last_mut().and_then(|s| s.entries.last_mut()).filter(|_| indented && open)
        {
            entry.value.push('\n');
            entry.value.push_str(line);
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section { name: name.trim().to_owned(), at, entries: Vec::new() });
            open = false;
            continue;
        }
        let Some(section) = sections.last_mut() else {
            return Err(Unusable::new(
                &at,
                "this stands before the first [section]",
                "is it a supervisord.conf?",
            ));
        };
        let Some(sign) = line.find(['=', ':']) else {
            return Err(Unusable::new(&at, format!("{line:?} has no `=`"), "write key = value"));
        };
        let (key, value) = (line[..sign].trim().to_ascii_lowercase(), line[sign + 1..].trim().to_owned());
        section.entries.push(Entry { key, value, at });
        open = true;
    }
    Ok(sections)
}

/// A comment begins the line, or stands behind a blank.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let bytes = line.as_bytes();
    let comment =
        (1..bytes.len()).find(|i| matches!(bytes[*i], b';' | b'#') && bytes[*i - 1].is_ascii_whitespace());
    comment.map_or(line, |at| &line[..at])
}

/// `A="1",B='2',C=3`; `None` when that is not what stands there.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || name.contains([',', '"', '\'']) || name.contains(char::is_whitespace) {
            return None;
        }
        let after = after.trim_start();
        let (value, behind) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let (value, behind) = after[1..].split_once(quote)?;
                (value.to_owned(), behind)
            }
            _ => {
                let end = after.find([',', '\n']).unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name.to_owned(), value));
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if behind.is_empty() => "",
            None => return None,
        };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_continuations() {
        let text = "; head\n[program:x]\ncommand = a --b # c\nenvironment =\n  A=\"1;2\",\n  # no\n  B=2\n\n[y]\nK: v#w\n";
        let sections = parse(Path::new("f"), text).unwrap();
        let entries = &sections[0].entries;
        assert_eq!(entries[0].value, "a --b");
        assert_eq!(pairs(&entries[1].value).unwrap(), [("A".into(), "1;2".into()), ("B".into(), "2".into())]);
        assert_eq!(
            (sections[1].entries[0].key.as_str(), sections[1].entries[0].value.as_str()),
            ("k", "v#w")
        );
        assert_eq!(sections[1].at.line, 9);
        assert!(parse(Path::new("f"), "a = b").is_err());
        assert!(parse(Path::new("f"), "[x]\nnothing").is_err());
    }

    #[test]
    fn pairs_are_pairs() {
        let good = pairs("A=\"x, y=z\",B='it\"s' , C=/a:b,").unwrap();
        assert_eq!(
            good,
            [("A".into(), "x, y=z".into()), ("B".into(), "it\"s".into()), ("C".into(), "/a:b".into())]
        );
        for bad in ["A", "=x", "A=\"x", "A=\"x\"y", "A B=1"] {
            assert_eq!(pairs(bad), None, "{bad}");
        }
    }
}
