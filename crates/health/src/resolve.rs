//! From a host to its addresses, without a thread where that can be, and never with one of the runtime's.
//!
//! getaddrinfo(3) blocks, for half a minute and longer when a name server is silent, and can't be broken off. On the
//! runtime's blocking threads a few names that hang would hold up whatever else runs there, such as a reload. So
//! addresses and `localhost` are read without it, and other names go through threads of their own, which exist only as
//! long as there is something to look up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::failure::{Failure, words};

/// Threads that look up names. A name takes at most one of them, so it takes four different names that hang to hold up
/// the others.
const THREADS: usize = 4;
/// Names that are known or being looked up. Beyond that those that are not being looked up are forgotten; when there
/// are none, a new name is refused.
const NAMES: usize = 1024;
/// How long the last addresses of a name are used while it can't be looked up. A name server that is down for less does
/// not make healthy processes look ill.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Looks up one name; may block. The ports of what it returns mean nothing.
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;
/// The addresses, or why there are none in words. `None` = not yet.
type Found = Option<Result<Vec<SocketAddr>, String>>;

/// Looks up names.
pub(crate) struct Resolver(Arc<Shared>);

struct Shared {
    lookup: Box<Lookup>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// At most [`NAMES`].
    names: HashMap<String, Name>,
    /// Names that wait for a thread, each once.
    queue: VecDeque<String>,
    threads: usize,
}

#[derive(Default)]
struct Name {
    /// The last addresses, and when they were asked for.
    known: Option<(Vec<SocketAddr>, Instant)>,
    /// The look-up that is on its way, which all who ask in the meantime share.
    pending: Option<Pending>,
}

struct Pending {
    asked: Instant,
    found: watch::Sender<Found>,
}

impl Resolver {
    /// One that asks the system (nsswitch.conf(5): /etc/hosts, DNS, …).
    pub(crate) fn system() -> Self {
        // getaddrinfo knows `fe80::1%eth0` as well, which IpAddr does not.
        Self::with(Box::new(|host| Ok((host, 0).to_socket_addrs()?.collect())))
    }

    fn with(lookup: Box<Lookup>) -> Self {
        Self(Arc::new(Shared { lookup, state: Mutex::default() }))
    }

    /// The addresses of a host, in the order in which they are to be tried.
    pub(crate) async fn resolve(&self, host: &str, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(addresses) = without_lookup(host) {
            return Ok(addresses);
        }
        let (mut pending, known) = self.0.ask(host)?;
        // With addresses to fall back on, half of the time is left for using them.
        let patience = if known.is_some() { deadline.share(2) } else { deadline };
        let found = patience.bound(pending.wait_for(Option::is_some)).await;
        let failure = match found {
            Some(Ok(found)) => match &*found {
                Some(Ok(addresses)) => return Ok(addresses.clone()),
                Some(Err(why)) => Failure::said(format!("{host} can't be resolved: {why}")),
                None => broke_off(host),
            },
            Some(Err(_gone)) => broke_off(host),
            None => Failure::silent(format!("{host} was not resolved within {deadline}")),
        };
        known.ok_or(failure)
    }
}

fn broke_off(host: &str) -> Failure {
    Failure::said(format!("{host} can't be resolved: the look-up broke off"))
}

/// What is known without asking anybody. `localhost` is what RFC 6761 wants it to be, whatever /etc/hosts says.
fn without_lookup(host: &str) -> Option<Vec<SocketAddr>> {
    let ips = if host.eq_ignore_ascii_case("localhost") {
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
    } else {
        vec![host.parse().ok()?]
    };
    Some(ips.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
}

impl Shared {
    /// Joins the look-up of a name or begins one. Also its last addresses, where they are fresh enough.
    fn ask(
        self: &Arc<Self>,
        host: &str,
    ) -> Result<(watch::Receiver<Found>, Option<Vec<SocketAddr>>), Failure> {
        let mut state = self.lock();
        if !state.names.contains_key(host) && state.names.len() >= NAMES {
            state.names.retain(|_, name| name.pending.is_some());
            if state.names.len() >= NAMES {
                return Err(Failure::said(format!(
                    "{host} can't be resolved: {NAMES} other names are being looked up"
                )));
            }
        }
        let now = Instant::now();
        let name = state.names.entry(host.to_owned()).or_default();
        let known = name.known.as_ref().filter(|(_, asked)| now.duration_since(*asked) < REMEMBERED);
        let known = known.map(|(addresses, _)| addresses.clone());
        if let Some(pending) = &name.pending {
            return Ok((pending.found.subscribe(), known));
        }
        let (found, receiver) = watch::channel(None);
        name.pending = Some(Pending { asked: now, found });
        state.queue.push_back(host.to_owned());
        if state.threads < THREADS {
            let shared = Arc::clone(self);
            let spawned = thread::Builder::new().name("resolve".to_owned()).spawn(move || shared.work());
            match spawned {
                Ok(_detached) => state.threads += 1,
                // One that runs already will come to it. Else nobody would.
                Err(error) if state.threads == 0 => {
                    state.queue.clear();
                    state.names.retain(|_, name| name.pending.is_none());
                    return Err(Failure::said(format!(
                        "{host} can't be resolved: no thread: {}",
                        words(&error)
                    )));
                }
                Err(_) => {}
            }
        }
        Ok((receiver, known))
    }

    /// A thread: looks up names until none waits.
    fn work(&self) {
        while let Some(host) = self.next() {
            let found = (self.lookup)(&host);
            self.finish(&host, found);
        }
    }

    fn next(&self) -> Option<String> {
        let mut state = self.lock();
        let next = state.queue.pop_front();
        if next.is_none() {
            // Under the lock: who asks after this starts a new thread.
            state.threads -= 1;
        }
        next
    }

    fn finish(&self, host: &str, found: io::Result<Vec<SocketAddr>>) {
        let mut state = self.lock();
        let Some(name) = state.names.get_mut(host) else { return };
        let Some(pending) = name.pending.take() else { return };
        let answer = found.map_err(|error| {
            let text = words(&error);
            text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
        });
        match &answer {
            Ok(addresses) => name.known = Some((addresses.clone(), pending.asked)),
            // Nothing worth keeping; what was known before stays until it is too old.
            Err(_) if name.known.is_none() => drop(state.names.remove(host)),
            Err(_) => {}
        }
        pending.found.send_replace(Some(answer));
    }

    /// Nothing in here is half done when it panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
