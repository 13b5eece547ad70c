//! The daemon as its clients see it: the control API's and the metrics server's traits over the real parts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Command, ProcessName, Reply, Snapshot, Wall};
use rpc::{
    BoxFuture, BoxStream, Control, ControlError, Create, DaemonStatus, LogChunk, LogRequest, LogSource,
    ReloadReport, ViewResult,
};
use supervisor::Handle;

use crate::definitions::{Definitions, ask, unexpected};
use crate::listeners::Listeners;

/// The parts that answer questions.
pub(crate) struct Desk {
    pub(crate) supervisor: Handle,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) listeners: Listeners,
    pub(crate) pipe: logpipe::LogPipe,
    pub(crate) config_path: PathBuf,
    pub(crate) containment: &'static str,
    pub(crate) started: Wall,
    pub(crate) ready: AtomicBool,
}

impl Desk {
    fn command(&self, command: Command) -> BoxFuture<ViewResult> {
        let supervisor = self.supervisor.clone();
        Box::pin(async move {
            match ask(&supervisor, command).await? {
                Reply::Done(view) => Ok(view),
                other => Err(unexpected(&other)),
            }
        })
    }
}

impl Control for Desk {
    fn snapshot(&self) -> Snapshot {
        self.supervisor.snapshot()
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uid: nix::unistd::geteuid().as_raw(),
            started: self.started,
            config_path: self.config_path.clone(),
            last_reload: self.definitions.outcomes().last,
            listeners: self.listeners.list(),
            containment: self.containment.into(),
        }
    }

    fn create(&self, create: Create) -> BoxFuture<ViewResult> {
        let definitions = Arc::clone(&self.definitions);
        Box::pin(async move { definitions.create(create).await })
    }

    fn start(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.command(Command::Start(name))
    }

    fn stop(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.command(Command::Stop(name))
    }

    fn restart(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.command(Command::Restart(name))
    }

    fn delete(&self, name: ProcessName) -> BoxFuture<Result<(), ControlError>> {
        let definitions = Arc::clone(&self.definitions);
        Box::pin(async move { definitions.delete(name).await })
    }

    fn reload(&self) -> BoxFuture<Result<ReloadReport, ControlError>> {
        let definitions = Arc::clone(&self.definitions);
        Box::pin(async move { definitions.reload().await })
    }
}

impl LogSource for Desk {
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogChunk, ControlError>>, ControlError> {
        crate::logs::open(&self.pipe, &self.supervisor.snapshot(), &request)
    }
}

impl metrics::Source for Desk {
    fn snapshot(&self) -> Snapshot {
        self.supervisor.snapshot()
    }

    fn log_streams(&self) -> Vec<metrics::LogStream> {
        crate::logs::accounting(&self.pipe)
    }

    fn daemon(&self) -> metrics::DaemonFacts {
        let outcomes = self.definitions.outcomes();
        let turns = self.supervisor.turns();
        metrics::DaemonFacts {
            reload: metrics::Reload { successful: outcomes.good, last_success: outcomes.last_success },
            turns: metrics::Turns { count: turns.count, total: turns.total, longest: turns.longest },
            journal: crate::logs::journal(&self.pipe),
            listeners: self.listeners.gauges(),
        }
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
