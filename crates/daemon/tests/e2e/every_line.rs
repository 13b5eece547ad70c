//! The promise of the log pipeline as a whole, under everything at once: fifty processes at full speed, files that
//! rotate and are renamed by somebody else, a journal that stalls, leaves and comes back, and kill -9 at random.
//!
//! The probe's lines say which run printed them, and its records how much of them the kernel took. Whatever it took is
//! in the files exactly once; a journal entry is there once or counted as dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testkit::{TempDaemon, eventually, eventually_within, patience};

use crate::fake_journal::{Entry, FakeJournal, field};
use crate::support::{address, get, probe, until_state};

const PROCESSES: usize = 50;
/// Of each run that is not killed before.
const LINES: u64 = 10_000;
/// Bytes of a line and its newline.
const LINE: u64 = 60;
/// Between two changes of the journal's mind.
const KILLS: usize = 50;
/// What the probe hands to one write(2), at most.
const WRITE: u64 = 64 * 1024 + LINE;

/// A process and one of its runs.
type Run = (String, u64);

#[test]
fn every_line_that_was_printed_comes_out_exactly_once() {
    let journal = FakeJournal::start(Journaled::default(), Journaled::take);
    let mut stage = Stage::new(&journal);
    stage.trouble();
    journal.stall();
    stage.trouble();
    stage.until("lines have to be dropped", |metrics| total(metrics, "dropped_lines_total", "journald") > 0);
    journal.go_on();
    stage.trouble();
    journal.leave();
    stage.trouble();
    stage.until("the journal is missed", |metrics| metrics.contains("\nddprocmgr_journald_connected 0\n"));
    journal.come_back();
    stage.until("the journal is found", |metrics| metrics.contains("\nddprocmgr_journald_connected 1\n"));
    stage.trouble();
    stage.until_printed();
    let accounts = stage.settle();
    let Stage { daemon, runs, .. } = &stage;
    for (process, last) in runs.iter().enumerate() {
        let name = name(process);
        let account = &accounts[process];
        let found = read_files(&daemon.logs(), &name);
        for run in 1..=*last {
            let taken = stage.taken(&(name.clone(), run)).expect("a run has a record");
            found.check(&name, run, taken, run == *last);
        }
        assert_eq!(found.lines, account.file.written, "{name}: the files and the account");
        assert_eq!((account.file.dropped, account.file.truncated), (0, 0), "{name}");
    }
    let journaled = journal.end();
    for (process, account) in accounts.iter().enumerate() {
        let name = name(process);
        let arrived = journaled.lines.get(&name).copied().unwrap_or_default();
        assert_eq!(arrived, account.journald.written, "{name}: the journal and the account");
        let told = journaled.told.get(&name).copied().unwrap_or_default();
        assert_eq!(told, account.journald.dropped, "{name}: what the markers say and the account");
    }
}

fn name(process: usize) -> String {
    format!("p{process}")
}

/// What printed line `number` of a run is: the same that the probe makes, written down once more.
fn line(name: &str, run: u64, number: u64) -> String {
    let line = format!("{name} {run} {number:07} ");
    let fill = usize::try_from(LINE).expect("small") - 1 - line.len();
    line + &"x".repeat(fill)
}

/// `NAME RUN NUMBER` of a whole line; `None` for the beginning of one.
fn parse(text: &str) -> Option<(&str, u64, u64)> {
    let mut words = text.split(' ');
    let (name, run, number) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (u64::try_from(text.len()).ok()? == LINE - 1).then_some((name, run, number))
}

/// The daemon, its processes' records, and who plays along.
struct Stage {
    daemon: TempDaemon,
    metrics: String,
    records: TempDir,
    /// The number of each process's run.
    runs: [u64; PROCESSES],
    dice: Dice,
}

impl Stage {
    fn new(journal: &FakeJournal<Journaled>) -> Self {
        let records = tempfile::Builder::new().prefix("pm-records-").tempdir().expect("a directory");
        let (probe, dir) = (probe(), records.path().display());
        let (width, lines) = (LINE - 1, LINES);
        let mut config = String::from(
            "defaults:\n  groups: [all]\n  restart: always\n  restart_sec: 0\n  start_limit_burst: 0\n  \
             log: {max_size: 300KiB, max_files: 10000}\nprocesses:\n",
        );
        for process in 0..PROCESSES {
            let name = name(process);
            config += &format!(
                "  {name}: {{command: {probe}, args: [width={width}, 'account={lines}:{dir}', sleep]}}\n"
            );
        }
        let daemon = TempDaemon::builder()
            .config(&config)
            .env("PM_JOURNAL_SOCKET", journal.socket().display().to_string())
            .start();
        let metrics = address(&daemon, "metrics");
        Self { daemon, metrics, records, runs: [1; PROCESSES], dice: Dice(0x9e37_79b9_7f4a_7c15) }
    }

