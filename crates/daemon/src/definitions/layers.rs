//! What the files say: all layers together, and what they would make of one process if another definition stood in its
//! runtime layer.
//!
//! The second question is asked of the same loader as the first, which then finds the definition in question in a
//! directory of its own instead of the runtime layer. So the answer is what the next reload will say, places and hints
//! included, and nothing has to be written into the real layer before it is known to be good.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Layout, LoadError, Loaded, Main, Problem, Severity, StoreError};
use model::{Definition, Desired, Origin, Output, ProcessName, ProcessSpec, Stream};
use rpc::{ControlError, ErrorKind};
use supervisor::Containment;

use super::doubts::Doubt;
use super::{invalid, not_stored, refused};
use crate::identity::Host;

/// The files of all definitions.
pub(crate) struct Layers {
    layout: Layout,
    host: Host,
    /// In the runtime directory, which is in memory: what is asked about is gone with the answer.
    scratch: PathBuf,
    /// False where there is no directory for them.
    log_files: bool,
    /// What runs can be limited by.
    containment: Containment,
}

/// What the layers make of one process.
#[derive(Debug)]
pub(super) enum Made {
    /// With what is probably not meant of the runtime layer that was asked about.
    Good(Arc<ProcessSpec>, Vec<Doubt>),
    /// Every error that is in the way.
    Broken(Vec<Problem>),
    /// No layer defines it.
    Nothing,
    /// Nobody can say: the files as a whole can't be used.
    Unknown(LoadError),
}

