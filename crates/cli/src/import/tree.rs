//! Values of YAML and JSON files, with the words for what is wrong with them.

use std::path::Path;
use std::time::Duration;

use config::{ForeignEntry, ForeignValue, parse_foreign};

use super::draft::{At, Import, Unusable};
use super::files::{Files, file, text};

/// Reads a file of YAML or JSON.
pub(super) fn parse(files: &dyn Files, path: &Path) -> Result<ForeignValue, Unusable> {
    let text = text(files, path)?;
    parse_foreign(path, text.into_bytes()).map_err(|problem| {
        let line = problem.place.as_ref().map_or(0, |place| place.line);
        let at = At { line, ..file(path) };
        let json = path.extension().is_some_and(|e| e == "json");
        let message =
            if json { problem.message.replacen("not YAML", "not JSON", 1) } else { problem.message };
        Unusable::new(&at, message, problem.hint.unwrap_or_default())
    })
}

/// One key of somebody's file.
pub(super) struct Item<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a ForeignValue,
    pub(super) at: At,
    /// Where it stands among others, for a note: `web.env`.
    what: String,
}

impl<'a> Item<'a> {
    pub(super) fn new(path: &Path, owner: &str, entry: &'a ForeignEntry) -> Self {
        let what = if owner.is_empty() { entry.key.clone() } else { format!("{owner}.{}", entry.key) };
        Self { key: &entry.key, value: &entry.value, at: At { line: entry.line, ..file(path) }, what }
    }

    /// The keys below it.
    pub(super) fn below(&self) -> Vec<Item<'a>> {
        let path = Path::new(&self.at.file);
        self.value.entries().iter().map(|entry| Item::new(path, &self.what, entry)).collect()
    }

    pub(super) fn lost(&self, into: &mut Import, why: impl Into<String>, instead: impl Into<String>) {
        into.lost(&self.at, &self.what, why, instead);
    }

    pub(super) fn changed(&self, into: &mut Import, why: impl Into<String>, instead: impl Into<String>) {
        into.changed(&self.at, &self.what, why, instead);
    }

    /// Whether it says nothing, or no.
    pub(super) fn is_off(&self) -> bool {
        match self.value {
            ForeignValue::Null | ForeignValue::Bool(false) => true,
            ForeignValue::Number(text) => text == "0",
            ForeignValue::Text(text) => text.is_empty(),
            ForeignValue::List(items) => items.is_empty(),
            ForeignValue::Map(entries) => entries.is_empty(),
            ForeignValue::Bool(true) => false,
        }
    }

    pub(super) fn text(&self, into: &mut Import) -> Option<String> {
        let text = self.value.text();
        if text.is_none() {
            self.lost(into, "a text is expected", "");
        }
        text
    }

    pub(super) fn flag(&self, into: &mut Import) -> Option<bool> {
        match self.value {
            ForeignValue::Bool(on) => Some(*on),
            _ => {
                self.lost(into, "true or false is expected", "");
                None
            }
        }
    }

    pub(super) fn number(&self, into: &mut Import) -> Option<u32> {
        let number = self.value.text().and_then(|text| text.trim().parse().ok());
        if number.is_none() {
            self.lost(into, "a whole number is expected", "");
        }
        number
    }

    /// A number of some unit of time.
    pub(super) fn time(&self, unit: Duration, into: &mut Import) -> Option<Duration> {
        self.number(into).map(|number| unit.saturating_mul(number))
    }

    /// A list of texts, or one text in its place.
    pub(super) fn texts(&self, into: &mut Import) -> Vec<String> {
        match self.value {
            ForeignValue::List(items) => {
                let texts: Vec<Option<String>> = items.iter().map(|(_, item)| item.text()).collect();
                if texts.iter().any(Option::is_none) {
                    self.lost(into, "a list of texts is expected", "");
                }
                texts.into_iter().flatten().collect()
            }
            _ => self.text(into).into_iter().collect(),
        }
    }
}
