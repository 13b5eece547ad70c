//! Collects what is wrong in a definition from the wire, and reads the values that several keys share.

use std::time::Duration;

use model::{ProcessName, Signal};

use crate::{Violation, v1};

/// Collects what is wrong, so that a caller sees all of it at once.
#[derive(Default)]
pub(super) struct Check {
    /// Bounded by the size of a request; an answer carries the first ones only.
    pub(super) violations: Vec<Violation>,
}

impl Check {
    pub(super) fn fault(&mut self, field: &str, text: impl Into<String>) {
        self.violations.push(Violation { field: format!("definition.{field}"), text: text.into() });
    }

    pub(super) fn name(&mut self, field: &str, text: &str) -> Option<ProcessName> {
        let result = ProcessName::new(text);
        result.map_err(|e| self.fault(field, format!("{text:?}: {e}"))).ok()
    }

    pub(super) fn names(&mut self, field: &str, list: &v1::StringList) -> Vec<ProcessName> {
        list.values.iter().filter_map(|text| self.name(field, text)).collect()
    }

    pub(super) fn choice<W: TryFrom<i32>, M>(
        &mut self,
        field: &str,
        raw: i32,
        map: impl Fn(W) -> Option<M>,
    ) -> Option<M> {
        match W::try_from(raw) {
            Ok(w) => map(w),
            Err(_) => {
                self.fault(field, format!("{raw} is not a value of this field in this version of the API"));
                None
            }
        }
    }

    pub(super) fn duration(&mut self, field: &str, raw: Option<prost_types::Duration>) -> Option<Duration> {
        let result = Duration::try_from(raw?);
        if result.is_err() {
            self.fault(field, "a duration can't be negative");
        }
        result.ok()
    }

    pub(super) fn signal(&mut self, field: &str, text: &str) -> Option<Signal> {
        let result = text.parse();
        result.map_err(|e: String| self.fault(field, e)).ok()
    }

    /// Items of a list, each with its own path: `requires[2]`.
    pub(super) fn items<W, M>(
        &mut self,
        field: &str,
        list: Vec<W>,
        read: impl Fn(&mut Self, &str, W) -> Option<M>,
    ) -> Vec<M> {
        let items = list.into_iter().enumerate();
        items.filter_map(|(at, item)| read(self, &format!("{field}[{at}]"), item)).collect()
    }
}
