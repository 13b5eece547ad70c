//! Builds the parts in dependency order, joins them, and takes them down in the opposite order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use config::Main;
use libsystemd::daemon::NotifyState;
use logpipe::LogPipe;
use model::{Command, Counters, ProcessId};
use supervisor::{Containment, Handle};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle as Task;

use crate::access;
use crate::adapters::{self, Events, Stdio};
use crate::control::Desk;
use crate::counts::{Counts, Keeper};
use crate::definitions::{Definitions, Layers};
use crate::ending::Ending;
use crate::identity::Host;
use crate::inherited::Inherited;
use crate::keys::Keys;
use crate::leftovers::{self, Mark};
use crate::listeners::Listeners;
use crate::prober::Network;
use crate::settings::Settings;
use crate::signals::{Signals, Wake};
use crate::{clock, directories, init, lock, summary, systemd, watchdog};

/// Time for the last lines to get from the pipes into files and journal after everything is down.
const LOG_DRAIN: Duration = Duration::from_secs(5);
/// Time for open calls to finish after everything is down.
const SERVER_DRAIN: Duration = Duration::from_secs(2);
/// How long a taken port is left alone before the next try.
const PORT_RETRY: Duration = Duration::from_secs(10);

/// The daemon, built and running.
pub(crate) struct App {
    io: Runtime,
    pipe: LogPipe,
    supervisor: Handle,
    supervisor_thread: JoinHandle<()>,
    counts: Keeper,
    mark: Mark,
    desk: Arc<Desk>,
    ending: Arc<Ending>,
    /// Whether this is the init of a container.
    init: bool,
    /// True = the definitions are read, and nothing is being shut down: what health says.
    ready: watch::Sender<bool>,
    /// True = the servers shall end.
    closing: watch::Sender<bool>,
    servers: Vec<Task<()>>,
    /// Held until everything else is down.
    state_lock: Option<rpc::Lock>,
}

impl App {
    /// Starts everything, reads the definitions, and tells systemd.
    pub(crate) fn build(settings: Settings, signals: &Signals, journal: bool) -> Result<Self> {
        let addr = settings.grpc.map_or_else(|| "off".to_owned(), |a| a.to_string());
        tracing::info!("Starting Process Manager version={} addr={addr}", env!("CARGO_PKG_VERSION"));
        let started = clock::now();
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        let settings = &directories::prepare(settings)?;
        // The two locks come first: when another daemon has one of them, nothing else may be touched.
        let state_lock = lock::take(&settings.state_dir)?;
        let host = Host::read(&settings.state_dir)?;
        let io = io_runtime()?;
        let keys = Keys::read(settings);
        let rpc_config = access::rpc_config(settings, keys.grpc(), PORT_RETRY, SERVER_DRAIN)?;
        let Inherited { control, grpc, metrics: exposed } = Inherited::receive(settings);
        let sockets = rpc::Inherited { unix: control, tcp: grpc };
        let rpc_server = io.block_on(rpc::Server::bind_with(rpc_config, sockets))?;
        let mark = Mark::set(&settings.runtime_dir)?;
        let (metrics_state, metrics_watch) = watch::channel(metrics::ListenState::default());
        let listeners = Listeners {
            socket: settings.socket(),
            grpc: rpc_server.tcp_state(),
            metrics: settings.metrics.is_some().then_some(metrics_watch),
            metrics_addr: settings.metrics,
        };

        let journald = settings.journal.clone().filter(|socket| socket.exists());
        let is_journal = journal && journald.is_some();
        let pipe = start_pipe(settings, journald)?;
        let happened = Arc::new(Notify::new());
        let ending = Arc::new(Ending::new(signals.flag()));
        let (counts, past) = Counts::open(&settings.state_dir);
        let durations = Arc::new(metrics::Durations::default());
        let ring = adapters::event_ring(sys::random_u64());
        let events = Events {
            pipe: pipe.clone(),
            durations: Arc::clone(&durations),
            to_stderr: !is_journal,
            ending: Arc::clone(&ending),
            counts: counts.marker(),
            ring: Arc::clone(&ring),
        };
        let containment = containment();
        let (supervisor, supervisor_thread) =
            start_supervisor(settings, containment.clone(), past, pipe.clone(), events, &mark)?;
        let of = supervisor.clone();
        let told = Arc::clone(&happened);
        let counts = counts
            .keep(move |name| of.view(name), move || told.notify_one())
            .context("starting the thread that keeps counts")?;

        let layers = Layers::new(
            settings.layout.clone(),
            host,
            &settings.runtime_dir,
            settings.log_files,
            containment.clone(),
        );
        let definitions = Arc::new(Definitions::new(layers, supervisor.clone()));
        let desk = Arc::new(Desk {
            supervisor: supervisor.clone(),
            definitions: Arc::clone(&definitions),
            listeners,
            keys: keys.clone(),
            meter: rpc_server.meter(),
            pipe: pipe.clone(),
            config_path: settings.layout.main.clone(),
            containment,
            started,
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            events: ring,
            members: Arc::new(metrics::Members::detect()),
            state_dir: settings.state_dir.clone(),
        });

        let closing = watch::Sender::new(false);
        let ready = watch::Sender::new(false);
        let mut servers = vec![io.spawn(serve_rpc(rpc_server, Arc::clone(&desk), &ready, &closing))];
        if let Some(addr) = settings.metrics {
            let source = Arc::clone(&desk) as Arc<dyn metrics::Source>;
            let exporter = Arc::new(metrics::Exporter::new(source, durations, build_info(), clock::now));
            let config = metrics::Config {
                addr,
                inherited: exposed.map(Arc::new),
                retry: PORT_RETRY,
                web: keys.web(),
            };
            servers.push(io.spawn(metrics::serve(config, exporter, metrics_state, flagged(&closing))));
        }
        let app = Self {
            io,
            pipe,
            supervisor,
            supervisor_thread,
            counts,
            mark,
            desk,
            ending,
            init: settings.init,
            ready,
            closing,
            servers,
            state_lock,
        };
        if let Err(error) = app.first_load(settings) {
            app.stop(signals);
            return Err(error);
        }
        app.desk.ready.store(true, Ordering::Release);
        app.ready.send_replace(true);
        let logs = match settings.log_files {
            true => format!("logs in {}", settings.layout.log_dir.display()),
            false => "no log files".to_owned(),
        };
        tracing::info!("ready; {}; {logs}", app.desk.listeners.sentence());
        // In one message: who sees that the unit is active also sees what it keeps.
        let summary = summary::of(&app.desk);
        systemd::tell(&[NotifyState::Ready, NotifyState::Status(summary.clone())]);
        if systemd::is_there() {
            app.io.spawn(summary::keep(Arc::clone(&app.desk), happened, summary));
        }
        if let Some(limit) = systemd::watchdog() {
            let of = app.supervisor.clone();
            watchdog::start(limit, move |answer| of.ask_alive(answer));
        }
        Ok(app)
    }

