//! What the kernel knows of the managed processes: main processes, and all that belongs to each run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{ProcessName, RunId, RunView};

use super::{CollectError, Collected, Failures};
use crate::fleet::{Fleet, Row};
use crate::names::{
    Detail, PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_READ, PROCESS_RESIDENT, PROCESS_THREADS,
    PROCESS_VIRTUAL, PROCESS_WRITTEN, TREE_CPU, TREE_PROCESSES, TREE_RESIDENT,
};
use crate::proc::{Keeper, Kept as Files, Look, MAX_READ, ProcError, ProcFs, Reader, Survey, Tree, trees};
use crate::text::Text;

/// What one scrape leaves to the next. Its size is bounded by the processes that are defined and by those that exist.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    survey: Survey,
    /// Sorted by name, as a fleet is: so that they meet without being looked for.
    pasts: Vec<Past>,
}

/// What was read of one process.
#[derive(Debug)]
struct Past {
    name: ProcessName,
    /// Of the run that was live.
    run: Option<PastRun>,
    cpu: Odometer,
}

#[derive(Debug)]
struct PastRun {
    id: RunId,
    files: Box<Files>,
    /// How many descriptors the main process may open; absent = not asked yet. The kernel prints it among fifteen other limits,
    /// which takes as long as everything else, so each process is asked once.
    max_fds: Option<Option<u64>>,
}

/// Makes a sum that never falls from readings that may: what a child used is gone from the tree if nobody waits for it,
/// and a counter that falls is taken for one that began anew, with all that it has.
#[derive(Clone, Copy, Debug, Default)]
struct Odometer {
    reading: Duration,
    sum: Duration,
}

impl Odometer {
    fn read(self, reading: Duration) -> Self {
        Self { reading, sum: self.sum + reading.saturating_sub(self.reading) }
    }
}

/// What was read for one scrape.
#[derive(Debug)]
pub(crate) struct Usage {
    /// By row of the fleet.
    lives: Vec<Option<Live>>,
    /// By row of the fleet; empty when they could not be read.
    trees: Vec<TreeUsage>,
    result: Result<(), Arc<CollectError>>,
    /// The time that it took.
    pub(crate) took: Duration,
}

/// A live main process.
#[derive(Debug)]
struct Live {
    pid: u32,
    look: Look,
    max_fds: Option<u64>,
}

#[derive(Debug)]
struct TreeUsage {
    tree: Tree,
    /// Of all runs.
    cpu: Duration,
}

impl Usage {
    /// Resident memory of everything that a row's run consists of, in pages; of the main process when that is all that is
    /// known.
    pub(crate) fn resident_pages(&self, place: usize) -> Option<u64> {
        let main = self.lives[place].as_ref()?.look.stat.resident_pages;
        Some(self.trees.get(place).map_or(main, |t| t.tree.resident_pages))
    }

    /// CPU time of all runs of a row, as far as it is known.
    pub(crate) fn cpu(&self, place: usize) -> Option<Duration> {
        self.trees.get(place).map(|t| t.cpu)
    }
}

impl Memory {
    /// Reads /proc for all live processes. A pid that is gone, or now somebody else's, has simply nothing to tell.
    pub(crate) fn read(&self, fleet: &Fleet, proc: &ProcFs) -> Usage {
        let begun = Instant::now();
        let mut reader = Reader::new(proc);
        let mut failures = Failures::default();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = fleet.rows.iter().filter(|row| asked_for(row).is_some()).count();
        let open = kept.pasts.iter().filter_map(|past| Some(past.run.as_ref()?.files.descriptors())).sum();
        let mut keeper = Keeper::of_processes(&mut reader, count, open);
        // What is not taken over is closed: of processes that are gone, or too many.
        let mut before = std::mem::take(&mut kept.pasts).into_iter().peekable();
        let mut pasts = Vec::with_capacity(fleet.rows.len());
        let mut lives = Vec::with_capacity(fleet.rows.len());
        for row in &fleet.rows {
            let name = &row.view.spec.name;
            while before.next_if(|past| past.name < *name).is_some() {}
            let mut past = before.next_if(|past| past.name == *name).unwrap_or_else(|| Past {
                name: name.clone(),
                run: None,
                cpu: Odometer::default(),
            });
            let live = live(&mut reader, fleet, row, &mut keeper, past.run.take()).unwrap_or_else(|error| {
                failures.add(error);
                None
            });
            let (live, run) = live.unzip();
            past.run = run;
            lives.push(live);
            pasts.push(past);
        }
        let mut result = failures.into_result();
        let mains = lives.iter().map(|live| live.as_ref().map(|l| (l.pid, &l.look.stat)));
        let found = trees(&mut reader, proc.own_pid, mains, &mut kept.survey);
        let trees =
            match found.map_err(CollectError::from).and_then(|f| f.ok_or(CollectError::TooMany(MAX_READ))) {
                Ok(found) => {
                    let rows = fleet.rows.iter().zip(&lives).zip(&mut pasts).zip(found);
                    rows.map(|(((row, live), past), tree)| add_up(proc, row, live.as_ref(), past, tree))
                        .collect()
                }
                Err(error) => {
                    // What failed for single processes is no worse.
                    result = Err(error);
                    Vec::new()
                }
            };
        kept.pasts = pasts;
        Usage { lives, trees, result: result.map_err(Arc::new), took: begun.elapsed() }
    }
}