impl Layers {
    pub(crate) fn new(
        layout: Layout,
        host: Host,
        runtime_dir: &Path,
        log_files: bool,
        containment: Containment,
    ) -> Self {
        Self { layout, host, scratch: runtime_dir.join("preview"), log_files, containment }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn main_file(&self) -> &PathBuf {
        &self.layout.main
    }

    pub(super) fn id_of(&self, name: &ProcessName) -> model::ProcessId {
        self.host.process_id(name)
    }

    /// All layers.
    pub(super) fn load(&self, main: Main) -> Result<Loaded, LoadError> {
        self.load_from(&self.layout, main)
    }

    /// The directories that `loaded` came from, and the one that the API writes to, where it is there.
    pub(super) fn sources(&self, loaded: &Loaded) -> Vec<PathBuf> {
        let parents = loaded.files.iter().filter_map(|file| file.parent().map(Path::to_path_buf));
        let own = Some(self.layout.runtime_dir.clone()).filter(|dir| dir.is_dir());
        parents.chain(own).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn load_from(&self, layout: &Layout, main: Main) -> Result<Loaded, LoadError> {
        let mut loaded = config::load(layout, &|name| self.id_of(name), main)?;
        loaded.desired.specs.iter_mut().for_each(|spec| self.adapt(spec));
        loaded.problems.extend(loaded.desired.specs.iter().filter_map(|spec| self.unstartable(spec)));
        Ok(loaded)
    }

    /// A limit without which it is not started, and that can't be had: it would be found at the next start, which may be
    /// the one after a crash.
    fn unstartable(&self, spec: &ProcessSpec) -> Option<Problem> {
        let (key, why, way_out) = self.containment.refusal(&spec.limits)?;
        let file = match &spec.origin {
            Origin::File { path, .. } => path.clone(),
            Origin::Runtime => self.layout.runtime_dir.join(format!("{}.yaml", spec.name)),
        };
        Some(Problem {
            severity: Severity::Warning,
            file,
            place: None,
            key: format!("processes.{}.resource_limits.{key}", spec.name),
            message: format!("{} will not start with it: {why}", spec.name),
            hint: Some(format!("{way_out}; to run it without that limit, remove it")),
            process: Some(spec.name.clone()),
        })
    }

    /// Without a directory for log files, what would go there is only shown: a start must not fail for want of it.
    pub(super) fn adapt(&self, spec: &mut Arc<ProcessSpec>) {
        let own_file = |stream: &Stream| matches!(spec.output.of(*stream), Output::File(_));
        if !self.log_files && spec.output.log.file && !Stream::ALL.iter().any(own_file) {
            Arc::make_mut(spec).output.log.file = false;
        }
    }

    /// What all layers make of a process with this runtime layer; `None` = with none.
    ///
    /// # Errors
    /// The definition is one that no load would read back, or there is no place to put it.
    pub(super) fn make(
        &self,
        name: &ProcessName,
        runtime: Option<&Definition>,
        main: Main,
    ) -> Result<Made, ControlError> {
        let _emptied = Emptied::new(&self.scratch);
        if let Some(definition) = runtime.filter(|definition| !config::is_empty(definition)) {
            config::write_runtime(&self.scratch, name, definition).map_err(|e| not_readable(name, e))?;
        }
        let layout = Layout { runtime_dir: self.scratch.clone(), ..self.layout.clone() };
        let loaded = match self.load_from(&layout, main) {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Made::Unknown(error)),
        };
        if let Some(spec) = loaded.desired.specs.into_iter().find(|spec| spec.name == *name) {
            let own = |problem: &&Problem| !problem.is_error() && problem.file.starts_with(&self.scratch);
            return Ok(Made::Good(spec, loaded.problems.iter().filter(own).map(Doubt::of).collect()));
        }
        if loaded.desired.invalid.iter().all(|broken| broken.spec.name != *name) {
            return Ok(Made::Nothing);
        }
        let mut problems = loaded.problems;
        problems.retain(|problem| problem.is_error() && problem.process.as_ref() == Some(name));
        Ok(Made::Broken(problems))
    }

    /// Problems as an answer: those of the request by its fields, those of files with their place.
    pub(super) fn refusal(&self, name: &ProcessName, problems: &[Problem]) -> ControlError {
        let asked: Vec<&Problem> = problems.iter().filter(|p| p.file.starts_with(&self.scratch)).collect();
        if asked.is_empty() {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let text = format!("the files that define {name} are broken:\n{}", texts.join("\n\n"));
            let error = ControlError::new(ErrorKind::FailedPrecondition, text);
            return error.with_hint("correct them first; nothing was changed");
        }
        refused(asked.into_iter().map(|p| (p.key.clone(), p.message.clone(), p.hint.clone())))
    }

    /// Refuses a definition that can't be in force together with `others`: both would write one log file, or wait for
    /// each other.
    pub(super) fn check_fit(
        &self,
        spec: &ProcessSpec,
        others: &[Arc<ProcessSpec>],
    ) -> Result<(), ControlError> {
        let rest = || others.iter().map(AsRef::as_ref);
        let fault = config::log_conflict(spec, rest(), &self.layout.log_dir);
        match fault.or_else(|| config::order_cycle(spec, rest())) {
            Some(fault) => Err(invalid(&[fault])),
            None => Ok(()),
        }
    }

    /// What the runtime layer says of a process now.
    pub(super) fn runtime(&self, name: &ProcessName) -> Result<Option<Definition>, ControlError> {
        config::runtime_definition(&self.layout.runtime_dir, name).map_err(|e| {
            let text = format!("what the runtime layer says of {name} can't be read: {e}");
            ControlError::new(ErrorKind::FailedPrecondition, text)
        })
    }

    /// Removes the runtime layer of a process; `false` = there is none.
    pub(super) fn forget(&self, name: &ProcessName) -> Result<bool, ControlError> {
        config::remove_runtime(&self.layout.runtime_dir, name).map_err(not_stored(name))
    }

    /// Makes this the runtime layer of a process; none, or an empty one, removes it.
    pub(super) fn keep(
        &self,
        name: &ProcessName,
        definition: Option<&Definition>,
    ) -> Result<(), ControlError> {
        let dir = &self.layout.runtime_dir;
        match definition.filter(|definition| !config::is_empty(definition)) {
            Some(definition) => config::write_runtime(dir, name, definition),
            None => config::remove_runtime(dir, name).map(drop),
        }
        .map_err(not_stored(name))
    }
}

/// Refuses to go on without a directory that defined something: a package that is being replaced, or a file system that
/// is not mounted, must not stop what it defines. To be asked after the files were read, as it may vanish meanwhile.
pub(super) fn must_be_there(dirs: &[PathBuf]) -> Result<(), ControlError> {
    let gone = |dir: &&PathBuf| std::fs::metadata(dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    let Some(dir) = dirs.iter().find(gone) else { return Ok(()) };
    let text = format!("{} is gone, and with it all that it defines", dir.display());
    let error = ControlError::new(ErrorKind::FailedPrecondition, text);
    Err(error.with_hint("put it back, or an empty directory in its place; nothing was changed"))
}

/// Refuses to go on with a file that defined something and is blank now: whoever writes it in place has cut it to nothing a
/// moment ago, or the disk was full. Who means it writes `processes: {}`.
pub(super) fn must_still_speak(before: &Desired, silent: &[PathBuf]) -> Result<(), ControlError> {
    let specs = before.specs.iter().chain(before.invalid.iter().map(|broken| &broken.spec));
    let lost = |file: &PathBuf| {
        let of_file =
            specs.clone().filter(|s| matches!(&s.origin, Origin::File { path, .. } if path == file));
        (of_file.count(), file.clone())
    };
    let Some((count, file)) = silent.iter().map(lost).find(|(count, _)| *count > 0) else { return Ok(()) };
    let text = format!("{} says nothing any more below `processes:`, and defined {count}", file.display());
    let error = ControlError::new(ErrorKind::FailedPrecondition, text);
    Err(error.with_hint("write `processes: {}` if it shall define none; nothing was changed"))
}

/// The scratch directory, empty before and after.
struct Emptied<'a>(&'a Path);

impl<'a> Emptied<'a> {
    fn new(path: &'a Path) -> Self {
        // What a crash left there would be taken for another process.
        drop(std::fs::remove_dir_all(path));
        Self(path)
    }
}

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        // What stays is removed before the next use.
        drop(std::fs::remove_dir_all(self.0));
    }
}

/// A definition that could not be put down: because nobody could read it back, or because there is no place.
fn not_readable(name: &ProcessName, error: StoreError) -> ControlError {
    let unfit = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let unfit =
        unfit.filter(|e| matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    match unfit {
        Some(why) => ControlError::invalid("definition", why.to_string()),
        None => not_stored(name)(error),
    }
}

#[cfg(test)]
mod tests;