    /// Reads the definitions for the first time.
    fn first_load(&self, settings: &Settings) -> Result<()> {
        let main = if settings.strict { Main::Required } else { Main::Optional };
        match self.io.block_on(self.desk.definitions.load(main)) {
            Ok(_) => Ok(()),
            Err(error) if settings.strict => Err(anyhow!("{error}")),
            // At boot, a typo in one file must not keep down what other files define. The error is in the log, in
            // `pm-cli status` and in the metrics; the next good reload brings in the rest.
            Err(_) => {
                self.io.block_on(self.desk.definitions.load(Main::Skipped)).map(drop).or_else(|error| {
                    tracing::error!("starting without any definition: {error}");
                    Ok(())
                })
            }
        }
    }

    /// Sleeps on signals until one asks for the end, or a critical process ended.
    pub(crate) fn run(self, signals: &Signals) -> ExitCode {
        let ending = Arc::clone(&self.ending);
        while ending.status().is_none() {
            match signals.wait() {
                Ok(Wake::Stop) => ending.asked(),
                Ok(Wake::Reload) => self.reload(),
                Ok(Wake::Reopen) => self.pipe.reopen(),
                Ok(Wake::Flag) => {}
                Err(error) => {
                    tracing::error!("{error:#}; stopping");
                    ending.failed();
                }
            }
        }
        self.stop(signals);
        ExitCode::from(ending.status().unwrap_or_default())
    }

    /// SIGHUP. Beside the main thread, so that a SIGTERM meanwhile is seen at once.
    fn reload(&self) {
        self.pipe.reopen();
        let (desk, init) = (Arc::clone(&self.desk), self.init);
        self.io.spawn(async move {
            systemd::tell(&[NotifyState::Reloading, systemd::monotonic_now()]);
            // What went wrong is in the log and in `pm-cli status`; nothing that runs was touched.
            drop(desk.definitions.reload(false).await);
            desk.keys.reload().await;
            if init {
                init::pass_reload_on(&desk);
            }
            systemd::tell(&[NotifyState::Ready]);
        });
    }

