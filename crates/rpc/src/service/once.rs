//! Calls that are safe to repeat: a call with the id of an earlier one answers what that one answered.
//!
//! The work of a call with an id runs in a task of its own, so that its answer is known and kept also when its caller
//! left; that caller will ask again, which is what ids are for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use super::Service;
use crate::auth::{Caller, Method, Peer};
use crate::{ControlError, ErrorKind, v1};

/// How long an id is known.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Ids that are known at most; beyond it the oldest are forgotten.
const MAX_KEPT: usize = 1024;
/// Bytes of answers that are kept at most; the same.
const MAX_BYTES: usize = 4 << 20;
/// Longest id.
const MAX_ID: usize = 64;

/// A request that may carry an id.
pub(super) trait Identified: Message {
    fn request_id(&self) -> &str;
}

macro_rules! identified {
    ($($request:ident)+) => {
        $(impl Identified for v1::$request {
            fn request_id(&self) -> &str {
                &self.request_id
            }
        })+
    };
}

identified! {
    CreateProcessRequest StartProcessRequest StopProcessRequest RestartProcessRequest ReloadProcessRequest
    SignalProcessRequest ResetProcessRequest UpdateProcessRequest DeleteProcessRequest SetOverrideRequest
    ReloadConfigRequest EnableProcessRequest DisableProcessRequest RotateTokenRequest
}

/// What a call answered, encoded; its type is that of the method.
type Outcome = Result<Vec<u8>, Status>;

/// Who made a call, as far as it can be known again over another connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Uid(u32),
    /// The name in a certificate.
    Certified(String),
    /// Over TCP nobody is known.
    Anybody,
}

impl From<Peer> for Whose {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Unix { uid, .. } => Self::Uid(uid),
            Peer::Tls { client: Some(client), .. } => Self::Certified(client.to_string()),
            Peer::Tcp(_) | Peer::Tls { client: None, .. } => Self::Anybody,
        }
    }
}

/// Which call it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    whose: Whose,
    method: &'static str,
    id: String,
}

struct Call {
    /// Of its request.
    hash: u64,
    begun: Instant,
    /// Bytes that its answer takes; 0 while it runs.
    size: usize,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// The calls with ids.
#[derive(Default)]
pub(crate) struct Calls {
    kept: Mutex<Kept>,
    hasher: RandomState,
}

#[derive(Default)]
struct Kept {
    calls: HashMap<Key, Call>,
    /// In the order in which they began.
    order: VecDeque<Key>,
    bytes: usize,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

/// What to do with a call.
enum Begin {
    /// Carry it out and say here how it went.
    Fresh(watch::Sender<Option<Outcome>>),
    /// It was, or is being, carried out.
    Known(watch::Receiver<Option<Outcome>>),
    /// Its id was used for another request.
    Other,
}

impl Calls {
    fn begin(&self, key: &Key, hash: u64) -> Begin {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(|begun| begun.elapsed() >= KEPT_FOR);
        if let Some(call) = kept.calls.get(key) {
            // One that broke off without an answer counts as never made.
            if call.outcome.borrow().is_some() || call.outcome.has_changed().is_ok() {
                return if call.hash == hash { Begin::Known(call.outcome.clone()) } else { Begin::Other };
            }
            kept.remove(key);
        }
        while kept.calls.len() >= MAX_KEPT {
            kept.forget_oldest();
        }
        let (tx, outcome) = watch::channel(None);
        kept.calls.insert(key.clone(), Call { hash, begun: Instant::now(), size: 0, outcome });
        kept.order.push_back(key.clone());
        Begin::Fresh(tx)
    }

