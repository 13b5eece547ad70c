//! Ends: of main processes, of what they left behind, and of those that were main processes once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

use model::{ExitStatus, RunId, Usage};

use super::{Body, Runs, survey};
use crate::poller::Poller;

/// The end of a main process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) run: RunId,
    pub(crate) status: ExitStatus,
    pub(crate) usage: Usage,
    /// What it left behind.
    pub(crate) leftovers: Vec<u32>,
}

impl Runs {
    /// The pidfds of these runs' main processes fired: reaps those that ended and looks what they left behind.
    pub(crate) fn mains_ended(&mut self, runs: &BTreeSet<RunId>, poller: &Poller) -> Vec<Ended> {
        let mut ended = Vec::new();
        for run in runs {
            let Some(entry) = self.runs.get_mut(run) else { continue };
            let Body::Main(main) = &entry.body else { continue };
            let Some((status, usage)) = survey::reap(main.pidfd.as_fd()) else { continue };
            poller.remove(&main.pidfd);
            self.census.let_go(main.pid);
            entry.body = Body::Remains { watched: BTreeMap::new(), told: Vec::new() };
            ended.push(Ended { run: *run, status, usage, leftovers: Vec::new() });
        }
        self.survey_all(ended.iter().map(|end| end.run).collect(), poller);
        for end in &mut ended {
            end.leftovers = self.told(end.run).cloned().unwrap_or_default();
            if end.leftovers.is_empty() {
                self.uneasy.remove(&end.run);
            } else {
                self.uneasy.insert(end.run);
            }
        }
        ended
    }

    /// What is left of each of these runs whose main process is gone, where that changed since it was told last.
    pub(crate) fn leftovers_changed(
        &mut self,
        runs: BTreeSet<RunId>,
        poller: &Poller,
    ) -> Vec<(RunId, Vec<u32>)> {
        let told = |this: &Self, run| this.told(run).cloned();
        let before: Vec<_> =
            runs.into_iter().filter_map(|run| told(self, run).map(|pids| (run, pids))).collect();
        self.survey_all(before.iter().map(|(run, _)| *run).collect(), poller);
        let now = before.into_iter().map(|(run, before)| (run, before, told(self, run)));
        now.filter_map(|(run, before, now)| now.filter(|pids| *pids != before).map(|pids| (run, pids)))
            .collect()
    }

    /// What was the main process of this run before has ended, perhaps: reaps it. Whether it has left somebody whom
    /// the machine does not know of.
    pub(crate) fn former_ended(&mut self, run: RunId, poller: &Poller) -> bool {
        let Some(entry) = self.runs.get_mut(&run) else { return false };
        let Some(former) = &entry.former else { return false };
        if survey::reap(former.pidfd.as_fd()).is_none() {
            return false;
        }
        poller.remove(&former.pidfd);
        entry.former = None;
        matches!(entry.body, Body::Remains { .. })
    }

    /// Surveys all of them until nothing of what is left of any is unwatched. Those of which everything died while it
    /// was looked at have to be looked at again: all together, over the same list.
    fn survey_all(&mut self, mut runs: Vec<RunId>, poller: &Poller) {
        let mut over = false;
        while !runs.is_empty() {
            runs.retain(|run| {
                let survey = self.survey(*run, poller);
                over |= survey.over;
                !survey.settled
            });
            if !runs.is_empty() {
                self.census.forget_list();
            }
        }
        if over {
            // Not even a zombie is left when the end is told.
            self.census.forget_list();
            self.census.refresh();
        }
    }

    /// What the machine knows to be left of a run whose main process is gone.
    pub(crate) fn told(&self, run: RunId) -> Option<&Vec<u32>> {
        match &self.runs.get(&run)?.body {
            Body::Remains { told, .. } => Some(told),
            Body::Unborn | Body::Main(_) => None,
        }
    }
}
