//! Counts that outlive the daemon: restarts, starts, ends and run numbers of each process, in `<state>/counts`.
//!
//! A counter that fell back to zero at each start of the daemon would look like a reset to whoever graphs it, and run
//! numbers that began anew would name two runs alike in one log file.
//!
//! The file is a header and slots of 192 bytes, one for each process, each written in place with one pwrite(2): it is
//! in the kernel's hands at once and survives a daemon that is killed. There is no fsync: a machine that loses its power
//! may lose the counts since the last write-back. A slot that isn't whole is known by its checksum and counts as none.
//!
//! Written by a thread of its own, only after an event and [`PAUSE`] later: that much is lost at worst when the daemon is
//! killed. An end and the start that follows are one write then, and none of it takes a processor from that start. Bound: [`SLOTS_MAX`] slots; processes beyond it start at zero with each daemon. A file that can't be
//! read or written costs the counts and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Counters, ExitReason, ProcessId, ProcessName, ProcessView, RunNumber};

/// From the first event to the look: a crash loop must not become a loop of writes.
const PAUSE: Duration = Duration::from_millis(20);
/// 12 MiB of file.
const SLOTS_MAX: usize = 65_536;
const SLOT: usize = 192;
/// Followed by zeros up to the first slot. The number changes whenever the fields of a slot do.
const MAGIC: &[u8; 8] = b"DDPMCNT2";
/// Process id, three counts, the ends by reason, CPU time in microseconds, kills for lack of memory, checksum.
const FIELDS: usize = 1 + 3 + ExitReason::ALL.len() + 2 + 1;
const _: () = assert!(FIELDS == 17 && FIELDS * 8 <= SLOT, "another layout needs another magic");

/// What version 0.1 wrote: slots of 128 bytes, without the last reason and the kills. Read, so that an update of the daemon
/// is no reset of its counters; never written.
mod first {
    pub(super) const MAGIC: &[u8; 8] = b"DDPMCNT1";
    pub(super) const SLOT: usize = 128;
    pub(super) const REASONS: usize = 9;
    pub(super) const FIELDS: usize = 1 + 3 + REASONS + 1 + 1;
}

type Slot = [u8; SLOT];

/// FNV-1a: against a torn slot, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

