//! The promise of the log pipeline as a whole, under everything at once: fifty processes at full speed, files that
//! rotate and are renamed by somebody else, a journal that stalls, leaves and comes back, and kill -9 at random.
//!
//! The probe's lines say which run printed them, and its records how much of them the kernel took. Whatever it took is
//! in the files exactly once; a journal entry is there once or counted as dropped.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testkit::printed::{self, Printed};
use testkit::{Account, TempDaemon, eventually, eventually_within, patience};

use crate::fake_journal::{Entry, FakeJournal, field};
use crate::support::{address, get, probe, until_state};

const PROCESSES: usize = 50;
/// Of each run that is not killed before.
const LINES: u64 = 10_000;
/// Bytes of a line without its newline.
const WIDTH: usize = 59;
/// Between two changes of the journal's mind.
const KILLS: usize = 50;

#[test]
fn every_line_that_was_printed_comes_out_exactly_once() {
    let journal = FakeJournal::start(Journaled::default(), Journaled::take);
    let mut stage = Stage::new(&journal);
    stage.trouble();
    journal.stall();
    stage.trouble();
    stage.until("lines have to be dropped", |metrics| {
        Account::all(metrics).iter().any(|account| account.sink("journald").dropped > 0)
    });
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
    let (daemon, runs) = (&stage.daemon, stage.runs);
    for (process, last) in runs.iter().enumerate() {
        let name = name(process);
        let account = &accounts[process];
        let printed = Printed::read(&daemon.logs(), &name, WIDTH).unwrap_or_else(|e| panic!("{e}"));
        for run in 1..=*last {
            let result = printed.check(run, stage.taken(process, run), (run == *last).then_some(LINES));
            assert_eq!(result, Ok(()));
        }
        assert_eq!(printed.check_bytes(account.bytes, last - 1), Ok(()));
        let file = account.sink("file");
        assert_eq!(printed.lines, file.written, "{name}: the files and the account");
        assert_eq!((file.dropped, file.truncated), (0, 0), "{name}");
    }
    // Its end sends the markers that are still on their way.
    assert!(stage.daemon.stop().success(), "an end in order");
    let journaled = journal.end();
    for (process, account) in accounts.iter().enumerate() {
        let name = name(process);
        let arrived = journaled.lines.get(&name).copied().unwrap_or_default();
        assert_eq!(arrived, account.sink("journald").written, "{name}: the journal and the account");
        let told = journaled.told.get(&name).copied().unwrap_or_default();
        assert_eq!(told, account.sink("journald").dropped, "{name}: what the markers say and the account");
    }
}

fn name(process: usize) -> String {
    format!("p{process}")
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
        let mut config = String::from(
            "defaults:\n  groups: [all]\n  restart: always\n  restart_sec: 0\n  start_limit_burst: 0\n  \
             log: {max_size: 300KiB, max_files: 10000}\nprocesses:\n",
        );
        for process in 0..PROCESSES {
            let name = name(process);
            config += &format!(
                "  {name}: {{command: {probe}, args: [width={WIDTH}, 'account={LINES}:{dir}', sleep]}}\n"
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
        let all = LINES * u64::try_from(WIDTH + 1).expect("small");
        for (process, run) in self.runs.iter().enumerate() {
            eventually(&format!("all lines of {}", name(process)), || {
                (self.taken(process, *run) == all).then_some(())
            });
        }
    }

    /// The pid of a process's run, as soon as it has begun.
    #[track_caller]
    fn pid(&self, process: usize) -> Pid {
        let run = self.runs[process];
        let record = printed::record(self.records.path(), &name(process), run);
        let pid = eventually(&format!("run {run} of {}", name(process)), || printed::pid(&record));
        Pid::from_raw(pid.cast_signed())
    }

    /// How many bytes of a run the kernel took, as far as the run could tell.
    fn taken(&self, process: usize, run: u64) -> u64 {
        printed::taken(&printed::record(self.records.path(), &name(process), run)).unwrap_or_default()
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
        let mut late = None;
        let settled = eventually_within(3 * patience(), || {
            let exposition = get(&self.metrics, "/metrics");
            let all: Vec<Account> = (0..PROCESSES).map(|p| Account::of(&exposition, &name(p))).collect();
            let mut accounts = all.iter().enumerate();
            let found = accounts.find(|(process, account)| !self.is_settled(*process, account));
            late = found.map(|(_, account)| account.clone());
            late.is_none().then_some(all)
        });
        settled.unwrap_or_else(|| panic!("something is still on its way: {late:#?}"))
    }

    fn is_settled(&self, process: usize, account: &Account) -> bool {
        let taken: u64 = (1..=self.runs[process]).map(|run| self.taken(process, run)).sum();
        // A killed run's last line has no newline and is booked when its pipe is found to be at its end, which nobody
        // knows but the files.
        account.bytes >= taken
            && account.is_settled()
            && printed::count_lines(&self.daemon.logs(), &name(process)).expect("files that can be read")
                == account.sink("file").written
    }
}

/// What came to the journal.
#[derive(Default)]
struct Journaled {
    /// Of each process.
    lines: BTreeMap<String, u64>,
    /// The number of the last line of each run.
    last: BTreeMap<(String, u64), u64>,
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
        if let Some((name, run, number)) = printed::parse(message, WIDTH) {
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
