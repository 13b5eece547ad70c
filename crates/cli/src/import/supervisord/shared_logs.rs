//! Log files that several processes of one program would write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use model::Output;

use super::ini::Section;
use crate::import::draft::{Draft, Import};

/// The processes of one program would write the same file, which supervisord lets them do: each gets its own.
pub(super) fn part(drafts: &mut [Draft], name: &str, section: &Section, into: &mut Import) {
    let files = |draft: &Draft| -> BTreeSet<PathBuf> {
        let outputs = [&draft.definition.stdout, &draft.definition.stderr];
        let file = |output: &Option<Output>| match output {
            Some(Output::File(path)) => Some(path.clone()),
            _ => None,
        };
        outputs.into_iter().filter_map(file).collect()
    };
    let mut users: BTreeMap<PathBuf, usize> = BTreeMap::new();
    drafts.iter().flat_map(files).for_each(|path| *users.entry(path).or_default() += 1);
    users.retain(|_, count| *count > 1);
    for draft in drafts.iter_mut() {
        for output in [&mut draft.definition.stdout, &mut draft.definition.stderr] {
            output.take_if(|output| matches!(output, Output::File(path) if users.contains_key(path)));
        }
    }
    for path in users.keys() {
        let why = "its processes would write one file: each has a log file of its own, called after it";
        let what = format!("numprocs, all to {}", path.display());
        into.changed(&section.at, &what, why, format!("read them together: pm-cli logs @{name}"));
    }
}
