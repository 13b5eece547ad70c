//! The exposition as clients get it: rendered off the reactor, shared by all who ask within a second.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

use crate::Exporter;

/// How old a value may be that a client gets.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Makes and shares the exposition.
///
/// Single flight: whoever holds the lock renders, everybody else waits for the lock and then finds the result.
/// The lock goes with the rendering to its thread, so a client that leaves in the middle does not set off a
/// second rendering beside the first: there is never more than one.
#[derive(Debug)]
pub(crate) struct Pages {
    exporter: Arc<Exporter>,
    slot: Arc<Mutex<Option<Page>>>,
}

#[derive(Debug)]
struct Page {
    taken: Instant,
    text: Bytes,
    /// Made when the first client asks for it.
    gzip: Option<Bytes>,
}

impl Page {
    fn body(&self, gzip: bool) -> Option<Bytes> {
        if gzip { self.gzip.clone() } else { Some(self.text.clone()) }
    }
}

impl Pages {
    /// Pages of this exporter.
    pub(crate) fn new(exporter: Arc<Exporter>) -> Arc<Self> {
        Arc::new(Self { exporter, slot: Arc::default() })
    }

    /// Whether the daemon has finished its start.
    pub(crate) fn ready(&self) -> bool {
        self.exporter.ready()
    }

    /// The exposition, at most [`MAX_AGE`] old. Fails only when rendering panicked, or at shutdown.
    pub(crate) async fn get(&self, gzip: bool) -> Result<Bytes, JoinError> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if slot.as_ref().is_some_and(|page| page.taken.elapsed() > MAX_AGE) {
            *slot = None;
        }
        if let Some(body) = slot.as_ref().and_then(|page| page.body(gzip)) {
            return Ok(body);
        }
        let (exporter, shared) = (Arc::clone(&self.exporter), Arc::clone(&self.slot));
        tokio::task::spawn_blocking(move || {
            let page = slot.get_or_insert_with(|| {
                let taken = Instant::now();
                tokio::spawn(forget(shared, taken));
                Page { taken, text: exporter.render().into(), gzip: None }
            });
            if gzip {
                page.gzip.get_or_insert_with(|| compress(&page.text)).clone()
            } else {
                page.text.clone()
            }
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

/// Level 1: a seventh of the size for a tenth of the time of the default.
fn compress(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 6), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("a Vec takes everything").into()
}
