//! Removing a process that was created over the API.

use std::sync::Arc;

use config::Main;
use model::{Command, Definition, Origin, ProcessId, ProcessName, ProcessSpec, Reply};
use rpc::{ControlError, ErrorKind};

use super::layers::{Layers, Made};
use super::load::unusable;
use super::{Definitions, answer, ask, main_file, submit, unexpected};

/// What stays of a process without its runtime layer.
enum Standing {
    /// Nothing: it is removed.
    Nothing,
    /// This definition, of a file that the one from the API was on top of.
    Covered(Arc<ProcessSpec>),
}

impl Definitions {
    /// Removes what the API keeps of something that nothing defines any more: its id, and `None` where nothing is kept or
    /// something is defined.
    pub(crate) async fn delete_leftover(&self, name: ProcessName) -> Result<Option<ProcessId>, ControlError> {
        let known = self.known.lock().await;
        if known.has(&name) || self.view(&name).is_ok() {
            return Ok(None);
        }
        let forget = move |layers: &Layers| {
            let removed = layers.forget(&name)?;
            Ok(removed.then(|| layers.id_of(&name)))
        };
        self.with_files(forget).await?
    }

    /// Waits for one that is being removed already, and may be gone before it is asked. What the API kept of it is removed.
    async fn delete_leaving(&self, name: ProcessName) -> Result<Option<String>, ControlError> {
        match ask(&self.supervisor, Command::Delete(name.clone())).await {
            Ok(Reply::Deleted) => {}
            Ok(other) => return Err(unexpected(&other)),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let kept = self.delete_leftover(name.clone()).await?;
        Ok(kept.map(|_| rpc::leftover_removed(&name)))
    }

    /// Removes a process that was created over the API. What a file defines is the file's. Where a file defines it, too,
    /// that definition comes into force: the process is still there, and the answer says so. What others can't do without
    /// is only removed by `force`; those that are on their way out themselves don't count.
    pub(crate) async fn delete(
        &self,
        name: ProcessName,
        force: bool,
    ) -> Result<Option<String>, ControlError> {
        let (outcome, earlier, spec) = {
            let mut known = self.known.lock().await;
            let spec = Arc::clone(&self.view(&name)?.spec);
            if !known.has(&name) {
                drop(known);
                return self.delete_leaving(name).await;
            }
            let (of, main, origin) = (name.clone(), main_file(&known), spec.origin.clone());
            let standing = self.with_files(move |layers| standing(layers, &of, &origin, main)).await??;
            if !force && matches!(standing, Standing::Nothing) {
                let others = self.others(&name).into_iter().filter(|spec| known.has(&spec.name));
                required_by(&name, others)?;
            }
            let of = name.clone();
            let earlier = self.with_files(move |layers| take_out(layers, &of)).await??;
            let done = match standing {
                Standing::Nothing => submit(&self.supervisor, Command::Delete(name.clone())),
                Standing::Covered(spec) => {
                    let place = spec.origin.to_string();
                    match self.apply_one(&mut known, spec, false).await {
                        Ok(_) => return Ok(Some(still_there(&name, &place))),
                        Err(error) => Err(error),
                    }
                }
            };
            match done {
                Ok(outcome) => {
                    known.desired = known.without(&name);
                    (outcome, earlier, spec)
                }
                Err(error) => {
                    self.with_files(move |layers| layers.keep(&name, earlier.as_ref())).await??;
                    return Err(error);
                }
            }
        };
        match answer(outcome).await {
            Ok(Reply::Deleted) => Ok(None),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => {
                // Refused by a daemon that is shutting down: it has to be there after the next start.
                if error.kind == ErrorKind::Unavailable && self.view(&name).is_ok() {
                    let mut known = self.known.lock().await;
                    known.desired = known.with(spec);
                    self.with_files(move |layers| layers.keep(&name, earlier.as_ref())).await??;
                }
                Err(error)
            }
        }
    }
}

/// Refuses what would leave others without something that they require. All changes of definitions go through the lock
/// that the caller holds, so that it stays true until the process is out of the set.
fn required_by(
    name: &ProcessName,
    others: impl Iterator<Item = Arc<ProcessSpec>>,
) -> Result<(), ControlError> {
    let mut by: Vec<String> =
        others.filter(|spec| spec.needs.cannot_do_without(name)).map(|spec| spec.name.to_string()).collect();
    by.sort();
    if by.is_empty() {
        return Ok(());
    }
    let who = if by.len() == 1 {
        format!("{} requires it", by[0])
    } else {
        format!("{} require it", by.join(", "))
    };
    let error = ControlError::new(ErrorKind::Required { by }, format!("{name} was not deleted: {who}"));
    Err(error.with_hint(format!(
        "take it out of their `requires` and `binds_to`, or do it all the same: pm-cli delete --force {name}"
    )))
}

/// Removes the runtime layer. What can't be read can't be put back either, and is removed all the same.
fn take_out(layers: &Layers, name: &ProcessName) -> Result<Option<Definition>, ControlError> {
    let earlier = layers.runtime(name).unwrap_or_default();
    layers.keep(name, None).map(|()| earlier)
}

/// A runtime layer that names a command is a definition in its own right; one without only changes what a file defines.
fn standing(
    layers: &Layers,
    name: &ProcessName,
    origin: &Origin,
    main: Main,
) -> Result<Standing, ControlError> {
    let runtime = layers.runtime(name);
    let own = match &runtime {
        Ok(None) => {
            return match origin {
                Origin::File { .. } => Err(the_files(name, &origin.to_string(), false)),
                Origin::Runtime => Ok(Standing::Nothing),
            };
        }
        Ok(Some(definition)) => definition.command.is_some(),
        Err(_) => true,
    };
    match (layers.make(name, None, main)?, own) {
        (Made::Nothing, _) | (Made::Unknown(_), true) => Ok(Standing::Nothing),
        (Made::Unknown(error), false) => Err(unusable(&error)),
        (Made::Good(spec, _), true) => Ok(Standing::Covered(spec)),
        (Made::Good(spec, _), false) => Err(the_files(name, &spec.origin.to_string(), true)),
        (Made::Broken(problems), _) => Err(layers.refusal(name, &problems)),
    }
}

fn the_files(name: &ProcessName, place: &str, changed: bool) -> ControlError {
    let text = format!("{name} is defined in {place}, a reload would bring it back");
    let mut hint = "remove it from the file, then: pm-cli reload-config".to_owned();
    if changed {
        hint.push_str(&format!(
            "; what was changed over the API is undone with: pm-cli update {name} --unset KEY"
        ));
    }
    ControlError::new(ErrorKind::FailedPrecondition, text).with_hint(hint)
}

fn still_there(name: &ProcessName, place: &str) -> String {
    format!(
        "the definition of {name} that was created over the API is removed; the one in {place} is in force now, so that \
         {name} is still there"
    )
}
