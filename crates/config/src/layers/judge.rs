//! The layers of each process on top of each other, and the verdict on each: a specification, or what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Definition, Desired, InvalidDefinition, Origin, ProcessId, ProcessName, ProcessSpec};

use super::collect::{Layer, Layers, Piece};
use super::{Layout, Loaded};
use crate::check::{COMPARISONS, cycles, doubts, log_conflicts, rivals, unknown_names};
use crate::contradictions;
use crate::document::Written;
use crate::fault::Fault;
use crate::keys::{overlay, overruled};
use crate::problem::{Problem, list, sort};
use crate::resolve::{placeholder, resolve};
use crate::shell::shell_warnings;

/// All definitions, each with its verdict.
pub(crate) struct Judged {
    /// Those that can be used.
    pub(crate) specs: Vec<ProcessSpec>,
    /// Those that could be used if it were not for others.
    pub(crate) in_the_way: Vec<ProcessSpec>,
    /// What is wrong with the others.
    pub(crate) broken: BTreeMap<ProcessName, Vec<Problem>>,
    /// A placeholder for each broken one.
    placeholders: Vec<ProcessSpec>,
    /// Warnings, and errors that concern no process.
    pub(crate) problems: Vec<Problem>,
    processes: BTreeMap<ProcessName, Vec<Piece>>,
    defaults: Definition,
    files: Vec<PathBuf>,
    silent: Vec<PathBuf>,
}

impl Layers {
    pub(crate) fn judge(self, layout: &Layout, id_of: &dyn Fn(&ProcessName) -> ProcessId) -> Judged {
        let Self { defaults, mut processes, mut problems, files, silent, .. } = self;
        processes.retain(|name, layers| {
            let defined = layers.iter().any(|(layer, written)| layer.defines(written));
            if !defined {
                problems.extend(layers.iter().map(|layer| nothing_to_change(name, layer)));
            }
            defined
        });
        let mut specs = Vec::new();
        let mut broken: BTreeMap<ProcessName, Vec<Problem>> = BTreeMap::new();
        for (name, layers) in &processes {
            match merge(name, layers, &defaults, id_of(name)) {
                Ok((spec, warnings)) => {
                    specs.push(spec);
                    problems.extend(warnings);
                }
                Err(errors) => {
                    broken.insert(name.clone(), errors);
                }
            }
        }
        let placed = |name: &ProcessName, fault: &Fault| {
            located(name, processes.get(name).map(Vec::as_slice).unwrap_or_default(), fault)
        };
        let known: BTreeSet<&ProcessName> = processes.keys().collect();
        let mut comparisons = COMPARISONS;
        for spec in &specs {
            let faults = unknown_names(spec, &known, &mut comparisons);
            problems.extend(faults.iter().map(|fault| placed(&spec.name, fault).warning()));
        }
        let together = log_conflicts(&specs, &layout.log_dir).into_iter();
        for (name, fault) in together.chain(cycles(&specs)).chain(rivals(&specs)) {
            let problem = placed(&name, &fault);
            broken.entry(name).or_default().push(problem);
        }
        let (in_the_way, specs): (Vec<_>, Vec<_>) =
            specs.into_iter().partition(|spec| broken.contains_key(&spec.name));
        problems.extend(doubts(&specs).iter().map(|(name, fault)| placed(name, fault).warning()));
        broken.values_mut().for_each(|errors| sort(errors));
        let placeholders = broken.keys().map(|name| {
            let layers = processes.get(name).map(Vec::as_slice).unwrap_or_default();
            placeholder(name, id_of(name), origin(layers), &Definition::default())
        });
        let placeholders = placeholders.collect();
        Judged { specs, in_the_way, broken, placeholders, problems, processes, defaults, files, silent }
    }
}

impl Judged {
    /// A fault of one of them, with its place.
    pub(crate) fn located(&self, name: &ProcessName, fault: &Fault) -> Problem {
        located(name, self.processes.get(name).map(Vec::as_slice).unwrap_or_default(), fault)
    }

    pub(crate) fn into_loaded(self) -> Loaded {
        let Self { specs, broken, placeholders, mut problems, defaults, files, silent, .. } = self;
        let invalid = placeholders.into_iter().map(|spec| {
            let problem = broken.get(&spec.name).map(|errors| list(errors, 20)).unwrap_or_default();
            InvalidDefinition { spec: Arc::new(spec), problem }
        });
        let mut desired =
            Desired { invalid: invalid.collect(), specs: specs.into_iter().map(Arc::new).collect() };
        // Collected in place, the pointers keep the room of what they point to: 1.4 KiB each, for as long as they live.
        desired.specs.shrink_to_fit();
        desired.invalid.shrink_to_fit();
        problems.extend(broken.into_values().flatten());
        sort(&mut problems);
        Loaded { desired, defaults, problems, files, silent }
    }
}

