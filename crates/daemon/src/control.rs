//! The daemon as its clients see it: the control API's and the metrics server's traits over the real parts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{
    Command, InvocationId, Mono, ProcessId, ProcessName, ProcessView, Reply, Signal, Snapshot, Stamp,
};
use rpc::{
    BoxFuture, BoxStream, Control, ControlError, Create, Created, DaemonStatus, ErrorKind, EventRing,
    Fragment, LogBatch, LogRequest, LogSource, OverrideText, ReloadReport, ReloadResult, SetOverride, Stats,
    StatsRequest, Update, Updated, ViewResult,
};
use supervisor::{Containment, Handle};

use crate::clock;
use crate::definitions::{Definitions, ask, unexpected};
use crate::keys::Keys;
use crate::listeners::Listeners;

/// The parts that answer questions.
pub(crate) struct Desk {
    pub(crate) supervisor: Handle,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) listeners: Listeners,
    pub(crate) keys: Keys,
    pub(crate) meter: Arc<rpc::Meter>,
    pub(crate) pipe: logpipe::LogPipe,
    pub(crate) config_path: PathBuf,
    pub(crate) containment: Containment,
    pub(crate) started: Stamp,
    pub(crate) ready: AtomicBool,
    pub(crate) draining: AtomicBool,
    pub(crate) events: Arc<EventRing>,
    pub(crate) members: Arc<metrics::Members>,
    pub(crate) state_dir: PathBuf,
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

    /// What is wrong with certificates and passwords stands beside what is wrong with the definitions.
    fn with_keys(&self, mut last: ReloadResult) -> ReloadResult {
        last.problems.extend(self.keys.problems());
        last
    }

    /// What goes on in the definitions, with a hold on them of its own.
    fn on_definitions<T, F>(&self, work: impl FnOnce(Arc<Definitions>) -> F) -> BoxFuture<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Box::pin(work(Arc::clone(&self.definitions)))
    }
}

/// For people.
fn contained_by(containment: &Containment) -> &'static str {
    match containment {
        Containment::Cgroup(_) => "cgroup",
        Containment::Subreaper => "subreaper",
    }
}

impl Control for Desk {
    fn snapshot(&self) -> Snapshot {
        self.supervisor.snapshot()
    }

    fn view(&self, name: &ProcessName) -> Option<Arc<ProcessView>> {
        self.supervisor.view(name)
    }

    fn events(&self) -> Arc<EventRing> {
        Arc::clone(&self.events)
    }

    fn stats(&self, request: StatsRequest) -> BoxFuture<Result<Stats, ControlError>> {
        let (members, containment) = (Arc::clone(&self.members), self.containment.clone());
        Box::pin(async move {
            let read = move || crate::stats::read(&members, &containment, &request);
            let done = tokio::task::spawn_blocking(read).await;
            done.map_err(|e| ControlError::new(ErrorKind::Internal, e.to_string()))?
        })
    }

    fn now(&self) -> Mono {
        clock::now().mono
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uid: nix::unistd::geteuid().as_raw(),
            started: self.started.wall,
            up: clock::now().mono.since(self.started.mono),
            config_path: self.config_path.clone(),
            last_reload: self.definitions.outcomes().last.map(|last| self.with_keys(last)),
            listeners: self.listeners.list(),
            containment: contained_by(&self.containment).into(),
            draining: self.draining.load(Ordering::Acquire),
            resident_bytes: self.members.own_resident_bytes(),
            state_dir: self.state_dir.clone(),
        }
    }

    fn create(&self, create: Create) -> BoxFuture<Result<Created, ControlError>> {
        self.on_definitions(|d| async move { d.create(create).await })
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

    fn reload_process(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        let supervisor = self.supervisor.clone();
        Box::pin(async move { crate::reload::reload(&supervisor, name).await })
    }

    fn signal(&self, name: ProcessName, signal: Signal, all: bool) -> BoxFuture<ViewResult> {
        self.command(Command::Signal { name, signal, all })
    }

    fn reset(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.command(Command::Reset(name))
    }

    fn update(&self, update: Update) -> BoxFuture<Result<Updated, ControlError>> {
        self.on_definitions(|d| async move { d.update(update).await })
    }

    fn await_start(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        self.command(Command::AwaitStart(name))
    }

    fn delete(&self, name: ProcessName, force: bool) -> BoxFuture<Result<Option<String>, ControlError>> {
        self.on_definitions(move |d| async move { d.delete(name, force).await })
    }

    fn delete_leftover(&self, name: ProcessName) -> BoxFuture<Result<Option<ProcessId>, ControlError>> {
        self.on_definitions(|d| async move { d.delete_leftover(name).await })
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadReport, ControlError>> {
        let keys = self.keys.clone();
        self.on_definitions(move |d| async move {
            let report = d.reload(dry_run).await;
            if !dry_run {
                keys.reload().await;
            }
            let mut report = report?;
            report.problems.extend(keys.problems());
            Ok(report)
        })
    }

    fn fragments(&self, name: ProcessName) -> BoxFuture<Result<Vec<Fragment>, ControlError>> {
        self.on_definitions(|d| async move { d.fragments(name).await })
    }

    fn override_text(&self, name: ProcessName) -> BoxFuture<Result<OverrideText, ControlError>> {
        self.on_definitions(|d| async move { d.override_text(name).await })
    }

    fn set_override(&self, set: SetOverride) -> BoxFuture<Result<Updated, ControlError>> {
        self.on_definitions(|d| async move { d.set_override(set).await })
    }
}

impl LogSource for Desk {
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogBatch, ControlError>>, ControlError> {
        crate::logs::open(&self.pipe, &self.supervisor, request)
    }

    fn reopen(&self) {
        self.pipe.reopen();
    }
}

/// Of the status codes those that occurred, and OK.
fn calls(stats: &rpc::CallStats) -> metrics::GrpcMethod {
    let handled = rpc::Meter::CODES.into_iter().zip(stats.handled);
    metrics::GrpcMethod {
        service: rpc::SERVICE,
        name: stats.method,
        streams: stats.streams,
        started: stats.started,
        handled: handled.filter(|(code, count)| *count > 0 || *code == "OK").collect(),
        took: rpc::Meter::BOUNDS.into_iter().zip(stats.took).collect(),
        total: stats.total,
    }
}

impl metrics::Source for Desk {
    fn snapshot(&self) -> Snapshot {
        self.supervisor.snapshot()
    }

    fn log_streams(&self, each: &mut dyn FnMut(metrics::LogStream)) {
        crate::logs::accounting(&self.pipe, each);
    }

    fn daemon(&self) -> metrics::DaemonFacts {
        let outcomes = self.definitions.outcomes();
        let turns = self.supervisor.turns();
        metrics::DaemonFacts {
            reload: metrics::Reload { successful: outcomes.good, last_success: outcomes.last_success },
            turns: metrics::Turns {
                count: turns.count,
                total: turns.total,
                longest: turns.longest,
                took: supervisor::TurnStats::BOUNDS.into_iter().zip(turns.buckets).collect(),
            },
            journal: crate::logs::journal(&self.pipe),
            listeners: self.listeners.gauges(),
            grpc: self.meter.read().map(|stats| calls(&stats)).collect(),
        }
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn cgroup(&self, process: &ProcessName, invocation: InvocationId) -> Option<PathBuf> {
        self.containment.cgroup_of(process, invocation)
    }
}
