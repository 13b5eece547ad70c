//! Drafts to a file: names that are names, ties between what is there, and the judgement of the config crate.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use config::{FileEntry, LoadError, check_text, render_file};
use model::{Dependency, ProcessName};

use super::draft::{Draft, Import, Link, Note, Tie, Weight};

/// What comes out.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The file; valid.
    pub(crate) yaml: String,
    pub(crate) notes: Vec<Note>,
    pub(crate) processes: usize,
}

impl Finished {
    /// Whether everything was carried over.
    pub(crate) fn complete(&self) -> bool {
        self.notes.iter().all(|note| note.weight == Weight::Changed)
    }
}

/// Makes the file. `head` are comments at its top.
///
/// # Errors
/// What the config crate has against the file as a whole. It has a reason only where there are too many values.
pub(crate) fn finish(mut import: Import, head: &[String], log_dir: &Path) -> Result<Finished, String> {
    let drafts = std::mem::take(&mut import.drafts);
    let mut named: Vec<(ProcessName, Draft)> = Vec::new();
    let mut known: HashMap<String, ProcessName> = HashMap::new();
    let mut taken = HashSet::new();
    for draft in drafts {
        let name = name_of(&draft, &mut import);
        if !taken.insert(name.clone()) {
            let instead = "rename one of them, or import the files one by one";
            import.lost(&draft.at, &draft.name, format!("there is a process {name} already"), instead);
            continue;
        }
        known.insert(draft.name.clone(), name.clone());
        let draft = with_plain_description(draft, &mut import);
        named.push((name, draft));
    }
    turn_around(&mut named, &known);
    loop {
        let alive: BTreeSet<ProcessName> = named.iter().map(|(name, _)| name.clone()).collect();
        let mut entries = Vec::new();
        let mut notes = Import::default();
        for (name, draft) in &named {
            let mut definition = draft.definition.clone();
            for link in &draft.links {
                match known.get(&link.target).filter(|target| alive.contains(*target)) {
                    Some(target) if target == name => {}
                    Some(target) => tie(&mut definition, link, target),
                    None => unknown(link, &mut notes),
                }
            }
            entries.push(FileEntry { name: name.clone(), definition, comments: Vec::new() });
        }
        let yaml = render_file(head, &entries);
        let loaded = match check_text(Path::new("processes.yaml"), yaml.clone().into_bytes(), log_dir) {
            Ok(loaded) => loaded,
            Err(LoadError::Invalid { problems }) => {
                return Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"));
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut broken: HashSet<ProcessName> = HashSet::new();
        for problem in &loaded.problems {
            let Some(name) = &problem.process else { continue };
            let at = named
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, draft)| draft.at.clone())
                .unwrap_or_default();
            let why = match problem.key.rsplit_once(&format!("{name}.")) {
                Some((_, key)) => format!("{key}: {}", problem.message),
                None => problem.message.clone(),
            };
            let hint = problem.hint.clone().unwrap_or_default();
            if problem.is_error() {
                broken.insert(name.clone());
                import.lost(&at, &format!("process {name}"), why, hint);
            } else {
                notes.changed(&at, name.as_str(), why, hint);
            }
        }
        if broken.is_empty() {
            import.notes.extend(notes.notes);
            order(&mut import.notes);
            return Ok(Finished { yaml, processes: entries.len(), notes: import.notes });
        }
        // Each turn has fewer of them.
        named.retain(|(name, _)| !broken.contains(name));
    }
}

/// `RequiredBy=` of one is `Requires=` of the other.
fn turn_around(named: &mut [(ProcessName, Draft)], known: &HashMap<String, ProcessName>) {
    let mut turned: Vec<(ProcessName, Link)> = Vec::new();
    for (_, draft) in named.iter_mut() {
        let own = draft.name.clone();
        draft.links.retain(|link| {
            let tie = match link.tie {
                Tie::RequiredBy => Tie::Requires,
                Tie::WantedBy => Tie::Wants,
                _ => return true,
            };
            let Some(target) = known.get(&link.target) else { return true };
            turned.push((target.clone(), Link { tie, target: own.clone(), ..link.clone() }));
            false
        });
    }
    for (target, link) in turned {
        if let Some((_, draft)) = named.iter_mut().find(|(name, _)| *name == target) {
            draft.links.push(link);
        }
    }
}

/// Notes of one file together, in the order of its lines; files in the order in which they were read.
fn order(notes: &mut [Note]) {
    let mut files: Vec<String> = Vec::new();
    for note in notes.iter() {
        if !files.contains(&note.at.file) {
            files.push(note.at.file.clone());
        }
    }
    let place = |note: &Note| files.iter().position(|file| *file == note.at.file).unwrap_or_default();
    notes.sort_by_key(|note| (place(note), note.at.line));
}

/// A line for humans holds nothing that a terminal obeys.
fn with_plain_description(mut draft: Draft, import: &mut Import) -> Draft {
    if let Some(text) = draft.definition.description.as_mut().filter(|text| text.contains(char::is_control)) {
        *text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        import.changed(&draft.at, &draft.name, "control characters of its description are blanks", "");
    }
    draft
}

/// The name, or what comes close to it.
fn name_of(draft: &Draft, import: &mut Import) -> ProcessName {
    if let Ok(name) = ProcessName::new(&draft.name) {
        return name;
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '-');
    let text: String =
        draft.name.chars().map(|c| if good(c) { c } else { '-' }).take(ProcessName::MAX).collect();
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    // What is left is a name, or nothing.
    let name = ProcessName::new(text).or_else(|_| ProcessName::new("process"));
    let name = name.unwrap_or_else(|_| unreachable!("`process` is a name"));
    let why = format!("a name holds letters, digits and `_.@-`: it is called {name} here");
    import.changed(&draft.at, &draft.name, why, "");
    name
}

fn tie(definition: &mut model::Definition, link: &Link, target: &ProcessName) {
    let names = match link.tie {
        Tie::After => &mut definition.after,
        Tie::Before => &mut definition.before,
        Tie::Conflicts => &mut definition.conflicts,
        // These were turned around.
        Tie::RequiredBy | Tie::WantedBy => return,
        Tie::Requires | Tie::Wants | Tie::BindsTo => {
            let list = match link.tie {
                Tie::Requires => &mut definition.requires,
                Tie::Wants => &mut definition.wants,
                _ => &mut definition.binds_to,
            };
            let list = list.get_or_insert_default();
            if !list.iter().any(|dependency| dependency.name == *target) {
                list.push(Dependency { name: target.clone(), until: link.until });
            }
            return;
        }
    };
    let names = names.get_or_insert_default();
    if !names.contains(target) {
        names.push(target.clone());
    }
}

fn unknown(link: &Link, notes: &mut Import) {
    let why = format!("{} is not among what is imported", link.target);
    let instead = "import it in the same command, or add the line once it is defined";
    notes.lost(&link.at, &link.what, why, instead);
}
