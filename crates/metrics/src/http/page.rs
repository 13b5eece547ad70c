//! What clients get of a sample: made off the reactor, shared by all who ask within a second.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

use super::status::{self, View};
use crate::Exporter;
use crate::exporter::{NotReady, Sample};
pub(crate) use crate::text::Format;

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
    /// By format and compression, made when the first client asks for it.
    made: [[Option<Bytes>; 2]; 2],
}

impl Page {
    fn body(&mut self, exporter: &Exporter, format: Format, gzip: bool) -> Bytes {
        let made = &mut self.made[format as usize][usize::from(gzip)];
        made.get_or_insert_with(|| exporter.exposition(&self.sample, format, gzip)).clone()
    }
}

impl Pages {
    /// Pages of this exporter.
    pub(crate) fn new(exporter: Arc<Exporter>) -> Arc<Self> {
        Arc::new(Self { exporter, slot: Arc::default() })
    }

    /// The exposition, at most [`MAX_AGE`] old. Fails only when rendering panicked, or at shutdown.
    pub(crate) async fn exposition(&self, format: Format, gzip: bool) -> Result<Bytes, JoinError> {
        self.with_page(
            move |page| page.made[format as usize][usize::from(gzip)].clone(),
            move |page, exporter| page.body(exporter, format, gzip),
        )
        .await
    }

    /// The status page, at most [`MAX_AGE`] old. Fails as [`Pages::exposition`] does.
    pub(crate) async fn status(&self, view: View) -> Result<Bytes, JoinError> {
        self.with_page(|_| None, move |page, exporter| status::render(exporter, &page.sample, &view).into())
            .await
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

    async fn with_page(
        &self,
        ready: impl FnOnce(&Page) -> Option<Bytes>,
        make: impl FnOnce(&mut Page, &Exporter) -> Bytes + Send + 'static,
    ) -> Result<Bytes, JoinError> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if slot.as_ref().is_some_and(|page| page.taken.elapsed() > MAX_AGE) {
            *slot = None;
        }
        if let Some(body) = slot.as_ref().and_then(ready) {
            return Ok(body);
        }
        let (exporter, shared) = (Arc::clone(&self.exporter), Arc::clone(&self.slot));
        tokio::task::spawn_blocking(move || {
            let page = slot.get_or_insert_with(|| {
                let taken = Instant::now();
                tokio::spawn(forget(shared, taken));
                Page { taken, sample: exporter.sample(), made: Default::default() }
            });
            make(page, &exporter)
        })
        .await
    }
}

/// Gives the memory back once the page is too old for anybody: megabytes, with thousands of processes. The one
/// timer of this crate that is not bound to a connection; it runs once per page.
async fn forget(slot: Arc<Mutex<Option<Page>>>, taken: Instant) {
    sleep_until(taken + MAX_AGE).await;
    slot.lock().await.take_if(|page| page.taken == taken);
}
