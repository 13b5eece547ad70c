//! Events on their way to a caller.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Event, EventKind, ProcessName};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Service;
use super::list::bounded;
use crate::lookup::distance;
use crate::shares::Share;
use crate::{ControlError, ErrorKind, EventRing, convert, v1};

/// Most events in one response.
const BATCH: usize = 256;
/// Responses between the ring and a caller. A caller that is slow holds back only its own task; the ring goes on, and
/// what it drops meanwhile is `missed`.
const AHEAD: usize = 1;

pub(crate) type EventStream = ReceiverStream<Result<v1::WatchEventsResponse, Status>>;

/// Which events a caller wants.
struct Filter {
    /// Empty = all.
    names: BTreeSet<ProcessName>,
    /// Empty = all.
    kinds: BTreeSet<&'static str>,
}

impl Filter {
    fn fits(&self, event: &Event) -> bool {
        (self.names.is_empty() || self.names.contains(&event.process.name))
            && (self.kinds.is_empty() || self.kinds.contains(event.kind.as_str()))
    }
}

/// One caller and what it was told.
struct Watcher {
    ring: Arc<EventRing>,
    filter: Filter,
    follow: bool,
    /// Number of the last event that was looked at.
    position: u64,
    /// The last one that there was when the call began.
    present: u64,
    missed: bool,
    caught_up: bool,
}

impl Service {
    /// Opens the stream of what is asked for.
    pub(super) fn watch(
        &self,
        asked: &v1::WatchEventsRequest,
        slot: Share,
    ) -> Result<EventStream, ControlError> {
        let ring = self.control.events();
        let filter = Filter { names: self.watched(asked)?, kinds: kinds(&asked.kinds)? };
        let present = ring.last();
        let foreign = !asked.epoch.is_empty() && asked.epoch != ring.epoch();
        let (position, missed) = match asked.after_sequence {
            Some(_) if foreign => (0, true),
            Some(after) if after > present => return Err(ahead(after, present)),
            Some(after) => (after, false),
            None => (ring.before_last(asked.last, |event| filter.fits(event)).min(present), false),
        };
        let watcher =
            Watcher { ring, filter, follow: asked.follow, position, present, missed, caught_up: false };
        let (tx, rx) = mpsc::channel(AHEAD);
        let drain = self.drain.clone();
        tokio::spawn(async move {
            watcher.run(&tx, drain).await;
            drop(slot);
        });
        Ok(ReceiverStream::new(rx))
    }

    /// The processes that are meant. Who follows may name one that is not there yet.
    fn watched(&self, asked: &v1::WatchEventsRequest) -> Result<BTreeSet<ProcessName>, ControlError> {
        bounded("names", asked.names.len())?;
        bounded("kinds", asked.kinds.len())?;
        let snapshot = self.control.snapshot();
        // Who follows may name what is not there yet, and gets no hint of what was meant, which takes a look at every name.
        let one = |text: &String| match ProcessName::new(text) {
            Ok(name) if crate::lookup::named(&snapshot, text).is_some() => Ok(name),
            Ok(name) if asked.follow => {
                Ok(crate::lookup::by_id(&snapshot, text)?.map_or(name, |view| view.spec.name.clone()))
            }
            _ => crate::lookup::find(&snapshot, text).map(|view| view.spec.name.clone()),
        };
        asked.names.iter().map(one).collect()
    }
}

impl Watcher {
    /// Until the caller is gone, everything was told, or the server drains.
    async fn run(
        mut self,
        tx: &mpsc::Sender<Result<v1::WatchEventsResponse, Status>>,
        mut drain: watch::Receiver<bool>,
    ) {
        let mut news = self.ring.listen_calmly();
        // The first answer goes out whether or not there is an event: it says where the caller stands.
        let mut first = true;
        loop {
            news.mark_unchanged();
            let response = self.step();
            let worth = first || !response.events.is_empty() || response.missed || response.caught_up;
            if worth && tx.send(Ok(response)).await.is_err() {
                return;
            }
            first = false;
            if self.caught_up && !self.follow {
                return;
            }
            if self.position < self.ring.last() {
                continue;
            }
            let draining = tokio::select! {
                told = news.changed() => told.is_err(),
                () = tx.closed() => return,
                // An error means that the server is gone, which is the same to this stream.
                _ = drain.wait_for(|draining| *draining) => true,
            };
            if draining && self.position >= self.ring.last() {
                let error = ControlError::new(ErrorKind::Unavailable, "the daemon is shutting down");
                // A caller that is gone needs no reason.
                return tx.send(Err(error.into())).await.unwrap_or_default();
            }
        }
    }

    /// The next part of the ring.
    fn step(&mut self) -> v1::WatchEventsResponse {
        let page = self.ring.read(self.position, BATCH);
        self.position = page.position;
        let caught_up = !self.caught_up && self.position >= self.present;
        self.caught_up |= caught_up;
        // Who doesn't follow gets what there was when it asked.
        let last = if self.follow { u64::MAX } else { self.present };
        let fitting = page.events.iter().filter(|e| e.seq.0 <= last && self.filter.fits(e));
        v1::WatchEventsResponse {
            events: fitting.map(|event| convert::event(event, self.ring.wording())).collect(),
            sequence: self.position.min(last),
            epoch: self.ring.epoch().to_owned(),
            missed: std::mem::take(&mut self.missed) || page.missed,
            caught_up,
        }
    }
}

fn ahead(after: u64, present: u64) -> ControlError {
    let text = format!("after_sequence is {after}; the last event has the number {present}");
    ControlError::invalid("after_sequence", text)
        .with_hint("give the epoch, too: numbers of an earlier life of the daemon mean nothing in this one")
}

/// The kinds that are asked for, as the model has them.
fn kinds(asked: &[String]) -> Result<BTreeSet<&'static str>, ControlError> {
    let one = |text: &String| {
        EventKind::NAMES.into_iter().find(|kind| kind == text).ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            let near = EventKind::NAMES.into_iter().map(|kind| (distance(&shown, kind), kind)).min();
            let meant = near.filter(|(far, kind)| *far <= 1 + kind.len() / 4);
            let error = ControlError::invalid("kinds", format!("{shown:?} is no kind of event"));
            error.with_hint(match meant {
                Some((_, kind)) => format!("did you mean {kind}?"),
                None => format!("the kinds are {}", EventKind::NAMES.join(", ")),
            })
        })
    };
    asked.iter().map(one).collect()
}
