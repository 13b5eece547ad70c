//! Processes that print numbered lines as fast as they are taken, and where these lines have to be found again.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, ensure};
use testkit::Account;
use testkit::printed::{self, Printed};

use crate::system_test::bed::Bed;

/// Bytes of a line without its newline.
const WIDTH: usize = 59;
/// Where the records are.
const RECORDS: &str = "/run/records";
/// The file that defines them.
const FILE: &str = "/etc/dd-procmgrd/processes.d/printers.yaml";

/// Some of them. When this is dropped they are not defined any more, and nothing that they left is there.
pub(super) struct Printers<'a> {
    bed: &'a Bed,
    pub(super) names: Vec<String>,
    lines: u64,
    logs: &'static str,
}

impl<'a> Printers<'a> {
    /// They print so many lines each once they are started, and go on living. `step` is one more step of the probe,
    /// before that, and `keys` are in YAML's flow style.
    pub(super) fn define(bed: &'a Bed, names: &[String], lines: u64, step: &str, keys: &str) -> Result<Self> {
        let mut text = String::from("processes:\n");
        for name in names {
            text += &format!(
                "  {name}: {{command: /src/target/release/probe, args: [width={WIDTH}, {step}, \
                 'account={lines}:{RECORDS}', sleep], auto_start: false, groups: [printers], {keys}}}\n"
            );
        }
        bed.sh(&format!("mkdir -p {RECORDS} /etc/dd-procmgrd/processes.d"))?;
        bed.write(FILE, &text)?;
        let printers = Self { bed, names: names.to_vec(), lines, logs: "/var/log/dd-procmgrd" };
        bed.sh("pm-cli reload-config")?;
        Ok(printers)
    }

    /// Their log files are in this directory.
    pub(super) fn logging_to(mut self, logs: &'static str) -> Self {
        self.logs = logs;
        self
    }

    pub(super) fn start(&self) -> Result<()> {
        self.bed.sh("pm-cli start @printers").map(drop)
    }

    pub(super) fn stop(&self) -> Result<()> {
        self.bed.sh("pm-cli stop @printers").map(drop)
    }

    fn record(&self, name: &str, run: u64) -> PathBuf {
        printed::record(&self.bed.path(RECORDS), name, run)
    }

    /// The pid of a run, once it prints.
    pub(super) fn pid(&self, name: &str, run: u64) -> Result<u32> {
        self.bed.wait(&format!("run {run} of {name}"), || Ok(printed::pid(&self.record(name, run))))
    }

    /// How many bytes of a run the kernel took, as far as the run could tell.
    pub(super) fn taken(&self, name: &str, run: u64) -> u64 {
        printed::taken(&self.record(name, run)).unwrap_or_default()
    }

    /// Whether a run has nothing more to print.
    pub(super) fn is_done(&self, name: &str, run: u64) -> bool {
        self.taken(name, run) == self.lines * (WIDTH as u64 + 1)
    }

    pub(super) fn until_done(&self, name: &str, run: u64) -> Result<()> {
        self.bed
            .wait(&format!("all lines of run {run} of {name}"), || Ok(self.is_done(name, run).then_some(())))
    }

    /// What the metrics say of it.
    pub(super) fn account(&self, name: &str) -> Result<Account> {
        Ok(Account::of(&exposition(self.bed)?, name))
    }

    /// Waits until everything that this many runs of each process have printed so far is where it belongs, and stored.
    pub(super) fn until_settled(&self, runs: &[u64]) -> Result<Vec<Account>> {
        let mut late = None;
        let settled = self.bed.wait("every line to be where it belongs", || {
            let exposition = exposition(self.bed)?;
            let all: Vec<Account> = self.names.iter().map(|name| Account::of(&exposition, name)).collect();
            late = None;
            for (account, runs) in all.iter().zip(runs) {
                if late.is_none() && !self.is_settled(account, *runs)? {
                    late = Some(account.clone());
                }
            }
            Ok(late.is_none().then_some(all))
        });
        let settled = settled.with_context(|| format!("the last account of one: {late:#?}"))?;
        self.bed.sh("journalctl --sync")?;
        Ok(settled)
    }

    fn is_settled(&self, account: &Account, runs: u64) -> Result<bool> {
        let taken: u64 = (1..=runs).map(|run| self.taken(&account.process, run)).sum();
        // A killed run's last line has no newline: it is booked when its pipe is found to be at its end.
        Ok(account.bytes >= taken
            && account.is_settled()
            && printed::count_lines(&self.bed.path(self.logs), &account.process)?
                == account.sink("file").written)
    }

    /// Every line of every run stands in the files exactly once. `killed` = its last run did not come to its end.
    pub(super) fn check_files(&self, account: &Account, runs: u64, killed: bool) -> Result<()> {
        let name = account.process.as_str();
        let printed = Printed::read(&self.bed.path(self.logs), name, WIDTH)?;
        for run in 1..=runs {
            let all = (run == runs && !killed).then_some(self.lines);
            printed.check(run, self.taken(name, run), all).map_err(|wrong| anyhow!(wrong))?;
        }
        printed.check_bytes(account.bytes, runs).map_err(|wrong| anyhow!(wrong))?;
        let file = account.sink("file");
        ensure!(file.written == printed.lines, "{} lines in the files of {name}, {file:?}", printed.lines);
        ensure!((file.dropped, file.truncated) == (0, 0), "{name}: {file:?}");
        Ok(())
    }

    /// Every line that counts as written is in the journal exactly once, and the markers tell of all others.
    pub(super) fn check_journal(&self, account: &Account) -> Result<()> {
        let (name, account) = (account.process.as_str(), account.sink("journald"));
        let lines = messages(self.bed, &format!("PROCESS_NAME={name} PROCESS_STREAM=stdout"))?;
        let mut last = (0, 0);
        let mut count = 0;
        for text in lines.lines() {
            count += 1;
            // Else it is a part of a line, which a kill has cut.
            if let Some((of, run, number)) = printed::parse(text, WIDTH) {
                ensure!(of == name && (run, number) > last, "{text:?} came after line {last:?} of {name}");
                last = (run, number);
            }
        }
        ensure!(count == account.written, "{count} lines of {name} in the journal; {account:?}");
        let markers =
            messages(self.bed, &format!("PROCESS_NAME={name} SYSLOG_IDENTIFIER={name} PRIORITY=4"))?;
        let told = |marker: &str| marker.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        let told: Option<u64> = markers.lines().map(told).sum();
        ensure!(told == Some(account.dropped), "{account:?} of {name}, and markers that say:\n{markers}");
        Ok(())
    }
}

impl Drop for Printers<'_> {
    fn drop(&mut self) {
        // What goes wrong here is seen by the next check that uses the same names.
        self.bed.try_sh(&format!("rm -f {FILE}; pm-cli reload-config; rm -rf {RECORDS}")).ok();
        for name in &self.names {
            self.bed.try_sh(&format!("rm -f {}/{name}.log*", self.logs)).ok();
        }
    }
}

/// `PREFIX-0`, `PREFIX-1`, ...
pub(super) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

pub(super) fn exposition(bed: &Bed) -> Result<String> {
    bed.sh("curl --silent --show-error --fail --max-time 10 http://127.0.0.1:9090/metrics")
}

fn messages(bed: &Bed, matches: &str) -> Result<String> {
    bed.sh(&format!("journalctl --no-pager --quiet --output=cat -u dd-procmgrd {matches}"))
}
