//! Calls that look on: events, waiting, usage. And those that switch: enable, disable, the token.

use tonic::Streaming;

use super::{Client, ClientError, limited, some};
use crate::v1;

impl Client {
    /// Opens a stream of events.
    pub async fn events(&mut self, request: v1::WatchEventsRequest) -> Result<Events, ClientError> {
        Ok(Events(limited(self.timeout, self.inner.watch_events(request)).await?))
    }

    /// Waits until a process is in a condition; returns it. It is rejected with FAILED_PRECONDITION when that can't come by
    /// itself.
    pub async fn wait(
        &mut self,
        name: &str,
        condition: v1::WaitCondition,
    ) -> Result<v1::Process, ClientError> {
        let request = v1::WaitProcessRequest { name: name.to_owned(), condition: condition.into() };
        some(limited(self.timeout, self.inner.wait_process(request)).await?.process)
    }

    /// What processes use now; no name = all of them. With every process of each run where `members` is set.
    pub async fn stats(
        &mut self,
        names: Vec<String>,
        members: bool,
    ) -> Result<v1::ListStatsResponse, ClientError> {
        let request = v1::ListStatsRequest { names, members };
        limited(self.timeout, self.inner.list_stats(request)).await
    }

    /// Starts a process with the daemon from now on.
    pub async fn enable(&mut self, name: &str) -> Result<v1::EnableProcessResponse, ClientError> {
        let request = v1::EnableProcessRequest { name: name.to_owned(), ..Default::default() };
        limited(self.timeout, self.inner.enable_process(request)).await
    }

    /// Starts a process with the daemon no longer.
    pub async fn disable(&mut self, name: &str) -> Result<v1::DisableProcessResponse, ClientError> {
        let request = v1::DisableProcessRequest { name: name.to_owned(), ..Default::default() };
        limited(self.timeout, self.inner.disable_process(request)).await
    }

    /// Makes a new token for TCP callers; returns the file that holds it.
    pub async fn rotate_token(&mut self) -> Result<String, ClientError> {
        let request = v1::RotateTokenRequest::default();
        Ok(limited(self.timeout, self.inner.rotate_token(request)).await?.path)
    }

    /// Starts a process, with all that a request can say.
    pub async fn start_with(&mut self, request: v1::StartProcessRequest) -> Result<v1::Process, ClientError> {
        some(limited(self.timeout, self.inner.start_process(request)).await?.process)
    }

    /// Stops a process, with all that a request can say.
    pub async fn stop_with(&mut self, request: v1::StopProcessRequest) -> Result<v1::Process, ClientError> {
        some(limited(self.timeout, self.inner.stop_process(request)).await?.process)
    }

    /// Restarts a process, with all that a request can say.
    pub async fn restart_with(
        &mut self,
        request: v1::RestartProcessRequest,
    ) -> Result<v1::Process, ClientError> {
        some(limited(self.timeout, self.inner.restart_process(request)).await?.process)
    }

    /// Makes a process read its configuration again, with all that a request can say.
    pub async fn reload_with(
        &mut self,
        request: v1::ReloadProcessRequest,
    ) -> Result<v1::Process, ClientError> {
        some(limited(self.timeout, self.inner.reload_process(request)).await?.process)
    }

    /// Changes keys of a process, with all that a request can say.
    pub async fn update_with(
        &mut self,
        request: v1::UpdateProcessRequest,
    ) -> Result<v1::UpdateProcessResponse, ClientError> {
        limited(self.timeout, self.inner.update_process(request)).await
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events(Streaming<v1::WatchEventsResponse>);

impl Events {
    /// The next ones; `None` = that was all.
    pub async fn next(&mut self) -> Result<Option<v1::WatchEventsResponse>, ClientError> {
        Ok(self.0.message().await?)
    }
}
