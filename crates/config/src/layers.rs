//! The layers of definitions, from the packages' to those created over the API, merged key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Definition, Desired, InvalidDefinition, Origin, ProcessId, ProcessName, ProcessSpec};
use thiserror::Error;

use crate::check::{cycles, log_conflicts, unknown_names};
use crate::document::{Document, Role, Written, read_document, read_single};
use crate::fault::{Fault, steps};
use crate::keys::overlay;
use crate::problem::{Problem, list, sort};
use crate::resolve::{placeholder, resolve, shell_syntax};
use crate::source::{ReadError, Source};

/// Where definitions are, earliest layer first. A directory that doesn't exist is empty.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Files of packages with `processes:`.
    pub package_dir: PathBuf,
    /// The main file: `processes:` and `defaults:` (these apply to every layer).
    pub main: PathBuf,
    /// The administrator's files with `processes:`.
    pub admin_dir: PathBuf,
    /// `<name>.yaml`: some keys of one process that another layer defines.
    pub overrides_dir: PathBuf,
    /// `<name>.yaml`: the keys of one process created over the API.
    pub runtime_dir: PathBuf,
    /// Where captured output goes that names no file; two processes must not write the same one.
    pub log_dir: PathBuf,
}

/// What a missing main file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Main {
    /// A warning: the other layers are used. For the daemon's start.
    Optional,
    /// [`LoadError::Missing`]. For a reload, which would stop everything that the file defined.
    Required,
    /// The file is not read at all. For a start with a broken file, so that the other layers run.
    Skipped,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The definitions, good and broken, sorted by name.
    pub desired: Desired,
    /// `defaults:`, for definitions that come later over the API.
    pub defaults: Definition,
    /// All problems. Those with a process are also in [`Desired::invalid`].
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// Nothing was loaded; on a reload everything stays as it is.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is no main file.
    #[error("there is no configuration at {}; create it, or name another file with PM_CONFIG_PATH", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file or directory of definitions can't be read. Going on without it would stop its processes.
    #[error("can't read {}: {source}; {}", path.display(), way_out(source))]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is broken in a way that concerns all of its processes.
    #[error("{}", list(problems, 20))]
    Invalid {
        /// All problems that were found, of all files.
        problems: Vec<Problem>,
    },
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give the daemon's user the right to read it",
        io::ErrorKind::NotADirectory => "a directory is expected here",
        _ => "repair it or move it away",
    }
}

/// Loads all layers. A broken definition makes only its own process invalid.
///
/// # Errors
/// [`LoadError`]: what concerns more than one process, so that nothing could be loaded safely.
pub fn load(
    layout: &Layout,
    id_of: &dyn Fn(&ProcessName) -> ProcessId,
    main: Main,
) -> Result<Loaded, LoadError> {
    let mut layers = Layers::default();
    layers.directory(&layout.package_dir)?;
    match Source::read(&layout.main) {
        _ if main == Main::Skipped => {}
        Ok(source) => layers.document(source, Role::Main),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let path = layout.main.clone();
            if main == Main::Required {
                return Err(LoadError::Missing { path });
            }
            let problem = Problem::whole_file(
                &path,
                "there is no such file",
                "create it, or name another with PM_CONFIG_PATH",
            );
            layers.problems.push(problem.warning());
        }
        Err(error) => layers.unread(&layout.main, error)?,
    }
    layers.directory(&layout.admin_dir)?;
    layers.singles(&layout.overrides_dir, Layer::Override)?;
    layers.singles(&layout.runtime_dir, Layer::Runtime)?;
    if !layers.fatal.is_empty() {
        layers.fatal.append(&mut layers.problems);
        layers
            .fatal
            .extend(layers.processes.into_values().flatten().flat_map(|(_, written)| written.problems));
        sort(&mut layers.fatal);
        return Err(LoadError::Invalid { problems: layers.fatal });
    }
    Ok(layers.finish(layout, id_of))
}

/// What a layer of one process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    File,
    Override,
    Runtime,
}

