//! One file: its `defaults:` and `processes:`, or the keys of a single process, with all of its problems.

use std::sync::Arc;

use model::{Definition, ProcessName};

use crate::definition::{is_empty, read};
use crate::fault::Fault;
use crate::parse::parse;
use crate::problem::Problem;
use crate::source::{Source, Span};
use crate::suggest::closest;
use crate::tree::{Map, Node, Step, path_text, quoted};

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
    pub(crate) processes: Vec<(ProcessName, Written)>,
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
        let at = match fault.path.as_slice() {
            [] if self.name_at.is_known() => self.name_at,
            path => self.node.locate(path, fault.on_key),
        };
        let path: Vec<Step> = self.prefix.iter().chain(&fault.path).cloned().collect();
        let hint = fault.hint.as_deref().unwrap_or_default();
        Problem::at(&self.source, at, &fault.message, hint).key(path_text(&path))
    }
}

/// Duplicate keys and the like, of a node and all below it.
fn flaw_problems(source: &Source, node: &Node, prefix: &[Step]) -> Vec<Problem> {
    let problem = |(path, flaw): (Vec<Step>, &crate::tree::Flaw)| {
        let path: Vec<Step> = prefix.iter().cloned().chain(path).collect();
        let width = flaw.key.chars().count().max(1);
        let at = Span { width, ..flaw.at };
        Problem::at(source, at, &flaw.message, &flaw.hint).key(path_text(&path))
    };
    node.flaws().into_iter().map(problem).collect()
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
            ("defaults", Role::Main) => read_defaults(source, &entry.value, &mut document),
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
    document.fatal.extend(faults.iter().map(|fault| {
        let path: Vec<Step> = prefix.iter().chain(&fault.path).cloned().collect();
        let at = node.locate(&fault.path, fault.on_key);
        Problem::at(source, at, &fault.message, fault.hint.as_deref().unwrap_or_default())
            .key(path_text(&path))
    }));
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
    let path = |name: &str| vec![Step::Key("processes".to_owned()), Step::Key(name.to_owned())];
    for entry in &map.entries {
        match ProcessName::new(&entry.key) {
            Ok(name) => {
                let node = entry.value.clone();
                let mut written = Written::new(source, node, entry.key_at, path(&entry.key), &name);
                written.problems.extend(twice(source, map, &name));
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

/// Second definitions of a process in one file.
fn twice<'a>(source: &'a Source, map: &'a Map, name: &'a ProcessName) -> impl Iterator<Item = Problem> + 'a {
    map.flaws.iter().filter(|flaw| flaw.key == name.as_str()).map(move |flaw| {
        let at = Span { width: flaw.key.chars().count(), ..flaw.at };
        let message = flaw.message.replacen('`', "process `", 1);
        Problem::at(source, at, message, "rename or remove one of them")
            .key(format!("processes.{name}"))
            .of(name)
    })
}

/// Reads a file that holds the keys of one process: an override or a runtime definition.
pub(crate) fn read_single(source: &Arc<Source>, name: &ProcessName) -> Written {
    match parse(source) {
        Ok(root) => {
            let node = root
                .unwrap_or_else(|| Node { value: crate::tree::Yaml::Map(Map::default()), ..Node::default() });
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
