//! The service: what each RPC has in common. It finds out who calls, asks the table, finds the process, hands over to
//! the traits and records what was done.

mod audit;
mod calls;
mod events;
mod lines;
mod list;
mod once;
mod repeats;
mod token;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Definition, Impact, ProcessName, ProcessView, Reason, Refusal, State};
use tokio::sync::watch;

use crate::auth::{Caller, Policy};
use crate::control::ViewResult;
use crate::convert::{self, Sight};
use crate::mask::Mask;
use crate::shares::Shares;
use crate::{BoxFuture, Control, ControlError, ErrorKind, LogSource, Update, Updated, Violation, lookup, v1};
use audit::Act;
pub(crate) use repeats::Repeats;

/// Open log streams in all; further ones are refused with RESOURCE_EXHAUSTED.
pub(crate) const MAX_FOLLOWERS: usize = 256;

/// Open event streams in all; the same.
pub(crate) const MAX_WATCHERS: usize = 256;

/// Calls of WaitProcess that wait in all; the same.
pub(crate) const MAX_WAITERS: usize = 1024;

/// What stands for a secret in answers.
const MASK: &str = "***";

/// How long a call waits for the daemon to know its processes; later it is refused.
const UNTIL_READY: Duration = Duration::from_secs(10);

/// How long a call with `no_wait` waits for its command to show. A turn of the supervisor takes microseconds; what doesn't
/// show is, for example, a start of what is on its way up already.
const UNTIL_BEGUN: Duration = Duration::from_millis(100);

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) logs: Arc<dyn LogSource>,
    pub(crate) policy: Policy,
    pub(crate) mask: fn(&str, &str) -> String,
    pub(crate) log_dir: PathBuf,
    pub(crate) followers: Arc<Shares>,
    pub(crate) watchers: Arc<Shares>,
    pub(crate) waiters: Arc<Shares>,
    /// The calls that carried a request id.
    pub(crate) repeats: Arc<Repeats>,
    /// Whether the daemon is ready: it has read its definitions.
    pub(crate) ready: watch::Receiver<bool>,
    /// True once the server drains: ends the log streams.
    pub(crate) drain: watch::Receiver<bool>,
}

impl Service {
    /// The socket is there before the definitions are read. Whoever asked meanwhile would hear that there is no such
    /// process, or that there are none.
    async fn until_ready(&self) -> Result<(), ControlError> {
        // While it shuts down it is not ready either, and knows its processes all the same.
        if *self.ready.borrow() || self.control.status().draining {
            return Ok(());
        }
        let (mut ready, mut drain) = (self.ready.clone(), self.drain.clone());
        let known = async {
            tokio::select! {
                known = ready.wait_for(|ready| *ready) => known.is_ok(),
                _ = drain.wait_for(|draining| *draining) => false,
            }
        };
        match tokio::time::timeout(UNTIL_READY, known).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::ShuttingDown.into()),
            Err(_) => Err(ControlError::new(ErrorKind::Busy, "the daemon is still reading its definitions")
                .with_hint("try again; pm-cli status shows whether it is ready")),
        }
    }

    fn find(&self, text: &str) -> Result<Arc<ProcessView>, ControlError> {
        lookup::find(&self.control.snapshot(), text)
    }

    fn show(&self, view: &ProcessView, caller: Caller, full: bool) -> v1::Process {
        let now = self.control.now();
        let sight = Sight { role: caller.role, mask: self.mask, log_dir: &self.log_dir, full, now };
        convert::process(view, &sight)
    }

    /// There is no such process; what is kept of changes to one that was there is removed all the same.
    async fn delete_leftover(
        &self,
        text: &str,
        error: ControlError,
    ) -> Result<v1::DeleteProcessResponse, ControlError> {
        let Some(name) = ProcessName::new(text).ok().filter(|_| error.kind == ErrorKind::NotFound) else {
            return Err(error);
        };
        let id = self.control.delete_leftover(name.clone()).await?.ok_or(error)?;
        let note = crate::control::leftover_removed(&name);
        Ok(v1::DeleteProcessResponse { name: name.to_string(), process_id: id.to_string(), note })
    }

    /// The calls that need nothing but a name differ only in the verb. With `no_wait` the answer comes as soon as the
    /// command is accepted.
    async fn on_one(
        &self,
        call: Call,
        text: &str,
        no_wait: bool,
        verb: fn(&dyn Control, ProcessName) -> BoxFuture<ViewResult>,
    ) -> Result<Option<v1::Process>, ControlError> {
        let before = self.find(text)?;
        let news = self.control.events().listen();
        let operation = verb(&*self.control, before.spec.name.clone());
        let caller = call.caller;
        let view = if no_wait {
            let mut operation = tokio::spawn(operation);
            tokio::select! {
                biased;
                done = &mut operation => outcome(done)?,
                begun = self.begun(&before, news) => {
                    call.act.accepted(caller);
                    tokio::spawn(async move { call.act.outcome(caller, outcome(operation.await).err().as_ref()) });
                    begun
                }
            }
        } else {
            operation.await?
        };
        Ok(Some(self.show(&view, caller, true)))
    }

    /// Resolves when a command for the process shows, or should have shown: whatever refuses it at once has done so by
    /// then.
    async fn begun(&self, before: &Arc<ProcessView>, mut news: watch::Receiver<u64>) -> Arc<ProcessView> {
        let look = || self.control.view(&before.spec.name);
        let shows = async {
            loop {
                match look() {
                    Some(view) if Arc::ptr_eq(&view, before) => {}
                    changed => return changed,
                }
                if news.changed().await.is_err() {
                    return None;
                }
            }
        };
        let shown = tokio::time::timeout(UNTIL_BEGUN, shows).await.unwrap_or_else(|_| look());
        shown.unwrap_or_else(|| Arc::clone(before))
    }

    /// After a change: what became of the start that it took, where it took one.
    async fn came_up(
        &self,
        before: &ProcessView,
        Updated { view, change, .. }: &Updated,
    ) -> Result<Arc<ProcessView>, ControlError> {
        let down = |view: &ProcessView| view.run.is_none();
        let takes_time = change.as_ref().is_some_and(|change| {
            change.impact != Impact::Hot || change.keys.contains(&"resource_limits") || down(before)
        });
        let after = match takes_time && view.wanted_up {
            true => self.control.await_start(view.spec.name.clone()).await?,
            false => Arc::clone(view),
        };
        // It may have failed before anybody could wait for it.
        let failed = matches!(after.state, State::Backoff | State::CrashLoop | State::Failed);
        let anew = after.last_exit().map(|exit| exit.at) != before.last_exit().map(|exit| exit.at);
        if failed && anew {
            let name = after.spec.name.clone();
            return Err(match &after.reason {
                Reason::SpawnFailed(failure) => Refusal::StartFailed(name, failure.clone()),
                other => Refusal::NotStarted(name, other.to_string()),
            }
            .into());
        }
        Ok(after)
    }

    /// Writes `auto_start`, and nothing else, as an update would; nothing where it is so already.
    async fn switch(
        &self,
        call: &Call,
        text: &str,
        on: bool,
    ) -> Result<(Option<v1::Process>, Option<v1::ConfigChange>), ControlError> {
        let view = self.find(text)?;
        // What is so already is not written down: it would win over the files from then on. Of a broken definition nobody
        // knows what it says.
        let already = view.spec.auto_start == on && view.state != State::Invalid && view.problem.is_none();
        let Updated { view, change, .. } = if already {
            Updated { view, change: None, warnings: Vec::new() }
        } else {
            let definition = Definition { auto_start: Some(on), ..Definition::default() };
            let name = view.spec.name.clone();
            self.control.update(Update { name, definition, unset: Vec::new(), dry_run: false }).await?
        };
        Ok((Some(self.show(&view, call.caller, true)), change.map(convert::change)))
    }
}

