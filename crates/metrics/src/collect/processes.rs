//! The managed processes: the supervisor's snapshot, and what /proc knows about the live ones.

use std::sync::Arc;

use model::{ExitReason, NextActionKind, ProcessView, RunView, Snapshot, State, Wall};

use super::{Collect, CollectError};
use crate::family::{Families, count, flag};
use crate::names::{
    Group, Metric, PROCESS_CPU, PROCESS_EXITS, PROCESS_FDS, PROCESS_INFO, PROCESS_LAST_EXIT_CODE,
    PROCESS_LAST_EXIT_TIME, PROCESS_RESIDENT, PROCESS_RESTART_DELAY, PROCESS_RESTARTS, PROCESS_START_TIME,
    PROCESS_STARTS, PROCESS_STATE, PROCESS_THREADS, PROCESS_UP, PROCESS_UPTIME, PROCESS_VIRTUAL, PROCESSES,
};
use crate::proc::{ProcError, ProcFs, Reader, Stat};
use crate::source::Source;

/// Longest value of the labels `command` and `user` in bytes: both are free text of a definition.
const MAX_TEXT: usize = 128;

/// Collector over [`Source::snapshot`] and `/proc/<pid>`.
pub(crate) struct Processes {
    /// Whom to ask.
    pub(crate) source: Arc<dyn Source>,
    /// Where to read.
    pub(crate) proc: Arc<ProcFs>,
    /// The time, in the terms of the snapshot.
    pub(crate) now: fn() -> Wall,
}

/// One process with what /proc told about it.
struct Row {
    view: Arc<ProcessView>,
    live: Option<Live>,
}

/// What /proc tells about a live main process.
struct Live {
    stat: Stat,
    fds: Option<u64>,
}

impl Row {
    fn name(&self) -> &str {
        self.view.spec.name.as_str()
    }

    /// The current run, while its main process is alive as far as the supervisor knows.
    fn run(&self) -> Option<&RunView> {
        self.view.run.as_ref().filter(|r| r.pid.is_some())
    }

    /// Memory and threads: a zombie has none.
    fn living(&self) -> Option<&Stat> {
        self.live.as_ref().map(|l| &l.stat).filter(|s| !s.is_zombie())
    }
}

impl Processes {
    /// Joins the snapshot with /proc. A pid that is gone, or now somebody else's, has simply nothing to tell.
    fn read(&self, snapshot: &Snapshot, now: Wall) -> (Vec<Row>, Result<(), CollectError>) {
        let mut reader = Reader::new(&self.proc);
        let mut failure: Option<(ProcError, usize)> = None;
        let mut rows = Vec::with_capacity(snapshot.processes.len());
        for view in &snapshot.processes {
            let pid = view.run.as_ref().and_then(|r| Some((r.pid?, now.since(r.started))));
            let live = pid.map_or(Ok(None), |(pid, age)| {
                let Some(stat) = reader.stat_of_run(pid, age)? else { return Ok(None) };
                // Without the right to look (older kernels, another user's process) the series is absent.
                let fds = if stat.is_zombie() { None } else { reader.open_fds(&pid).ok() };
                Ok(Some(Live { stat, fds }))
            });
            let live = live.unwrap_or_else(|error| {
                failure = Some(failure.take().map_or((error, 0), |(first, more)| (first, more + 1)));
                None
            });
            rows.push(Row { view: Arc::clone(view), live });
        }
        (rows, failure.map_or(Ok(()), |(first, more)| Err(CollectError::Processes { first, more })))
    }
}

impl Collect for Processes {
    const GROUP: Group = Group::Processes;

    fn collect(&self, out: &mut Families) -> Result<(), CollectError> {
        let snapshot = self.source.snapshot();
        let now = (self.now)();
        let (rows, result) = self.read(&snapshot, now);
        out.fill(&PROCESSES, State::ALL.len(), |f| {
            for (state, n) in State::ALL.iter().zip(snapshot.count_by_state()) {
                f.add(&[state.as_str()], count(u64::try_from(n).unwrap_or(u64::MAX)));
            }
        });
        from_snapshot(out, &rows, now);
        from_proc(out, &rows, &self.proc);
        result
    }
}

