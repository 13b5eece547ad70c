//! Shares of what there is a bounded number of: streams, waiting calls, connections.
//!
//! Whoever opens them may keep them, so that a bound for all together would let one caller take everything. Each caller has
//! a bound of its own, by its role, and the last ones are kept for those with more rights: viewers never fill what operators
//! need, and operators never what admins need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::Caller;
use crate::who::Who;
use crate::{ControlError, ErrorKind, Role};

/// So many of one thing.
#[derive(Debug)]
pub(crate) struct Shares {
    all: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    /// Never more entries than there are shares.
    by: HashMap<Who, usize>,
}

/// One of them. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    who: Who,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// This caller has so many.
    Yours(usize),
    /// So many are held in all, and what is left is kept for higher roles.
    Role(usize),
    /// All are held.
    All(usize),
}

impl Shares {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self { all, held: Mutex::default() })
    }

    /// How many one caller may have, and up to how many in all it may take one.
    const fn bounds(&self, role: Role) -> (usize, usize) {
        let all = self.all;
        match role {
            Role::Viewer => (all / 4, all / 4 * 3),
            Role::Operator => (all / 2, all / 8 * 7),
            Role::Admin => (all, all),
        }
    }

    /// One for this caller.
    pub(crate) fn take(self: &Arc<Self>, who: Who, role: Role) -> Result<Share, Full> {
        let (each, together) = self.bounds(role);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.by.get(&who).copied().unwrap_or(0);
        if held.all >= self.all {
            return Err(Full::All(self.all));
        }
        if own >= each {
            return Err(Full::Yours(own));
        }
        if held.all >= together {
            return Err(Full::Role(held.all));
        }
        held.all += 1;
        held.by.insert(who, own + 1);
        Ok(Share { of: Arc::clone(self), who })
    }

    /// The same for a call; `what` are its things, in the plural, and `hint` is another way.
    pub(crate) fn claim(
        self: &Arc<Self>,
        caller: Caller,
        what: &str,
        hint: &str,
    ) -> Result<Share, ControlError> {
        self.take(Who::from(caller), caller.role).map_err(|full| {
            let text = match full {
                Full::Yours(own) => {
                    format!("you have {own} {what}; a caller with the role {} has no more", caller.role)
                }
                Full::Role(held) => format!(
                    "there are {held} {what}; the last ones are kept for higher roles than {}",
                    caller.role
                ),
                Full::All(all) => format!("there are {all} {what}, which is all"),
            };
            ControlError::new(ErrorKind::Busy, text).with_hint(hint)
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= 1;
        if let Some(own) = held.by.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                held.by.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(shares: &Arc<Shares>, uid: u32, role: Role) -> (Vec<Share>, Full) {
        let mut taken = Vec::new();
        loop {
            match shares.take(Who::Uid(uid), role) {
                Ok(share) => taken.push(share),
                Err(full) => return (taken, full),
            }
        }
    }

    #[test]
    fn a_caller_has_its_share_and_higher_roles_have_what_is_left() {
        let shares = Shares::new(256);
        let (first, full) = fill(&shares, 1, Role::Viewer);
        assert_eq!((first.len(), full), (64, Full::Yours(64)));
        let viewers: Vec<_> = (2..100).map(|uid| fill(&shares, uid, Role::Viewer)).collect();
        assert_eq!(viewers.iter().map(|(taken, _)| taken.len()).sum::<usize>(), 128, "viewers have 192");
        assert_eq!(viewers.last().unwrap().1, Full::Role(192));
        let (operator, full) = fill(&shares, 100, Role::Operator);
        assert_eq!((operator.len(), full), (32, Full::Role(224)));
        let (admin, full) = fill(&shares, 0, Role::Admin);
        assert_eq!((admin.len(), full), (32, Full::All(256)));
        drop((first, viewers, operator, admin));
        assert!(shares.held.lock().unwrap().by.is_empty());
        assert_eq!(fill(&shares, 100, Role::Operator).0.len(), 128);
        assert_eq!(fill(&shares, 0, Role::Admin).0.len(), 256);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let shares = Shares::new(8);
        let (mut taken, full) = fill(&shares, 1, Role::Viewer);
        assert_eq!((taken.len(), full), (2, Full::Yours(2)));
        taken.pop();
        assert!(shares.take(Who::Uid(1), Role::Viewer).is_ok());
    }

    #[test]
    fn a_refusal_says_whose_bound_it_is_and_another_way() {
        let shares = Shares::new(8);
        let peer = crate::auth::Peer::Unix { uid: 1, gid: 1, pid: None };
        let viewer = Caller { peer, role: Role::Viewer };
        let _held = fill(&shares, 1, Role::Viewer);
        let error = shares.claim(viewer, "event streams", "end one").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert_eq!(error.message, "you have 2 event streams; a caller with the role viewer has no more");
        assert_eq!(error.hint.unwrap(), "end one");
    }
}
