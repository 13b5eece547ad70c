//! A daemon with a process in each state, and what happens to them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use testkit::{TempDaemon, binary};

use crate::prometheus::{Prometheus, free_port, lines};
use crate::wait::wait;

/// Definitions; PROBE is the test program, PORT that of the metrics.
const PROCESSES: &str = "\
processes:
  steady: {command: PROBE every=100ms print, health_check: {type: tcp, port: PORT, interval: 1}}
  ready: {command: PROBE notify=READY=1 sleep, type: notify}
  calm: {command: PROBE sleep, restart: always, restart_sec: 0}
  stopped: {command: PROBE sleep, auto_start: false}
  halted: {command: PROBE exit=3, restart_sec: 0.1, restart_max_delay_sec: 0.1, start_limit_burst: 0}
  exited: {command: PROBE exit=0, type: oneshot}
  skipped: {command: PROBE sleep, condition_path_exists: /no/such/file}
  starting: {command: PROBE sleep, type: notify, start_timeout: 0}
  reloading: {command: PROBE sleep, exec_reload: {command: PROBE sleep, timeout: 1h}}
  stopping: {command: PROBE ignore=TERM sleep, stop_timeout: 1h}
  sick: {command: PROBE sleep, health_check: {type: exec, command: PROBE exit=1, interval: 1, retries: 1, start_period: 0}}
  crasher: {command: PROBE text=oh exit=3, restart_sec: 0.5, restart_max_delay_sec: 0.5, start_limit_burst: 0}
  backoff: {command: PROBE exit=3, restart_sec: 1h, restart_max_delay_sec: 1h}
  crash_loop: {command: PROBE exit=3, restart_sec: 0, start_limit_burst: 2, start_limit_interval_sec: 1h}
  failed: {command: PROBE exit=3, restart: never}
  waiting: {command: PROBE sleep, requires: [starting]}
";

/// What a reload adds: the first load was good, and what is broken now never was.
const BROKEN: &str = "  invalid: {command: PROBE sleep, restart: sometimes}\n";

/// States that come about by themselves.
const STATES: [(&str, &str); 12] = [
    ("steady", "running"),
    ("ready", "running"),
    ("calm", "running"),
    ("stopped", "stopped"),
    ("exited", "exited"),
    ("skipped", "skipped"),
    ("starting", "starting"),
    ("sick", "running"),
    ("backoff", "backoff"),
    ("crash_loop", "crash_loop"),
    ("failed", "failed"),
    ("waiting", "waiting"),
];

/// Alerts that have to be there for these processes (the last one is about none), and whether they fire at once or wait
/// for their time.
const DUE: [(&str, &str, &str); 9] = [
    ("DdProcmgrProcessRestarting", "crasher", "firing"),
    ("DdProcmgrProcessCrashLooping", "backoff", "pending"),
    ("DdProcmgrProcessCrashLooping", "crash_loop", "pending"),
    ("DdProcmgrProcessFailed", "failed", "pending"),
    ("DdProcmgrProcessNotReady", "waiting", "pending"),
    ("DdProcmgrProcessNotStopping", "stopping", "pending"),
    ("DdProcmgrProcessUnhealthy", "sick", "pending"),
    ("DdProcmgrProcessInvalid", "invalid", "pending"),
    ("DdProcmgrConfigReloadFailed", "", "pending"),
];

/// Processes that nothing is wrong with.
const WELL: &str = "steady|ready|calm|stopped|halted|exited|skipped|reloading";

/// The daemon.
#[derive(Debug)]
pub(crate) struct Scene {
    daemon: TempDaemon,
    port: u16,
}

impl Scene {
    /// Starts it and waits until every process is where it belongs.
    pub(crate) fn start() -> Result<Self> {
        let probe = binary("probe")?.display().to_string();
        // Chosen here and kept: over a restart of the daemon the target has to stay the same.
        let port = free_port()?;
        let filled = |text: &str| text.replace("PROBE", &probe).replace("PORT", &port.to_string());
        let config = filled(PROCESSES);
        let daemon = TempDaemon::builder().config(&config).env("METRICS_PORT", port.to_string()).start();
        for (process, state) in STATES {
            daemon.wait_for_state(process, state);
        }
        // The callers give up at once; what they asked for goes on.
        for (verb, process) in [("reload", "reloading"), ("stop", "stopping")] {
            daemon.pm(&[verb, process, "--timeout", "100ms"]);
            daemon.wait_for_state(process, process);
        }
        daemon.write_config(&(config + &filled(BROKEN)));
        daemon.pm(&["reload-config"]).failure(1);
        daemon.wait_for_state("invalid", "invalid");
        Ok(Self { daemon, port })
    }

