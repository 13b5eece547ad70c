//! The file format of units: sections, assignments, continuations, comments.

use std::path::Path;

use crate::import::draft::{At, Import, Unusable};

/// `Key=value` of a section.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) at: At,
}

impl Assignment {
    /// For a note; without the values of what may be secrets.
    pub(super) fn written(&self) -> String {
        match self.key.as_str() {
            "Environment" | "SetCredential" => format!("{}=", self.key),
            key => {
                let shown: String = self.value.chars().take(80).collect();
                let dots = if self.value.chars().nth(80).is_some() { "..." } else { "" };
                format!("{key}={shown}{dots}")
            }
        }
    }
}

/// A unit with its drop-ins, in the order in which they count.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) assignments: Vec<Assignment>,
}

impl Unit {
    /// Adds a file.
    pub(super) fn read(&mut self, path: &Path, text: &str, into: &mut Import) -> Result<(), Unusable> {
        let mut section = String::new();
        let mut open: Option<(At, String)> = None;
        for (index, raw) in text.lines().enumerate() {
            let at = At { file: path.display().to_string(), line: index + 1 };
            let line = raw.trim();
            // A comment between two lines of a value belongs to neither; a blank line ends the value.
            if line.starts_with(['#', ';']) {
                continue;
            }
            let (at, line) = match open.take() {
                Some((at, before)) => (at, format!("{before} {line}")),
                None => (at, line.to_owned()),
            };
            if let Some(more) = line.strip_suffix('\\') {
                open = Some((at, more.trim_end().to_owned()));
                continue;
            }
            self.line(&mut section, &at, line.trim(), into)?;
        }
        if let Some((at, line)) = open {
            self.line(&mut section, &at, line.trim(), into)?;
        }
        Ok(())
    }

    fn line(&mut self, section: &mut String, at: &At, line: &str, into: &mut Import) -> Result<(), Unusable> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(section);
            return Ok(());
        }
        let Some((key, value)) = line.split_once('=') else {
            // systemd ignores it, too, and says so in its log.
            into.lost(at, line, "this is no assignment", "write Key=value");
            return Ok(());
        };
        if section.is_empty() {
            return Err(Unusable::new(at, "this stands before the first [Section]", "is it a unit?"));
        }
        self.assignments.push(Assignment {
            section: section.clone(),
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            at: at.clone(),
        });
        Ok(())
    }

    /// The assignments that count: an empty one takes back those before it, as systemd does it with lists. Of other
    /// keys all are there; the last one counts.
    pub(super) fn effective(&self) -> Vec<&Assignment> {
        let reset = |index: usize, assignment: &Assignment| {
            self.assignments[index + 1..].iter().any(|later| {
                later.section == assignment.section && later.key == assignment.key && later.value.is_empty()
            })
        };
        self.assignments
            .iter()
            .enumerate()
            .filter(|(index, assignment)| !assignment.value.is_empty() && !reset(*index, assignment))
            .map(|(_, assignment)| assignment)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_comments_and_resets() {
        let (mut unit, mut into) = (Unit::default(), Import::default());
        let main =
            "[Service]\nExecStart=/a \\\n# no\n  b \\\n  c\nExecStartPre=/x\nnothing\n; no\nUser = me\n";
        unit.read(Path::new("a"), main, &mut into).unwrap();
        unit.read(Path::new("b"), "[Service]\nExecStart=\nExecStart=/d\nExecStartPre=/y\n", &mut into)
            .unwrap();
        let shown: Vec<String> = unit
            .effective()
            .iter()
            .map(|a| format!("{}:{} {}={}", a.at.file, a.at.line, a.key, a.value))
            .collect();
        assert_eq!(shown, ["a:6 ExecStartPre=/x", "a:9 User=me", "b:3 ExecStart=/d", "b:4 ExecStartPre=/y"]);
        assert_eq!(into.notes.len(), 1);
        assert!(unit.read(Path::new("c"), "a=b", &mut into).is_err());
        let mut unit = Unit::default();
        unit.read(Path::new("a"), main, &mut into).unwrap();
        assert_eq!(unit.effective()[0].value, "/a b c");
    }
}