fn encode(id: ProcessId, counts: &Counters) -> Slot {
    let cpu = u64::try_from(counts.cpu.as_micros()).unwrap_or(u64::MAX);
    let head = [id.number(), counts.runs, counts.restarts, counts.starts];
    let mut slot = [0; SLOT];
    let (fields, _) = slot.as_chunks_mut::<8>();
    for (field, value) in
        fields.iter_mut().zip(head.into_iter().chain(counts.exits).chain([cpu, counts.oom_kills]))
    {
        *field = value.to_le_bytes();
    }
    let sum = checksum(&slot[..(FIELDS - 1) * 8]);
    slot[(FIELDS - 1) * 8..FIELDS * 8].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// `None` = free, or torn.
fn decode(slot: &[u8]) -> Option<(ProcessId, Counters)> {
    let (id, fields) = whole(slot, FIELDS)?;
    let field = |i: usize| fields.get(i).copied().map(u64::from_le_bytes);
    let counters = decode_common(fields, ExitReason::ALL.len())?;
    Some((id, Counters { oom_kills: field(FIELDS - 2)?, ..counters }))
}

/// The same of a slot of version 0.1.
fn decode_first(slot: &[u8]) -> Option<(ProcessId, Counters)> {
    let (id, fields) = whole(slot, first::FIELDS)?;
    Some((id, decode_common(fields, first::REASONS)?))
}

/// The fields of a slot whose checksum fits, and whose it is.
fn whole(slot: &[u8], count: usize) -> Option<(ProcessId, &[[u8; 8]])> {
    let (fields, _) = slot.as_chunks::<8>();
    let field = |i: usize| fields.get(i).copied().map(u64::from_le_bytes);
    let sum = checksum(slot.get(..(count - 1) * 8)?);
    let id = field(0).filter(|_| field(count - 1) == Some(sum)).and_then(ProcessId::from_number)?;
    Some((id, fields))
}

/// What both versions have: counts, so many reasons, CPU time.
fn decode_common(fields: &[[u8; 8]], reasons: usize) -> Option<Counters> {
    let field = |i: usize| fields.get(i).copied().map(u64::from_le_bytes);
    let mut exits = [0; ExitReason::ALL.len()];
    for (i, count) in exits.iter_mut().enumerate().take(reasons) {
        *count = field(4 + i)?;
    }
    let cpu = Duration::from_micros(field(4 + reasons)?);
    Some(Counters { runs: field(1)?, restarts: field(2)?, starts: field(3)?, exits, cpu, oom_kills: 0 })
}

/// What is kept of a process that was deleted.
fn only_runs(runs: u64) -> Counters {
    Counters { runs, ..Counters::default() }
}

/// The file and who stands where in it.
struct Store {
    file: File,
    slots: BTreeMap<ProcessId, (usize, Slot)>,
    free: Vec<usize>,
    /// Processes that were deleted, the oldest first: of each its last run number is kept.
    deleted: VecDeque<ProcessId>,
}

impl Store {
    /// Reads what an earlier daemon left and writes it anew without gaps.
    fn open(path: &Path) -> io::Result<(Self, BTreeMap<ProcessId, Counters>)> {
        let past = match std::fs::read(path) {
            Ok(bytes) if bytes.starts_with(MAGIC) => {
                bytes.get(SLOT..).unwrap_or_default().chunks_exact(SLOT).filter_map(decode).collect()
            }
            Ok(bytes) if bytes.starts_with(first::MAGIC) => {
                let slots = bytes.get(first::SLOT..).unwrap_or_default().chunks_exact(first::SLOT);
                slots.filter_map(decode_first).collect()
            }
            Ok(bytes) => {
                if !bytes.is_empty() {
                    tracing::warn!(path = %path.display(), "not a file of counts of this version; counts start at zero");
                }
                BTreeMap::new()
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e),
        };
        let fresh = path.with_extension("new");
        // A stale one of a daemon that was killed, or a link that somebody put there.
        match std::fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
        let mut store = Self { file, slots: BTreeMap::new(), free: Vec::new(), deleted: VecDeque::new() };
        store.file.write_all_at(MAGIC, 0)?;
        for (id, counts) in past.iter().take(SLOTS_MAX) {
            store.put(*id, counts)?;
            if *counts == only_runs(counts.runs) {
                store.deleted.push_back(*id);
            }
        }
        std::fs::rename(fresh, path)?;
        Ok((store, past))
    }

    fn put(&mut self, id: ProcessId, counts: &Counters) -> io::Result<()> {
        let slot = encode(id, counts);
        if !self.deleted.is_empty() {
            self.deleted.retain(|deleted| *deleted != id);
        }
        if self.slots.len() >= SLOTS_MAX
            && !self.slots.contains_key(&id)
            && let Some(oldest) = self.deleted.pop_front()
        {
            self.remove(oldest)?;
        }
        let at = match self.slots.get(&id) {
            Some((_, known)) if *known == slot => return Ok(()),
            Some((at, _)) => *at,
            None => match self.free.pop() {
                Some(at) => at,
                None if self.slots.len() < SLOTS_MAX => self.slots.len(),
                None => return Ok(()),
            },
        };
        self.slots.insert(id, (at, slot));
        self.write(at, &slot)
    }

    /// Forgets the counts of a process that is not defined any more. Its run numbers go on if it comes back: `run` is the
    /// last one that is known of.
    fn delete(&mut self, id: ProcessId, run: u64) -> io::Result<()> {
        let written =
            self.slots.get(&id).and_then(|(_, slot)| decode(slot)).map_or(0, |(_, counts)| counts.runs);
        let runs = run.max(written);
        if runs == 0 {
            return self.remove(id);
        }
        self.put(id, &only_runs(runs))?;
        self.deleted.push_back(id);
        match self.deleted.len() > Counters::DELETED {
            true => self.deleted.pop_front().map_or(Ok(()), |oldest| self.remove(oldest)),
            false => Ok(()),
        }
    }

    fn remove(&mut self, id: ProcessId) -> io::Result<()> {
        let Some((at, _)) = self.slots.remove(&id) else { return Ok(()) };
        self.free.push(at);
        self.write(at, &[0; SLOT])
    }

    fn write(&self, at: usize, slot: &Slot) -> io::Result<()> {
        self.file.write_all_at(slot, u64::try_from((at + 1) * SLOT).unwrap_or(u64::MAX))
    }
}

/// Whose counts may have changed since the last look.
#[derive(Default)]
struct Changed {
    /// With the number of the last run that was told of.
    processes: BTreeMap<(ProcessName, ProcessId), u64>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    changed: Mutex<Changed>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the keeper of changes. Never waits for the disk.
#[derive(Clone)]
pub(crate) struct Marker(Arc<Shared>);

impl Marker {
    /// Something happened to this process. At most one entry per process waits.
    pub(crate) fn mark(&self, name: &ProcessName, id: ProcessId, run: Option<RunNumber>) {
        let mut changed = self.0.lock();
        let first = changed.processes.is_empty();
        let last = changed.processes.entry((name.clone(), id)).or_default();
        *last = run.map_or(0, |run| run.0).max(*last);
        // Whoever is woken finds the lock free.
        drop(changed);
        if first {
            self.0.wake.notify_one();
        }
    }
}

/// The counts, read and not kept yet.
pub(crate) struct Counts {
    path: PathBuf,
    store: Option<Store>,
    shared: Arc<Shared>,
}

impl Counts {
    /// Reads the counts under a state directory. What fails is told, and counts start at zero then.
    pub(crate) fn open(state_dir: &Path) -> (Self, BTreeMap<ProcessId, Counters>) {
        let path = state_dir.join("counts");
        let (store, past) = match Store::open(&path) {
            Ok((store, past)) => (Some(store), past),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error,
                    "counts of restarts will not outlive this daemon; they start at zero");
                (None, BTreeMap::new())
            }
        };
        (Self { path, store, shared: Arc::default() }, past)
    }

    pub(crate) fn marker(&self) -> Marker {
        Marker(Arc::clone(&self.shared))
    }

    /// Keeps the file up to date from now on, on a thread of its own, and tells each time that something has happened.
    pub(crate) fn keep(
        self,
        view: impl Fn(&ProcessName) -> Option<Arc<ProcessView>> + Send + 'static,
        happened: impl Fn() + Send + 'static,
    ) -> io::Result<Keeper> {
        let shared = Arc::clone(&self.shared);
        let thread =
            std::thread::Builder::new().name("counts".into()).spawn(move || self.run(&view, &happened))?;
        Ok(Keeper { shared, thread })
    }

    fn run(mut self, view: &View<'_>, happened: &dyn Fn()) {
        let mut failed = false;
        loop {
            let mut changed = self.shared.lock();
            while changed.processes.is_empty() && !changed.closed {
                changed = self.shared.wake.wait(changed).unwrap_or_else(PoisonError::into_inner);
            }
            if !changed.closed {
                drop(changed);
                std::thread::sleep(PAUSE);
                changed = self.shared.lock();
            }
            let (processes, closed) = (std::mem::take(&mut changed.processes), changed.closed);
            drop(changed);
            if let Some(store) = &mut self.store {
                let result = write(store, view, processes);
                if let (Err(error), false) = (&result, failed) {
                    tracing::warn!(path = %self.path.display(), %error, "counts can't be written");
                }
                failed = result.is_err();
            }
            if closed {
                return;
            }
            happened();
        }
    }
}

