//! Changes of one process over the API: keys in its runtime layer, on top of what its files say.

use std::sync::Arc;

use config::Main;
use model::{Definition, ProcessName, ProcessSpec};
use rpc::{ControlError, ErrorKind, Update, Updated};

use super::layers::{Layers, Made, must_be_there};
use super::load::unusable;
use super::{Definitions, invalid, main_file};

/// An update that is good, not yet written.
struct Prepared {
    earlier: Option<Definition>,
    later: Definition,
    spec: Arc<ProcessSpec>,
}

impl Definitions {
    /// Sets and removes keys of the runtime layer of one process and applies the result to that process alone.
    pub(crate) async fn update(&self, update: Update) -> Result<Updated, ControlError> {
        let mut known = self.known.lock().await;
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
        let Prepared { earlier, later, spec } = self.with_files(prepare).await??;
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
        Ok(Updated { view: self.view(&name)?, change })
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
        Made::Good(spec) => Ok(Prepared { earlier, later, spec }),
        Made::Broken(problems) => Err(layers.refusal(name, &problems)),
        Made::Unknown(error) => Err(unusable(&error)),
        Made::Nothing => {
            let text = format!("no file defines {name}, so that it can't do without a `command` of its own");
            let error = ControlError::new(ErrorKind::FailedPrecondition, text);
            Err(error.with_hint(format!("remove it altogether: pm-cli delete {name}")))
        }
    }
}
