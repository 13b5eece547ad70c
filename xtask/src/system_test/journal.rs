//! Entries of the real journal.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::bed::Bed;

/// One entry, field by field.
#[derive(Clone, Debug)]
pub(crate) struct Entry(Value);

impl Entry {
    /// A field's text; empty when the entry does not have it, or when it is not text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Fails unless the field has this value.
    pub(crate) fn expect(&self, name: &str, value: &str) -> Result<()> {
        ensure!(
            self.field(name) == value,
            "{name}={:?} instead of {value:?} in {:#}",
            self.field(name),
            self.0
        );
        Ok(())
    }

    /// Fails unless the field is there; its value.
    pub(crate) fn present(&self, name: &str) -> Result<&str> {
        ensure!(!self.field(name).is_empty(), "no {name}= in {:#}", self.0);
        Ok(self.field(name))
    }
}

/// Entries of the unit that match, oldest first, as `journalctl -u dd-procmgrd MATCHES` finds them.
pub(crate) fn entries(bed: &Bed, matches: &str) -> Result<Vec<Entry>> {
    let text = bed.sh(&format!("journalctl --no-pager --quiet --output=json -u dd-procmgrd {matches}"))?;
    let parse =
        |line: &str| serde_json::from_str(line).map(Entry).with_context(|| format!("no JSON: {line}"));
    text.lines().map(parse).collect()
}

/// The newest entry that matches, waited for.
pub(crate) fn latest(bed: &Bed, matches: &str) -> Result<Entry> {
    bed.wait(&format!("an entry with {matches} in the journal"), || Ok(entries(bed, matches)?.pop()))
}
