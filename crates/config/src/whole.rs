//! Whole files: the definitions of many processes as one text with `processes:`.

use model::{Definition, Origin, ProcessId, ProcessName, ProcessSpec};

use crate::keys::{KEYS, Key, LOG_KEYS};
use crate::render::render;
use crate::resolve::resolve;

/// One process of a file.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Its name.
    pub name: ProcessName,
    /// Its keys.
    pub definition: Definition,
    /// Lines above it.
    pub comments: Vec<String>,
}

/// A file of these processes, in their order. Reading it gives the same definitions.
#[must_use]
pub fn render_file(head: &[String], entries: &[FileEntry]) -> String {
    let mut text = String::new();
    comment(head, "", &mut text);
    if entries.is_empty() {
        text.push_str("processes: {}\n");
        return text;
    }
    text.push_str("processes:\n");
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        comment(&entry.comments, "  ", &mut text);
        let name = quoted_name(&entry.name);
        let keys = render(&entry.definition);
        if keys == "{}\n" {
            text.push_str(&format!("  {name}: {{}}\n"));
            continue;
        }
        text.push_str(&format!("  {name}:\n"));
        // No value spans lines: texts with line ends are written with escapes.
        keys.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

/// A name that YAML would take for a number or a boolean stands in quotes. Names hold nothing that has to be escaped.
fn quoted_name(name: &ProcessName) -> String {
    let text = name.as_str();
    let word = text.to_ascii_lowercase();
    let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    match text.starts_with(|c: char| c.is_ascii_alphabetic()) && !special {
        true => text.to_owned(),
        false => format!("\"{text}\""),
    }
}

/// Whatever a line holds, it stays one comment.
fn comment(lines: &[String], indent: &str, text: &mut String) {
    for line in lines {
        let plain: String = line.chars().map(crate::problem::visible).collect();
        text.push_str(format!("{indent}# {plain}").trim_end());
        text.push('\n');
    }
}

/// The definition without the keys that say what holds anyway: it resolves to the same specification. One that does not
/// resolve is left as it is.
#[must_use]
pub fn without_defaults(name: &ProcessName, definition: &Definition) -> Definition {
    let Some(wanted) = resolved(name, definition) else { return definition.clone() };
    let mut lean = definition.clone();
    // All that look like their default at once; few are left to be tried one by one.
    for key in keys().filter(|key| is_default(key, definition)) {
        (key.clear)(&mut lean);
    }
    if resolved(name, &lean).as_ref() != Some(&wanted) {
        lean = definition.clone();
    }
    for key in keys() {
        if (key.write)(&lean).is_some() && key.name != "command" {
            let mut tried = lean.clone();
            (key.clear)(&mut tried);
            if resolved(name, &tried).as_ref() == Some(&wanted) {
                lean = tried;
            }
        }
    }
    lean
}

fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(&LOG_KEYS)
}

fn resolved(name: &ProcessName, definition: &Definition) -> Option<ProcessSpec> {
    let id = ProcessId::from_digest([0; 6]);
    resolve(name, id, Origin::Runtime, definition, &Definition::default()).ok()
}

/// Whether the key has the very value that the table gives as its default.
fn is_default(key: &Key, definition: &Definition) -> bool {
    let literal = key.default.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    let default = literal.and_then(|text| serde_yaml::from_str::<serde_yaml::Value>(text).ok());
    default.is_some() && (key.write)(definition) == default
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use model::{Dependency, LogDefinition, ProcessType};

    use super::*;
    use crate::check_text;

    fn entry(name: &str, definition: Definition) -> FileEntry {
        FileEntry { name: ProcessName::new(name).unwrap(), definition, comments: Vec::new() }
    }

    fn command(text: &str) -> Definition {
        Definition { command: Some(text.to_owned()), ..Definition::default() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let web = Definition {
            env: Some([("A".into(), "x: #y\n\u{85}".into()), ("1".into(), "yes".into())].into()),
            log: LogDefinition { max_files: Some(3), ..LogDefinition::default() },
            requires: Some(vec![Dependency { name: ProcessName::new("on").unwrap(), until: None }]),
            ..command("web --port 80")
        };
        let mut entries = vec![entry("web", web), entry("on", command("a")), entry("12", command("b"))];
        entries[1].comments = vec!["two\nlines: \u{1b}[1m".to_owned(), String::new()];
        let text = render_file(&["head".to_owned()], &entries);
        assert!(text.starts_with("# head\nprocesses:\n  web:\n    command: \"web --port 80\"\n"), "{text}");
        assert!(text.contains("\n  # two\u{fffd}lines: \u{fffd}[1m\n  #\n  \"on\":\n"), "{text}");
        let loaded = check_text(Path::new("f"), text.into_bytes(), Path::new("/l")).unwrap();
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        assert_eq!(loaded.desired.specs.len(), 3);
        for spec in &loaded.desired.specs {
            let entry = entries.iter().find(|entry| entry.name == spec.name).unwrap();
            let expected =
                resolve(&spec.name, spec.id, spec.origin.clone(), &entry.definition, &Definition::default());
            assert_eq!(expected.as_ref(), Ok(&**spec));
        }
        assert_eq!(render_file(&[], &[]), "processes: {}\n");
    }

    #[test]
    fn only_what_differs_is_kept() {
        let name = ProcessName::new("web").unwrap();
        let all = Definition {
            args: Some(Vec::new()),
            kind: Some(ProcessType::Oneshot),
            // None is what a oneshot has, and 90 is what all others have.
            start_timeout: Some(Duration::ZERO),
            stop_timeout: Some(Duration::from_secs(10)),
            restart_sec: Some(Duration::from_secs(120)),
            restart_max_delay_sec: Some(Duration::from_secs(120)),
            env: Some(Default::default()),
            auto_start: Some(false),
            log: LogDefinition { max_files: Some(5), max_size: Some(1), ..LogDefinition::default() },
            ..command("/x")
        };
        let lean = without_defaults(&name, &all);
        assert_eq!(
            render(&lean),
            "command: /x\nauto_start: false\ntype: oneshot\nrestart_sec: 120\nlog:\n  max_size: 1\n"
        );
        let broken = Definition::default();
        assert_eq!(without_defaults(&name, &broken), broken);
        // With blanks in the path of the program the empty `args` says that it is one word.
        let spaced = Definition { args: Some(Vec::new()), ..command("/a b") };
        assert_eq!(without_defaults(&name, &spaced), spaced);
    }
}
