//! The RPCs, one by one.

use model::{ProcessName, ProcessView};
use tonic::{Request, Response, Status};

use super::events::EventStream;
use super::lines::LogStream;
use super::list::{self, Filter, bounded};
use super::{Call, Service};
use crate::auth::Method;
use crate::convert::choice;
use crate::mask::Mask;
use crate::v1::process_manager_service_server::ProcessManagerService;
use crate::{
    BoxFuture, ControlError, Create, Created, OverrideText, SetOverride, StatsRequest, Update, Updated,
    convert, lookup, signal, v1,
};

/// Largest override file in bytes: one process's keys, so that even this is more than anybody writes.
const MAX_OVERRIDE: usize = 1 << 20;

#[tonic::async_trait]
impl ProcessManagerService for Service {
    async fn list_processes(
        &self,
        request: Request<v1::ListProcessesRequest>,
    ) -> Result<Response<v1::ListProcessesResponse>, Status> {
        let caller = self.admit_reader(&request, Method::ListProcesses, "").await?;
        let asked = request.get_ref();
        let (size, filter) = (list::page_size(asked)?, Filter::new(asked)?);
        let (view, after): (v1::ProcessView, _) = (choice("view", asked.view)?, list::page_token(asked)?);
        let mask = Mask::new("read_mask", "Process", asked.read_mask.clone())?;
        let full = match &mask {
            Some(mask) => mask.names("definition"),
            None => view == v1::ProcessView::Full,
        };
        // The token is the last name of the page before: names are sorted, so it stays right when others come and go.
        let snapshot = self.control.snapshot();
        let from = snapshot.processes.partition_point(|p| p.spec.name.as_str() <= after);
        let mut rest = snapshot.processes[from..].iter().filter(|view| filter.fits(view));
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let last = page.last().filter(|_| rest.next().is_some());
        let shown = |view: &ProcessView| Mask::applied(mask.as_ref(), self.show(view, caller, full));
        Ok(Response::new(v1::ListProcessesResponse {
            next_page_token: last.map(|view| view.spec.name.to_string()).unwrap_or_default(),
            processes: page.iter().map(|view| shown(view)).collect(),
        }))
    }

    async fn get_process(
        &self,
        request: Request<v1::GetProcessRequest>,
    ) -> Result<Response<v1::GetProcessResponse>, Status> {
        let caller = self.admit_reader(&request, Method::GetProcess, &request.get_ref().name).await?;
        let v1::GetProcessRequest { name, read_mask } = request.into_inner();
        let mask = Mask::new("read_mask", "Process", read_mask)?;
        let process = self.show(&*self.find(&name)?, caller, true);
        let process = Mask::applied(mask.as_ref(), process);
        Ok(Response::new(v1::GetProcessResponse { process: Some(process) }))
    }

    async fn create_process(
        &self,
        request: Request<v1::CreateProcessRequest>,
    ) -> Result<Response<v1::CreateProcessResponse>, Status> {
        const METHOD: Method = Method::CreateProcess;
        let work = |this: Self, call: Call, asked: v1::CreateProcessRequest| async move {
            let v1::CreateProcessRequest { name, definition, start, dry_run, request_id: _ } = asked;
            let name = ProcessName::new(&name).map_err(|e| {
                ControlError::invalid("name", e.to_string()).with_hint("for example: web, worker-1")
            })?;
            let definition = super::definition(definition)?;
            let operation = this.control.create(Create { name, definition, start, dry_run });
            let Created { view, warnings } = operation.await?;
            Ok(v1::CreateProcessResponse { process: Some(this.show(&view, call.caller, true)), warnings })
        };
        self.once(request, METHOD, work).await
    }

    async fn start_process(
        &self,
        request: Request<v1::StartProcessRequest>,
    ) -> Result<Response<v1::StartProcessResponse>, Status> {
        const METHOD: Method = Method::StartProcess;
        let work = |this: Self, call: Call, asked: v1::StartProcessRequest| async move {
            let process = this.on_one(call, &asked.name, asked.no_wait, |c, n| c.start(n)).await?;
            Ok(v1::StartProcessResponse { process })
        };
        self.once(request, METHOD, work).await
    }

