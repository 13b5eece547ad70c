//! Another main process than the one that was spawned: it was named (`MAINPID=`, a pidfile), or it is all that is left of
//! a program that forked its daemon and ended.
//!
//! Who is named must be a living process of the run. That can't be outrun by giving its pid to another one: its pidfd is
//! opened first, and when it is still alive after everything was checked, its pid has meant it all along.
//!
//! How its end is known: its pidfd tells when. The status can be had if it is our child by then, as every adopted orphan
//! is; if its parent is alive, the status is its parent's.

use model::RunId;
use nix::errno::Errno;
use sys::pidfd;

use super::census::{Member, has_ended};
use super::{Body, Process, Runs};
use crate::poller::{Poller, Token};

/// Looks for the main process that all fail because what was found died meanwhile: then something forks without end.
const LOOKS: usize = 32;

/// Pids that a message names; of more it says how many.
const NAMED: usize = 10;

/// Why a process did not become the main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdopted {
    /// There is none of this pid.
    #[error("it has ended")]
    Ended,
    /// It is no process of the run.
    #[error("it is no process of this run")]
    Stranger,
    /// The run is being killed, or is gone.
    #[error("the run is over")]
    TooLate,
    /// Its pidfd can't be had.
    #[error("it can't be watched: {}", .0.desc())]
    Unwatchable(Errno),
}

impl Runs {
    /// Makes a living process of the run its main process: watched, and reaped if it ever is our child. The one before
    /// it, if it is alive, is a process like the others from now on.
    pub(crate) fn adopt_main(&mut self, run: RunId, pid: u32, poller: &Poller) -> Result<(), NotAdopted> {
        let entry = self.runs.get_mut(&run).ok_or(NotAdopted::TooLate)?;
        match &entry.body {
            // What is not known as its main process gets SIGKILL with the leftovers, and one that is none.
            _ if entry.killing => return Err(NotAdopted::TooLate),
            Body::Unborn => return Err(NotAdopted::TooLate),
            Body::Main(main) if main.pid == pid && !has_ended(&main.pidfd) => return Ok(()),
            Body::Main(_) | Body::Remains { .. } => {}
        }
        let pidfd = match &entry.former {
            Some(former) if former.pid == pid => former.pidfd.try_clone().map_err(|_| Errno::EMFILE),
            _ => pidfd::open(pid),
        };
        let pidfd = pidfd.map_err(|errno| match errno {
            Errno::ESRCH => NotAdopted::Ended,
            // The number of a thread.
            Errno::EINVAL | Errno::ENOENT => NotAdopted::Stranger,
            other => NotAdopted::Unwatchable(other),
        })?;
        let holds = self.holds(run, pid);
        let member = Member::alive(pid).filter(|_| !has_ended(&pidfd)).ok_or(NotAdopted::Ended)?;
        if !holds {
            return Err(NotAdopted::Stranger);
        }
        self.install(run, Process { pid, pidfd }, member, poller);
        Ok(())
    }

    fn install(&mut self, run: RunId, main: Process, member: Member, poller: &Poller) {
        let Some(entry) = self.runs.get_mut(&run) else { return };
        self.uneasy.remove(&run);
        if let Some(former) = entry.former.take_if(|former| former.pid == main.pid) {
            poller.remove(&former.pidfd);
        }
        if main.pid != entry.leader {
            self.census.keep(run, member);
        }
        if poller.add(&main.pidfd, Token::Main(run)).is_err() {
            self.uneasy.insert(run);
        }
        match std::mem::replace(&mut entry.body, Body::Main(main)) {
            Body::Unborn => {}
            Body::Remains { watched, .. } => watched.values().for_each(|fd| poller.remove(fd)),
            // It is a child of ours that nobody else will reap.
            Body::Main(old) if old.pid == entry.leader => {
                poller.remove(&old.pidfd);
                if poller.add(&old.pidfd, Token::Former(run)).is_err() {
                    self.uneasy.insert(run);
                }
                entry.former = Some(old);
            }
            Body::Main(old) => {
                poller.remove(&old.pidfd);
                self.census.let_go(old.pid);
            }
        }
    }

    /// The main process of a run whose first one ended, without being told who that is: all that is left, or the only
    /// one of it that has no parent within the run. It is adopted.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn find_main(&mut self, run: RunId, poller: &Poller) -> Result<u32, String> {
        for _ in 0..LOOKS {
            let members = self.members(run);
            let given_away = |m: &&Member| m.parent == std::process::id() || m.parent == 1;
            let top: Vec<&Member> = members.iter().filter(given_away).collect();
            let main = match (members.as_slice(), top.as_slice()) {
                ([], _) => {
                    return Err(
                        "nothing is left of it; does it end instead of going into the background?".into()
                    );
                }
                ([only], _) => only,
                (_, [only]) => *only,
                // One that ended after it was looked at gave its child away before that was.
                _ if members.iter().any(|m| Member::alive(m.id.pid).is_none()) => {
                    self.census.forget_list();
                    continue;
                }
                _ => return Err(too_many(&members)),
            };
            match self.adopt_main(run, main.id.pid, poller) {
                Ok(()) => return Ok(main.id.pid),
                Err(NotAdopted::Ended) => self.census.forget_list(),
                Err(other) => return Err(format!("pid {} is left, but {other}", main.id.pid)),
            }
        }
        Err("what is left of it forks and ends too fast to be looked at".into())
    }

    /// Takes an orphan that nothing tells of for a process of this run, because its pidfile names it.
    pub(crate) fn claim(&mut self, run: RunId, pid: u32) -> bool {
        let Some(entry) = self.runs.get(&run) else { return false };
        // With a cgroup it would be in it.
        entry.leaf.is_none() && self.census.claim(run, pid, entry.uid)
    }
}

fn too_many(members: &[Member]) -> String {
    let mut pids: Vec<u32> = members.iter().map(|m| m.id.pid).collect();
    pids.sort_unstable();
    let named: Vec<String> = pids.iter().take(NAMED).map(u32::to_string).collect();
    let more = match pids.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "several processes are left (pid {}{more}): set `pidfile` to the file that it writes",
        named.join(", ")
    )
}
