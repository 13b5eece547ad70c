//! What a start and a reload leave behind in memory is given back once they are over: the daemon sleeps from then on, and
//! its memory counts on every machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Until what was decided has been done: hundreds of processes are started in less. What comes later is only given back
/// with the next reload.
const AFTER: Duration = Duration::from_secs(1);

/// Whether somebody waits for it.
static WAITS: AtomicBool = AtomicBool::new(false);

/// Once, [`AFTER`] the first of those that ask for it; an idle daemon sleeps.
pub(crate) fn soon() {
    if WAITS.swap(true, Ordering::Relaxed) {
        return;
    }
    tokio::spawn(async {
        tokio::time::sleep(AFTER).await;
        WAITS.store(false, Ordering::Relaxed);
        // Reads /proc, which the threads that serve calls don't.
        let done = tokio::task::spawn_blocking(sys::memory::let_go).await;
        if let Ok(Err(error)) = done {
            tracing::debug!("memory that the start needed is kept: {error}");
        }
    });
}
