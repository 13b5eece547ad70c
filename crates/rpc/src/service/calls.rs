//! The RPCs, one by one.

use std::sync::Arc;

use model::{Definition, ProcessName};
use tonic::{Request, Response, Status};

use super::audit::Act;
use super::lines::LogStream;
use super::{MAX_FOLLOWERS, Service};
use crate::auth::Method;
use crate::v1::process_manager_service_server::ProcessManagerService;
use crate::{
    BoxFuture, ControlError, Create, ErrorKind, OverrideText, SetOverride, Update, Updated, convert, signal,
    v1,
};

/// Largest page of a list, and the page when none is asked for.
const MAX_PAGE: usize = 1_000;
/// Largest override file in bytes: one process's keys, so that even this is more than anybody writes.
const MAX_OVERRIDE: usize = 1 << 20;

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
        let definition = super::definition(definition)?;
        let operation = self.control.create(Create { name: name.clone(), definition, start });
        let view = self.operate(caller, Act::new(Method::CreateProcess, name.as_str()), operation).await?;
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

    async fn reload_process(
        &self,
        request: Request<v1::ReloadProcessRequest>,
    ) -> Result<Response<v1::ReloadProcessResponse>, Status> {
        let name = &request.get_ref().name;
        let process = self.on_one(&request, Method::ReloadProcess, name, |c, n| c.reload_process(n)).await?;
        Ok(Response::new(v1::ReloadProcessResponse { process }))
    }

    async fn signal_process(
        &self,
        request: Request<v1::SignalProcessRequest>,
    ) -> Result<Response<v1::SignalProcessResponse>, Status> {
        let caller = self.admit(&request, Method::SignalProcess).await?;
        let asked = request.get_ref();
        let name = self.find(&asked.name)?.spec.name.clone();
        let (signal, all) = (signal::wanted(asked)?, asked.all);
        let operation = self.control.signal(name.clone(), signal, all);
        let detail = format!("{signal}{}", if all { " to all" } else { "" });
        let act = Act::new(Method::SignalProcess, name.as_str()).detailed(detail);
        let view = self.operate(caller, act, operation).await?;
        Ok(Response::new(v1::SignalProcessResponse { process: Some(self.show(&view, caller, true)) }))
    }

    async fn reset_process(
        &self,
        request: Request<v1::ResetProcessRequest>,
    ) -> Result<Response<v1::ResetProcessResponse>, Status> {
        let name = &request.get_ref().name;
        let process = self.on_one(&request, Method::ResetProcess, name, |c, n| c.reset(n)).await?;
        Ok(Response::new(v1::ResetProcessResponse { process }))
    }

    async fn update_process(
        &self,
        request: Request<v1::UpdateProcessRequest>,
    ) -> Result<Response<v1::UpdateProcessResponse>, Status> {
        let caller = self.admit(&request, Method::UpdateProcess).await?;
        let v1::UpdateProcessRequest { name, definition, unset, dry_run } = request.into_inner();
        let name = self.find(&name)?.spec.name.clone();
        let definition = super::definition(definition)?;
        if definition == Definition::default() && unset.is_empty() {
            let error = ControlError::invalid("definition", "no key is to be set and none to be unset");
            return Err(error.with_hint("set at least one key, or name one in unset").into());
        }
        let act = Act::new(Method::UpdateProcess, name.as_str()).dry(dry_run);
        let operation = self.control.update(Update { name, definition, unset, dry_run });
        let Updated { view, change } = self.operate(caller, act, operation).await?;
        Ok(Response::new(v1::UpdateProcessResponse {
            process: Some(self.show(&view, caller, true)),
            change: change.map(convert::change),
        }))
    }

    async fn delete_process(
        &self,
        request: Request<v1::DeleteProcessRequest>,
    ) -> Result<Response<v1::DeleteProcessResponse>, Status> {
        let caller = self.admit(&request, Method::DeleteProcess).await?;
        let view = self.find(&request.get_ref().name)?;
        let (name, process_id) = (view.spec.name.clone(), view.spec.id.to_string());
        let operation = self.control.delete(name.clone());
        let note = self.operate(caller, Act::new(Method::DeleteProcess, name.as_str()), operation).await?;
        let note = note.unwrap_or_default();
        Ok(Response::new(v1::DeleteProcessResponse { name: name.to_string(), process_id, note }))
    }

    async fn get_fragments(
        &self,
        request: Request<v1::GetFragmentsRequest>,
    ) -> Result<Response<v1::GetFragmentsResponse>, Status> {
        self.admit(&request, Method::GetFragments).await?;
        let view = self.find(&request.get_ref().name)?;
        let fragments = self.control.fragments(view.spec.name.clone()).await?;
        let fragments = fragments.into_iter().map(|f| v1::Fragment { origin: f.origin, text: f.text });
        Ok(Response::new(v1::GetFragmentsResponse { fragments: fragments.collect() }))
    }

    async fn get_override(
        &self,
        request: Request<v1::GetOverrideRequest>,
    ) -> Result<Response<v1::GetOverrideResponse>, Status> {
        self.admit(&request, Method::GetOverride).await?;
        let view = self.find(&request.get_ref().name)?;
        let OverrideText { path, text, exists } = self.control.override_text(view.spec.name.clone()).await?;
        Ok(Response::new(v1::GetOverrideResponse { path: path.display().to_string(), text, exists }))
    }

    async fn set_override(
        &self,
        request: Request<v1::SetOverrideRequest>,
    ) -> Result<Response<v1::SetOverrideResponse>, Status> {
        let caller = self.admit(&request, Method::SetOverride).await?;
        let v1::SetOverrideRequest { name, text, dry_run } = request.into_inner();
        let name = self.find(&name)?.spec.name.clone();
        if text.len() > MAX_OVERRIDE {
            let message =
                format!("the text has {} bytes; an override has at most {MAX_OVERRIDE}", text.len());
            let error = ControlError::invalid("text", message);
            return Err(error
                .with_hint("it holds keys of one process; large data belongs into files of its own")
                .into());
        }
        let act = Act::new(Method::SetOverride, name.as_str()).dry(dry_run);
        let operation = self.control.set_override(SetOverride { name, text, dry_run });
        let Updated { view, change } = self.operate(caller, act, operation).await?;
        Ok(Response::new(v1::SetOverrideResponse {
            process: Some(self.show(&view, caller, true)),
            change: change.map(convert::change),
        }))
    }

    async fn reload_config(
        &self,
        request: Request<v1::ReloadConfigRequest>,
    ) -> Result<Response<v1::ReloadConfigResponse>, Status> {
        let caller = self.admit(&request, Method::ReloadConfig).await?;
        let dry_run = request.get_ref().dry_run;
        let operation = self.control.reload(dry_run);
        let act = Act::new(Method::ReloadConfig, "").dry(dry_run);
        let report = self.operate(caller, act, operation).await?;
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
        let lines = self.logs.open(convert::log_request(asked, view.spec.name.clone())?)?;
        let mut drain = self.drain.clone();
        let drained: BoxFuture<()> = Box::pin(async move {
            // An error means that the server is gone, which is the same to this stream.
            let _gone = drain.wait_for(|draining| *draining).await.is_err();
        });
        Ok(Response::new(LogStream::new(lines, drained, slot)))
    }

    async fn reopen_logs(
        &self,
        request: Request<v1::ReopenLogsRequest>,
    ) -> Result<Response<v1::ReopenLogsResponse>, Status> {
        let caller = self.admit(&request, Method::ReopenLogs).await?;
        self.logs.reopen();
        let act = Act::new(Method::ReopenLogs, "");
        self.operate(caller, act, Box::pin(std::future::ready(Ok(())))).await?;
        Ok(Response::new(v1::ReopenLogsResponse {}))
    }
}
