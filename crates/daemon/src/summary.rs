//! Keeps the status line of systemd up to date: at most once a second, and only when something happened.

use std::sync::Arc;
use std::time::Duration;

use libsystemd::daemon::NotifyState;
use tokio::sync::Notify;

use crate::control::Desk;
use crate::systemd;

/// The status line as of now.
pub(crate) fn of(desk: &Desk) -> String {
    systemd::status_line(&desk.supervisor.snapshot(), &desk.listeners.trouble())
}

/// Waits for happenings and tells systemd, which was told `last` before. Never ends.
pub(crate) async fn keep(desk: Arc<Desk>, happened: Arc<Notify>, mut last: String) {
    loop {
        happened.notified().await;
        let line = of(&desk);
        if line != last {
            systemd::tell(&[NotifyState::Status(line.clone())]);
            last = line;
        }
        // A crash loop must not become a loop of datagrams.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
