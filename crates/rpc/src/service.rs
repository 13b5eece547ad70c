//! The service: what each RPC has in common. It finds out who calls, asks the table, finds the process, hands over to
//! the traits and records what was done.

mod audit;
mod calls;
mod events;
mod lines;
mod list;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Definition, ProcessName, ProcessView, Refusal};
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Status};

use crate::auth::{Caller, Method, Peer, Policy};
use crate::control::ViewResult;
use crate::convert::{self, Sight};
use crate::{BoxFuture, Control, ControlError, ErrorKind, LogSource, Update, Updated, lookup, v1};
use audit::Act;

/// Open log streams in all; further ones are refused with RESOURCE_EXHAUSTED.
pub(crate) const MAX_FOLLOWERS: usize = 256;

/// Open event streams in all; the same.
pub(crate) const MAX_WATCHERS: usize = 256;

/// Calls of WaitProcess that wait in all; the same.
pub(crate) const MAX_WAITERS: usize = 1024;

/// How long a call waits for the daemon to know its processes; later it is refused.
const UNTIL_READY: Duration = Duration::from_secs(10);

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
    /// Whether the daemon is ready: it has read its definitions.
    pub(crate) ready: watch::Receiver<bool>,
    /// True once the server drains: ends the log streams.
    pub(crate) drain: watch::Receiver<bool>,
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
        let caller = caller.map_err(|error| {
            tracing::warn!(target: "audit", %peer, method = method.as_str(), result = error.kind.reason(), "{error}");
            error
        })?;
        if method != Method::GetStatus {
            self.until_ready().await?;
        }
        Ok(caller)
    }

    /// The socket is there before the definitions are read. Whoever asked meanwhile would hear that there is no such
    /// process, or that there are none.
    async fn until_ready(&self) -> Result<(), ControlError> {
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
        let recorded = act.clone();
        let task = tokio::spawn(async move {
            let result = operation.await;
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

    /// The calls that need nothing but a name differ only in the verb.
    async fn on_one<T>(
        &self,
        request: &Request<T>,
        method: Method,
        text: &str,
        verb: fn(&dyn Control, ProcessName) -> BoxFuture<ViewResult>,
    ) -> Result<Option<v1::Process>, Status> {
        let caller = self.admit(request, method).await?;
        let name = self.find(text)?.spec.name.clone();
        let operation = verb(&*self.control, name.clone());
        let view = self.operate(caller, Act::new(method, name.as_str()), operation).await?;
        Ok(Some(self.show(&view, caller, true)))
    }

    /// Writes `auto_start`, and nothing else, as an update would.
    async fn switch<T>(
        &self,
        request: &Request<T>,
        method: Method,
        text: &str,
        on: bool,
    ) -> Result<(Option<v1::Process>, Option<v1::ConfigChange>), Status> {
        let caller = self.admit(request, method).await?;
        let name = self.find(text)?.spec.name.clone();
        let definition = Definition { auto_start: Some(on), ..Definition::default() };
        let act = Act::new(method, name.as_str());
        let operation = self.control.update(Update { name, definition, unset: Vec::new(), dry_run: false });
        let Updated { view, change } = self.operate(caller, act, operation).await?;
        Ok((Some(self.show(&view, caller, true)), change.map(convert::change)))
    }
}

/// The definition of a request, or all that is wrong with it.
fn definition(wire: Option<v1::ProcessDefinition>) -> Result<Definition, ControlError> {
    convert::from_wire(wire.unwrap_or_default()).map_err(|violations| {
        let texts: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.text)).collect();
        ControlError::new(ErrorKind::Invalid { violations }, texts.join("; "))
    })
}
