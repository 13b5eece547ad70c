//! Reading the files of all layers, in their order.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Definition, ProcessName};

use super::{Layout, LoadError, Main, way_out};
use crate::document::{Document, Role, Written, read_document, read_single};
use crate::problem::{Problem, sort};
use crate::source::{ReadError, Source};
use crate::update::is_empty;

/// What a layer of one process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    File,
    Override,
    Runtime,
}

impl Layer {
    /// Whether it makes a process exist. An override, and an update over the API, only change one; what such a layer
    /// says of a process that is gone must not keep it alive as a broken one.
    pub(crate) fn defines(self, written: &Written) -> bool {
        match self {
            Self::File => true,
            Self::Override => false,
            // One without any key at all is no update but a file that was lost.
            Self::Runtime => {
                let definition = &written.definition;
                definition.command.is_some() || is_empty(definition) || !written.problems.is_empty()
            }
        }
    }
}

/// What one layer says of a process.
pub(crate) type Piece = (Layer, Written);

/// Everything that was read.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) defaults: Definition,
    /// The main file's key `defaults:`, where it has one.
    pub(crate) defaults_line: Option<usize>,
    /// The layers of each process, earliest first.
    pub(crate) processes: BTreeMap<ProcessName, Vec<Piece>>,
    /// Problems that concern no process that could be named.
    pub(super) problems: Vec<Problem>,
    pub(super) files: Vec<PathBuf>,
    /// Those of them that hold no mapping below `processes:`.
    pub(super) silent: Vec<PathBuf>,
    fatal: Vec<Problem>,
}

impl Layers {
    /// Reads all files; fails when one of them can't be used at all.
    pub(crate) fn read(layout: &Layout, main: Main) -> Result<Self, LoadError> {
        let mut layers = Self::default();
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
        layers.usable()
    }

    /// One text in the place of the main file, and nothing else.
    pub(crate) fn of_main(source: Source) -> Result<Self, LoadError> {
        let mut layers = Self::default();
        layers.document(source, Role::Main);
        layers.usable()
    }

    fn usable(mut self) -> Result<Self, LoadError> {
        if self.fatal.is_empty() {
            return Ok(self);
        }
        self.fatal.append(&mut self.problems);
        let of_processes = self.processes.into_values().flatten().flat_map(|(_, written)| written.problems);
        self.fatal.extend(of_processes);
        sort(&mut self.fatal);
        Err(LoadError::Invalid { problems: self.fatal })
    }

    /// Puts a text in the place of an override file, as if that had been read; `None` = as if there were no file.
    pub(crate) fn replace_override(&mut self, path: &Path, name: &ProcessName, text: Option<Written>) {
        let layers = self.processes.entry(name.clone()).or_default();
        layers.retain(|(layer, written)| *layer != Layer::Override || written.path() != path);
        if let Some(written) = text {
            let at = layers.iter().position(|(layer, _)| *layer == Layer::Runtime).unwrap_or(layers.len());
            layers.insert(at, (Layer::Override, written));
        }
        if layers.is_empty() {
            self.processes.remove(name);
        }
    }

    fn document(&mut self, source: Source, role: Role) {
        self.files.push(source.path.clone());
        let path = source.path.clone();
        let Document { defaults, defaults_line, processes, says, fatal, others } =
            read_document(&Arc::new(source), role);
        if !says {
            self.silent.push(path);
        }
        if role == Role::Main {
            self.defaults = defaults;
            self.defaults_line = (defaults_line > 0).then_some(defaults_line);
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
