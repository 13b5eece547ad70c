//! What clients get of a sample, which is taken off the reactor and shared by all who ask within a second.
//!
//! One Prometheus is the rule: its exposition goes out while it is written, and is never in memory as a whole. Only when a
//! second client asks for the same within the second it is kept, for all others.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};

use super::body::Content;
use super::status::{self, View};
use crate::Exporter;
use crate::exporter::{NotReady, Sample};
pub(crate) use crate::text::Format;
use crate::text::{Piece, Text};

/// How old a value may be that a client gets.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Makes and shares samples and what is made of them.
///
/// Single flight: whoever holds the lock works, everybody else waits for the lock and then finds the result. The lock goes
/// with the work to its thread, so a client that leaves in the middle does not set off the same work beside the first:
/// there is never more than one.
#[derive(Debug)]
pub(crate) struct Pages {
    exporter: Arc<Exporter>,
    slot: Arc<Mutex<Option<Page>>>,
}

#[derive(Debug)]
struct Page {
    taken: Instant,
    sample: Sample,
    /// By format and compression.
    expositions: [[Exposition; 2]; 2],
}

/// What became of one.
#[derive(Debug, Default)]
enum Exposition {
    /// Nobody asked for it.
    #[default]
    Unasked,
    /// It went to a client, and nothing is left.
    Sent,
    /// It is kept.
    Kept(Bytes),
}

impl Page {
    fn new(exporter: &Exporter, taken: Instant) -> Self {
        Self { taken, sample: exporter.sample(), expositions: Default::default() }
    }

    /// An exposition for one more client: into the pieces.
    fn give(&mut self, exporter: &Exporter, format: Format, gzip: bool, to: mpsc::UnboundedSender<Piece>) {
        let exposition = &mut self.expositions[format as usize][usize::from(gzip)];
        let kept = match exposition {
            Exposition::Unasked => {
                exporter.write(&self.sample, Text::sent(format, gzip, to));
                *exposition = Exposition::Sent;
                return;
            }
            Exposition::Sent => {
                let kept = exporter.write(&self.sample, Text::whole(format, gzip));
                *exposition = Exposition::Kept(kept.clone());
                kept
            }
            Exposition::Kept(kept) => kept.clone(),
        };
        // A client that has left has all it wants.
        drop(to.send(Piece { text: kept, last: true }));
    }
}

impl Pages {
    /// Pages of this exporter.
    pub(crate) fn new(exporter: Arc<Exporter>) -> Arc<Self> {
        Arc::new(Self { exporter, slot: Arc::default() })
    }

    /// The exposition, at most [`MAX_AGE`] old, which the client has to take in this time. `None` = it could not be made:
    /// something panicked, or this is the end.
    pub(crate) async fn exposition(&self, format: Format, gzip: bool, limit: Duration) -> Option<Content> {
        let slot = self.slot().await;
        let kept = slot.as_ref().map(|page| &page.expositions[format as usize][usize::from(gzip)]);
        if let Some(Exposition::Kept(kept)) = kept {
            return Some(kept.clone().into());
        }
        let (to, pieces) = mpsc::unbounded_channel();
        // It goes on when nobody waits for it any more.
        drop(self.with_page(slot, move |page, exporter| page.give(exporter, format, gzip, to)));
        Content::of(pieces, limit).await
    }

    /// The status page, at most [`MAX_AGE`] old. Fails only when making it panicked, or at shutdown.
    pub(crate) async fn status(&self, view: View) -> Result<Bytes, JoinError> {
        let slot = self.slot().await;
        self.with_page(slot, move |page, exporter| status::render(exporter, &page.sample, &view).into()).await
    }

    /// What is not ready. Fails as [`Pages::exposition`] does.
    pub(crate) async fn readiness(&self) -> Result<Result<(), NotReady>, JoinError> {
        // Not of a sample, which may be a second old: who waits for readiness wants to know now.
        let exporter = Arc::clone(&self.exporter);
        tokio::task::spawn_blocking(move || exporter.readiness()).await
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) async fn is_empty(&self) -> bool {
        self.slot.lock().await.is_none()
    }

    /// Waits until it is one's turn; what is there then is young enough.
    async fn slot(&self) -> OwnedMutexGuard<Option<Page>> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        slot.take_if(|page| page.taken.elapsed() > MAX_AGE);
        slot
    }

    /// Makes something of the page, which is made first if there is none.
    fn with_page<T: Send + 'static>(
        &self,
        mut slot: OwnedMutexGuard<Option<Page>>,
        make: impl FnOnce(&mut Page, &Exporter) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let (exporter, shared) = (Arc::clone(&self.exporter), Arc::clone(&self.slot));
        tokio::task::spawn_blocking(move || {
            let page = slot.get_or_insert_with(|| {
                let taken = Instant::now();
                tokio::spawn(forget(shared, taken));
                Page::new(&exporter, taken)
            });
            make(page, &exporter)
        })
    }
}

/// Gives the memory back once the page is too old for anybody: megabytes, with thousands of processes. The one
/// timer of this crate that is not bound to a connection; it runs once per page.
async fn forget(slot: Arc<Mutex<Option<Page>>>, taken: Instant) {
    sleep_until(taken + MAX_AGE).await;
    slot.lock().await.take_if(|page| page.taken == taken);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Fixture, exporter};

    /// The pieces that one more client gets.
    fn given(page: &mut Page, exporter: &Exporter) -> Vec<Piece> {
        let (to, mut pieces) = mpsc::unbounded_channel();
        page.give(exporter, Format::Text, false, to);
        std::iter::from_fn(|| pieces.try_recv().ok()).collect()
    }

    #[tokio::test]
    async fn an_exposition_is_kept_once_a_second_client_asks() {
        let exporter = exporter(Fixture::default());
        let mut page = Page::new(&exporter, Instant::now());
        let kept = |page: &Page| matches!(page.expositions[0][0], Exposition::Kept(_));
        let first = given(&mut page, &exporter);
        assert!(first.last().is_some_and(|piece| piece.last) && !kept(&page));
        let second = given(&mut page, &exporter);
        assert!(second.len() == 1 && second[0].last && kept(&page));
        let third = given(&mut page, &exporter);
        assert!(third.len() == 1 && third[0].text == second[0].text, "not written again");
        assert!(third[0].text.as_ptr() == second[0].text.as_ptr(), "nor copied");
    }
}
