//! Changes of one process over the API: keys in its runtime layer, on top of what its files say.

use std::sync::Arc;

use config::Main;
use model::{Definition, ProcessName, ProcessSpec};
use rpc::{ControlError, ErrorKind, Update, Updated};
use tokio::sync::MutexGuard;

use super::doubts::{Doubt, with_machine};
use super::known::Known;
use super::layers::{Layers, Made, must_be_there};
use super::load::unusable;
use super::{Definitions, invalid, main_file};

/// An update that is good, not yet written.
struct Prepared {
    earlier: Option<Definition>,
    later: Definition,
    spec: Arc<ProcessSpec>,
    doubts: Vec<Doubt>,
}

impl Definitions {
    /// Sets and removes keys of the runtime layer of one process and applies the result to that process alone.
    pub(crate) async fn update(&self, update: Update) -> Result<Updated, ControlError> {
        let known = self.known.lock().await;
        let (updated, spec, doubts) = self.update_known(known, update).await?;
        // Outside the lock: whether a user is known may take its time to say.
        let keys: &[&str] = updated.change.as_ref().map_or(&[], |change| &change.keys);
        let doubts = match keys {
            [] => Vec::new(),
            _ => with_machine(doubts, spec).await,
        };
        let doubts = doubts.into_iter().filter(|doubt| doubt.is_about(keys));
        let warnings = doubts.map(Doubt::into_text).collect();
        Ok(Updated { warnings, ..updated })
    }

    async fn update_known(
        &self,
        mut known: MutexGuard<'_, Known>,
        update: Update,
    ) -> Result<(Updated, Arc<ProcessSpec>, Vec<Doubt>), ControlError> {
        let Update { name, definition, unset, dry_run } = update;
        self.must_be_defined(&known, &name)?;
        let (of, others, main) = (name.clone(), self.others(&name), main_file(&known));
        let dirs = known.dirs.clone();
        let prepare = move |layers: &Layers| {
            let prepared = prepare(layers, &of, &definition, &unset, main);
            must_be_there(&dirs)?;
            let prepared = prepared?;
            layers.check_fit(&prepared.spec, &others).map(|()| prepared)
        };
        let Prepared { earlier, later, spec, doubts } = self.with_files(prepare).await??;
        let would_be = Arc::clone(&spec);
        let writes = !dry_run && earlier.as_ref() != Some(&later);
        if writes {
            let of = name.clone();
            self.with_files(move |layers| layers.keep(&of, Some(&later))).await??;
        }
        let change = match self.apply_one(&mut known, spec, dry_run).await {
            Ok(change) => change,
            Err(error) => {
                if writes {
                    let of = name.clone();
                    self.with_files(move |layers| layers.keep(&of, earlier.as_ref())).await??;
                }
                return Err(error);
            }
        };
        Ok((Updated { view: self.view(&name)?, change, warnings: Vec::new() }, would_be, doubts))
    }
}

fn prepare(
    layers: &Layers,
    name: &ProcessName,
    set: &Definition,
    unset: &[String],
    main: Main,
) -> Result<Prepared, ControlError> {
    let earlier = layers.runtime(name)?;
    let later = config::merge_update(earlier.clone(), set, unset).map_err(|faults| invalid(&faults))?;
    match layers.make(name, Some(&later), main)? {
        Made::Good(spec, doubts) => Ok(Prepared { earlier, later, spec, doubts }),
        Made::Broken(problems) => Err(layers.refusal(name, &problems)),
        Made::Unknown(error) => Err(unusable(&error)),
        Made::Nothing => {
            let text = format!("no file defines {name}, so that it can't do without a `command` of its own");
            let error = ControlError::new(ErrorKind::FailedPrecondition, text);
            Err(error.with_hint(format!("remove it altogether: pm-cli delete {name}")))
        }
    }
}
