//! The service: what each RPC has in common. It finds out who calls, asks the table, finds the process, hands over to
//! the traits and records what was done.

mod audit;
mod calls;
mod events;
mod lines;
mod list;
mod once;
mod token;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Definition, Impact, ProcessName, ProcessView, Reason, Refusal, State};
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Status};

use crate::auth::{Caller, Method, Peer, Policy};
use crate::control::ViewResult;
use crate::convert::{self, Sight};
use crate::mask::Mask;
use crate::{BoxFuture, Control, ControlError, ErrorKind, LogSource, Update, Updated, Violation, lookup, v1};
use audit::Act;
pub(crate) use once::Calls;

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
    pub(crate) followers: Arc<Semaphore>,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) waiters: Arc<Semaphore>,
    /// Those that carried a request id.
    pub(crate) calls: Arc<Calls>,
    /// Whether the daemon is ready: it has read its definitions.
    pub(crate) ready: watch::Receiver<bool>,
    /// True once the server drains: ends the log streams.
    pub(crate) drain: watch::Receiver<bool>,
    /// The id of the request that this clone carries out, for the record; empty = it has none.
    pub(crate) request_id: String,
}

impl Service {
    /// Who calls, if that is allowed to call this method, once the daemon knows its processes. A refusal is audited.
    async fn admit<T>(&self, request: &Request<T>, method: Method) -> Result<Caller, Status> {
        let peer = request
            .extensions()
            .get::<Peer>()
            .copied()
            .ok_or_else(|| Status::internal("a connection without a peer"))?;
        let header = request.metadata().get("authorization").map(|h| h.as_bytes().to_vec());
        let caller = self.policy.identify(peer, header).await.and_then(|caller| {
            self.policy.check(caller, method)?;
            Ok(caller)
        });
        let caller = caller.inspect_err(|error| audit::refused(&self.policy.denied, peer, method, error))?;
        if method != Method::GetStatus {
            self.until_ready().await?;
        }
        Ok(caller)
    }

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
        let sight = Sight { role: caller.role, mask: self.mask, log_dir: &self.log_dir, full };
        convert::process(view, &sight)
    }

    /// Runs an accepted operation to its end, whether or not the caller is still there, and records it.
    async fn operate<T: Send + 'static>(
        &self,
        caller: Caller,
        act: Act,
        operation: BoxFuture<Result<T, ControlError>>,
    ) -> Result<T, Status> {
        let act = act.requested(&self.request_id);
        let recorded = act.clone();
        let task = tokio::spawn(async move {
            let result = operation.await.map_err(|error| error.about(recorded.target()));
            recorded.record(caller, result.as_ref().err());
            result
        });
        match task.await {
            Ok(result) => Ok(result?),
            Err(fault) => {
                let error =
                    ControlError::new(ErrorKind::Internal, format!("the operation broke off: {fault}"));
                act.record(caller, Some(&error));
                Err(error.into())
            }
        }
    }

    /// There is no such process; what is kept of changes to one that was there is removed all the same.
    async fn delete_leftover(
        &self,
        caller: Caller,
        text: &str,
        error: ControlError,
    ) -> Result<v1::DeleteProcessResponse, Status> {
        let Some(name) = ProcessName::new(text).ok().filter(|_| error.kind == ErrorKind::NotFound) else {
            return Err(error.into());
        };
        let removed = self.control.delete_leftover(name.clone());
        let removed = async move { removed.await?.ok_or(error) };
        let act = Act::new(Method::DeleteProcess, name.as_str());
        let id = self.operate(caller, act, Box::pin(removed)).await?;
        let note = format!("what was set for {name} over the API is removed; nothing defined it any more");
        Ok(v1::DeleteProcessResponse { name: name.to_string(), process_id: id.to_string(), note })
    }

    /// The calls that need nothing but a name differ only in the verb.
    async fn on_one(
        &self,
        One { caller, method, no_wait }: One,
        text: &str,
        verb: fn(&dyn Control, ProcessName) -> BoxFuture<ViewResult>,
    ) -> Result<Option<v1::Process>, Status> {
        let before = self.find(text)?;
        let name = before.spec.name.clone();
        let news = self.control.events().listen();
        let operation = verb(&*self.control, name.clone());
        let mut operation = std::pin::pin!(self.operate(caller, Act::new(method, name.as_str()), operation));
        let view = if no_wait {
            tokio::select! {
                biased;
                done = &mut operation => done?,
                begun = self.begun(&before, news) => begun,
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
        Updated { view, change }: &Updated,
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
        caller: Caller,
        method: Method,
        text: &str,
        on: bool,
    ) -> Result<(Option<v1::Process>, Option<v1::ConfigChange>), Status> {
        let view = self.find(text)?;
        let name = view.spec.name.clone();
        let act = Act::new(method, name.as_str());
        // What is so already is not written down: it would win over the files from then on. Of a broken definition nobody
        // knows what it says.
        let already = view.spec.auto_start == on && view.state != State::Invalid && view.problem.is_none();
        let operation = if already {
            Box::pin(std::future::ready(Ok(Updated { view, change: None })))
        } else {
            let definition = Definition { auto_start: Some(on), ..Definition::default() };
            self.control.update(Update { name: name.clone(), definition, unset: Vec::new(), dry_run: false })
        };
        let Updated { view, change } = self.operate(caller, act, operation).await?;
        Ok((Some(self.show(&view, caller, true)), change.map(convert::change)))
    }
}

/// A call that needs nothing but a name.
struct One {
    caller: Caller,
    method: Method,
    /// Answer as soon as the command is accepted.
    no_wait: bool,
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