    async fn stop_process(
        &self,
        request: Request<v1::StopProcessRequest>,
    ) -> Result<Response<v1::StopProcessResponse>, Status> {
        const METHOD: Method = Method::StopProcess;
        let work = |this: Self, call: Call, asked: v1::StopProcessRequest| async move {
            let process = this.on_one(call, &asked.name, asked.no_wait, |c, n| c.stop(n)).await?;
            Ok(v1::StopProcessResponse { process })
        };
        self.once(request, METHOD, work).await
    }

    async fn restart_process(
        &self,
        request: Request<v1::RestartProcessRequest>,
    ) -> Result<Response<v1::RestartProcessResponse>, Status> {
        const METHOD: Method = Method::RestartProcess;
        let work = |this: Self, call: Call, asked: v1::RestartProcessRequest| async move {
            let process = this.on_one(call, &asked.name, asked.no_wait, |c, n| c.restart(n)).await?;
            Ok(v1::RestartProcessResponse { process })
        };
        self.once(request, METHOD, work).await
    }

    async fn reload_process(
        &self,
        request: Request<v1::ReloadProcessRequest>,
    ) -> Result<Response<v1::ReloadProcessResponse>, Status> {
        const METHOD: Method = Method::ReloadProcess;
        let work = |this: Self, call: Call, asked: v1::ReloadProcessRequest| async move {
            let process = this.on_one(call, &asked.name, asked.no_wait, |c, n| c.reload_process(n)).await?;
            Ok(v1::ReloadProcessResponse { process })
        };
        self.once(request, METHOD, work).await
    }

    async fn signal_process(
        &self,
        request: Request<v1::SignalProcessRequest>,
    ) -> Result<Response<v1::SignalProcessResponse>, Status> {
        const METHOD: Method = Method::SignalProcess;
        let work = |this: Self, call: Call, asked: v1::SignalProcessRequest| async move {
            let name = this.find(&asked.name)?.spec.name.clone();
            let (signal, all) = (signal::wanted(&asked)?, asked.all);
            let operation = this.control.signal(name.clone(), signal, all);
            let view = operation.await?;
            Ok(v1::SignalProcessResponse { process: Some(this.show(&view, call.caller, true)) })
        };
        self.once(request, METHOD, work).await
    }

    async fn reset_process(
        &self,
        request: Request<v1::ResetProcessRequest>,
    ) -> Result<Response<v1::ResetProcessResponse>, Status> {
        const METHOD: Method = Method::ResetProcess;
        let work = |this: Self, call: Call, asked: v1::ResetProcessRequest| async move {
            let process = this.on_one(call, &asked.name, false, |c, n| c.reset(n)).await?;
            Ok(v1::ResetProcessResponse { process })
        };
        self.once(request, METHOD, work).await
    }

    async fn update_process(
        &self,
        request: Request<v1::UpdateProcessRequest>,
    ) -> Result<Response<v1::UpdateProcessResponse>, Status> {
        const METHOD: Method = Method::UpdateProcess;
        let work = |this: Self, call: Call, asked: v1::UpdateProcessRequest| async move {
            let (before, dry_run, wait) = (this.find(&asked.name)?, asked.dry_run, asked.wait);
            let name = before.spec.name.clone();
            let (definition, unset) = super::keys_to_change(asked)?;
            let operation = this.control.update(Update { name, definition, unset, dry_run });
            let mut updated = operation.await?;
            if wait && !dry_run {
                updated.view = this.came_up(&before, &updated).await?;
            }
            let Updated { view, change, warnings } = updated;
            let process = Some(this.show(&view, call.caller, true));
            Ok(v1::UpdateProcessResponse { process, change: change.map(convert::change), warnings })
        };
        self.once(request, METHOD, work).await
    }

