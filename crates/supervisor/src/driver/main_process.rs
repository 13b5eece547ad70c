//! Which process of a run is its main process, when it is not the one that was spawned.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{ExitStatus, RunId};
use sys::tree;

use super::Driver;
use super::pidfile::Reading;
use crate::containment::{Ended, NotAdopted};
use crate::machine::{Input, Notice};

/// For so long after it was taken for the main process, the end of a process may still be the next step of its going into
/// the background: daemons fork twice. Milliseconds are enough, on a machine that has nothing else to do.
const FORKS_ON: Duration = Duration::from_secs(5);

/// What came of `MAINPID=`.
pub(super) enum Named {
    /// It is the main process now, in place of another one.
    Main,
    /// It is the main process now, and the answer to who that is.
    Found,
    /// It is not.
    Nobody,
}

impl Driver {
    /// Looks for the daemon that a forking program left behind: now, or whenever its pidfile changes.
    pub(super) fn find_main(&mut self, run: RunId, pidfile: Option<PathBuf>) {
        let Some(pidfile) = pidfile else {
            let found = self.runs.find_main(run, &self.poller);
            if found.is_ok() {
                self.turn.guessed.insert(run, self.turn.now.mono);
            }
            return self.answer(run, found);
        };
        let since = self.runs.since(run).unwrap_or_default();
        if let Err(error) = self.pidfiles.watch(run, pidfile.clone(), since) {
            self.answer(run, Err(unwatchable(&pidfile, &error.to_string())));
        }
    }

    /// Whether this was no end of a daemon but one more fork on its way: what was taken for it ended well and soon, without
    /// being signalled, and left another one, which is the main process from now on.
    pub(super) fn forked_again(&mut self, end: &Ended) -> bool {
        let Some(since) = self.turn.guessed.get(&end.run) else { return false };
        let soon = self.turn.now.mono.since(*since) < FORKS_ON;
        if !soon || end.status != ExitStatus::Code(0) || end.leftovers.is_empty() {
            self.turn.guessed.remove(&end.run);
            return false;
        }
        let Ok(pid) = self.runs.find_main(end.run, &self.poller) else { return false };
        let notice = Notice { main_pid: Some(pid), ..Notice::default() };
        self.turn.inputs.push_back(Input::Notified { run: end.run, notice });
        true
    }

    /// Its pidfile was read. What makes no sense yet may do so later: the file of an earlier run stands there until it is
    /// written anew, and one that is being written holds half a number.
    pub(super) fn pidfile_read(&mut self, run: RunId, reading: &Reading) {
        let Some(path) = self.pidfiles.path(run).map(Path::to_owned) else { return };
        let (pid, fresh) = match reading {
            Reading::Pid { pid, fresh } => (*pid, *fresh),
            Reading::Unwatchable(problem) => return self.answer(run, Err(unwatchable(&path, problem))),
        };
        let mut adopted = self.runs.adopt_main(run, pid, &self.poller);
        if adopted == Err(NotAdopted::Stranger) && fresh && self.runs.claim(run, pid) {
            adopted = self.runs.adopt_main(run, pid, &self.poller);
        }
        match adopted {
            Ok(()) => self.answer(run, Ok(pid)),
            Err(NotAdopted::Stranger) if fresh => self.answer(run, Err(stranger(&path, pid))),
            Err(problem @ NotAdopted::Unwatchable(_)) => {
                self.answer(run, Err(format!("{} names pid {pid}: {problem}", path.display())));
            }
            Err(NotAdopted::Stranger | NotAdopted::Ended | NotAdopted::TooLate) => {}
        }
    }

    /// `MAINPID=` of a process of the run.
    pub(super) fn name_main(&mut self, run: RunId, pid: u32) -> Named {
        // Once its main process has ended a run is on its way out, and nobody would hear of the end of a new one; unless
        // it is being looked for, and then this is as good an answer as the file's.
        let searching = self.pidfiles.path(run).is_some();
        let possible = searching || self.runs.has_main(run);
        if !possible || self.runs.adopt_main(run, pid, &self.poller).is_err() {
            return Named::Nobody;
        }
        if searching {
            self.answer(run, Ok(pid));
            return Named::Found;
        }
        self.turn.guessed.remove(&run);
        Named::Main
    }

    fn answer(&mut self, run: RunId, found: Result<u32, String>) {
        self.pidfiles.forget(run);
        self.turn.inputs.push_back(match found {
            Ok(pid) => Input::MainFound { run, pid },
            Err(problem) => Input::MainNotFound { run, problem },
        });
    }
}

fn stranger(path: &Path, pid: u32) -> String {
    let name = tree::stat(pid).map_or_else(|| "gone by now".to_owned(), |stat| format!("{:?}", stat.comm));
    format!(
        "{} names pid {pid} ({name}), which is no process of this run: set `pidfile` to the file that this program \
         writes",
        path.display()
    )
}

fn unwatchable(path: &Path, problem: &str) -> String {
    format!("{} can't be watched: {problem}", path.display())
}
