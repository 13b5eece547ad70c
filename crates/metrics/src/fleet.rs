//! The processes of one scrape: what all collectors look at.

use std::ops::Range;
use std::sync::Arc;

use model::{Counters, ExitStatus, HealthView, NextAction, ProcessView, RunView, Stamp, State, Wall};

use crate::names::{Detail, Metric};
use crate::source::Source;
use crate::text::{Text, Value};

/// All processes at one moment.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The time, in the terms of the views.
    pub(crate) now: Stamp,
    /// Sorted by name.
    pub(crate) rows: Vec<Row>,
    /// All names, one behind the other.
    names: String,
}

/// One process. What families ask of each stands here once more, and the names side by side: there are some fifty walks over all
/// processes in a scrape, and the way to each view and to each name would be most of their cost.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) view: Arc<ProcessView>,
    /// Where the name is.
    name: Range<usize>,
    pub(crate) detail: Detail,
    pub(crate) state: State,
    pub(crate) since: Wall,
    pub(crate) wanted_up: bool,
    pub(crate) is_broken: bool,
    has_health: bool,
    run: Option<RunView>,
    pub(crate) next: Option<NextAction>,
    pub(crate) counters: Counters,
    /// How the last run ended, where it was seen, and when.
    pub(crate) last_exit: Option<(Option<ExitStatus>, Wall)>,
}

impl Fleet {
    /// What the source says now.
    pub(crate) fn of(source: &dyn Source, now: fn() -> Stamp) -> Self {
        let mut names = String::new();
        let rows = source.snapshot().processes.into_iter().map(|view| Row::of(view, &mut names)).collect();
        Self { rows, names, now: now() }
    }

    /// The name of one of its processes.
    pub(crate) fn name(&self, row: &Row) -> &str {
        &self.names[row.name.clone()]
    }

    /// The processes that this metric is exported of, each with its place.
    pub(crate) fn with(&self, metric: &'static Metric) -> impl Iterator<Item = (usize, &Row)> {
        let in_detail = [Detail::Off, Detail::Basic, Detail::Full].map(|d| metric.is_in(d));
        self.rows.iter().enumerate().filter(move |(_, row)| in_detail[row.detail as usize])
    }

    /// A family of at most one sample per process.
    pub(crate) fn each<V: Into<Value>>(
        &self,
        out: &mut Text,
        metric: &'static Metric,
        value: impl Fn(usize, &Row) -> Option<V>,
    ) {
        let mut family = out.family(metric).by_first([[]]);
        for (place, row) in self.with(metric) {
            if let Some(value) = value(place, row) {
                family.add(self.name(row), 0, value);
            }
        }
    }
}

impl Row {
    fn of(view: Arc<ProcessView>, names: &mut String) -> Self {
        let from = names.len();
        names.push_str(view.spec.name.as_str());
        Self {
            name: from..names.len(),
            detail: view.spec.metrics,
            state: view.state,
            since: view.since,
            wanted_up: view.wanted_up,
            is_broken: view.problem.is_some() || view.state == State::Invalid,
            has_health: view.health.is_some(),
            run: view.run.clone(),
            next: view.next,
            counters: view.counters,
            last_exit: view.last_exit().map(|exit| (exit.status, exit.at)),
            view,
        }
    }

    /// Its health, where it is checked.
    pub(crate) fn health(&self) -> Option<&HealthView> {
        if self.has_health { self.view.health.as_ref() } else { None }
    }

    /// The current run, while its main process is alive as far as the supervisor knows.
    pub(crate) fn run(&self) -> Option<(&RunView, u32)> {
        self.run.as_ref().and_then(|run| Some((run, run.pid?)))
    }
}