#[derive(Default)]
struct Layers {
    defaults: Definition,
    /// The layers of each process, earliest first.
    processes: BTreeMap<ProcessName, Vec<(Layer, Written)>>,
    fatal: Vec<Problem>,
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl Layers {
    fn document(&mut self, source: Source, role: Role) {
        self.files.push(source.path.clone());
        let Document { defaults, processes, fatal, others } = read_document(&Arc::new(source), role);
        if role == Role::Main {
            self.defaults = defaults;
        }
        self.fatal.extend(fatal);
        self.problems.extend(others);
        for (name, written) in processes {
            self.processes.entry(name).or_default().push((Layer::File, written));
        }
    }

    fn directory(&mut self, dir: &Path) -> Result<(), LoadError> {
        for path in yaml_files(dir)? {
            match Source::read(&path) {
                Ok(source) => self.document(source, Role::Part),
                Err(error) => self.unread(&path, error)?,
            }
        }
        Ok(())
    }

    fn unread(&mut self, path: &Path, error: ReadError) -> Result<(), LoadError> {
        match error {
            ReadError::Io(source) => Err(LoadError::Unreadable { path: path.to_owned(), source }),
            ReadError::Unfit(problem) => {
                self.fatal.push(*problem);
                Ok(())
            }
        }
    }

    /// Files of one process each: whatever is wrong with one concerns that process alone.
    fn singles(&mut self, dir: &Path, layer: Layer) -> Result<(), LoadError> {
        for path in yaml_files(dir)? {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let name = match ProcessName::new(&stem) {
                Ok(name) => name,
                Err(error) => {
                    let hint = "name the file after its process, or move it away";
                    self.problems.push(Problem::whole_file(&path, error.to_string(), hint));
                    continue;
                }
            };
            self.files.push(path.clone());
            let written = match Source::read(&path) {
                Ok(source) => read_single(&Arc::new(source), &name),
                Err(error) => {
                    let problem = match error {
                        ReadError::Unfit(problem) => *problem,
                        ReadError::Io(error) => {
                            Problem::whole_file(&path, format!("can't read it: {error}"), way_out(&error))
                        }
                    };
                    Written::broken(&Arc::new(Source::empty(&path)), &name, problem)
                }
            };
            self.processes.entry(name).or_default().push((layer, written));
        }
        Ok(())
    }

    fn finish(self, layout: &Layout, id_of: &dyn Fn(&ProcessName) -> ProcessId) -> Loaded {
        let Self { defaults, mut processes, mut problems, files, .. } = self;
        processes.retain(|name, layers| {
            let defined = layers.iter().any(|(layer, _)| *layer != Layer::Override);
            if let (false, Some((_, first))) = (defined, layers.first()) {
                let message = format!("this overrides {name}, which nothing defines");
                problems.push(
                    Problem::whole_file(first.path(), message, "remove the file, or define the process")
                        .warning(),
                );
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
        let known: BTreeSet<&ProcessName> = processes.keys().collect();
        for spec in &specs {
            let faults = unknown_names(spec, &known);
            let layers = processes.get(&spec.name).map(Vec::as_slice).unwrap_or_default();
            problems.extend(faults.iter().map(|fault| located(&spec.name, layers, fault).warning()));
        }
        for (name, fault) in log_conflicts(&specs, &layout.log_dir).into_iter().chain(cycles(&specs)) {
            let layers = processes.get(&name).map(Vec::as_slice).unwrap_or_default();
            let problem = located(&name, layers, &fault);
            broken.entry(name).or_default().push(problem);
        }
        specs.retain(|spec| !broken.contains_key(&spec.name));
        broken.values_mut().for_each(|errors| sort(errors));
        let invalid = broken.iter().map(|(name, errors)| {
            let layers = processes.get(name).map(Vec::as_slice).unwrap_or_default();
            let spec = placeholder(name, id_of(name), origin(layers), &Definition::default());
            InvalidDefinition { spec: Arc::new(spec), problem: list(errors, 20) }
        });
        let desired =
            Desired { invalid: invalid.collect(), specs: specs.into_iter().map(Arc::new).collect() };
        problems.extend(broken.into_values().flatten());
        sort(&mut problems);
        Loaded { desired, defaults, problems, files }
    }
}

/// One process from its layers, or everything that is wrong with it. A broken layer is never left out: what it
/// says (a user, a limit) may be what makes the others safe to run.
fn merge(
    name: &ProcessName,
    layers: &[(Layer, Written)],
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
    let warning = shell_syntax(&definition).map(|word| {
        let message = format!("no shell runs: `{word}` is handed to the program as an argument");
        let hint = Some("for a shell write `command: sh` and `args: [\"-c\", \"...\"]`".to_owned());
        let fault = Fault { path: steps("command"), on_key: false, message, hint };
        located(name, layers, &fault).warning()
    });
    Ok((spec, warning.into_iter().collect()))
}

/// A fault of a merged definition at the place of the layer that won, else at the process's name.
fn located(name: &ProcessName, layers: &[(Layer, Written)], fault: &Fault) -> Problem {
    let winner = layers.iter().rev().find(|(_, written)| written.has(&fault.path));
    let defining = layers.iter().rev().find(|(layer, _)| *layer != Layer::Override);
    match (winner, defining) {
        (Some((_, written)), _) => written.problem(fault).of(name),
        (None, Some((_, written))) => {
            // Written by nobody (a default): the process's name is the nearest place.
            let nowhere = Fault { path: Vec::new(), ..fault.clone() };
            written.problem(&nowhere).of(name)
        }
        (None, None) => Problem::whole_file(Path::new(""), &fault.message, "").of(name),
    }
}

/// The last layer that defines a process (an override only changes it).
fn origin(layers: &[(Layer, Written)]) -> Origin {
    match layers.iter().rev().find(|(layer, _)| *layer != Layer::Override) {
        Some((Layer::File, written)) => {
            Origin::File { path: written.path().to_owned(), line: written.line() }
        }
        _ => Origin::Runtime,
    }
}

/// The `*.yaml` and `*.yml` files of a directory, sorted by name. Hidden ones are left out: editors' and our own
/// temporary files are among them.
fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if yaml && !name.starts_with(['.', '#']) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