    /// Processes first, in reverse order; then their last lines; then the servers, so that whoever follows a log or
    /// waits for an answer sees the end of it.
    fn stop(self, signals: &Signals) {
        systemd::tell(&[NotifyState::Stopping]);
        self.desk.draining.store(true, Ordering::Release);
        // Whoever asks for health sends its work elsewhere, also while the processes take their time to stop.
        self.ready.send_replace(false);
        tracing::info!("stopping all processes");
        let ending = Arc::clone(&self.ending);
        match self.supervisor.submit(Command::Shutdown, Box::new(move |_| ending.all_down())) {
            Ok(()) => self.wait_until_down(signals),
            Err(refusal) => tracing::error!("the supervisor takes no command: {refusal}"),
        }
        let is_left = self.supervisor.snapshot().processes.iter().any(|process| process.run.is_some());
        if self.supervisor_thread.join().is_err() {
            tracing::error!("the supervisor ended in a panic");
        } else if !is_left {
            self.mark.lift();
        }
        self.counts.close();
        self.pipe.shutdown(LOG_DRAIN);
        self.closing.send_replace(true);
        self.io.block_on(async {
            for server in self.servers {
                drop(tokio::time::timeout(SERVER_DRAIN * 2, server).await);
            }
        });
        self.io.shutdown_timeout(Duration::from_secs(1));
        drop(self.state_lock);
        tracing::info!("stopped");
    }

    /// A second SIGINT or SIGTERM tells what is still alive.
    fn wait_until_down(&self, signals: &Signals) {
        while !self.ending.is_down() {
            match signals.wait() {
                Ok(Wake::Stop) => {
                    let snapshot = self.supervisor.snapshot();
                    for process in snapshot.processes.iter().filter(|p| p.run.is_some() && !p.wanted_up) {
                        tracing::warn!(
                            "{} is still {}: {}",
                            process.spec.name,
                            process.state,
                            process.reason
                        );
                    }
                }
                Ok(Wake::Reload | Wake::Reopen | Wake::Flag) => {}
                Err(error) => {
                    tracing::error!("{error:#}");
                    return;
                }
            }
        }
    }
}

fn io_runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Definitions and scrapes; both are short.
        .max_blocking_threads(8)
        .thread_name("io")
        .enable_all()
        .build()
        .context("starting the I/O threads")
}

fn start_pipe(settings: &Settings, journald: Option<PathBuf>) -> Result<LogPipe> {
    logpipe::start(logpipe::Config {
        dir: settings.layout.log_dir.clone(),
        journald,
        console: settings.console.then_some(logpipe::Console { colour: settings.color }),
        drain_deadline: LOG_DRAIN,
    })
    .context("starting the log pipeline")
}

fn start_supervisor(
    settings: &Settings,
    containment: Containment,
    past: BTreeMap<ProcessId, Counters>,
    pipe: LogPipe,
    events: Events,
    mark: &Mark,
) -> Result<(Handle, JoinHandle<()>)> {
    let mut base_env: BTreeMap<_, _> = std::env::vars_os().collect();
    base_env.insert(leftovers::VARIABLE.into(), mark.id().into());
    let (notify_dir, process_dirs) = (settings.notify_dir(), settings.process_dirs());
    let spawners = supervisor::Config::SPAWNERS;
    let config = supervisor::Config { spawners, containment, base_env, notify_dir, process_dirs, past };
    let prober = Arc::new(Network::new(Arc::clone(&events.durations)));
    supervisor::start(config, Arc::new(Stdio(pipe)), prober, Box::new(events))
        .context("starting the supervisor")
}

/// How descendants are known: by cgroup where one was delegated to the daemon, else as a subreaper.
fn containment() -> Containment {
    // Said by the user unit: systemd's user manager does not mark what it delegates.
    let declared = std::env::var_os("PM_CGROUP_DELEGATED").is_some_and(|v| v == "1");
    match sys::cgroup::Delegated::detect(declared) {
        Ok(Some(delegated)) => Containment::Cgroup(Arc::new(delegated)),
        Ok(None) => Containment::Subreaper,
        Err(error) => {
            tracing::warn!(
                "a delegated cgroup can't be used, descendants are tracked as a subreaper: {error}"
            );
            Containment::Subreaper
        }
    }
}

fn build_info() -> metrics::BuildInfo {
    let revision = option_env!("DD_PROCMGR_REVISION").unwrap_or("unknown");
    metrics::BuildInfo { version: env!("CARGO_PKG_VERSION"), revision }
}

fn serve_rpc(
    server: rpc::Server,
    desk: Arc<Desk>,
    ready: &watch::Sender<bool>,
    closing: &watch::Sender<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let (ready, end) = (ready.subscribe(), flagged(closing));
    async move {
        if let Err(error) = server.serve(Arc::clone(&desk) as _, desk, ready, end).await {
            tracing::error!("the control server ended: {error}");
        }
    }
}

/// Resolves when the flag is set.
fn flagged(flag: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut flag = flag.subscribe();
    // The sender outlives every server; if it did not, ending would be right as well.
    async move { drop(flag.wait_for(|set| *set).await) }
}
