//! The last events, for whoever watches: one ring that the daemon pushes into, and each watcher reads at its own speed.
//!
//! Whoever pushes is the supervisor's thread, so pushing is one short lock, and waking is handed to a task of the server
//! ([`EventRing::announce`]): a hundred watchers cost the supervisor what one does. Nobody holds the lock across
//! anything but copying pointers. Sentences are made when somebody reads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Event, EventKind};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// Events that are kept; beyond it the oldest go, and who had not read them hears of it (`missed`).
const MAX_EVENTS: usize = 10_000;
/// Bytes that they may take together; the same.
const MAX_BYTES: usize = 4 << 20;
/// How much later than it happened a watcher is told. What belongs together, a restart for example, is then told in one
/// go, and a hundred watchers do their work after it and not in the middle of it.
const CALM: Duration = Duration::from_millis(20);
/// What one of them is counted with beside its texts.
const OVERHEAD: usize = size_of::<Event>() + 2 * size_of::<usize>();

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth a look.
    Notice,
    /// Something went wrong.
    Warning,
    /// Somebody has to act.
    Error,
}

/// How events are put into words: the log pipeline's business, which this crate doesn't know.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    /// The sentence that the journal has.
    pub describe: fn(&Event) -> String,
    /// How bad it is.
    pub severity: fn(&EventKind) -> Severity,
}

/// The last events of this life of the daemon.
pub struct EventRing {
    epoch: String,
    wording: Wording,
    kept: Mutex<Kept>,
    /// Something happened that nobody was told about yet.
    news: Notify,
    /// Counts tellings of those who wait for something, at once.
    told: watch::Sender<u64>,
    /// The same of those who watch, a little later.
    shown: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Number of the newest event there was.
    last: u64,
}

/// Some events, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<Arc<Event>>,
    /// Number of the last event that was looked at.
    pub(crate) position: u64,
    /// Events before these are gone.
    pub(crate) missed: bool,
}

impl fmt::Debug for EventRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock();
        let (events, bytes, last) = (kept.events.len(), kept.bytes, kept.last);
        f.debug_struct("EventRing")
            .field("epoch", &self.epoch)
            .field("events", &events)
            .field("bytes", &bytes)
            .field("last", &last)
            .finish_non_exhaustive()
    }
}

impl EventRing {
    /// An empty one. `epoch` is a text that no other life of the daemon has.
    #[must_use]
    pub fn new(epoch: String, wording: Wording) -> Self {
        let (told, shown) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { epoch, wording, kept: Mutex::default(), news: Notify::new(), told, shown }
    }

    /// This life of the daemon.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Adds an event; its number is above all before. Doesn't block.
    pub fn push(&self, event: &Event) {
        let event = Arc::new(event.clone());
        // Freed after the lock.
        let mut gone = Vec::new();
        let mut kept = self.lock();
        kept.last = event.seq.0;
        kept.bytes += weight(&event);
        kept.events.push_back(event);
        while kept.events.len() > MAX_EVENTS || kept.bytes > MAX_BYTES && kept.events.len() > 1 {
            let Some(oldest) = kept.events.pop_front() else { break };
            kept.bytes -= weight(&oldest);
            gone.push(oldest);
        }
        drop(kept);
        self.changed();
    }

    /// A process looks different from now on, whether or not there was an event. Doesn't block.
    pub fn changed(&self) {
        // Whoever begins to listen after this look reads the ring, or the process, after it, too: the locks in front of
        // both see to that.
        if self.listeners() > 0 {
            self.news.notify_one();
        }
    }

    /// Tells everybody who listens, for as long as it is polled.
    pub(crate) async fn announce(&self) {
        let tell = |told: &watch::Sender<u64>| told.send_modify(|count| *count = count.wrapping_add(1));
        let mut calm = None;
        loop {
            let due = async move {
                match calm {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.news.notified() => {
                    tell(&self.told);
                    if self.shown.receiver_count() > 0 {
                        calm.get_or_insert_with(|| Instant::now() + CALM);
                    }
                }
                () = due => {
                    calm = None;
                    tell(&self.shown);
                }
            }
        }
    }

    /// Hears of everything that happens from now on. Listen first, look then: nothing falls in between.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// The same for whoever is in no hurry: what happens in quick succession is told together.
    pub(crate) fn listen_calmly(&self) -> watch::Receiver<u64> {
        self.shown.subscribe()
    }

    /// How many listen: watchers of events, and who waits for a process.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.told.receiver_count() + self.shown.receiver_count()
    }

    pub(crate) fn wording(&self) -> Wording {
        self.wording
    }

    /// Number of the newest event there was; 0 = there was none.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    /// At most `most` events behind the one with the number `after`.
    pub(crate) fn read(&self, after: u64, most: usize) -> Page {
        let kept = self.lock();
        let oldest = kept.events.front().map_or(kept.last + 1, |event| event.seq.0);
        let from = usize::try_from((after + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let events: Vec<_> = kept.events.iter().skip(from).take(most).cloned().collect();
        let position = events.last().map_or(kept.last.max(after), |event| event.seq.0);
        Page { events, position, missed: after + 1 < oldest }
    }

    /// The number behind which the last `count` events begin that fit.
    pub(crate) fn before_last(&self, count: u32, fits: impl Fn(&Event) -> bool) -> u64 {
        let all: Vec<_> = self.lock().events.iter().cloned().collect();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let begin = all.iter().rev().filter(|event| fits(event)).take(count).last();
        begin.map_or_else(|| all.last().map_or_else(|| self.last(), |e| e.seq.0), |event| event.seq.0 - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event takes, as far as it may be much.
fn weight(event: &Event) -> usize {
    let texts = match &event.kind {
        EventKind::Invalid { problem } | EventKind::Degraded { problem } => problem.len(),
        EventKind::Skipped { condition } => condition.len(),
        EventKind::HookFailed { why, .. } => why.len(),
        EventKind::Health { message, .. } => message.len(),
        EventKind::SpawnFailed(failure) => failure.subject.len() + failure.message.len() + failure.hint.len(),
        EventKind::Updated { keys } => keys.len() * size_of::<&str>(),
        EventKind::LeftoversKilled { pids } | EventKind::Survivors { pids } => pids.len() * size_of::<u32>(),
        EventKind::Held { reason } => reason.held_up_by().len() * size_of::<usize>() * 2,
        EventKind::Created
        | EventKind::Removed
        | EventKind::Started { .. }
        | EventKind::Ready { .. }
        | EventKind::StartTimedOut { .. }
        | EventKind::WatchdogExpired { .. }
        | EventKind::Reloading
        | EventKind::Reloaded
        | EventKind::MainProcess { .. }
        | EventKind::CriticalEnded { .. }
        | EventKind::OomKilled { .. }
        | EventKind::Exited { .. }
        | EventKind::RestartScheduled { .. }
        | EventKind::StartLimitReached { .. }
        | EventKind::Stopping { .. }
        | EventKind::StopTimedOut { .. }
        | EventKind::Stopped => 0,
    };
    OVERHEAD + texts
}

#[cfg(test)]
mod tests;
