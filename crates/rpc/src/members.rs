//! Who is a member of the operators' group by the system's user database, which may ask the network: looked up on blocking
//! threads, a few at a time, and known for a moment. Else a crowd of callers would keep the threads that definitions are
//! read on.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::sync::Semaphore;

/// Look-ups at the same time; half of the daemon's blocking threads.
const LOOKUPS: usize = 4;
/// Users whose last look-up is known; beyond it all are forgotten.
const KNOWN: usize = 256;

/// The user of a connection and the group that it runs with.
type Ids = (u32, u32);

/// What is known of users.
#[derive(Debug)]
pub(crate) struct Members {
    known: Mutex<HashMap<Ids, (bool, Instant)>>,
    lookups: Semaphore,
}

impl Default for Members {
    fn default() -> Self {
        Self { known: Mutex::default(), lookups: Semaphore::new(LOOKUPS) }
    }
}

impl Members {
    /// Whether the user belongs to the group, as it was at most `age` ago. A look-up that fails makes nobody a member.
    pub(crate) async fn has(&self, ids: Ids, group: u32, age: Duration) -> bool {
        if let Some(known) = self.known(ids, age) {
            return known;
        }
        // Closed by nobody; if it were, nobody would be a member.
        let Ok(_turn) = self.lookups.acquire().await else { return false };
        match self.known(ids, age) {
            // While this one waited.
            Some(known) => known,
            None => self.look(ids, group).await,
        }
    }

    /// The same without waiting for other look-ups: `None` = too many are under way.
    pub(crate) async fn has_at_once(&self, ids: Ids, group: u32, age: Duration) -> Option<bool> {
        if let Some(known) = self.known(ids, age) {
            return Some(known);
        }
        let _turn = self.lookups.try_acquire().ok()?;
        Some(self.look(ids, group).await)
    }

    fn known(&self, ids: Ids, age: Duration) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&ids).filter(|(_, at)| at.elapsed() < age).map(|(member, _)| *member)
    }

    async fn look(&self, (uid, gid): Ids, group: u32) -> bool {
        let looked = tokio::task::spawn_blocking(move || is_member(uid, gid, group)).await;
        let member = looked.unwrap_or(false);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert((uid, gid), (member, Instant::now()));
        member
    }
}

/// Whether the user belongs to the group, by the system's user database.
fn is_member(uid: u32, gid: u32, group: u32) -> bool {
    let groups = || -> Option<Vec<Gid>> {
        let user = User::from_uid(Uid::from_raw(uid)).ok()??;
        if user.gid.as_raw() == group {
            // Its own group by the database, whatever group it runs this program with.
            return Some(vec![user.gid]);
        }
        let name = CString::new(user.name).ok()?;
        getgrouplist(&name, Gid::from_raw(gid)).ok()
    };
    groups().is_some_and(|groups| groups.contains(&Gid::from_raw(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_comes_from_the_user_database() {
        // Every system has root, whose primary group is in its list; nobody is in a group that doesn't exist.
        assert!(is_member(0, 0, 0));
        assert!(!is_member(0, 0, 4_000_000_000));
        assert!(!is_member(4_000_000_001, 0, 0), "an unknown user is a member of nothing");
    }

    #[tokio::test]
    async fn a_crowd_is_looked_up_once_and_what_is_old_again() {
        let (members, age) = (Members::default(), Duration::from_secs(3600));
        assert!(members.has((0, 0), 0, age).await);
        // It would be another answer if it was asked again.
        assert!(members.has((0, 0), 4_000_000_000, age).await, "known");
        assert_eq!(members.has_at_once((0, 0), 4_000_000_000, age).await, Some(true));
        assert!(!members.has((0, 0), 4_000_000_000, Duration::ZERO).await, "looked up again");
        for uid in 4_000_000_000..4_000_000_000 + 2 * u32::try_from(KNOWN).unwrap() {
            assert!(!members.has((uid, 0), 0, age).await);
        }
        assert!(members.known.lock().unwrap().len() <= KNOWN);
    }

    #[tokio::test]
    async fn when_all_look_ups_are_taken_some_wait_and_others_are_told() {
        let (members, age) = (Members::default(), Duration::from_secs(3600));
        let taken = members.lookups.acquire_many(u32::try_from(LOOKUPS).unwrap()).await.unwrap();
        assert_eq!(members.has_at_once((0, 0), 0, age).await, None);
        let waits = members.has((0, 0), 0, age);
        let (found, ()) = tokio::join!(waits, async { drop(taken) });
        assert!(found);
    }
}
