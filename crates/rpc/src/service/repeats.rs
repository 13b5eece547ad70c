//! The calls that carried an id, and what they answered: a table for each caller.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::who::Who;
use crate::{ControlError, ErrorKind};

/// How long an id is known after its call ended.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Ids of one caller that are known at most; beyond it those of the calls that ended first are forgotten.
const MAX_KEPT: usize = 1024;
/// Bytes of answers that are kept of one caller at most, but always the last one; the same.
const MAX_BYTES: usize = 2 << 20;
/// Callers that are known; beyond it the one whose last call ended first is forgotten. They are operators and admins, of
/// whom there are few.
const MAX_CALLERS: usize = 32;

/// What a call answered, encoded; its type is that of the method.
pub(super) type Outcome = Result<Vec<u8>, ControlError>;

/// Which call of a caller it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) method: &'static str,
    pub(super) id: String,
}

struct Call {
    /// Of its request.
    hash: u64,
    /// `None` = it runs. Such a one is never forgotten: it would be carried out twice.
    ended: Option<Instant>,
    /// Bytes that its answer takes.
    size: usize,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// The calls with ids.
#[derive(Default)]
pub(crate) struct Repeats {
    callers: Mutex<HashMap<Who, Kept>>,
    hasher: RandomState,
}

/// Those of one caller.
#[derive(Default)]
struct Kept {
    calls: HashMap<Key, Call>,
    /// Those that ended, in that order.
    ended: VecDeque<Key>,
    bytes: usize,
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeats").finish_non_exhaustive()
    }
}

/// What to do with a call.
pub(super) enum Begin {
    /// Carry it out and say here how it went.
    Fresh(watch::Sender<Option<Outcome>>),
    /// It was, or is being, carried out.
    Known(watch::Receiver<Option<Outcome>>),
    /// Its id was used for another request.
    Other,
    /// So many run that none can be forgotten.
    Full(String),
}

impl Repeats {
    pub(super) fn begin(&self, who: Who, key: &Key, request: &[u8]) -> Begin {
        // Maps are sorted in these types, so that equal requests have equal bytes.
        let hash = self.hasher.hash_one(request);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.values_mut().for_each(Kept::forget_old);
        callers.retain(|of, kept| *of == who || !kept.calls.is_empty());
        if !callers.contains_key(&who) && callers.len() >= MAX_CALLERS && !forget_one(&mut callers) {
            return Begin::Full(format!("{MAX_CALLERS} callers have calls with a request_id that run"));
        }
        callers.entry(who).or_default().begin(key, hash)
    }

    /// An answer that says that nothing was done, and that trying again helps, is not kept.
    pub(super) fn ended(&self, who: Who, key: &Key, outcome: &Outcome) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = callers.get_mut(&who) else { return };
        match outcome {
            Err(error) if error.kind == ErrorKind::Busy => drop(kept.calls.remove(key)),
            Err(error) => kept.ended(key, error.message.len() + error.hint.as_ref().map_or(0, String::len)),
            Ok(raw) => kept.ended(key, raw.len()),
        }
    }
}

/// Forgets the caller whose last call ended first, of those with none that runs.
fn forget_one(callers: &mut HashMap<Who, Kept>) -> bool {
    let last = |kept: &Kept| kept.calls.get(kept.ended.back()?)?.ended;
    let idle = callers.iter().filter(|(_, kept)| kept.calls.len() == kept.ended.len());
    let oldest = idle.min_by_key(|(_, kept)| last(kept)).map(|(who, _)| *who);
    oldest.is_some_and(|who| callers.remove(&who).is_some())
}

impl Kept {
    fn begin(&mut self, key: &Key, hash: u64) -> Begin {
        if let Some(call) = self.calls.get(key) {
            return if call.hash == hash { Begin::Known(call.outcome.clone()) } else { Begin::Other };
        }
        if self.calls.len() >= MAX_KEPT && !self.forget_oldest() {
            return Begin::Full(format!("{MAX_KEPT} calls with a request_id run for you already"));
        }
        let (tx, outcome) = watch::channel(None);
        self.calls.insert(key.clone(), Call { hash, ended: None, size: 0, outcome });
        Begin::Fresh(tx)
    }