    async fn delete_process(
        &self,
        request: Request<v1::DeleteProcessRequest>,
    ) -> Result<Response<v1::DeleteProcessResponse>, Status> {
        const METHOD: Method = Method::DeleteProcess;
        let work = |this: Self, _call, asked: v1::DeleteProcessRequest| async move {
            let view = match this.find(&asked.name) {
                Ok(view) => view,
                Err(error) => return this.delete_leftover(&asked.name, error).await,
            };
            let (name, process_id) = (view.spec.name.clone(), view.spec.id.to_string());
            let note = match this.control.delete(name.clone(), asked.force).await {
                Ok(note) => note.unwrap_or_default(),
                // It went between the look and the call.
                Err(error) => return this.delete_leftover(&asked.name, error).await,
            };
            Ok(v1::DeleteProcessResponse { name: name.to_string(), process_id, note })
        };
        self.once(request, METHOD, work).await
    }

    async fn get_fragments(
        &self,
        request: Request<v1::GetFragmentsRequest>,
    ) -> Result<Response<v1::GetFragmentsResponse>, Status> {
        self.admit_reader(&request, Method::GetFragments, &request.get_ref().name).await?;
        let asked = &request.get_ref().name;
        let fragments = match (self.find(asked), ProcessName::new(asked)) {
            (Ok(view), _) => self.control.fragments(view.spec.name.clone()).await?,
            // Settings of something that nothing defines any more. Without any it is as if nobody had looked.
            (Err(error), Ok(name)) => self.control.fragments(name).await.map_err(|_| error)?,
            (Err(error), Err(_)) => return Err(error.into()),
        };
        let fragments = fragments.into_iter().map(|f| v1::Fragment { origin: f.origin, text: f.text });
        Ok(Response::new(v1::GetFragmentsResponse { fragments: fragments.collect() }))
    }

    async fn get_override(
        &self,
        request: Request<v1::GetOverrideRequest>,
    ) -> Result<Response<v1::GetOverrideResponse>, Status> {
        self.admit_reader(&request, Method::GetOverride, &request.get_ref().name).await?;
        let view = self.find(&request.get_ref().name)?;
        let OverrideText { path, text, exists } = self.control.override_text(view.spec.name.clone()).await?;
        Ok(Response::new(v1::GetOverrideResponse { path: path.display().to_string(), text, exists }))
    }

    async fn set_override(
        &self,
        request: Request<v1::SetOverrideRequest>,
    ) -> Result<Response<v1::SetOverrideResponse>, Status> {
        const METHOD: Method = Method::SetOverride;
        let work = |this: Self, call: Call, asked: v1::SetOverrideRequest| async move {
            let v1::SetOverrideRequest { name, text, dry_run, wait, request_id: _ } = asked;
            let before = this.find(&name)?;
            let name = before.spec.name.clone();
            if text.len() > MAX_OVERRIDE {
                let message =
                    format!("the text has {} bytes; an override has at most {MAX_OVERRIDE}", text.len());
                let error = ControlError::invalid("text", message);
                return Err(
                    error.with_hint("it holds keys of one process; large data belongs into files of its own")
                );
            }
            let operation = this.control.set_override(SetOverride { name, text, dry_run });
            let mut updated = operation.await?;
            if wait && !dry_run {
                updated.view = this.came_up(&before, &updated).await?;
            }
            let Updated { view, change, .. } = updated;
            let process = Some(this.show(&view, call.caller, true));
            Ok(v1::SetOverrideResponse { process, change: change.map(convert::change) })
        };
        self.once(request, METHOD, work).await
    }

    async fn reload_config(
        &self,
        request: Request<v1::ReloadConfigRequest>,
    ) -> Result<Response<v1::ReloadConfigResponse>, Status> {
        const METHOD: Method = Method::ReloadConfig;
        let work = |this: Self, _call, asked: v1::ReloadConfigRequest| async move {
            let operation = this.control.reload(asked.dry_run);
            let report = operation.await?;
            Ok(v1::ReloadConfigResponse {
                changes: report.changes.into_iter().map(convert::change).collect(),
                problems: report.problems,
            })
        };
        self.once(request, METHOD, work).await
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let caller = self.admit_reader(&request, Method::GetStatus, "").await?;
        let ready = *self.ready.borrow() && !*self.drain.borrow();
        let (status, snapshot) = (self.control.status(), self.control.snapshot());
        let events = self.control.events();
        let status = convert::status(status, &snapshot, ready, &self.log_dir, caller.role, events.epoch());
        Ok(Response::new(v1::GetStatusResponse { status: Some(status) }))
    }