    /// An answer that says that nothing was done, and that trying again helps, is not kept.
    fn ended(&self, key: &Key, outcome: &Outcome) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let size = match outcome {
            Err(status) if status.code() == Code::ResourceExhausted => return kept.remove(key),
            Err(status) => status.message().len() + status.details().len(),
            Ok(raw) => raw.len(),
        };
        if let Some(call) = kept.calls.get_mut(key) {
            // An id that was forgotten while its call ran may stand for another call by now.
            let before = std::mem::replace(&mut call.size, size);
            kept.bytes = kept.bytes - before + size;
        }
        while kept.bytes > MAX_BYTES {
            kept.forget_oldest();
        }
    }
}

impl Kept {
    fn forget(&mut self, old: impl Fn(Instant) -> bool) {
        while self.order.front().and_then(|key| self.calls.get(key)).is_some_and(|call| old(call.begun)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(key) = self.order.pop_front() else { return };
        if let Some(call) = self.calls.remove(&key) {
            self.bytes -= call.size;
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(call) = self.calls.remove(key) {
            self.bytes -= call.size;
            self.order.retain(|other| other != key);
        }
    }
}

impl Service {
    /// Carries out a call that changes something, once for each id.
    pub(super) async fn once<Q, A, F>(
        &self,
        request: Request<Q>,
        method: Method,
        work: impl FnOnce(Self, Caller, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        Q: Identified,
        A: Message + Default,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        let caller = self.admit(&request, method).await?;
        let asked = request.into_inner();
        let id = asked.request_id();
        if id.is_empty() {
            return Ok(Response::new(work(self.clone(), caller, asked).await?));
        }
        check(id)?;
        let key = Key { whose: Whose::from(caller.peer), method: method.as_str(), id: id.to_owned() };
        let this = Self { request_id: id.to_owned(), ..self.clone() };
        // Maps are sorted in these types, so that equal requests have equal bytes.
        let hash = self.calls.hasher.hash_one(asked.encode_to_vec());
        let outcome = match self.calls.begin(&key, hash) {
            Begin::Known(outcome) => outcome,
            Begin::Other => return Err(used(id).into()),
            Begin::Fresh(tell) => {
                let outcome = tell.subscribe();
                let (calls, work) = (self.calls.clone(), work(this, caller, asked));
                tokio::spawn(async move {
                    let result = work.await.map(|answer| answer.encode_to_vec());
                    calls.ended(&key, &result);
                    tell.send_replace(Some(result));
                });
                outcome
            }
        };
        let raw = answer(outcome).await?;
        let answer = A::decode(&*raw).map_err(|e| {
            Status::from(ControlError::new(ErrorKind::Internal, format!("an answer that was kept: {e}")))
        })?;
        Ok(Response::new(answer))
    }
}

async fn answer(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    let known = outcome.wait_for(Option::is_some).await.map(|known| known.clone());
    known
        .ok()
        .flatten()
        .unwrap_or_else(|| Err(ControlError::new(ErrorKind::Internal, "the operation broke off").into()))
}

fn check(id: &str) -> Result<(), ControlError> {
    if id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let text = format!("request_id is not 1 to {MAX_ID} visible ASCII characters");
    Err(ControlError::invalid("request_id", text).with_hint("a UUID is a good one"))
}

fn used(id: &str) -> ControlError {
    ControlError::invalid("request_id", format!("another request was made with the id {id}"))
        .with_hint("use a new id for each request, and the same one only to repeat it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: usize) -> Key {
        Key { whose: Whose::Uid(7), method: "StopProcess", id: id.to_string() }
    }

    fn is_fresh(calls: &Calls, id: usize) -> bool {
        matches!(calls.begin(&key(id), 1), Begin::Fresh(_))
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_forgotten_by_age_number_and_size() {
        let calls = Calls::default();
        let end = |id: usize, outcome: Outcome| {
            let Begin::Fresh(tell) = calls.begin(&key(id), 1) else { panic!("{id} is known") };
            calls.ended(&key(id), &outcome);
            tell.send_replace(Some(outcome));
        };
        end(0, Ok(vec![1]));
        assert!(!is_fresh(&calls, 0));
        tokio::time::advance(KEPT_FOR).await;
        end(0, Ok(vec![1]));

        (1..=MAX_KEPT).for_each(|id| end(id, Ok(vec![1])));
        assert_eq!(calls.kept.lock().unwrap().order.len(), MAX_KEPT);
        assert!(!is_fresh(&calls, 1) && !is_fresh(&calls, MAX_KEPT));
        end(0, Ok(vec![0; MAX_BYTES - 5]));
        assert!(!is_fresh(&calls, 0));
        let kept = calls.kept.lock().unwrap();
        assert_eq!((kept.calls.len(), kept.order.len(), kept.bytes), (6, 6, MAX_BYTES));
    }

    #[test]
    fn what_was_not_done_and_what_broke_off_may_be_tried_again() {
        let calls = Calls::default();
        let Begin::Fresh(tell) = calls.begin(&key(1), 1) else { panic!() };
        assert!(!is_fresh(&calls, 1), "it runs");
        let busy = Err(Status::resource_exhausted("later"));
        calls.ended(&key(1), &busy);
        tell.send_replace(Some(busy));
        assert!(is_fresh(&calls, 1));
        // The sender of that one was dropped without an answer: the work panicked.
        assert!(is_fresh(&calls, 1));
        assert_eq!(calls.kept.lock().unwrap().order.len(), 1);
    }

    #[test]
    fn whose_call_and_which_makes_a_difference() {
        let calls = Calls::default();
        let Begin::Fresh(_tell) = calls.begin(&key(1), 1) else { panic!() };
        assert!(matches!(calls.begin(&key(1), 2), Begin::Other));
        let others = [Key { whose: Whose::Anybody, ..key(1) }, Key { method: "StartProcess", ..key(1) }];
        assert!(others.iter().all(|other| matches!(calls.begin(other, 1), Begin::Fresh(_))));
    }

    #[test]
    fn ids_are_visible_ascii() {
        for good in ["x", &"x".repeat(64), "a/b:c-~"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["a b", "\n", "é", "\u{1b}[2J", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
