//! One caller's lists are made one after another.
//!
//! A list of many processes is work of milliseconds on one of two threads. Whoever asks for sixty of them at once would
//! hold up everybody else's calls by all sixty; this way it is one. Each peer (a uid, an address) has a turn of its own.
//! Whoever is known to be more than a viewer is not held up. A turn ends when the answer is taken: else any number of
//! them could be left lying.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

use crate::auth::{Method, Peer, Policy, Role};
use crate::guard::{Guarded, Held};
use crate::who::Who;

/// Peers that have a turn of their own at the same time; further ones share one.
const MAX_PEERS: usize = 256;
/// What is work that grows with the number of processes. The others are short, or wait for something.
const WORK: [Method; 2] = [Method::ListProcesses, Method::ListStats];

/// The turns of those who are calling now.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Who, Weak<Semaphore>>>);

impl Turns {
    fn of(&self, who: Who) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&who).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= MAX_PEERS {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let who = if turns.len() >= MAX_PEERS { Who::Others } else { who };
        if let Some(turn) = turns.get(&who).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Semaphore::new(1));
        turns.insert(who, Arc::downgrade(&turn));
        turn
    }
}

/// The request, read with bounds where nobody trusts its caller, and the turn that it has to wait for.
pub(crate) fn enter(
    turns: &Turns,
    policy: &Policy,
    request: Request<Body>,
) -> (Request<Body>, Option<Arc<Semaphore>>) {
    let Some(method) = crate::front::method(request.uri().path()).filter(|_| !is_trusted(policy, &request))
    else {
        return (request, None);
    };
    let peer = request.extensions().get::<Peer>().filter(|_| WORK.iter().any(|work| work.as_str() == method));
    let turn = peer.map(|peer| turns.of(Who::from(peer)));
    (request.map(Guarded::around), turn)
}

/// The answer, once the turn has come. Nothing of a future runs before it is awaited.
pub(crate) async fn at_turn<E>(
    turn: Option<Arc<Semaphore>>,
    answer: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let Some(turn) = turn else { return answer.await };
    let Ok(held) = turn.acquire_owned().await else { return answer.await };
    Ok(answer.await?.map(|body| Held::around(body, held)))
}

/// Whether the caller is known to be more than a viewer. A member of the operators' group by the user database alone is
/// not looked up here.
fn is_trusted(policy: &Policy, request: &Request<Body>) -> bool {
    let token = || {
        let header = request.headers().get("authorization").map(tonic::codegen::http::HeaderValue::as_bytes);
        policy.token.as_ref().zip(header).is_some_and(|(token, header)| token.matches(header))
    };
    match request.extensions().get::<Peer>() {
        Some(Peer::Unix { uid, gid, .. }) => policy.is_admin(*uid) || policy.operators == Some(*gid),
        Some(Peer::Tls { client: Some(client), .. }) if client.role > Role::Viewer => true,
        Some(Peer::Tcp(_) | Peer::Tls { .. }) => token(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    const MEMBER: Peer = Peer::Unix { uid: 1000, gid: 1000, pid: None };
    const OTHER: Peer = Peer::Unix { uid: 1001, gid: 1001, pid: None };
    const ADMIN: Peer = Peer::Unix { uid: 0, gid: 0, pid: None };

    /// How many calls of these peers to this method are worked on at the same time, when none ever ends.
    async fn at_once(peers: &[Peer], method: &str) -> usize {
        let running = Arc::new(AtomicUsize::new(0));
        let policy = Policy {
            daemon_uid: 0,
            operators: None,
            token: None,
            token_role: Role::Operator,
            denied: Arc::default(),
            members: Arc::default(),
        };
        let turns = Turns::default();
        let mut calls = JoinSet::new();
        for peer in peers {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = format!("/{}/{method}", crate::SERVICE).parse().unwrap();
            request.extensions_mut().insert(*peer);
            let (_request, turn) = enter(&turns, &policy, request);
            let running = Arc::clone(&running);
            calls.spawn(at_turn(turn, async move {
                running.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<Result<Response<Body>, std::convert::Infallible>>().await
            }));
        }
        // One thread: each task has run as far as it can once this one comes round again.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        running.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn each_peer_has_one_list_made_at_a_time() {
        assert_eq!(at_once(&[MEMBER; 50], "ListProcesses").await, 1);
        assert_eq!(at_once(&[MEMBER, MEMBER, OTHER, OTHER], "ListStats").await, 2);
        assert_eq!(at_once(&[ADMIN; 50], "ListProcesses").await, 50);
        assert_eq!(at_once(&[MEMBER; 50], "StopProcess").await, 50, "what waits holds up nobody");
    }

    #[test]
    fn turns_are_forgotten_with_their_calls_and_shared_beyond_a_number() {
        let turns = Turns::default();
        let first = turns.of(Who::Uid(0));
        assert!(Arc::ptr_eq(&first, &turns.of(Who::Uid(0))));
        for uid in 0..10_000 {
            drop(turns.of(Who::Uid(uid)));
        }
        assert!(turns.0.lock().unwrap().len() <= MAX_PEERS);
        let held: Vec<_> = (0..10_000).map(|uid| turns.of(Who::Uid(uid))).collect();
        assert!(Arc::ptr_eq(&held[9_000], &held[9_999]), "shared");
        assert!(!Arc::ptr_eq(&held[0], &held[1]));
        assert!(turns.0.lock().unwrap().len() <= MAX_PEERS + 1);
    }
}
