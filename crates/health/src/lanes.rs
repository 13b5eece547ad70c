//! How many checks run at a time, how many wait, and why those that hang do not keep out those that answer.
//!
//! A check that nobody answers holds its place for its whole time. When enough of them hang, checks of healthy
//! processes would wait until their own time is up, and healthy processes would be restarted because others are ill. So
//! a check that got no answer the last time (a *silent* one) may take only a part of the places: the rest turns over
//! quickly.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many checks there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Checks that run at a time. As long as nobody answers, each holds a descriptor and 20 (http) to 45 KiB (grpc).
    pub(crate) running: usize,
    /// Of those, places that no silent check takes; below `running`.
    pub(crate) reserved: usize,
    /// Checks that wait for a place, under 2 KiB each; beyond that a check is refused.
    pub(crate) waiting: usize,
    /// Silent probes that are remembered, 16 bytes each; beyond that all are forgotten and learned anew.
    pub(crate) silent: usize,
}

/// What the daemon uses.
pub(crate) const LIMITS: Limits = Limits { running: 1024, reserved: 128, waiting: 4096, silent: 8192 };

/// The places.
#[derive(Debug)]
pub(crate) struct Lanes {
    limits: Limits,
    /// Checks that run or wait.
    present: AtomicUsize,
    all: Semaphore,
    /// Taken first by silent checks.
    unreserved: Semaphore,
    silent: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

/// Counts as present until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Lanes>);

impl Seat {
    /// Takes a seat, or says that there is none.
    pub(crate) fn take(lanes: &Arc<Lanes>) -> Result<Self, String> {
        let most = lanes.limits.running + lanes.limits.waiting;
        let seat = Self(Arc::clone(lanes));
        // Counts even when it is one too many: dropping the seat takes it back.
        if lanes.present.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(format!("too many health checks at a time (at most {most})"));
        }
        Ok(seat)
    }

    /// Where the places are.
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Empty ones.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            present: AtomicUsize::new(0),
            all: Semaphore::new(limits.running),
            unreserved: Semaphore::new(limits.running - limits.reserved),
            silent: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// What stands for a probe in the memory of silent ones. Two probes with the same key would only share a lane.
    pub(crate) fn key(&self, probe: &str) -> u64 {
        self.hasher.hash_one(probe)
    }

    /// Waits for a place; first come, first served within each lane. Holds it until the permits are dropped.
    pub(crate) async fn place(&self, key: u64) -> [Option<SemaphorePermit<'_>>; 2] {
        let silent = self.remembered().contains(&key);
        // Never closed, so there is always a permit in the end.
        let unreserved = if silent { self.unreserved.acquire().await.ok() } else { None };
        [unreserved, self.all.acquire().await.ok()]
    }

    /// Remembers whether a probe that had a place got an answer.
    pub(crate) fn learn(&self, key: u64, silent: bool) {
        let mut remembered = self.remembered();
        if !silent {
            remembered.remove(&key);
            return;
        }
        if remembered.len() >= self.limits.silent {
            remembered.clear();
        }
        remembered.insert(key);
    }

    /// A number that is wrong by a panic in between would do no harm.
    fn remembered(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls once: what is ready, or nothing.
    fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    const FEW: Limits = Limits { running: 4, reserved: 1, waiting: 2, silent: 3 };

    #[test]
    fn silent_checks_leave_places_for_the_others() {
        let lanes = Lanes::new(FEW);
        let (ill, well) = (lanes.key("tcp ill:1"), lanes.key("tcp well:1"));
        lanes.learn(ill, true);
        let held: Vec<_> = (0..3).map(|_| ready(lanes.place(ill)).expect("a place")).collect();
        assert!(ready(lanes.place(ill)).is_none(), "the reserved place is not for silent ones");
        let reserved = ready(lanes.place(well)).expect("the reserved place");
        assert!(ready(lanes.place(well)).is_none(), "all are taken");
        drop(reserved);
        assert!(ready(lanes.place(well)).is_some());
        drop(held);
        lanes.learn(ill, false);
        let held: Vec<_> =
            (0..4).map(|_| ready(lanes.place(ill)).expect("an answer gives all places back")).collect();
        assert_eq!(held.len(), 4);
    }

    #[test]
    fn seats_are_bounded_and_given_back() {
        let lanes = Arc::new(Lanes::new(FEW));
        let seats: Vec<_> = (0..6).map(|_| Seat::take(&lanes).unwrap()).collect();
        for _ in 0..3 {
            let refusal = Seat::take(&lanes).err();
            assert_eq!(refusal.as_deref(), Some("too many health checks at a time (at most 6)"));
        }
        drop(seats);
        assert_eq!(lanes.present.load(Ordering::Relaxed), 0, "refused ones count no longer");
        assert!(Seat::take(&lanes).is_ok());
    }

    #[test]
    fn the_memory_of_silent_ones_is_bounded() {
        let lanes = Lanes::new(FEW);
        for n in 0..100 {
            lanes.learn(n, true);
            assert!(lanes.remembered().len() <= FEW.silent);
            assert!(lanes.remembered().contains(&n), "the newest is always known");
        }
    }
}
