//! The definitions in force: loads them from their layers, keeps what was created over the API, and hands them to the
//! supervisor. One change at a time, so that a file and the process table never tell different stories.
//!
//! * [`load`]: all layers, the whole set: start, reload and its preview.
//! * [`create`], [`update`], [`overrides`], [`delete`]: one process, over the API. What comes out of such a change is
//!   what a reload would make of the same files, and it concerns that process alone: others keep what is in force, even
//!   when their files were changed meanwhile.
//! * [`doubts`] is what is in force and probably not meant.
//! * [`layers`] asks the files, [`known`] is the set in force.
//!
//! A change that is refused leaves no trace: its file is put back as it was.

mod create;
mod delete;
mod doubts;
mod known;
mod layers;
mod load;
mod overrides;
mod update;

use std::sync::Arc;
use std::sync::Mutex as StdMutex;

use config::Main;
use model::{Change, Command, ProcessName, ProcessSpec, ProcessView, Refusal, Reply, Wall};
use rpc::{ControlError, ErrorKind, ReloadResult, Violation};
use supervisor::Handle;
use tokio::sync::{Mutex, oneshot};

use known::Known;
pub(crate) use layers::Layers;

pub(crate) struct Definitions {
    layers: Arc<Layers>,
    supervisor: Handle,
    /// Held from reading or writing files until the supervisor took over what they say.
    known: Mutex<Known>,
    last: StdMutex<Outcomes>,
}

/// How the last load went, and when the last good one was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) last: Option<ReloadResult>,
    /// Whether everything that was read is in force; warnings do not count.
    pub(crate) good: bool,
    pub(crate) last_success: Option<Wall>,
}

impl Definitions {
    pub(crate) fn new(layers: Layers, supervisor: Handle) -> Self {
        Self {
            layers: Arc::new(layers),
            supervisor,
            known: Mutex::new(Known::default()),
            last: StdMutex::default(),
        }
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        locked(&self.last).clone()
    }

    fn view(&self, name: &ProcessName) -> Result<Arc<ProcessView>, ControlError> {
        let found = self.supervisor.snapshot().processes.into_iter().find(|p| p.spec.name == *name);
        found.ok_or_else(|| Refusal::NotFound(name.clone()).into())
    }

    /// Refuses what is not there and what is on its way out: a change would bring it back.
    fn must_be_defined(&self, known: &Known, name: &ProcessName) -> Result<(), ControlError> {
        self.view(name)?;
        if known.has(name) { Ok(()) } else { Err(Refusal::BeingRemoved(name.clone()).into()) }
    }

    /// The definitions in force of all other processes: of one whose newer definition is broken, the last good one.
    fn others(&self, name: &ProcessName) -> Vec<Arc<ProcessSpec>> {
        let processes = self.supervisor.snapshot().processes;
        processes.iter().map(|p| Arc::clone(&p.spec)).filter(|spec| spec.name != *name).collect()
    }

    /// Exchanges the definition of one process, or tells what that would do. `None` = nothing differs.
    async fn apply_one(
        &self,
        known: &mut Known,
        spec: Arc<ProcessSpec>,
        dry_run: bool,
    ) -> Result<Option<Change>, ControlError> {
        let name = spec.name.clone();
        let desired = known.with(spec);
        let command = if dry_run { Command::Plan(desired.clone()) } else { Command::Apply(desired.clone()) };
        let changes = self.changes(command).await?;
        if !dry_run {
            known.desired = desired;
        }
        Ok(changes.into_iter().find(|change| change.name == name))
    }

    async fn changes(&self, command: Command) -> Result<Vec<Change>, ControlError> {
        match ask(&self.supervisor, command).await? {
            Reply::Applied(changes) => Ok(changes),
            other => Err(unexpected(&other)),
        }
    }

    /// Work that reads or writes files, on a thread that may wait for a disk.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layers) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        let layers = Arc::clone(&self.layers);
        let done = tokio::task::spawn_blocking(move || work(&layers)).await;
        done.map_err(|e| ControlError::new(ErrorKind::Internal, e.to_string()))
    }
}

/// A main file that was there must not vanish: to go on without it would stop everything that it defined.
fn main_file(known: &Known) -> Main {
    if known.has_main { Main::Required } else { Main::Optional }
}

fn locked<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A definition that can't be: every fault as a violation, all of them in words.
fn invalid(faults: &[config::Fault]) -> ControlError {
    refused(faults.iter().map(|f| (f.key(), f.message.clone(), f.hint.clone())))
}

/// Wrong keys of a request: each with what is wrong and the way out.
fn refused(wrong: impl Iterator<Item = (String, String, Option<String>)>) -> ControlError {
    let (mut violations, mut texts, mut first_hint) = (Vec::new(), Vec::new(), None);
    for (key, text, hint) in wrong {
        let (field, in_words) = match key.as_str() {
            "" => ("definition".to_owned(), text.clone()),
            key => (format!("definition.{key}"), format!("`{key}`: {text}")),
        };
        violations.push(Violation { field, text });
        texts.push(in_words);
        first_hint = first_hint.or(hint);
    }
    let error = ControlError::new(ErrorKind::Invalid { violations }, texts.join("; "));
    match first_hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// A file of the daemon's own state that can't be written.
fn not_stored(name: &ProcessName) -> impl Fn(config::StoreError) -> ControlError {
    let name = name.clone();
    move |e| ControlError::new(ErrorKind::Internal, format!("storing the definition of {name}: {e}"))
}

type Outcome = oneshot::Receiver<Result<Reply, Refusal>>;

/// Hands a command over. What is accepted is carried out whether or not anybody waits for the outcome.
fn submit(supervisor: &Handle, command: Command) -> Result<Outcome, ControlError> {
    let (tell, outcome) = oneshot::channel();
    // The caller may be gone by the time of the answer, which is then nobody's loss.
    supervisor.submit(command, Box::new(move |result| drop(tell.send(result))))?;
    Ok(outcome)
}

async fn answer(outcome: Outcome) -> Result<Reply, ControlError> {
    match outcome.await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Refusal::ShuttingDown.into()),
    }
}

pub(crate) async fn ask(supervisor: &Handle, command: Command) -> Result<Reply, ControlError> {
    answer(submit(supervisor, command)?).await
}

pub(crate) fn unexpected(reply: &Reply) -> ControlError {
    ControlError::new(
        ErrorKind::Internal,
        format!("the supervisor gave an answer of another kind: {reply:?}"),
    )
}

#[cfg(test)]
mod tests;
