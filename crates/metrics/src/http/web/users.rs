//! Users with passwords: looked at one at a time, away from the connections, and remembered once they were right.
//!
//! A hash is meant to be slow: 60 ms at the usual cost. So a scraper that comes every 15 s is recognized by what it
//! presented before, and whoever tries passwords has one thread at most, and a queue that is short.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::Verdict;

/// Passwords that wait for the one that is looked at; further ones are refused with 429.
pub(super) const MAX_WAITING: usize = 16;
/// Longer than any password that bcrypt looks at (72 bytes) with any name that one would choose.
const MAX_GIVEN: usize = 1024;

type Given = [u8; 32];

#[derive(Default)]
pub(super) struct Users {
    hashes: Vec<(String, String)>,
    /// What each user presented that was right, as a digest: one each.
    right: Arc<Mutex<HashMap<usize, Given>>>,
    queue: Option<Queue>,
}

struct Queue {
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

/// Without the hashes.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hashes.iter().map(|(name, _)| name)).finish()
    }
}

impl Users {
    pub(super) fn new(hashes: Vec<(String, String)>) -> Self {
        let queue = Queue {
            waiting: Arc::new(Semaphore::new(MAX_WAITING + 1)),
            working: Arc::new(Semaphore::new(1)),
        };
        Self { hashes, right: Arc::default(), queue: Some(queue) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What follows `Basic `.
    pub(super) async fn judge(&self, encoded: &str) -> Verdict {
        let (Some(queue), Some((name, password))) = (&self.queue, decode(encoded)) else {
            return Verdict::No;
        };
        let known = self.hashes.iter().position(|(user, _)| *user == name);
        let given: Given = Sha256::digest(format!("{name}:{password}")).into();
        if known.is_some_and(|user| self.remembered(user, &given)) {
            return Verdict::Yes;
        }
        // Whether there is such a user must not be told by the time that it takes: somebody's hash is always looked at.
        let Some((_, hash)) = known.map_or(self.hashes.first(), |user| self.hashes.get(user)) else {
            return Verdict::No;
        };
        let Ok(place) = Arc::clone(&queue.waiting).try_acquire_owned() else { return Verdict::Busy };
        let Ok(turn) = Arc::clone(&queue.working).acquire_owned().await else { return Verdict::No };
        // The same one may have waited before us in another connection.
        if known.is_some_and(|user| self.remembered(user, &given)) {
            return Verdict::Yes;
        }
        let (hash, right) = (hash.clone(), Arc::clone(&self.right));
        // The turn goes along: a client that leaves in the middle must not make room for a second thread.
        let looked = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            let fits = bcrypt::verify(password, &hash).unwrap_or(false);
            if let Some(user) = known.filter(|_| fits) {
                right.lock().unwrap_or_else(PoisonError::into_inner).insert(user, given);
            }
            known.is_some() && fits
        });
        if looked.await.unwrap_or(false) { Verdict::Yes } else { Verdict::No }
    }

    /// As one who works holds it.
    #[cfg(test)]
    pub(super) async fn take_turn(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.queue.as_ref().unwrap().working).acquire_owned().await.unwrap()
    }

    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.queue.as_ref().unwrap().waiting.available_permits() == 0
    }

    fn remembered(&self, user: usize, given: &Given) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(&user).is_some_and(|known| super::same(known, given))
    }
}

fn decode(encoded: &str) -> Option<(String, String)> {
    let text = (encoded.len() <= MAX_GIVEN).then(|| STANDARD.decode(encoded).ok())??;
    let text = String::from_utf8(text).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