/// A layer that changes a process that no other layer defines.
fn nothing_to_change(name: &ProcessName, (layer, written): &Piece) -> Problem {
    let changes = if *layer == Layer::Override { "overrides" } else { "updates" };
    let message = format!("this {changes} {name}, which nothing defines");
    let hint = match layer {
        Layer::Override => "remove the file, or define the process".to_owned(),
        _ => format!("remove what is left of it: pm-cli delete {name}; or define the process"),
    };
    Problem::whole_file(written.path(), message, &hint).warning()
}

/// One process from its layers, or everything that is wrong with it. A broken layer is never left out: what it
/// says (a user, a limit) may be what makes the others safe to run.
fn merge(
    name: &ProcessName,
    layers: &[Piece],
    defaults: &Definition,
    id: ProcessId,
) -> Result<(ProcessSpec, Vec<Problem>), Vec<Problem>> {
    let errors: Vec<Problem> = layers.iter().flat_map(|(_, written)| written.problems.clone()).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut definition = Definition::default();
    for (_, written) in layers {
        overlay(&mut definition, &written.definition);
    }
    let faults =
        |faults: Vec<Fault>| faults.iter().map(|fault| located(name, layers, fault)).collect::<Vec<_>>();
    let spec = resolve(name, id, origin(layers), &definition, defaults).map_err(faults)?;
    let shell = shell_warnings(&definition)
        .into_iter()
        .filter(|fault| winner(layers, fault).is_some_and(|written| written.splits(&fault.path)));
    let warnings = contradictions::warnings(&spec).into_iter().chain(shell);
    let warnings = warnings.map(|fault| located(name, layers, &fault).warning());
    Ok((spec, warnings.chain(shadowed(name, layers, &definition)).collect()))
}

/// A file's definition below one that was created over the API, where the two differ. Who edits the file would wait for
/// what never comes into force. An update that names no command is meant to stand on top of a file, and is no surprise.
fn shadowed(name: &ProcessName, layers: &[Piece], merged: &Definition) -> Option<Problem> {
    let (Layer::Runtime, created) = layers.last()? else { return None };
    created.definition.command.as_ref()?;
    let below = &layers[..layers.len() - 1];
    let (_, written) = below.iter().rev().find(|(layer, _)| *layer == Layer::File)?;
    let mut files = Definition::default();
    below.iter().for_each(|(_, written)| overlay(&mut files, &written.definition));
    let keys = overruled(&files, merged);
    if keys.is_empty() {
        return None;
    }
    let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let fault = Fault {
        path: Vec::new(),
        on_key: false,
        message: format!(
            "not in force from here: {keys}; what was created with pm-cli goes before the files"
        ),
        hint: Some(format!("to have the files': pm-cli delete {name}; to see both: pm-cli cat {name}")),
    };
    Some(written.problem(&fault).of(name).warning())
}

/// The layer whose value of a key is in force.
fn winner<'a>(layers: &'a [Piece], fault: &Fault) -> Option<&'a Written> {
    layers.iter().rev().map(|(_, written)| written).find(|written| written.has(&fault.path))
}

/// A fault of a merged definition at the place of the layer that won, else at the process's name.
fn located(name: &ProcessName, layers: &[Piece], fault: &Fault) -> Problem {
    let defining = layers.iter().rev().find(|(layer, written)| layer.defines(written));
    match (winner(layers, fault), defining) {
        (Some(written), _) => written.problem(fault).of(name),
        (None, Some((_, written))) => {
            // Of no layer of its own: the process's name is the nearest place.
            let mut nowhere = Fault { path: Vec::new(), ..fault.clone() };
            if let Some(key) = fault.path.first() {
                let key = crate::tree::path_text(std::slice::from_ref(key));
                let said = format!("`{key}` comes from `defaults:`, write it here to differ");
                nowhere.hint = Some(match &fault.hint {
                    Some(hint) => format!("{hint}; {said}"),
                    None => said,
                });
            }
            written.problem(&nowhere).of(name)
        }
        (None, None) => Problem::whole_file(Path::new(""), &fault.message, "").of(name),
    }
}

/// Where a process is defined: by the last layer that does more than change it.
fn origin(layers: &[Piece]) -> Origin {
    match layers.iter().rev().find(|(layer, written)| layer.defines(written)) {
        Some((Layer::File, written)) => {
            Origin::File { path: written.path().to_owned(), line: written.line() }
        }
        _ => Origin::Runtime,
    }
}
