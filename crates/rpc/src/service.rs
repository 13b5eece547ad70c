//! The RPCs: each finds out who calls, asks the table, finds the process, and hands over to the traits.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use model::{ProcessName, ProcessView};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::auth::{Caller, Method, Peer, Policy};
use crate::control::ViewResult;
use crate::convert::{self, Sight};
use crate::v1::process_manager_service_server::ProcessManagerService;
use crate::{
    BoxFuture, BoxStream, Control, ControlError, Create, ErrorKind, LogChunk, LogRequest, LogSource, lookup,
    v1,
};

/// Largest page of a list, and the page when none is asked for.
const MAX_PAGE: usize = 1_000;
/// Lines shown first when the caller doesn't say.
const DEFAULT_LINES: u32 = 20;
/// Open log streams in all; further ones are refused with RESOURCE_EXHAUSTED.
pub(crate) const MAX_FOLLOWERS: usize = 256;

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) logs: Arc<dyn LogSource>,
    pub(crate) policy: Policy,
    pub(crate) mask: fn(&str, &str) -> String,
    pub(crate) log_dir: PathBuf,
    pub(crate) followers: Arc<Semaphore>,
    /// Whether the daemon is ready, for GetStatus.
    pub(crate) ready: watch::Receiver<bool>,
    /// True once the server drains: ends the log streams.
    pub(crate) drain: watch::Receiver<bool>,
}

impl Service {
    /// Who calls, if that is allowed to call this method. A refusal is audited.
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
        caller.map_err(|error| {
            tracing::warn!(target: "audit", %peer, method = method.as_str(), result = error.kind.reason(), "{error}");
            error.into()
        })
    }

    fn find(&self, text: &str) -> Result<Arc<ProcessView>, ControlError> {
        lookup::find(&self.control.snapshot(), text)
    }

    fn show(&self, view: &ProcessView, caller: Caller, full: bool) -> v1::Process {
        let sight = Sight { role: caller.role, mask: self.mask, log_dir: &self.log_dir, full };
        convert::process(view, &sight)
    }

    /// Runs an accepted operation to its end, whether or not the caller is still there, and audits it.
    async fn operate<T: Send + 'static>(
        &self,
        caller: Caller,
        method: Method,
        target: String,
        operation: BoxFuture<Result<T, ControlError>>,
    ) -> Result<T, Status> {
        let task = tokio::spawn(async move {
            let result = operation.await;
            audit(caller, method, &target, result.as_ref().err());
            result
        });
        match task.await {
            Ok(result) => Ok(result?),
            Err(fault) => {
                let error =
                    ControlError::new(ErrorKind::Internal, format!("the operation broke off: {fault}"));
                audit(caller, method, "", Some(&error));
                Err(error.into())
            }
        }
    }

    /// Start, stop and restart differ only in the verb.
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
        let view = self.operate(caller, method, name.to_string(), operation).await?;
        Ok(Some(self.show(&view, caller, true)))
    }
}

/// The record of a mutating call.
fn audit(caller: Caller, method: Method, target: &str, error: Option<&ControlError>) {
    let (uid, pid) = match caller.peer {
        Peer::Unix { uid, pid, .. } => (Some(uid), pid),
        Peer::Tcp(_) => (None, None),
    };
    let result = error.map_or("OK", |e| e.kind.reason());
    tracing::info!(
        target: "audit",
        peer = %caller.peer,
        uid,
        pid,
        role = caller.role.as_str(),
        method = method.as_str(),
        target_process = target,
        result,
        "{}{}{target}: {result}",
        method.as_str(),
        if target.is_empty() { "" } else { " " },
    );
}

#[tonic::async_trait]
impl ProcessManagerService for Service {
    async fn list_processes(
        &self,
        request: Request<v1::ListProcessesRequest>,
    ) -> Result<Response<v1::ListProcessesResponse>, Status> {
        let caller = self.admit(&request, Method::ListProcesses).await?;
        let asked = request.get_ref();
        let size = match usize::try_from(asked.page_size) {
            Ok(0) => MAX_PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => {
                let text = format!("page_size is {}; it can't be negative", asked.page_size);
                return Err(ControlError::invalid("page_size", text).into());
            }
        };
        let full = asked.view() == v1::ProcessView::Full;
        // The token is the last name of the page before: names are sorted, so it stays right when others come and go.
        let snapshot = self.control.snapshot();
        let from = snapshot.processes.partition_point(|p| p.spec.name.as_str() <= asked.page_token.as_str());
        let rest = &snapshot.processes[from..];
        let page = &rest[..size.min(rest.len())];
        let last = page.last().filter(|_| page.len() < rest.len());
        Ok(Response::new(v1::ListProcessesResponse {
            processes: page.iter().map(|view| self.show(view, caller, full)).collect(),
            next_page_token: last.map(|view| view.spec.name.to_string()).unwrap_or_default(),
        }))
    }

    async fn get_process(
        &self,
        request: Request<v1::GetProcessRequest>,
    ) -> Result<Response<v1::GetProcessResponse>, Status> {
        let caller = self.admit(&request, Method::GetProcess).await?;
        let view = self.find(&request.get_ref().name)?;
        Ok(Response::new(v1::GetProcessResponse { process: Some(self.show(&view, caller, true)) }))
    }

