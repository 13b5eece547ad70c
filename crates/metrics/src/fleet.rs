//! The processes of one scrape: what all collectors look at.

use std::sync::Arc;

use model::{ProcessName, ProcessView, RunView, Stamp};

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
}

/// One process.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) view: Arc<ProcessView>,
    /// Beside the view, as it stands in every sample: the way there over two pointers is most of a sample's cost.
    name: ProcessName,
    pub(crate) detail: Detail,
}

impl Fleet {
    /// What the source says now.
    pub(crate) fn of(source: &dyn Source, now: fn() -> Stamp) -> Self {
        let views = source.snapshot().processes;
        let row =
            |view: Arc<ProcessView>| Row { detail: view.spec.metrics, name: view.spec.name.clone(), view };
        Self { rows: views.into_iter().map(row).collect(), now: now() }
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
                family.add(row.name(), 0, value);
            }
        }
    }
}

impl Row {
    /// The process's name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The current run, while its main process is alive as far as the supervisor knows.
    pub(crate) fn run(&self) -> Option<(&RunView, u32)> {
        self.view.run.as_ref().and_then(|run| Some((run, run.pid?)))
    }
}
