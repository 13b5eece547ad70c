//! The whole set from all layers: at the start, on a reload, and what a reload would do.

use config::{Loaded, Main, Problem};
use model::Command;
use rpc::{ControlError, ErrorKind, ReloadReport, ReloadResult};

use super::layers::{Layers, must_be_there, must_still_speak};
use super::{Definitions, known::Known, locked, main_file};
use crate::{clock, rest};

impl Definitions {
    /// Reads every layer again and applies what changed. A main file that is gone is an error and changes nothing.
    /// With `dry_run` nothing changes at all, and the same report tells what would.
    pub(crate) async fn reload(&self, dry_run: bool) -> Result<ReloadReport, ControlError> {
        let mut known = self.known.lock().await;
        let main = main_file(&known);
        if dry_run { self.preview(&known, main).await } else { self.take_over(&mut known, main).await }
    }

    /// Reads every layer and applies what changed. An error changes nothing.
    pub(crate) async fn load(&self, main: Main) -> Result<ReloadReport, ControlError> {
        self.take_over(&mut *self.known.lock().await, main).await
    }

    /// Neither the outcome of the last load nor the log shows it: nothing happened.
    async fn preview(&self, known: &Known, main: Main) -> Result<ReloadReport, ControlError> {
        let loaded = self.read(known, main).await?;
        let changes = self.changes(Command::Plan(loaded.desired)).await?;
        Ok(ReloadReport { changes, problems: texts(&loaded.problems) })
    }

    /// All layers, or why they can't be used.
    async fn read(&self, known: &Known, main: Main) -> Result<Loaded, ControlError> {
        let (dirs, before) = (known.dirs.clone(), known.desired.clone());
        let read = move |layers: &Layers| {
            // One that is gone is told as such, and not as the file in it that is missing.
            let loaded = layers.load(main);
            must_be_there(&dirs)?;
            let loaded = loaded.map_err(|e| unusable(&e))?;
            must_still_speak(&before, &loaded.silent)?;
            Ok(loaded)
        };
        self.with_files(read).await?
    }

    async fn take_over(&self, known: &mut Known, main: Main) -> Result<ReloadReport, ControlError> {
        let result = match self.read(known, main).await {
            Ok(loaded) => {
                for problem in &loaded.problems {
                    if problem.is_error() {
                        tracing::error!("{problem}");
                    } else {
                        tracing::warn!("{problem}");
                    }
                }
                let problems = texts(&loaded.problems);
                let bad = loaded.problems.iter().any(Problem::is_error);
                // What kept the main file out is what operators have to see, until it is back in.
                if main != Main::Skipped {
                    self.note(&problems, !bad);
                }
                let changes = self.changes(Command::Apply(loaded.desired.clone())).await;
                changes.map(|changes| {
                    known.dirs = self.layers.sources(&loaded);
                    known.has_main = loaded.files.contains(self.layers.main_file());
                    known.defaults = loaded.defaults;
                    known.desired = loaded.desired;
                    ReloadReport { changes, problems }
                })
            }
            Err(error) => {
                self.note(std::slice::from_ref(&error.message), false);
                Err(error)
            }
        };
        match &result {
            Ok(report) => {
                tracing::info!(
                    changed = report.changes.len(),
                    problems = report.problems.len(),
                    "definitions loaded"
                );
                rest::soon();
            }
            Err(error) => tracing::error!("definitions not loaded, nothing changed: {error}"),
        }
        result
    }

    fn note(&self, problems: &[String], good: bool) {
        let now = clock::wall();
        let mut last = locked(&self.last);
        last.last = Some(ReloadResult { at: now, problems: problems.to_vec() });
        last.good = good;
        if good {
            last.last_success = Some(now);
        }
    }
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// The files as a whole can't be used.
pub(super) fn unusable(error: &config::LoadError) -> ControlError {
    ControlError::new(ErrorKind::FailedPrecondition, error.to_string())
        .with_hint("nothing was changed: every process keeps the definition it has")
}