    /// Kills at random, and renames files away at random, sometimes with a word to the daemon.
    #[track_caller]
    fn trouble(&mut self) {
        for number in 0..KILLS {
            let victim = self.dice.below(PROCESSES);
            kill(self.pid(victim), Signal::SIGKILL).expect("a run ends when it is killed, not before");
            self.runs[victim] += 1;
            if number % 3 == 0 {
                let renamed = self.dice.below(PROCESSES);
                self.rename_away(&name(renamed));
            }
            if number % 10 == 0 {
                self.daemon.signal(Signal::SIGUSR1);
            }
        }
    }

    #[track_caller]
    fn until(&self, what: &str, is: impl Fn(&str) -> bool) {
        eventually(what, || is(&get(&self.metrics, "/metrics")).then_some(()));
    }

    /// Waits until nobody has anything to print any more.
    #[track_caller]
    fn until_printed(&self) {
        for (process, run) in self.runs.iter().enumerate() {
            let run = (name(process), *run);
            eventually(&format!("all lines of {run:?}"), || {
                (self.taken(&run) == Some(LINES * LINE)).then_some(())
            });
        }
    }

    /// The pid of a process's run, as soon as it has begun.
    #[track_caller]
    fn pid(&self, process: usize) -> Pid {
        let run = self.runs[process];
        let path = self.records.path().join(format!("{}.{run}", name(process)));
        let text = eventually(&format!("run {run} of {}", name(process)), || fs::read_to_string(&path).ok());
        Pid::from_raw(text.lines().next().expect("a line").parse().expect("a pid"))
    }

