//! What systemd is told: ready, reloading, stopping, and a line of status.

use std::time::Duration;

use libsystemd::daemon::{NotifyState, notify, watchdog_enabled};

/// Whether there is a service manager that wants to know.
pub(crate) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Sends states to the service manager. Without one (a terminal) nothing is sent.
pub(crate) fn tell(states: &[NotifyState]) {
    if !is_there() {
        return;
    }
    if let Err(error) = notify(false, states) {
        tracing::warn!("can't notify systemd: {error}");
    }
}

/// MONOTONIC_USEC=, which Type=notify-reload wants beside RELOADING=1.
pub(crate) fn monotonic_now() -> NotifyState {
    NotifyState::Other(format!("MONOTONIC_USEC={}", sys::clock::now().0 / 1_000))
}

/// How long the service manager lets this process be silent; `None` without a watchdog (`WatchdogSec=`).
pub(crate) fn watchdog() -> Option<Duration> {
    // The variables stay: children get them only where a definition asks for them by name.
    watchdog_enabled(false).filter(|limit| !limit.is_zero())
}

/// The line that `systemctl status` shows.
pub(crate) fn status_line(snapshot: &model::Snapshot, trouble: &[String]) -> String {
    let counts = snapshot.count_by_state();
    let states =
        model::State::ALL.iter().zip(counts).filter(|(_, n)| *n > 0).map(|(s, n)| format!("{n} {s}"));
    let mut line = format!("{} processes", snapshot.processes.len());
    let states: Vec<String> = states.collect();
    if !states.is_empty() {
        line.push_str(": ");
        line.push_str(&states.join(", "));
    }
    for problem in trouble {
        line.push_str("; ");
        line.push_str(problem);
    }
    line
}
