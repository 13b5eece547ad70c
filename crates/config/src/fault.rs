//! What is wrong with one key of a definition, wherever that definition came from (a file, the API).

use std::fmt;

use crate::tree::{Step, path_text};

/// Something wrong with a definition. A file's faults become [`Problem`](crate::Problem)s with their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) path: Vec<Step>,
    /// Whether the key itself is meant rather than its value.
    pub(crate) on_key: bool,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    /// The key below the process, for example `restart_sec` or `args[2]`; empty = the definition as a whole.
    #[must_use]
    pub fn key(&self) -> String {
        path_text(&self.path)
    }
}

/// `restart_sec: -1 is negative (write 0 or more)`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.key())?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Faults of one definition that are kept; the others are only counted, as nobody reads a hundred thousand of them,
/// and a reload answers with all of them in one message.
pub(crate) const MOST_FAULTS: usize = 100;

/// Collects faults; knows the path at which things are being looked at.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    path: Vec<Step>,
    found: Vec<Fault>,
    dropped: usize,
}

impl Faults {
    /// Looks at something one step further down.
    pub(crate) fn below<T>(&mut self, step: Step, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = look(self);
        self.path.pop();
        result
    }

    /// Looks at the value of a key one level further down.
    pub(crate) fn at<T>(&mut self, key: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.below(Step::Key(key.to_owned()), look)
    }

    pub(crate) fn value(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.add(false, message.into(), hint.into());
    }

    pub(crate) fn key(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.add(true, message.into(), hint.into());
    }

    fn add(&mut self, on_key: bool, message: String, hint: String) {
        if self.found.len() >= MOST_FAULTS {
            self.dropped += 1;
            return;
        }
        let hint = (!hint.is_empty()).then_some(hint);
        self.found.push(Fault { path: self.path.clone(), on_key, message, hint });
    }

    /// How many there were so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len() + self.dropped
    }

    /// What was found; the last one says how many more there were.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        if self.dropped > 0 {
            let message = format!("{} more mistakes in this definition are not listed", self.dropped);
            let hint = Some("correct those that are listed, then check again".to_owned());
            self.found.push(Fault { path: Vec::new(), on_key: false, message, hint });
        }
        self.found
    }
}

/// The path of a key as it stands in the table: `log.max_size`.
pub(crate) fn steps(name: &str) -> Vec<Step> {
    name.split('.').map(|part| Step::Key(part.to_owned())).collect()
}
