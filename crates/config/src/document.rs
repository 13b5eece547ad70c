//! One file: its `defaults:` and `processes:`, or the keys of a single process, with all of its problems.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Definition, ProcessName};

use crate::definition::{is_empty, read};
use crate::fault::{Fault, MOST_FAULTS};
use crate::parse::parse;
use crate::problem::Problem;
use crate::shell::shell_warnings;
use crate::source::{Source, Span};
use crate::suggest::closest;
use crate::tree::{Flaw, Map, Node, Step, Yaml, path_text, quoted};

/// One process in one file.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) definition: Definition,
    node: Node,
    name_at: Span,
    source: Arc<Source>,
    /// `processes`, name; empty in a file of one process.
    prefix: Vec<Step>,
    /// What makes it unusable.
    pub(crate) problems: Vec<Problem>,
}

/// A file that was understood, perhaps with problems.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) defaults: Definition,
    /// The line of the key `defaults`; 0 = it is not there.
    pub(crate) defaults_line: usize,
    pub(crate) processes: Vec<(ProcessName, Written)>,
    /// Whether there is a mapping below `processes:`, if only an empty one: somebody has said which processes there are.
    pub(crate) says: bool,
    /// Problems that concern every process: with them the file can't be used at all.
    pub(crate) fatal: Vec<Problem>,
    /// Problems that concern none of the processes that could be named.
    pub(crate) others: Vec<Problem>,
}

/// Which file may say `defaults:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The main file.
    Main,
    /// Any other file with `processes:`.
    Part,
}

impl Written {
    /// Reads the keys of one process.
    fn new(source: &Arc<Source>, node: Node, name_at: Span, prefix: Vec<Step>, name: &ProcessName) -> Self {
        let (definition, faults) = read(&node);
        let mut written =
            Self { definition, node, name_at, source: Arc::clone(source), prefix, problems: Vec::new() };
        let flaws = flaw_problems(&written.source, &written.node, &written.prefix);
        let faults = faults.iter().map(|fault| written.problem(fault)).collect::<Vec<_>>();
        written.problems = flaws.into_iter().chain(faults).map(|problem| problem.of(name)).collect();
        written
    }