    async fn create_process(
        &self,
        request: Request<v1::CreateProcessRequest>,
    ) -> Result<Response<v1::CreateProcessResponse>, Status> {
        let caller = self.admit(&request, Method::CreateProcess).await?;
        let v1::CreateProcessRequest { name, definition, start } = request.into_inner();
        let name = ProcessName::new(&name).map_err(|e| {
            ControlError::invalid("name", e.to_string()).with_hint("for example: web, worker-1")
        })?;
        let definition = convert::from_wire(definition.unwrap_or_default()).map_err(|violations| {
            let texts: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.text)).collect();
            ControlError::new(ErrorKind::Invalid { violations }, texts.join("; "))
        })?;
        let operation = self.control.create(Create { name: name.clone(), definition, start });
        let view = self.operate(caller, Method::CreateProcess, name.to_string(), operation).await?;
        Ok(Response::new(v1::CreateProcessResponse { process: Some(self.show(&view, caller, true)) }))
    }

    async fn start_process(
        &self,
        request: Request<v1::StartProcessRequest>,
    ) -> Result<Response<v1::StartProcessResponse>, Status> {
        let name = &request.get_ref().name;
        let process = self.on_one(&request, Method::StartProcess, name, |c, n| c.start(n)).await?;
        Ok(Response::new(v1::StartProcessResponse { process }))
    }

    async fn stop_process(
        &self,
        request: Request<v1::StopProcessRequest>,
    ) -> Result<Response<v1::StopProcessResponse>, Status> {
        let name = &request.get_ref().name;
        let process = self.on_one(&request, Method::StopProcess, name, |c, n| c.stop(n)).await?;
        Ok(Response::new(v1::StopProcessResponse { process }))
    }

    async fn restart_process(
        &self,
        request: Request<v1::RestartProcessRequest>,
    ) -> Result<Response<v1::RestartProcessResponse>, Status> {
        let name = &request.get_ref().name;
        let process = self.on_one(&request, Method::RestartProcess, name, |c, n| c.restart(n)).await?;
        Ok(Response::new(v1::RestartProcessResponse { process }))
    }

    async fn delete_process(
        &self,
        request: Request<v1::DeleteProcessRequest>,
    ) -> Result<Response<v1::DeleteProcessResponse>, Status> {
        let caller = self.admit(&request, Method::DeleteProcess).await?;
        let view = self.find(&request.get_ref().name)?;
        let (name, process_id) = (view.spec.name.clone(), view.spec.id.to_string());
        let operation = self.control.delete(name.clone());
        self.operate(caller, Method::DeleteProcess, name.to_string(), operation).await?;
        Ok(Response::new(v1::DeleteProcessResponse { name: name.to_string(), process_id }))
    }

    async fn reload_config(
        &self,
        request: Request<v1::ReloadConfigRequest>,
    ) -> Result<Response<v1::ReloadConfigResponse>, Status> {
        let caller = self.admit(&request, Method::ReloadConfig).await?;
        let operation = self.control.reload();
        let report = self.operate(caller, Method::ReloadConfig, String::new(), operation).await?;
        Ok(Response::new(v1::ReloadConfigResponse {
            changes: report.changes.into_iter().map(convert::change).collect(),
            problems: report.problems,
        }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let caller = self.admit(&request, Method::GetStatus).await?;
        let ready = *self.ready.borrow() && !*self.drain.borrow();
        let (status, snapshot) = (self.control.status(), self.control.snapshot());
        let status = convert::status(status, &snapshot, ready, &self.log_dir, caller.role);
        Ok(Response::new(v1::GetStatusResponse { status: Some(status) }))
    }

    type StreamLogsStream = LogStream;

    async fn stream_logs(
        &self,
        request: Request<v1::StreamLogsRequest>,
    ) -> Result<Response<LogStream>, Status> {
        self.admit(&request, Method::StreamLogs).await?;
        let asked = request.get_ref();
        let view = self.find(&asked.name)?;
        let slot = Arc::clone(&self.followers).try_acquire_owned().map_err(|_| {
            let text = format!("{MAX_FOLLOWERS} log streams are open already");
            ControlError::new(ErrorKind::Busy, text).with_hint("end one of them, or read the file itself")
        })?;
        let lines = self.logs.open(LogRequest {
            name: view.spec.name.clone(),
            lines: asked.lines.unwrap_or(DEFAULT_LINES),
            follow: asked.follow,
            stream: convert::stream_from(asked.stream()),
        })?;
        let mut drain = self.drain.clone();
        let drained: BoxFuture<()> = Box::pin(async move {
            // An error means that the server is gone, which is the same to this stream.
            let _gone = drain.wait_for(|draining| *draining).await.is_err();
        });
        Ok(Response::new(LogStream { lines, drained, ended: false, _slot: slot }))
    }
}

/// Lines on their way to a caller. When the server drains, the stream ends with UNAVAILABLE. A caller that reads
/// slowly holds back only this stream: HTTP/2 flow control stops the polling, and the source counts what it drops.
pub(crate) struct LogStream {
    lines: BoxStream<Result<LogChunk, ControlError>>,
    drained: BoxFuture<()>,
    ended: bool,
    _slot: OwnedSemaphorePermit,
}

impl Stream for LogStream {
    type Item = Result<v1::StreamLogsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Lines first: what is there already reaches the caller even while the server drains.
        match self.lines.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => Poll::Ready(Some(Ok(v1::StreamLogsResponse {
                data: chunk.data,
                stream: convert::stream(chunk.stream).into(),
                dropped_lines: chunk.dropped,
            }))),
            Poll::Ready(Some(Err(error))) => {
                self.ended = true;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                std::task::ready!(self.drained.as_mut().poll(cx));
                self.ended = true;
                let error = ControlError::new(ErrorKind::Unavailable, "the daemon is shutting down");
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}