/// How one process looks now; `None` = it is not defined any more. One by one: of ten thousand a few have changed.
type View<'a> = dyn Fn(&ProcessName) -> Option<Arc<ProcessView>> + 'a;

/// All of them are tried; the first failure is told.
fn write(
    store: &mut Store,
    view: &View<'_>,
    processes: BTreeMap<(ProcessName, ProcessId), u64>,
) -> io::Result<()> {
    let mut result = Ok(());
    for ((name, id), run) in processes {
        let written = match view(&name) {
            Some(view) => store.put(id, &view.counters),
            None => store.delete(id, run),
        };
        result = result.and(written);
    }
    result
}

/// The running keeper.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Writes what is left and ends the thread. Waits for the disk.
    pub(crate) fn close(self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the keeper of counts ended in a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ProcessId {
        ProcessId::from_number(number).unwrap()
    }

    fn counts(n: u64) -> Counters {
        let exits = std::array::from_fn(|i| n + i as u64);
        Counters {
            runs: n + 2,
            restarts: n,
            starts: n + 1,
            exits,
            cpu: Duration::from_micros(n),
            oom_kills: n + 3,
        }
    }

    #[test]
    fn a_slot_comes_back_whole_or_not_at_all() {
        for n in [0, 1, 77, u64::MAX / 2] {
            let number = n & ProcessId::MAX;
            let slot = encode(id(number), &counts(n));
            assert_eq!(decode(&slot), Some((id(number), counts(n))));
            for at in 0..FIELDS * 8 {
                let mut torn = slot;
                torn[at] ^= 0x10;
                assert_eq!(decode(&torn), None, "byte {at}");
            }
        }
        assert_eq!(decode(&[0; SLOT]), None);
    }

    #[test]
    fn counts_are_found_again_and_slots_are_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let (mut store, past) = Store::open(&path).unwrap();
        assert_eq!(past.len(), 0);
        for n in 1..=3 {
            store.put(id(n), &counts(n)).unwrap();
        }
        store.put(id(2), &counts(20)).unwrap();
        store.remove(id(1)).unwrap();
        store.put(id(4), &counts(4)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 4 * SLOT as u64);
        let expected = BTreeMap::from([2, 3, 4].map(|n| (id(n), counts(if n == 2 { 20 } else { n }))));
        let (mut store, past) = Store::open(&path).unwrap();
        assert_eq!(past, expected);
        store.remove(id(3)).unwrap();
        assert_eq!(Store::open(&path).unwrap().1.len(), 2);
    }

    #[test]
    fn of_what_was_deleted_the_run_number_is_kept_and_the_oldest_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let (mut store, _) = Store::open(&path).unwrap();
        store.put(id(1), &counts(5)).unwrap();
        store.delete(id(1), 3).unwrap();
        // Started and deleted before the keeper looked.
        store.delete(id(2), 9).unwrap();
        store.delete(id(3), 0).unwrap();
        let (mut store, past) = Store::open(&path).unwrap();
        assert_eq!(past, BTreeMap::from([(id(1), only_runs(7)), (id(2), only_runs(9))]));
        // One that comes back is no longer deleted.
        store.put(id(1), &counts(20)).unwrap();
        for n in 0..=Counters::DELETED as u64 {
            store.delete(id(100 + n), 1).unwrap();
        }
        let (store, past) = Store::open(&path).unwrap();
        assert_eq!((past.len(), store.deleted.len()), (Counters::DELETED + 1, Counters::DELETED));
        assert_eq!((past.get(&id(1)), past.get(&id(2))), (Some(&counts(20)), None));
    }

    #[test]
    fn the_counts_of_version_0_1_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let mut file = vec![0; first::SLOT];
        file[..8].copy_from_slice(first::MAGIC);
        let mut slot: Vec<u8> = (0..first::FIELDS as u64 - 1).flat_map(|n| (n + 5).to_le_bytes()).collect();
        slot.extend(checksum(&slot).to_le_bytes());
        slot.resize(first::SLOT, 0);
        file.extend(&slot);
        std::fs::write(&path, &file).unwrap();
        let (_, past) = Store::open(&path).unwrap();
        let exits = std::array::from_fn(|i| if i < first::REASONS { i as u64 + 9 } else { 0 });
        let cpu = Duration::from_micros(18);
        let counters = Counters { runs: 6, restarts: 7, starts: 8, exits, cpu, oom_kills: 0 };
        assert_eq!(past, BTreeMap::from([(id(5), counters)]));
        // From now on in the layout of this version.
        assert_eq!(Store::open(&path).unwrap().1, past);
        assert!(std::fs::read(&path).unwrap().starts_with(MAGIC));
    }

    #[test]
    fn a_torn_or_foreign_file_costs_its_counts_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let (mut store, _) = Store::open(&path).unwrap();
        store.put(id(1), &counts(1)).unwrap();
        store.put(id(2), &counts(2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 30]).unwrap();
        assert_eq!(Store::open(&path).unwrap().1, BTreeMap::from([(id(1), counts(1))]));
        std::fs::write(&path, "restarts: 5\n").unwrap();
        assert_eq!(Store::open(&path).unwrap().1.len(), 0);
        // What can't be had is done without.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let (none, past) = Counts::open(dir.path());
        assert!(none.store.is_none() && past.is_empty());
        none.marker().mark(&ProcessName::new("web").unwrap(), id(1), None);
        none.keep(|_| None, || ()).unwrap().close();
    }
}