    /// A file of one process that can't be used at all.
    pub(crate) fn broken(source: &Arc<Source>, name: &ProcessName, problem: Problem) -> Self {
        Self {
            definition: Definition::default(),
            node: Node::default(),
            name_at: Span::default(),
            source: Arc::clone(source),
            prefix: Vec::new(),
            problems: vec![problem.of(name)],
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.source.path
    }

    /// The line of the process's name, 1 in a file of one process.
    pub(crate) fn line(&self) -> usize {
        self.name_at.line.max(1)
    }

    /// Whether the first key on the way to a fault stands in this layer.
    pub(crate) fn has(&self, path: &[Step]) -> bool {
        match (path.first(), self.node.map()) {
            (Some(Step::Key(key)), Some(map)) => map.entries.iter().any(|entry| entry.key == *key),
            _ => false,
        }
    }

    /// A fault with its place in this layer.
    pub(crate) fn problem(&self, fault: &Fault) -> Problem {
        let problem = placed(&self.source, &self.node, &self.prefix, fault);
        match fault.path.is_empty() && self.name_at.is_known() {
            true => Problem { place: self.source.place(self.name_at), ..problem },
            false => problem,
        }
    }

    /// Whether the command at this path is a line that was split: no `args` stand beside it.
    pub(crate) fn splits(&self, path: &[Step]) -> bool {
        splits(&self.node, path)
    }
}

/// A fault of what stands at a node, with its place.
fn placed(source: &Source, node: &Node, prefix: &[Step], fault: &Fault) -> Problem {
    // A fault on a key that is not there (`command` is missing) is one of the mapping in which it is not.
    let within = if fault.on_key { fault.path.clone() } else { node.as_written(&fault.path) };
    let at = node.locate(&within, fault.on_key);
    let path: Vec<Step> = prefix.iter().chain(&within).cloned().collect();
    let hint = fault.hint.as_deref().unwrap_or_default();
    Problem::at(source, at, &fault.message, hint).key(path_text(&path))
}

fn splits(node: &Node, path: &[Step]) -> bool {
    let written = node.as_written(path);
    let Some(found) = node.get(&written) else { return false };
    let beside = written.split_last().and_then(|(_, parent)| node.get(parent)).and_then(Node::map);
    let own_words = beside.is_some_and(|map| map.entries.iter().any(|entry| entry.key == "args"));
    found.value.text().is_some() && !own_words
}

/// Duplicate keys and the like, of a node and all below it.
fn flaw_problems(source: &Source, node: &Node, prefix: &[Step]) -> Vec<Problem> {
    let problem = |(path, flaw): (Vec<Step>, &Flaw)| {
        let path: Vec<Step> = prefix.iter().cloned().chain(path).collect();
        let width = flaw.key.chars().count().max(1);
        let at = Span { width, ..flaw.at };
        Problem::at(source, at, &flaw.message, &flaw.hint).key(path_text(&path))
    };
    let flaws = node.flaws();
    let mut problems: Vec<Problem> = flaws.iter().take(MOST_FAULTS).cloned().map(problem).collect();
    if let Some(more) = flaws.len().checked_sub(MOST_FAULTS).filter(|more| *more > 0) {
        let message = format!("{more} more keys that are not right are not listed");
        problems.push(Problem::at(source, node.at, message, "remove one of each").key(path_text(prefix)));
    }
    problems
}

/// Reads a file with `processes:`.
pub(crate) fn read_document(source: &Arc<Source>, role: Role) -> Document {
    let mut document = Document::default();
    let root = match parse(source) {
        Ok(Some(root)) => root,
        Ok(None) => return document,
        Err(problem) => {
            document.fatal.push(*problem);
            return document;
        }
    };
    let Some(map) = root.map() else {
        let message = format!("expected `processes:` at the top level, found {}", root.value);
        document.fatal.push(Problem::at(source, root.at, message, "begin with a line `processes:`"));
        return document;
    };
    for flaw in &map.flaws {
        document.fatal.push(Problem::at(source, flaw.at, &flaw.message, &flaw.hint).key(flaw.key.as_str()));
    }
    for entry in &map.entries {
        match (entry.key.as_str(), role) {
            ("processes", _) => read_processes(source, &entry.value, entry.key_at, &mut document),
            ("defaults", Role::Main) => {
                document.defaults_line = entry.key_at.line;
                read_defaults(source, &entry.value, &mut document);
            }
            ("defaults", Role::Part) => {
                let message = "`defaults` can't stand in this file: it applies to all processes";
                document.fatal.push(Problem::at(source, entry.key_at, message, "move it to the main file"));
            }
            (key, _) => {
                let hint = top_level_hint(key, &entry.value);
                let message = format!("{} is not known at the top level", quoted(key));
                document.fatal.push(Problem::at(source, entry.key_at, message, &hint));
            }
        }
    }
    document
}

fn top_level_hint(key: &str, value: &Node) -> String {
    let known = [
        ("processes", "processes"),
        ("process", "processes"),
        ("services", "processes"),
        ("programs", "processes"),
    ];
    let defaults = [("defaults", "defaults"), ("default", "defaults")];
    match closest(key, known.into_iter().chain(defaults)) {
        Some(word) => format!("did you mean `{word}`?"),
        None if value.map().is_some_and(|map| map.entries.iter().any(|e| e.key == "command")) => {
            "it looks like a process: move it below `processes:`".to_owned()
        }
        None => "the top level has `processes:` and `defaults:`".to_owned(),
    }
}

/// A mistake in `defaults:` concerns all processes, and running them without (say) its `user:` would be worse than
/// not taking the file.
fn read_defaults(source: &Arc<Source>, node: &Node, document: &mut Document) {
    if is_empty(node) {
        return;
    }
    let (definition, faults) = read(node);
    let prefix = [Step::Key("defaults".to_owned())];
    document.fatal.extend(flaw_problems(source, node, &prefix));
    document.fatal.extend(faults.iter().map(|fault| placed(source, node, &prefix, fault)));
    let warnings = shell_warnings(&definition).into_iter().filter(|fault| splits(node, &fault.path));
    document.others.extend(warnings.map(|fault| placed(source, node, &prefix, &fault).warning()));
    document.defaults = definition;
}

fn read_processes(source: &Arc<Source>, node: &Node, key_at: Span, document: &mut Document) {
    let Some(map) = node.map() else {
        if !is_empty(node) {
            let message = format!("expected a mapping of names to definitions, found {}", node.value);
            let hint = "write `name:` and its keys indented below it, not `- name: ...`";
            document.fatal.push(Problem::at(source, key_at, message, hint).key("processes"));
        }
        return;
    };
    document.says = true;
    let path = |name: &str| vec![Step::Key("processes".to_owned()), Step::Key(name.to_owned())];
    let mut again: HashMap<&str, Vec<&Flaw>> = HashMap::new();
    for flaw in &map.flaws {
        again.entry(&flaw.key).or_default().push(flaw);
    }
    for entry in &map.entries {
        match ProcessName::new(&entry.key) {
            Ok(name) => {
                let node = entry.value.clone();
                let mut written = Written::new(source, node, entry.key_at, path(&entry.key), &name);
                let twice = again.get(name.as_str()).into_iter().flatten();
                written.problems.extend(twice.map(|flaw| defined_twice(source, flaw, &name)));
                document.processes.push((name, written));
            }
            Err(error) => {
                let problem = Problem::at(source, entry.key_at, error.to_string(), "rename it");
                document.others.push(problem.key(path_text(&path(&entry.key))));
            }
        }
    }
    // What is not a second definition of a process that could be named.
    for flaw in map.flaws.iter().filter(|flaw| ProcessName::new(&flaw.key).is_err()) {
        let problem = Problem::at(source, flaw.at, &flaw.message, &flaw.hint);
        document.others.push(problem.key("processes"));
    }
}

/// A second definition of a process in one file.
fn defined_twice(source: &Source, flaw: &Flaw, name: &ProcessName) -> Problem {
    let at = Span { width: flaw.key.chars().count(), ..flaw.at };
    let message = flaw.message.replacen('`', "process `", 1);
    Problem::at(source, at, message, "rename or remove one of them").key(format!("processes.{name}")).of(name)
}

/// Reads a file that holds the keys of one process: an override or a runtime definition.
pub(crate) fn read_single(source: &Arc<Source>, name: &ProcessName) -> Written {
    match parse(source) {
        Ok(root) => {
            let node = root.unwrap_or_else(|| Node { value: Yaml::Map(Map::default()), ..Node::default() });
            let nested = node.map().is_some_and(|map| map.entries.iter().any(|e| e.key == "processes"));
            let mut written = Written::new(source, node, Span::default(), Vec::new(), name);
            if nested {
                let hint = "this file is about one process: write its keys at the top level";
                written
                    .problems
                    .iter_mut()
                    .filter(|p| p.key == "processes")
                    .for_each(|p| p.hint = Some(hint.to_owned()));
            }
            written
        }
        Err(problem) => Written::broken(source, name, *problem),
    }
}
