//! The client: finds the daemon behind a path or an address, and tells apart why a call did not work.

mod error;
mod tls;
mod watch;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use model::Definition;
use tokio::net::{TcpStream, UnixStream};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::v1::process_manager_service_client::ProcessManagerServiceClient;
use crate::{Create, Token, convert, v1};
pub use ::tls::ClientFiles as TlsFiles;
pub use error::{ClientError, Rejection, Unreachable};
pub use watch::Events;

/// Largest answer: a page of 1,000 processes with large definitions stays far below it.
const MAX_RESPONSE: usize = 64 * 1024 * 1024;

/// Where a daemon may be.
#[derive(Clone, Debug)]
pub enum Target {
    /// Its Unix socket.
    Unix(PathBuf),
    /// Its TCP port, `host:port`, and the token to present.
    Tcp(String, Option<Token>),
    /// Its TCP port with TLS, the token to present, and the files of keys and certificates.
    Tls(String, Option<Token>, TlsFiles),
}

/// `/run/dd-procmgrd/control.sock`, `127.0.0.1:50051`
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address, _) | Self::Tls(address, ..) => f.write_str(address),
        }
    }
}

/// A connection to a daemon. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    inner: ProcessManagerServiceClient<InterceptedService<Channel, Bearer>>,
    timeout: Option<Duration>,
}

/// Adds the token to each call.
#[derive(Clone, Debug)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// A token file that holds no header value proves nothing; the daemon will say what is missing.
    fn of(token: Option<&Token>) -> Self {
        Self(token.and_then(|token| token.header().parse().ok()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Client {
    /// Connects within `limit`. Nothing is sent yet, so a thing that listens but is no dd-procmgrd shows itself only at
    /// the first call.
    pub async fn connect(target: &Target, limit: Duration) -> Result<Self, ClientError> {
        let unreachable = |why: Unreachable| ClientError::Unreachable { target: target.to_string(), why };
        let connect = async {
            match target {
                Target::Unix(path) => {
                    let io = UnixStream::connect(path).await.map_err(Unreachable::from)?;
                    Ok((over(io).await?, Bearer(None)))
                }
                Target::Tcp(address, token) => {
                    let io = TcpStream::connect(address).await.map_err(Unreachable::from)?;
                    io.set_nodelay(true).map_err(Unreachable::from)?;
                    Ok((over(io).await?, Bearer::of(token.as_ref())))
                }
                Target::Tls(address, token, files) => {
                    let io = tls::open(address, files).await?;
                    Ok((over(io).await?, Bearer::of(token.as_ref())))
                }
            }
        };
        let (channel, bearer) = match tokio::time::timeout(limit, connect).await {
            Ok(result) => result.map_err(unreachable)?,
            Err(_) => return Err(unreachable(Unreachable::TimedOut)),
        };
        let inner = ProcessManagerServiceClient::with_interceptor(channel, bearer)
            .max_decoding_message_size(MAX_RESPONSE);
        Ok(Self { inner, timeout: None })
    }

    /// The same, with a limit on the time of each later call (for logs: until the first answer). The daemon carries
    /// on with what it accepted.
    #[must_use]
    pub fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// All processes, page by page.
    pub async fn list(&mut self, view: v1::ProcessView) -> Result<Vec<v1::Process>, ClientError> {
        self.list_where(v1::ListProcessesRequest { view: view.into(), ..Default::default() }).await
    }

    /// All processes that fit the request, page by page.
    pub async fn list_where(
        &mut self,
        mut request: v1::ListProcessesRequest,
    ) -> Result<Vec<v1::Process>, ClientError> {
        let mut all = Vec::new();
        loop {
            let page = limited(self.timeout, self.inner.list_processes(request.clone())).await?;
            // One page holds most fleets: it is taken as it is.
            if all.is_empty() {
                all = page.processes;
            } else {
                all.extend(page.processes);
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// One process with its definition.
    pub async fn get(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::GetProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.get_process(request)).await?.process)
    }

    /// Adds a process.
    pub async fn create(&mut self, create: Create) -> Result<v1::CreateProcessResponse, ClientError> {
        let request = v1::CreateProcessRequest {
            name: create.name.to_string(),
            definition: Some(convert::to_wire(create.definition)),
            start: create.start,
            dry_run: create.dry_run,
            ..Default::default()
        };
        limited(self.timeout, self.inner.create_process(request)).await
    }

    /// Starts a process; returns when it is up as its type says.
    pub async fn start(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::StartProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.start_process(request)).await?.process)
    }

    /// Stops a process; returns when nothing of it is alive.
    pub async fn stop(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::StopProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.stop_process(request)).await?.process)
    }

    /// Restarts a process; returns when the new run is up.
    pub async fn restart(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::RestartProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.restart_process(request)).await?.process)
    }

    /// Makes a process read its configuration again.
    pub async fn reload_process(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::ReloadProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.reload_process(request)).await?.process)
    }

    /// Sends a signal, by name or number, to the main process of a live run, or to all that the run spawned.
    pub async fn signal(&mut self, name: &str, signal: &str, all: bool) -> Result<v1::Process, ClientError> {
        let (name, signal) = (name.to_owned(), signal.to_owned());
        let request = v1::SignalProcessRequest { name, signal, all, ..Default::default() };
        some(limited(self.timeout, self.inner.signal_process(request)).await?.process)
    }

    /// Forgets the failures of a process.
    pub async fn reset(&mut self, name: &str) -> Result<v1::Process, ClientError> {
        let request = v1::ResetProcessRequest { name: name.to_owned(), ..Default::default() };
        some(limited(self.timeout, self.inner.reset_process(request)).await?.process)
    }

    /// Sets the keys in `definition` and takes out those in `unset`, or tells what that would do.
    pub async fn update(
        &mut self,
        name: &str,
        definition: Definition,
        unset: Vec<String>,
        dry_run: bool,
    ) -> Result<v1::UpdateProcessResponse, ClientError> {
        let request = v1::UpdateProcessRequest {
            name: name.to_owned(),
            definition: Some(convert::to_wire(definition)),
            unset,
            dry_run,
            ..Default::default()
        };
        limited(self.timeout, self.inner.update_process(request)).await
    }

    /// Changes keys of a process, and waits for the new run where that takes one.
    pub async fn update_and_wait(
        &mut self,
        name: &str,
        definition: Definition,
        unset: Vec<String>,
    ) -> Result<v1::UpdateProcessResponse, ClientError> {
        let request = v1::UpdateProcessRequest {
            name: name.to_owned(),
            definition: Some(convert::to_wire(definition)),
            unset,
            wait: true,
            ..Default::default()
        };
        limited(self.timeout, self.inner.update_process(request)).await
    }

    /// What each layer of the configuration says about a process, lowest first.
    pub async fn fragments(&mut self, name: &str) -> Result<Vec<v1::Fragment>, ClientError> {
        let request = v1::GetFragmentsRequest { name: name.to_owned() };
        Ok(limited(self.timeout, self.inner.get_fragments(request)).await?.fragments)
    }

    /// The override file of a process.
    pub async fn override_text(&mut self, name: &str) -> Result<v1::GetOverrideResponse, ClientError> {
        let request = v1::GetOverrideRequest { name: name.to_owned() };
        limited(self.timeout, self.inner.get_override(request)).await
    }

    /// Replaces the override file of a process, or tells what that would do; an empty text removes the file.
    pub async fn set_override(
        &mut self,
        name: &str,
        text: String,
        dry_run: bool,
    ) -> Result<v1::SetOverrideResponse, ClientError> {
        let request = v1::SetOverrideRequest { name: name.to_owned(), text, dry_run, ..Default::default() };
        limited(self.timeout, self.inner.set_override(request)).await
    }

    /// Replaces the override file of a process, and waits for the new run where that takes one.
    pub async fn set_override_and_wait(
        &mut self,
        name: &str,
        text: String,
    ) -> Result<v1::SetOverrideResponse, ClientError> {
        let request =
            v1::SetOverrideRequest { name: name.to_owned(), text, wait: true, ..Default::default() };
        limited(self.timeout, self.inner.set_override(request)).await
    }

    /// Stops and removes a process; with `force` also one that others require.
    pub async fn delete(
        &mut self,
        name: &str,
        force: bool,
    ) -> Result<v1::DeleteProcessResponse, ClientError> {
        let request = v1::DeleteProcessRequest { name: name.to_owned(), force, ..Default::default() };
        limited(self.timeout, self.inner.delete_process(request)).await
    }

    /// Reloads the configuration, or tells what a reload would do.
    pub async fn reload(&mut self, dry_run: bool) -> Result<v1::ReloadConfigResponse, ClientError> {
        let request = v1::ReloadConfigRequest { dry_run, ..Default::default() };
        limited(self.timeout, self.inner.reload_config(request)).await
    }

    /// The daemon's status.
    pub async fn status(&mut self) -> Result<v1::DaemonStatus, ClientError> {
        let answer = limited(self.timeout, self.inner.get_status(v1::GetStatusRequest {})).await?;
        some(answer.status)
    }

    /// Opens the log of a process.
    pub async fn logs(&mut self, request: v1::StreamLogsRequest) -> Result<Logs, ClientError> {
        Ok(Logs(limited(self.timeout, self.inner.stream_logs(request)).await?))
    }

    /// Makes the daemon open every log file anew.
    pub async fn reopen_logs(&mut self) -> Result<(), ClientError> {
        let request = v1::ReopenLogsRequest {};
        limited(self.timeout, self.inner.reopen_logs(request)).await.map(drop)
    }
}