    type StreamLogsStream = LogStream;

    async fn stream_logs(
        &self,
        request: Request<v1::StreamLogsRequest>,
    ) -> Result<Response<LogStream>, Status> {
        let caller = self.admit_reader(&request, Method::StreamLogs, &request.get_ref().name).await?;
        let asked = request.get_ref();
        let view = self.find(&asked.name)?;
        let slot = self.followers.claim(caller, "log streams", "end one of them, or read the file itself")?;
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
        let work = |this: Self, _call, _asked| async move {
            this.logs.reopen();
            Ok(v1::ReopenLogsResponse {})
        };
        self.once(request, Method::ReopenLogs, work).await
    }

    type WatchEventsStream = EventStream;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<EventStream>, Status> {
        let caller = self.admit_reader(&request, Method::WatchEvents, "").await?;
        let slot = self.watchers.claim(caller, "event streams", "end one of them, or read the journal")?;
        Ok(Response::new(self.watch(request.get_ref(), slot)?))
    }

    async fn wait_process(
        &self,
        request: Request<v1::WaitProcessRequest>,
    ) -> Result<Response<v1::WaitProcessResponse>, Status> {
        let caller = self.admit_reader(&request, Method::WaitProcess, &request.get_ref().name).await?;
        let asked = request.get_ref();
        let condition = choice("condition", asked.condition)?;
        let name = self.find(&asked.name)?.spec.name.clone();
        let _slot =
            self.waiters.claim(caller, "calls that wait for processes", "wait for fewer at a time")?;
        let view = self.until(&name, condition).await?;
        Ok(Response::new(v1::WaitProcessResponse { process: Some(self.show(&view, caller, true)) }))
    }

    async fn list_stats(
        &self,
        request: Request<v1::ListStatsRequest>,
    ) -> Result<Response<v1::ListStatsResponse>, Status> {
        let caller = self.admit_reader(&request, Method::ListStats, "").await?;
        let asked = request.get_ref();
        bounded("names", asked.names.len())?;
        let snapshot = self.control.snapshot();
        let mut processes = if asked.names.is_empty() {
            snapshot.processes
        } else {
            let found = asked.names.iter().map(|text| lookup::find(&snapshot, text));
            found.collect::<Result<Vec<_>, _>>()?
        };
        processes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        processes.dedup_by(|a, b| a.spec.name == b.spec.name);
        let wanted = StatsRequest { processes: processes.clone(), members: asked.members };
        let stats = self.control.stats(wanted).await?;
        let of = processes.iter().map(|view| &**view);
        Ok(Response::new(convert::stats(stats, of, caller.role)))
    }

    async fn enable_process(
        &self,
        request: Request<v1::EnableProcessRequest>,
    ) -> Result<Response<v1::EnableProcessResponse>, Status> {
        const METHOD: Method = Method::EnableProcess;
        let work = |this: Self, call: Call, asked: v1::EnableProcessRequest| async move {
            let (process, change) = this.switch(&call, &asked.name, true).await?;
            Ok(v1::EnableProcessResponse { process, change })
        };
        self.once(request, METHOD, work).await
    }

    async fn disable_process(
        &self,
        request: Request<v1::DisableProcessRequest>,
    ) -> Result<Response<v1::DisableProcessResponse>, Status> {
        const METHOD: Method = Method::DisableProcess;
        let work = |this: Self, call: Call, asked: v1::DisableProcessRequest| async move {
            let (process, change) = this.switch(&call, &asked.name, false).await?;
            Ok(v1::DisableProcessResponse { process, change })
        };
        self.once(request, METHOD, work).await
    }

    async fn rotate_token(
        &self,
        request: Request<v1::RotateTokenRequest>,
    ) -> Result<Response<v1::RotateTokenResponse>, Status> {
        let work = |this: Self, _call, _asked| async move {
            let path = this.new_token().await?.display().to_string();
            Ok(v1::RotateTokenResponse { path })
        };
        self.once(request, Method::RotateToken, work).await
    }
}