/// A call that changes something.
#[derive(Clone, Debug)]
struct Call {
    caller: Caller,
    act: Arc<Act>,
}

impl Call {
    fn new(caller: Caller, act: Act) -> Self {
        Self { caller, act: Arc::new(act) }
    }
}

/// What became of an operation that has a task of its own.
fn outcome(done: Result<ViewResult, tokio::task::JoinError>) -> ViewResult {
    done.unwrap_or_else(|fault| {
        Err(ControlError::new(ErrorKind::Internal, format!("the operation broke off: {fault}")))
    })
}

/// What an update sets and what it takes back.
fn keys_to_change(asked: v1::UpdateProcessRequest) -> Result<(Definition, Vec<String>), ControlError> {
    let (mut wire, mut unset) = (asked.definition.unwrap_or_default(), asked.unset);
    if let Some(mask) = Mask::new("update_mask", "ProcessDefinition", asked.update_mask)? {
        let absent = mask.absent(&wire).into_iter().filter(|key| !unset.contains(key));
        let absent: Vec<String> = absent.collect();
        unset.extend(absent);
        wire = mask.apply(&wire);
    }
    let definition = definition(Some(wire))?;
    if definition == Definition::default() && unset.is_empty() {
        let error = ControlError::invalid("definition", "no key is to be set and none to be unset");
        return Err(error.with_hint("set at least one key, or name one in unset"));
    }
    Ok((definition, unset))
}

/// The definition of a request, or all that is wrong with it.
fn definition(wire: Option<v1::ProcessDefinition>) -> Result<Definition, ControlError> {
    let invalid = |violations: Vec<Violation>| {
        let texts: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.text)).collect();
        ControlError::new(ErrorKind::Invalid { violations }, texts.join("; "))
    };
    let definition = convert::from_wire(wire.unwrap_or_default()).map_err(invalid)?;
    // Somebody who gives back what was shown, changed at another place, would replace the secret by its mask.
    let masked = definition.env.iter().flatten().filter(|(_, value)| *value == MASK);
    let masked: Vec<Violation> = masked
        .map(|(key, _)| Violation {
            field: format!("definition.env[{key:?}]"),
            text: "this is the mask that is shown in the place of a secret".to_owned(),
        })
        .collect();
    if masked.is_empty() {
        return Ok(definition);
    }
    Err(invalid(masked).with_hint("give its value; what a file or GetOverride says is shown there unmasked"))
}