/// A family of at most one sample per process.
fn each(out: &mut Families, metric: &'static Metric, rows: &[Row], value: impl Fn(&Row) -> Option<f64>) {
    out.fill(metric, rows.len(), |f| {
        for row in rows {
            if let Some(value) = value(row) {
                f.add(&[row.name()], value);
            }
        }
    });
}

fn from_snapshot(out: &mut Families, rows: &[Row], now: Wall) {
    out.fill(&PROCESS_INFO, rows.len(), |f| {
        for row in rows {
            let spec = &row.view.spec;
            let user = spec.exec.user.as_deref().unwrap_or_default();
            let policy = spec.restart.policy.as_str();
            let id = spec.id.to_string();
            f.add(&[row.name(), &id, bounded(&spec.exec.program), bounded(user), policy], 1.0);
        }
    });
    out.fill(&PROCESS_STATE, rows.len() * State::ALL.len(), |f| {
        for row in rows {
            for state in State::ALL {
                f.add(&[row.name(), state.as_str()], flag(row.view.state == state));
            }
        }
    });
    out.fill(&PROCESS_EXITS, rows.len() * ExitReason::ALL.len(), |f| {
        for row in rows {
            for (reason, n) in ExitReason::ALL.iter().zip(row.view.counters.exits) {
                f.add(&[row.name(), reason.as_str()], count(n));
            }
        }
    });
    each(out, &PROCESS_UP, rows, |r| Some(flag(r.run().is_some())));
    each(out, &PROCESS_RESTARTS, rows, |r| Some(count(r.view.counters.restarts)));
    each(out, &PROCESS_STARTS, rows, |r| Some(count(r.view.counters.starts)));
    each(out, &PROCESS_START_TIME, rows, |r| r.run().map(|run| run.started.as_secs_f64()));
    each(out, &PROCESS_UPTIME, rows, |r| {
        Some(r.run().map_or(0.0, |run| now.since(run.started).as_secs_f64()))
    });
    each(out, &PROCESS_LAST_EXIT_CODE, rows, |r| {
        r.view.last_exit()?.status.map(|s| f64::from(s.shell_code()))
    });
    each(out, &PROCESS_LAST_EXIT_TIME, rows, |r| r.view.last_exit().map(|e| e.at.as_secs_f64()));
    each(out, &PROCESS_RESTART_DELAY, rows, |r| {
        let start = r.view.next.filter(|n| n.kind == NextActionKind::Start);
        Some(start.map_or(0.0, |n| n.at.since(now).as_secs_f64()))
    });
}

fn from_proc(out: &mut Families, rows: &[Row], proc: &ProcFs) {
    each(out, &PROCESS_RESIDENT, rows, |r| proc.pages(r.living()?.resident_pages).map(count));
    each(out, &PROCESS_VIRTUAL, rows, |r| Some(count(r.living()?.virtual_bytes)));
    each(out, &PROCESS_THREADS, rows, |r| Some(count(r.living()?.threads)));
    each(out, &PROCESS_FDS, rows, |r| r.live.as_ref()?.fds.map(count));
    each(out, &PROCESS_CPU, rows, |r| {
        let finished = r.view.counters.cpu.as_secs_f64();
        match (r.run(), &r.live) {
            (None, _) => Some(finished),
            // A zombie still counts here: the run's time is not among the finished ones yet.
            (Some(_), Some(live)) => Some(finished + proc.seconds(live.stat.tree_cpu_ticks())),
            // Just gone: without this run's share the counter would fall and be taken for a reset.
            (Some(_), None) => None,
        }
    });
}

/// The beginning of a text, at most [`MAX_TEXT`] bytes, cut between characters.
fn bounded(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = (0..=MAX_TEXT).rev().find(|&i| text.is_char_boundary(i)).unwrap_or_default();
    &text[..end]
}
