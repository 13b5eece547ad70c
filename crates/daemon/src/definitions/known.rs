//! The set of definitions in force, as the supervisor was told it last.

use std::path::PathBuf;
use std::sync::Arc;

use model::{Definition, Desired, ProcessName, ProcessSpec};

/// What is in force. Kept here because a change of one process is this set with one entry exchanged: the supervisor's
/// table also shows what is on its way out, and a definition that is broken beside the last good one.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Pointers only: a process costs 8 bytes here.
    pub(super) desired: Desired,
    /// `defaults:` of the last load.
    pub(super) defaults: Definition,
    /// Whether the main file was there at the last good load: only then can it vanish.
    pub(super) has_main: bool,
    /// The directories that had files at the last good load, and the one that the API writes to: at most five.
    pub(super) dirs: Vec<PathBuf>,
}

impl Known {
    /// Whether it is defined, well or badly.
    pub(super) fn has(&self, name: &ProcessName) -> bool {
        self.desired.specs.iter().any(|spec| spec.name == *name)
            || self.desired.invalid.iter().any(|broken| broken.spec.name == *name)
    }

    /// The set with this definition of its process, and every other one as it is.
    pub(super) fn with(&self, spec: Arc<ProcessSpec>) -> Desired {
        let mut desired = self.without(&spec.name);
        desired.specs.push(spec);
        desired
    }

    /// The set without this process.
    pub(super) fn without(&self, name: &ProcessName) -> Desired {
        let mut desired = self.desired.clone();
        desired.specs.retain(|spec| spec.name != *name);
        desired.invalid.retain(|broken| broken.spec.name != *name);
        desired
    }
}

#[cfg(test)]
mod tests {
    use model::{InvalidDefinition, Origin, ProcessId};

    use super::*;

    fn spec(name: &str, program: &str) -> Arc<ProcessSpec> {
        let (name, id) = (ProcessName::new(name).unwrap(), ProcessId::from_digest([0; 6]));
        Arc::new(ProcessSpec::new(name, id, Origin::Runtime, program))
    }

    #[test]
    fn one_entry_is_exchanged_and_the_others_stay_broken_ones_too() {
        let broken = |name| InvalidDefinition { spec: spec(name, ""), problem: "typo".to_owned() };
        let desired = Desired {
            specs: vec![spec("a", "old"), spec("b", "old")],
            invalid: vec![broken("c"), broken("d")],
        };
        let known = Known { desired, ..Known::default() };
        let names = |desired: &Desired| -> (Vec<String>, Vec<String>) {
            let invalid = desired.invalid.iter().map(|i| i.spec.name.to_string());
            (
                desired.specs.iter().map(|s| format!("{}={}", s.name, s.exec.program)).collect(),
                invalid.collect(),
            )
        };
        assert_eq!(
            names(&known.with(spec("a", "new"))),
            (vec!["b=old".into(), "a=new".into()], vec!["c".into(), "d".into()])
        );
        let repaired = names(&known.with(spec("c", "new")));
        assert_eq!(repaired, (vec!["a=old".into(), "b=old".into(), "c=new".into()], vec!["d".into()]));
        let name = |text| ProcessName::new(text).unwrap();
        assert_eq!(names(&known.without(&name("d"))).1, ["c"]);
        assert!(known.has(&name("a")) && known.has(&name("d")) && !known.has(&name("e")));
    }
}