/// Lines of a process as they come.
#[derive(Debug)]
pub struct Logs(Streaming<v1::StreamLogsResponse>);

impl Logs {
    /// The next lines; `None` = that was all.
    pub async fn next(&mut self) -> Result<Option<v1::StreamLogsResponse>, ClientError> {
        Ok(self.0.message().await?)
    }
}

/// Speaks HTTP/2 over a connection that is there already. It is used once: when it breaks, calls fail instead of
/// going to another daemon that came up meanwhile.
async fn over<T>(io: T) -> Result<Channel, Unreachable>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut once = Some(TokioIo::new(io));
    let connector = tower::service_fn(move |_| {
        let io = once.take().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset));
        std::future::ready(io)
    });
    // The name is never resolved; it becomes the :authority of the calls.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|e| Unreachable::Other(io::Error::other(e)))
}

async fn limited<T>(
    timeout: Option<Duration>,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ClientError> {
    let answer = match timeout {
        None => call.await,
        Some(limit) => tokio::time::timeout(limit, call).await.map_err(|_| ClientError::TimedOut(limit))?,
    };
    Ok(answer?.into_inner())
}

/// A field that every daemon sets.
fn some<T>(field: Option<T>) -> Result<T, ClientError> {
    field.ok_or_else(|| ClientError::Lost("the answer is incomplete".to_owned()))
}
