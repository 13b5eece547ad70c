//! The administrator's override of one process, edited over the API, and what each layer says of a process.

use config::Problem;
use model::ProcessName;
use rpc::{ControlError, ErrorKind, Fragment, OverrideText, SetOverride, Updated, Violation};

use std::sync::Arc;

use super::Definitions;
use super::layers::{Layers, must_be_there};
use super::load::unusable;

impl Definitions {
    /// What each layer says of a process, lowest first.
    pub(crate) async fn fragments(&self, name: ProcessName) -> Result<Vec<Fragment>, ControlError> {
        let of = name.clone();
        let read = move |layers: &Layers| config::fragments(layers.layout(), &of);
        let found = self.with_files(read).await?.map_err(|e| unusable(&e))?;
        // What changes something that nothing defines is of no process, and worth seeing all the same.
        if found.is_empty() {
            self.view(&name)?;
        }
        Ok(found.into_iter().map(|f| Fragment { origin: f.origin, text: f.text }).collect())
    }

    /// The override of a process as it stands in its file.
    pub(crate) async fn override_text(&self, name: ProcessName) -> Result<OverrideText, ControlError> {
        self.view(&name)?;
        let read = move |layers: &Layers| {
            let path = config::override_path(layers.layout(), &name);
            let text = config::read_override(layers.layout(), &name).map_err(not_edited(&name))?;
            let exists = text.is_some();
            Ok(OverrideText { path, text: text.unwrap_or_default(), exists })
        };
        self.with_files(read).await?
    }

    /// Replaces the override of one process and applies the result to that process alone.
    pub(crate) async fn set_override(&self, set: SetOverride) -> Result<Updated, ControlError> {
        let mut known = self.known.lock().await;
        let SetOverride { name, text, dry_run } = set;
        self.must_be_defined(&known, &name)?;
        let (of, others, dirs) = (name.clone(), self.others(&name), known.dirs.clone());
        let write = move |layers: &Layers| {
            let layout = layers.layout();
            let earlier = config::read_override(layout, &of).map_err(not_edited(&of))?;
            let spec = config::check_override(layout, &|name| layers.id_of(name), &of, &text);
            must_be_there(&dirs)?;
            let mut spec = Arc::new(spec.map_err(|problems| refusal(&problems))?);
            layers.adapt(&mut spec);
            layers.check_fit(&spec, &others)?;
            let writes = !dry_run && earlier.as_deref().unwrap_or_default() != text;
            if writes {
                config::write_override(layout, &of, &text).map_err(not_edited(&of))?;
            }
            Ok::<_, ControlError>((spec, writes.then_some(earlier)))
        };
        let (spec, written_over) = self.with_files(write).await??;
        let change = match self.apply_one(&mut known, spec, dry_run).await {
            Ok(change) => change,
            Err(error) => {
                if let Some(earlier) = written_over {
                    let restore = move |layers: &Layers| {
                        let text = earlier.unwrap_or_default();
                        config::write_override(layers.layout(), &name, &text).map_err(not_edited(&name))
                    };
                    self.with_files(restore).await??;
                }
                return Err(error);
            }
        };
        Ok(Updated { view: self.view(&name)?, change, warnings: Vec::new() })
    }
}

/// The directory is the administrator's: that the daemon may not write there is nobody's defect.
fn not_edited(name: &ProcessName) -> impl Fn(config::StoreError) -> ControlError {
    let name = name.clone();
    move |e| ControlError::new(ErrorKind::FailedPrecondition, format!("the override of {name}: {e}"))
}

/// Every problem as a violation that begins with its place, all of them in words.
fn refusal(problems: &[Problem]) -> ControlError {
    let violation = |problem: &Problem| {
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        let place = problem.place.as_ref().map_or(String::new(), |p| format!(":{}:{}", p.line, p.column));
        let text = format!("{}{place}: {key}{}", problem.file.display(), problem.message);
        Violation { field: "text".to_owned(), text }
    };
    let violations = problems.iter().map(violation).collect();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    ControlError::new(ErrorKind::Invalid { violations }, texts.join("\n\n"))
}
