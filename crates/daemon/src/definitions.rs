//! The definitions in force: loads them from their layers, keeps what was created over the API, and hands the whole
//! set to the supervisor. One change at a time, so that a file and the process table never tell different stories.

use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use config::{Layout, Loaded, Main};
use model::{
    Command, Definition, Desired, Origin, ProcessName, ProcessSpec, ProcessView, Refusal, Reply, Wall,
};
use rpc::{ControlError, Create, ErrorKind, ReloadReport, ReloadResult, Violation};
use supervisor::Handle;
use tokio::sync::{Mutex, oneshot};

use crate::clock;
use crate::identity::Host;

pub(crate) struct Definitions {
    layout: Layout,
    host: Host,
    supervisor: Handle,
    /// Held from reading or writing files until the supervisor took over what they say.
    one_at_a_time: Mutex<()>,
    last: StdMutex<Outcomes>,
    /// `defaults:` of the last load: they apply to what is created over the API, too.
    defaults: StdMutex<Definition>,
    /// Whether the main file was there at the last good load: only then can it vanish.
    has_main: AtomicBool,
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
    pub(crate) fn new(layout: Layout, host: Host, supervisor: Handle) -> Self {
        Self {
            layout,
            host,
            supervisor,
            one_at_a_time: Mutex::new(()),
            last: StdMutex::default(),
            defaults: StdMutex::default(),
            has_main: AtomicBool::new(false),
        }
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        locked(&self.last).clone()
    }

