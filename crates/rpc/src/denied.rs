//! Which refusals are told: a caller who may not do a thing must not be able to fill the journal with it.
//!
//! Each peer (a uid, a certificate's name, an address) has a few records at once and then one every ten seconds; how many were
//! left out in between stands in its next one. All of them count in the metrics of calls. Peers beyond a number share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::Peer;
use crate::who::Who;

/// Records at once.
const BURST: u32 = 10;
/// Time for one more.
const REFILL: Duration = Duration::from_secs(10);
/// Peers that are told apart.
const MAX_PEERS: usize = 256;

#[derive(Debug)]
struct Bucket {
    left: u32,
    /// When `left` was right.
    since: Instant,
    suppressed: u64,
}

/// The bounds of all peers.
#[derive(Default)]
pub(crate) struct Denied(Mutex<HashMap<Who, Bucket>>);

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denied").finish_non_exhaustive()
    }
}

impl Denied {
    /// Whether a refusal of this peer is told, and how many were not since the last that was.
    pub(crate) fn may_tell(&self, peer: &Peer) -> Option<u64> {
        self.at(Who::from(peer), Instant::now())
    }

    fn at(&self, who: Who, now: Instant) -> Option<u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = buckets.len() >= MAX_PEERS && !buckets.contains_key(&who);
        if full {
            // Who has all of its records again, and none left out, is as one who never came.
            buckets.retain(|_, bucket| bucket.suppressed > 0 || refilled(bucket, now) < BURST);
        }
        let who = if buckets.len() >= MAX_PEERS && !buckets.contains_key(&who) { Who::Others } else { who };
        let bucket = buckets.entry(who).or_insert(Bucket { left: BURST, since: now, suppressed: 0 });
        let left = refilled(bucket, now);
        if left != bucket.left {
            (bucket.left, bucket.since) = (left, now);
        }
        if bucket.left == 0 {
            bucket.suppressed += 1;
            return None;
        }
        if bucket.left == BURST {
            bucket.since = now;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.suppressed))
    }
}

fn refilled(bucket: &Bucket, now: Instant) -> u32 {
    let more = now.saturating_duration_since(bucket.since).as_secs() / REFILL.as_secs();
    bucket.left.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)).min(BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_records_and_then_counted() {
        let (denied, start) = (Denied::default(), Instant::now());
        let told = (0..10_000).filter(|_| denied.at(Who::Uid(1), start).is_some()).count();
        assert_eq!(told, BURST as usize);
        assert_eq!(denied.at(Who::Uid(2), start), Some(0), "another one is told at once");
        assert_eq!(denied.at(Who::Uid(1), start + REFILL), Some(10_000 - u64::from(BURST)));
        assert_eq!(denied.at(Who::Uid(1), start + REFILL), None);
        let later = start + REFILL * 1000;
        assert_eq!(denied.at(Who::Uid(1), later), Some(1));
        let told = (0..100).filter(|_| denied.at(Who::Uid(1), later).is_some()).count();
        assert_eq!(told, BURST as usize - 1, "what was saved up has a bound");
    }

    #[test]
    fn a_steady_flood_is_told_at_its_rate() {
        let (denied, start) = (Denied::default(), Instant::now());
        let told = (0..100_u32)
            .filter(|s| denied.at(Who::Uid(1), start + Duration::from_secs((*s).into())).is_some());
        assert_eq!(told.count(), 19, "10 at once and 9 in the 99 seconds after them");
    }

    #[test]
    fn many_peers_share_and_do_not_grow_without_end() {
        let (denied, now) = (Denied::default(), Instant::now());
        let told = (0..100_000).filter(|n| denied.at(Who::Uid(*n), now).is_some()).count();
        assert_eq!(told, MAX_PEERS + BURST as usize);
        assert_eq!(denied.0.lock().unwrap().len(), MAX_PEERS + 1);
        let later = now + REFILL * 2;
        assert_eq!(denied.at(Who::Uid(500_000), later), Some(0), "those who are quiet give room");
    }
}
