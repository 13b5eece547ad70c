//! A process that is created over the API.

use std::sync::Arc;

use config::Main;
use model::{Command, Definition, Origin, ProcessName, ProcessSpec, ProcessView, Refusal, Reply};
use rpc::{ControlError, Create, Created};

use super::doubts::{Doubt, with_machine};
use super::layers::{Layers, Made};
use super::{Definitions, answer, invalid, main_file, submit, unexpected};
use crate::clock;

impl Definitions {
    /// Adds a process that survives a restart of the daemon: first the file, then the table. The other way round, a
    /// crash in between would forget a process that its creator was told about.
    pub(crate) async fn create(&self, create: Create) -> Result<Created, ControlError> {
        let start = create.start && !create.dry_run;
        let (view, doubts) = self.create_view(create).await?;
        // What was started has all that it takes.
        let doubts = if start { doubts } else { with_machine(doubts, Arc::clone(&view.spec)).await };
        Ok(Created { view, warnings: doubts.into_iter().map(Doubt::into_text).collect() })
    }

    async fn create_view(&self, create: Create) -> Result<(Arc<ProcessView>, Vec<Doubt>), ControlError> {
        let Create { name, mut definition, start, dry_run } = create;
        let made = name.clone();
        definition.auto_start.get_or_insert(false);
        let (outcome, doubts) = {
            let mut known = self.known.lock().await;
            if self.view(&name).is_ok() {
                return Err(Refusal::AlreadyExists(name).into());
            }
            let (others, main, defaults) = (self.others(&name), main_file(&known), known.defaults.clone());
            let of = name.clone();
            let stored = move |layers: &Layers| {
                let made = check(layers, &of, &definition, &defaults, main)?;
                layers.check_fit(&made.0, &others)?;
                if dry_run { Ok(made) } else { layers.keep(&of, Some(&definition)).map(|()| made) }
            };
            let (spec, doubts) = self.with_files(stored).await??;
            if dry_run {
                return Ok((Arc::new(not_made(spec)), doubts));
            }
            match submit(&self.supervisor, Command::Create { spec: Arc::clone(&spec), start }) {
                Ok(outcome) => {
                    known.desired = known.with(spec);
                    (outcome, doubts)
                }
                Err(error) => {
                    self.with_files(move |layers| layers.keep(&name, None)).await??;
                    return Err(error);
                }
            }
        };
        // Outside the lock: a start that takes its time must not hold up other changes.
        match answer(outcome).await {
            Ok(Reply::Done(view)) => Ok((view, doubts)),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => {
                // A daemon that is shutting down takes no command any more: what was refused must not be there after
                // the next start. A start that failed is another matter, the process is there.
                if self.view(&made).is_err() {
                    let mut known = self.known.lock().await;
                    known.desired = known.without(&made);
                    self.with_files(move |layers| layers.keep(&made, None)).await??;
                }
                Err(error)
            }
        }
    }
}

/// What it would be.
fn not_made(spec: Arc<ProcessSpec>) -> ProcessView {
    ProcessView::new(spec, clock::wall())
}

/// The specification that results. Files may say something of the name already, that nobody loaded yet.
fn check(
    layers: &Layers,
    name: &ProcessName,
    definition: &Definition,
    defaults: &Definition,
    main: Main,
) -> Result<(Arc<ProcessSpec>, Vec<Doubt>), ControlError> {
    // By itself first: it is a definition in its own right, whatever else there is.
    let alone = config::resolve(name, layers.id_of(name), Origin::Runtime, definition, defaults);
    let alone = alone.map_err(|faults| invalid(&faults))?;
    match layers.make(name, Some(definition), main)? {
        Made::Good(spec, doubts) => Ok((spec, doubts)),
        Made::Broken(problems) => Err(layers.refusal(name, &problems)),
        // Files that can't be used must not keep anybody from running something by hand.
        Made::Nothing | Made::Unknown(_) => {
            let mut spec = Arc::new(alone);
            layers.adapt(&mut spec);
            Ok((spec, Vec::new()))
        }
    }
}