/// The run of a process of which something is to be read.
fn asked_for(row: &Row) -> Option<(&RunView, u32)> {
    row.run().filter(|_| row.detail > Detail::Off)
}

/// Looks at the main process of a row, from where the last scrape left off.
fn live(
    reader: &mut Reader<'_>,
    fleet: &Fleet,
    row: &Row,
    keeper: &mut Keeper,
    before: Option<PastRun>,
) -> Result<Option<(Live, PastRun)>, ProcError> {
    let Some((run, pid)) = asked_for(row) else { return Ok(None) };
    let age = fleet.now.mono.since(run.started.mono);
    let (all, extent) = (row.detail == Detail::Full, keeper.extent());
    let (look, mut past) = match before.filter(|past| past.id == run.id && past.files.is_of(pid)) {
        Some(mut past) => {
            past.files.shrink_to(extent);
            let Some(look) = reader.look_again(&mut past.files, age, all)? else { return Ok(None) };
            (look, past)
        }
        None => {
            let Some((files, look)) = reader.keep(pid, age, all, extent)? else { return Ok(None) };
            (look, PastRun { id: run.id, files: Box::new(files), max_fds: None })
        }
    };
    let max_fds = if all && !look.stat.is_zombie() {
        *past.max_fds.get_or_insert_with(|| reader.max_fds(pid).ok().flatten())
    } else {
        None
    };
    Ok(Some((Live { pid, look, max_fds }, past)))
}

/// Puts what was found of a row's run to what its runs before have used.
fn add_up(proc: &ProcFs, row: &Row, live: Option<&Live>, past: &mut Past, tree: Tree) -> TreeUsage {
    // Of a run that has just ended the time is neither here nor there yet.
    if row.run().is_none() || live.is_some() {
        past.cpu = past.cpu.read(row.counters.cpu + proc.time(tree.cpu_ticks));
    }
    TreeUsage { tree, cpu: past.cpu.sum }
}

/// All of `usage`, which belongs to this fleet.
pub(crate) fn write(fleet: &Fleet, usage: &Usage, proc: &ProcFs, out: &mut Text) -> Collected {
    let live = |place: usize| usage.lives[place].as_ref();
    // A zombie has no memory and no threads.
    let living = |place: usize| live(place).map(|l| &l.look.stat).filter(|s| !s.is_zombie());
    fleet.each(out, &PROCESS_CPU, |place, r| {
        let finished = r.counters.cpu;
        match (r.run(), live(place)) {
            (None, _) => Some(finished),
            // A zombie still counts here: the run's time is not among the finished ones yet.
            (Some(_), Some(live)) => Some(finished + proc.time(live.look.stat.tree_cpu_ticks())),
            // Just gone: without this run's share the counter would fall and be taken for a reset.
            (Some(_), None) => None,
        }
    });
    fleet.each(out, &PROCESS_RESIDENT, |place, _| proc.pages(living(place)?.resident_pages));
    fleet.each(out, &PROCESS_VIRTUAL, |place, _| Some(living(place)?.virtual_bytes));
    fleet.each(out, &PROCESS_THREADS, |place, _| Some(living(place)?.threads));
    fleet.each(out, &PROCESS_FDS, |place, _| live(place)?.look.fds);
    fleet.each(out, &PROCESS_MAX_FDS, |place, _| live(place)?.max_fds);
    fleet.each(out, &PROCESS_READ, |place, _| Some(live(place)?.look.io?[0]));
    fleet.each(out, &PROCESS_WRITTEN, |place, _| Some(live(place)?.look.io?[1]));
    if !usage.trees.is_empty() {
        fleet.each(out, &TREE_PROCESSES, |place, _| Some(usage.trees[place].tree.processes));
        fleet.each(out, &TREE_RESIDENT, |place, _| {
            live(place).and_then(|_| proc.pages(usage.trees[place].tree.resident_pages))
        });
        fleet.each(out, &TREE_CPU, |place, _| Some(usage.trees[place].cpu));
    }
    usage.result.clone().map_err(CollectError::Earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_readings_never_falls() {
        let seconds = Duration::from_secs;
        let sums = [5, 8, 3, 4, 4, 10].into_iter().scan(Odometer::default(), |odometer, reading| {
            *odometer = odometer.read(seconds(reading));
            Some(odometer.sum)
        });
        assert_eq!(sums.collect::<Vec<_>>(), [5, 8, 8, 9, 9, 15].map(seconds));
    }
}
