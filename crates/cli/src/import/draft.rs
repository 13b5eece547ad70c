//! What readers make: drafts of processes, and notes on what they could not carry over.

use std::collections::HashSet;

use model::{Definition, Readiness};

/// A place in a file that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) file: String,
    /// From 1; 0 = the file as a whole.
    pub(crate) line: usize,
}

/// `web.service:12`
impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Weight {
    /// It is not there any more.
    Lost,
    /// It is there, and works in a slightly different way.
    Changed,
}

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Note {
    pub(crate) at: At,
    pub(crate) weight: Weight,
    /// What stands there.
    pub(crate) what: String,
    pub(crate) why: String,
    /// What to do; may be empty.
    pub(crate) instead: String,
}

/// How a process is tied to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tie {
    After,
    Before,
    Requires,
    Wants,
    BindsTo,
    Conflicts,
    /// The other one requires this one.
    RequiredBy,
    WantedBy,
}

/// A tie, before it is known whether the other process is imported as well.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) tie: Tie,
    pub(crate) target: String,
    pub(crate) until: Option<Readiness>,
    pub(crate) at: At,
    /// As it is written there.
    pub(crate) what: String,
}

/// A process that is on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// As the other supervisor calls it.
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) definition: Definition,
    pub(crate) links: Vec<Link>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) notes: Vec<Note>,
    /// A program of which there are many says the same of each.
    said: HashSet<Note>,
}

impl Import {
    /// Something is not carried over.
    pub(crate) fn lost(&mut self, at: &At, what: &str, why: impl Into<String>, instead: impl Into<String>) {
        self.note(Weight::Lost, at, what, why.into(), instead.into());
    }

    /// Something is carried over and works in a different way.
    pub(crate) fn changed(
        &mut self,
        at: &At,
        what: &str,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.note(Weight::Changed, at, what, why.into(), instead.into());
    }

    fn note(&mut self, weight: Weight, at: &At, what: &str, why: String, instead: String) {
        let note = Note { at: at.clone(), weight, what: what.to_owned(), why, instead };
        if self.said.insert(note.clone()) {
            self.notes.push(note);
        }
    }
}

/// A file that gives nothing at all.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Unusable {
    pub(crate) fn new(at: &At, message: impl std::fmt::Display, hint: impl Into<String>) -> Self {
        Self { message: format!("{at}: {message}"), hint: hint.into() }
    }
}