    /// How many bytes of a run the kernel took, as far as the run could tell.
    fn taken(&self, (name, run): &Run) -> Option<u64> {
        let record = fs::read(self.records.path().join(format!("{name}.{run}"))).ok()?;
        // Killed before its first write returned.
        let Some(number) = record.get(16..36) else { return Some(0) };
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// What a rotation by somebody else does who does not tell the daemon.
    fn rename_away(&mut self, name: &str) {
        let from = self.daemon.logs().join(format!("{name}.log"));
        let to = self.daemon.logs().join(format!("{name}.log.away-{}", self.dice.below(usize::MAX)));
        // There is no such file for a moment after each rotation, or before the first line.
        drop(fs::rename(from, to));
    }

    /// Stops everything, waits until every line is where it belongs, and returns the accounts.
    #[track_caller]
    fn settle(&self) -> Vec<Account> {
        self.daemon.pm(&["stop", "@all"]).success();
        for process in 0..PROCESSES {
            until_state(&self.daemon, &name(process), "stopped");
        }
        let mut last = String::new();
        let settled = eventually_within(3 * patience(), || {
            let text = get(&self.metrics, "/metrics");
            let accounts: Vec<Account> = (0..PROCESSES).map(|p| Account::of(&text, &name(p))).collect();
            // Of the last line of a killed run, which has no newline, nobody knows when it is booked: the files tell.
            let late = accounts.iter().zip(&self.runs).enumerate().find(|(process, (account, last))| {
                let name = name(*process);
                let taken: u64 = (1..=**last).filter_map(|run| self.taken(&(name.clone(), run))).sum();
                account.bytes < taken
                    || account.file.queued + account.journald.queued > 0
                    || count_lines(&self.daemon.logs(), &name) != account.file.written
            });
            last = format!("{late:?}");
            late.is_none().then_some(accounts)
        });
        settled.unwrap_or_else(|| panic!("something is still on its way: {last}"))
    }
}

/// What the daemon says of the lines of one process.
#[derive(Debug)]
struct Account {
    bytes: u64,
    file: SinkAccount,
    journald: SinkAccount,
}

#[derive(Debug)]
struct SinkAccount {
    written: u64,
    dropped: u64,
    truncated: u64,
    queued: u64,
}

/// A sink's counter, over all processes.
fn total(exposition: &str, name: &str, sink: &str) -> u64 {
    let (name, label) = (format!("ddprocmgr_process_log_{name}{{"), format!("sink=\"{sink}\""));
    let series = exposition.lines().filter(|l| l.starts_with(&name) && l.contains(&label));
    series.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

impl Account {
    /// Every scrape has to add up, whatever happens at that moment.
    #[track_caller]
    fn of(exposition: &str, process: &str) -> Self {
        let value = |name: &str, more: &str| -> u64 {
            let series =
                format!("ddprocmgr_process_log_{name}{{process=\"{process}\",stream=\"stdout\"{more}}} ");
            let line = exposition.lines().find_map(|l| l.strip_prefix(&series));
            line.unwrap_or_else(|| panic!("no {series}")).parse().expect("a number")
        };
        let read = value("lines_total", "");
        let sink = |sink: &str| {
            let value = |name: &str| value(name, &format!(",sink=\"{sink}\""));
            let account = SinkAccount {
                written: value("written_lines_total"),
                dropped: value("dropped_lines_total"),
                truncated: value("truncated_lines_total"),
                queued: value("queued_lines"),
            };
            let sum = account.written + account.dropped + account.truncated + account.queued;
            assert_eq!(read, sum, "{process}: read, and what {sink} made of it: {account:?}");
            account
        };
        Self { bytes: value("bytes_total", ""), file: sink("file"), journald: sink("journald") }
    }
}

/// What stands in all files of one process.
#[derive(Default)]
struct Found {
    lines: u64,
    /// For each run the stretches of numbers that stand one after the other in one file.
    stretches: BTreeMap<u64, Vec<(u64, u64)>>,
    /// Lines that were cut by a kill.
    torn: Vec<String>,
}

impl Found {
    /// One run's lines are there from the first to the last one that the kernel took, each exactly once.
    fn check(&self, name: &str, run: u64, taken: u64, complete: bool) {
        let mut stretches = self.stretches.get(&run).cloned().unwrap_or_default();
        stretches.sort_unstable();
        let mut next = 1;
        for (first, last) in &stretches {
            assert_eq!(*first, next, "run {run} of {name}: lines are missing or there twice: {stretches:?}");
            next = last + 1;
        }
        let there = next - 1;
        let least = taken / LINE;
        assert!(there >= least, "run {run} of {name}: {there} lines, but the kernel took {least}");
        if complete {
            assert_eq!(there, LINES, "run {run} of {name}");
        } else {
            let most = (taken + WRITE).div_ceil(LINE);
            assert!(there <= most, "run {run} of {name}: {there} lines, but it can have printed {most} only");
        }
    }
}

/// The files of a process, whoever gave them their names. What begins with a dot is no log.
fn files(dir: &Path, name: &str) -> Vec<fs::File> {
    let entries = fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry"));
    let ours =
        entries.filter(|e| e.file_name().to_str().is_some_and(|f| f.starts_with(&format!("{name}.log"))));
    ours.filter_map(|e| fs::File::open(e.path()).ok()).collect()
}

fn count_lines(dir: &Path, name: &str) -> u64 {
    let lines = files(dir, name).into_iter().map(|file| BufReader::new(file).split(b'\n').count());
    lines.map(|count| u64::try_from(count).expect("small")).sum()
}

fn read_files(dir: &Path, name: &str) -> Found {
    let mut found = Found::default();
    for file in files(dir, name) {
        for text in BufReader::new(file).lines() {
            let text = text.expect("a text");
            found.lines += 1;
            match parse(&text) {
                Some((of, run, number)) => {
                    assert!(
                        of == name && text == line(name, run, number),
                        "{name}: no line of its own: {text:?}"
                    );
                    let stretches = found.stretches.entry(run).or_default();
                    match stretches.last_mut() {
                        Some((_, last)) if *last + 1 == number => *last = number,
                        _ => stretches.push((number, number)),
                    }
                }
                None => found.torn.push(text),
            }
        }
    }
    // The first line that is not whole may be there in part, once.
    for torn in &found.torn {
        let next = |run: &u64, stretches: &Vec<(u64, u64)>| {
            let last = stretches.iter().map(|(_, last)| *last).max().unwrap_or_default();
            line(name, *run, last + 1)
        };
        let fits =
            found.stretches.iter().any(|(run, stretches)| next(run, stretches).starts_with(torn.as_str()));
        let fits = fits || (1..=100).any(|run| line(name, run, 1).starts_with(torn.as_str()));
        assert!(fits, "{name}: {torn:?} is the beginning of no line");
    }
    found
}

/// What came to the journal.
#[derive(Default)]
struct Journaled {
    /// Of each process.
    lines: BTreeMap<String, u64>,
    /// The number of the last line of each run.
    last: BTreeMap<Run, u64>,
    /// How many were dropped of each process, as the markers say.
    told: BTreeMap<String, u64>,
}

impl Journaled {
    fn take(&mut self, entry: &Entry<'_>) {
        if field(entry, "EVENT").is_some() {
            return;
        }
        let message = field(entry, "MESSAGE").expect("a message");
        let Some(process) = field(entry, "PROCESS_NAME") else {
            // Events that were dropped.
            return;
        };
        if field(entry, "PROCESS_STREAM").is_none() {
            let dropped: u64 =
                message.split(' ').next().and_then(|n| n.parse().ok()).expect("N lines dropped");
            *self.told.entry(process.to_owned()).or_default() += dropped;
            return;
        }
        *self.lines.entry(process.to_owned()).or_default() += 1;
        if let Some((name, run, number)) = parse(message) {
            assert_eq!((name, field(entry, "PROCESS_RUN")), (process, Some(run.to_string().as_str())));
            let last = self.last.entry((process.to_owned(), run)).or_default();
            assert!(*last < number, "{message:?} came after line {last}");
            *last = number;
        }
    }
}

/// xorshift64: the same kills each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}