    fn ended(&mut self, key: &Key, size: usize) {
        let Some(call) = self.calls.get_mut(key) else { return };
        (call.ended, call.size) = (Some(Instant::now()), size);
        self.bytes += size;
        self.ended.push_back(key.clone());
        while self.bytes > MAX_BYTES && self.ended.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_old(&mut self) {
        let is_old = |call: &Call| call.ended.is_some_and(|ended| ended.elapsed() >= KEPT_FOR);
        while self.ended.front().and_then(|key| self.calls.get(key)).is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    /// Whether there was one.
    fn forget_oldest(&mut self) -> bool {
        let Some(key) = self.ended.pop_front() else { return false };
        if let Some(call) = self.calls.remove(&key) {
            self.bytes -= call.size;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Who = Who::Uid(7);

    fn key(id: usize) -> Key {
        Key { method: "StopProcess", id: id.to_string() }
    }

    fn begin(repeats: &Repeats, id: usize) -> Begin {
        repeats.begin(ME, &key(id), b"stop it")
    }

    fn is_fresh(repeats: &Repeats, id: usize) -> bool {
        matches!(begin(repeats, id), Begin::Fresh(_))
    }

    fn end(repeats: &Repeats, id: usize, outcome: Outcome) {
        let Begin::Fresh(tell) = begin(repeats, id) else { panic!("{id} is known") };
        repeats.ended(ME, &key(id), &outcome);
        tell.send_replace(Some(outcome));
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_forgotten_by_age_number_and_size() {
        let repeats = Repeats::default();
        end(&repeats, 0, Ok(vec![1]));
        assert!(!is_fresh(&repeats, 0));
        tokio::time::advance(KEPT_FOR).await;
        end(&repeats, 0, Ok(vec![1]));

        (1..=MAX_KEPT).for_each(|id| end(&repeats, id, Ok(vec![1])));
        assert!(!is_fresh(&repeats, 1) && !is_fresh(&repeats, MAX_KEPT));
        end(&repeats, 0, Ok(vec![0; MAX_BYTES - 5]));
        assert!(!is_fresh(&repeats, 0));
        // One that is larger than all that is kept is kept all the same: it is the one that is asked for again.
        end(&repeats, 5_000, Ok(vec![0; MAX_BYTES + 1]));
        let callers = repeats.callers.lock().unwrap();
        let kept = &callers[&ME];
        assert_eq!((kept.calls.len(), kept.ended.len(), kept.bytes), (1, 1, MAX_BYTES + 1));
        assert!(kept.calls.contains_key(&key(5_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_runs_is_never_forgotten() {
        let repeats = Repeats::default();
        let Begin::Fresh(_running) = begin(&repeats, 0) else { panic!() };
        tokio::time::advance(KEPT_FOR * 2).await;
        assert!(matches!(begin(&repeats, 0), Begin::Known(_)), "by age");
        (1..=MAX_KEPT * 2).for_each(|id| end(&repeats, id, Ok(vec![1])));
        assert!(matches!(begin(&repeats, 0), Begin::Known(_)), "by number");
        (5_000..5_010).for_each(|id| end(&repeats, id, Ok(vec![0; MAX_BYTES])));
        assert!(matches!(begin(&repeats, 0), Begin::Known(_)), "by size");
        for uid in 100..200 {
            let who = Who::Uid(uid);
            let Begin::Fresh(_) = repeats.begin(who, &key(0), b"") else { panic!("{uid}") };
            repeats.ended(who, &key(0), &Ok(vec![]));
        }
        assert!(matches!(begin(&repeats, 0), Begin::Known(_)), "by other callers");
        assert_eq!(repeats.callers.lock().unwrap().len(), MAX_CALLERS);
    }

    #[test]
    fn when_nothing_can_be_forgotten_a_call_is_refused_and_others_are_not() {
        let repeats = Repeats::default();
        let running: Vec<_> = (0..MAX_KEPT).map(|id| begin(&repeats, id)).collect();
        assert!(running.iter().all(|begun| matches!(begun, Begin::Fresh(_))));
        assert!(matches!(begin(&repeats, MAX_KEPT), Begin::Full(_)));
        assert!(matches!(begin(&repeats, 0), Begin::Known(_)));
        assert!(matches!(repeats.begin(Who::Token, &key(0), b""), Begin::Fresh(_)));
        for uid in 100..200 {
            let begun = repeats.begin(Who::Uid(uid), &key(0), b"");
            assert_eq!(matches!(begun, Begin::Full(_)), uid >= 130, "{uid}: with two others there are 32");
        }
    }

    #[test]
    fn what_was_not_done_may_be_tried_again() {
        let repeats = Repeats::default();
        let Begin::Fresh(_tell) = begin(&repeats, 1) else { panic!() };
        assert!(!is_fresh(&repeats, 1), "it runs");
        repeats.ended(ME, &key(1), &Err(ControlError::new(ErrorKind::Busy, "later")));
        assert!(is_fresh(&repeats, 1));
    }

    #[test]
    fn whose_call_and_which_makes_a_difference() {
        let repeats = Repeats::default();
        let Begin::Fresh(_tell) = begin(&repeats, 1) else { panic!() };
        assert!(matches!(repeats.begin(ME, &key(1), b"stop another"), Begin::Other));
        assert!(matches!(repeats.begin(Who::Token, &key(1), b"stop it"), Begin::Fresh(_)));
        let other = Key { method: "StartProcess", ..key(1) };
        assert!(matches!(repeats.begin(ME, &other, b"stop it"), Begin::Fresh(_)));
    }
}