    /// Reads every layer again and applies what changed. A main file that is gone is an error and changes nothing:
    /// to go on without it would stop everything that it defined.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<ReloadReport, ControlError> {
        let main = if self.has_main.load(Ordering::Relaxed) { Main::Required } else { Main::Optional };
        self.load(main).await
    }

    /// Reads every layer and applies what changed. An error changes nothing.
    pub(crate) async fn load(self: &Arc<Self>, main: Main) -> Result<ReloadReport, ControlError> {
        let _guard = self.one_at_a_time.lock().await;
        let loaded = self.read(main).await;
        let result = match loaded {
            Ok(loaded) => {
                for problem in &loaded.problems {
                    if problem.is_error() {
                        tracing::error!("{problem}");
                    } else {
                        tracing::warn!("{problem}");
                    }
                }
                let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
                let bad = loaded.problems.iter().any(config::Problem::is_error);
                // What kept the main file out is what operators have to see, until it is back in.
                if main != Main::Skipped {
                    self.note(&problems, !bad);
                }
                *locked(&self.defaults) = loaded.defaults;
                self.has_main.store(loaded.files.contains(&self.layout.main), Ordering::Relaxed);
                self.apply(loaded.desired).await.map(|changes| ReloadReport { changes, problems })
            }
            Err(error) => {
                self.note(&[error.to_string()], false);
                Err(ControlError::new(ErrorKind::FailedPrecondition, error.to_string())
                    .with_hint("nothing was changed: every process keeps the definition it has"))
            }
        };
        match &result {
            Ok(report) => {
                tracing::info!(
                    changed = report.changes.len(),
                    problems = report.problems.len(),
                    "definitions loaded"
                );
            }
            Err(error) => tracing::error!("definitions not loaded, nothing changed: {error}"),
        }
        result
    }

    async fn read(self: &Arc<Self>, main: Main) -> Result<Loaded, String> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            config::load(&this.layout, &|name| this.host.process_id(name), main).map_err(|e| e.to_string())
        })
        .await
        .map_err(|e| e.to_string())?
    }

    async fn apply(&self, desired: Desired) -> Result<Vec<model::Change>, ControlError> {
        match ask(&self.supervisor, Command::Apply(desired)).await? {
            Reply::Applied(changes) => Ok(changes),
            other => Err(unexpected(&other)),
        }
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

    /// Adds a process that survives a restart of the daemon: first the file, then the table. The other way round, a
    /// crash in between would forget a process that its creator was told about.
    pub(crate) async fn create(self: &Arc<Self>, create: Create) -> Result<Arc<ProcessView>, ControlError> {
        let outcome = {
            let _guard = self.one_at_a_time.lock().await;
            let name = create.name.clone();
            let snapshot = self.supervisor.snapshot();
            if snapshot.processes.iter().any(|p| p.spec.name == name) {
                return Err(Refusal::AlreadyExists(name).into());
            }
            let others: Vec<Arc<ProcessSpec>> =
                snapshot.processes.iter().map(|p| Arc::clone(&p.spec)).collect();
            let this = Arc::clone(self);
            let Create { start, definition, .. } = create;
            let spec = blocking(move || this.check_and_store(&name, definition, &others)).await??;
            submit(&self.supervisor, Command::Create { spec: Arc::new(spec), start })?
        };
        // Outside the lock: a start that takes its time must not hold up other changes.
        match answer(outcome).await? {
            Reply::Done(view) => Ok(view),
            other => Err(unexpected(&other)),
        }
    }

    fn check_and_store(
        &self,
        name: &ProcessName,
        mut definition: model::Definition,
        others: &[Arc<ProcessSpec>],
    ) -> Result<ProcessSpec, ControlError> {
        definition.auto_start.get_or_insert(false);
        let id = self.host.process_id(name);
        let defaults = locked(&self.defaults).clone();
        let spec =
            config::resolve(name, id, Origin::Runtime, &definition, &defaults).map_err(|f| invalid(&f))?;
        if let Some(conflict) =
            config::log_conflict(&spec, others.iter().map(AsRef::as_ref), &self.layout.log_dir)
        {
            return Err(invalid(&[conflict]));
        }
        config::write_runtime(&self.layout.runtime_dir, name, &definition).map_err(|e| {
            ControlError::new(ErrorKind::Internal, format!("storing the definition of {name}: {e}"))
        })?;
        Ok(spec)
    }

    /// Removes a process that was created over the API. What a file defines is the file's.
    pub(crate) async fn delete(self: &Arc<Self>, name: ProcessName) -> Result<(), ControlError> {
        let outcome = {
            let _guard = self.one_at_a_time.lock().await;
            let snapshot = self.supervisor.snapshot();
            let view = snapshot.processes.iter().find(|p| p.spec.name == name);
            match view.map(|v| &v.spec.origin) {
                None => return Err(Refusal::NotFound(name).into()),
                Some(origin @ Origin::File { .. }) => {
                    return Err(ControlError::new(
                        ErrorKind::FailedPrecondition,
                        format!("{name} is defined in {origin}, a reload would bring it back"),
                    )
                    .with_hint("remove it from the file, then: pm-cli reload-config"));
                }
                Some(Origin::Runtime) => {}
            }
            let this = Arc::clone(self);
            let file_of = name.clone();
            blocking(move || config::remove_runtime(&this.layout.runtime_dir, &file_of)).await?.map_err(
                |e| {
                    ControlError::new(
                        ErrorKind::Internal,
                        format!("removing the stored definition of {name}: {e}"),
                    )
                },
            )?;
            submit(&self.supervisor, Command::Delete(name))?
        };
        match answer(outcome).await? {
            Reply::Deleted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn locked<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A definition that can't be: every fault as a violation, the first one in words.
fn invalid(faults: &[config::Fault]) -> ControlError {
    let violation =
        |f: &config::Fault| Violation { field: format!("definition.{}", f.key()), text: f.message.clone() };
    let violations = faults.iter().map(violation).collect();
    let text: Vec<String> = faults.iter().map(|f| format!("`{}`: {}", f.key(), f.message)).collect();
    let error = ControlError::new(ErrorKind::Invalid { violations }, text.join("; "));
    match faults.iter().find_map(|f| f.hint.clone()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ControlError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ControlError::new(ErrorKind::Internal, e.to_string()))
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