    /// What Prometheus scrapes.
    pub(crate) fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What a rate needs to see, after the first scrape: a process is restarted by hand, another one crashes twice, and
    /// one that crashes all the time is stopped by an operator.
    pub(crate) fn happen(&self, prometheus: &Prometheus) -> Result<()> {
        wait("the first scrape", || {
            let restarts = prometheus.query(r#"ddprocmgr_process_restarts_total{process="calm"}"#)?;
            Ok((!restarts.is_empty()).then_some(()))
        })?;
        self.daemon.pm(&["restart", "ready"]).success();
        for count in 1..=2 {
            self.daemon.pm(&["kill", "--signal", "KILL", "calm"]).success();
            self.daemon.wait_for("calm", "be back", |p| p["restarts"] == count && p["state"] == "running");
        }
        wait("a process that crashes to be noticed", || {
            let alert = r#"ALERTS{alertname="DdProcmgrProcessRestarting",process="halted"}"#;
            Ok((!prometheus.query(alert)?.is_empty()).then_some(()))
        })?;
        // Disabled, so that it stays down over the restart that follows.
        self.daemon.pm(&["disable", "--now", "halted"]).success();
        Ok(())
    }

    /// The counters of a restarted daemon go on: no alert for a process that had restarts before, none for the daemon.
    pub(crate) fn restart(&mut self, prometheus: &Prometheus) -> Result<()> {
        let increase = r#"process:ddprocmgr_process_restarts:increase10m{process="calm"}"#;
        wait("two restarts to be counted", || {
            Ok(prometheus.query(increase)?.first().filter(|s| s.value >= 2.0).map(drop))
        })?;
        // It ignores SIGTERM, and the daemon would wait for it for an hour.
        self.daemon.pm(&["kill", "--signal", "KILL", "--all", "stopping"]).success();
        self.daemon.restart();
        wait("the restarted daemon to be scraped", || {
            let begun = r#"changes(process_start_time_seconds[10m]) == 1 and on () ddprocmgr_process_restarts_total{process="calm"} == 2"#;
            Ok((!prometheus.query(begun)?.is_empty()).then_some(()))
        })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        let evaluated = format!("timestamp({increase}) > {}", (now + Duration::from_secs(1)).as_secs());
        wait("the rules to be evaluated after that", || {
            Ok((!prometheus.query(&evaluated)?.is_empty()).then_some(()))
        })?;
        quiet(prometheus, "DdProcmgr(Down|Absent|TargetGone|Restarting)")
    }
}

/// Not the daemon's own way to end: it would wait for the process that can't be stopped.
impl Drop for Scene {
    fn drop(&mut self) {
        self.daemon.kill();
    }
}

/// Each alert that is due is there, and none for a process that is well.
pub(crate) fn alerts_are_right(prometheus: &Prometheus) -> Result<()> {
    for (alert, process, state) in DUE {
        let alert = format!(r#"ALERTS{{alertname="{alert}",process="{process}",alertstate="{state}"}}"#);
        wait(&alert, || Ok((!prometheus.query(&alert)?.is_empty()).then_some(())))?;
    }
    quiet(prometheus, "DdProcmgr(Down|Absent|TargetGone|Restarting|ListenerDown|MetricsIncomplete)")
}

/// No alert for a process that is well, and none of these about the daemon fires. One that was there before a process
/// was stopped ends with the next evaluation; a wrong one stays.
fn quiet(prometheus: &Prometheus, of_the_daemon: &str) -> Result<()> {
    let wrong = format!(
        r#"ALERTS{{process=~"{WELL}"}} or ALERTS{{alertname=~"{of_the_daemon}",alertstate="firing"}}"#
    );
    let mut last = Vec::new();
    let quiet = wait("alerts that are wrong to end", || {
        last = prometheus.query(&wrong)?;
        Ok(last.is_empty().then_some(()))
    });
    quiet.with_context(|| format!("still there:{}", lines(&last)))
}
