//! Two runs of one process, one after the other, with the pipeline's thread turned by hand: so that the later pipe
//! would be read first if nothing held it back.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use model::{InvocationId, RunNumber};
use tempfile::TempDir;

use super::*;
use crate::ChildEnds;
use crate::testing::{output, say, web};

/// Turns that are enough for a stream to do all that it can do without anybody's help.
const TURNS: usize = 200;

struct Bench {
    dir: TempDir,
    hub: Hub,
}

impl Bench {
    /// Runs a test on a thread like the pipeline's. Only what a test waits for happens meanwhile.
    fn run(drain: Duration, test: impl AsyncFnOnce(&mut Self)) {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let config = Config { dir: logs, journald: None, console: None, drain_deadline: drain };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async move {
            let hub = Hub::new(&config, &Arc::default(), None);
            test(&mut Self { dir, hub }).await;
        });
    }

    /// Opens what a run starts with; its output is not read yet.
    fn open(&self, run: u64, output: &OutputSpec) -> (Source, [File; 2]) {
        let ends = ChildEnds::open(&self.hub.dir, &web().name, output).unwrap();
        let source = Source {
            process: web(),
            run: RunId(run),
            number: RunNumber(run),
            invocation: InvocationId(1),
            pid: 1,
            output: output.clone(),
            captured: ends.captured,
        };
        (source, [ends.stdout.into(), ends.stderr.into()])
    }

    /// A run that prints something and is idle then, so that its streams wait for their descriptors.
    async fn idle(&mut self, run: u64, output: &OutputSpec) -> [File; 2] {
        let (source, ends) = self.open(run, output);
        self.hub.attach(source);
        say(&ends[0], format!("run {run} begins\n"));
        let line = format!("run {run} begins");
        while !self.lines().contains(&line) {
            tokio::task::yield_now().await;
        }
        self.turn().await;
        ends
    }

    async fn turn(&self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }

    async fn until(&self, line: &str) {
        while !self.lines().iter().any(|l| l == line) {
            tokio::task::yield_now().await;
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("logs/web.log")
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }
}

const LONG: Duration = Duration::from_secs(3600);

/// The old run's last words, without a newline: only the end of its pipe, a read later, makes a line of them.
#[test]
fn the_last_words_of_a_run_stand_before_the_first_of_the_next() {
    for stream in 0..2 {
        for pty in [false, true] {
            Bench::run(LONG, async |bench| {
                let output = OutputSpec { pty, ..output() };
                let old = bench.idle(1, &output).await;
                say(&old[stream], "dying words\nand the very last");
                drop(old);
                bench.hub.finished(RunId(1));
                let (source, new) = bench.open(2, &output);
                say(&new[0], "run 2\n");
                bench.hub.attach(source);
                bench.until("run 2").await;
                assert_eq!(bench.lines(), ["run 1 begins", "dying words", "and the very last", "run 2"]);
            });
        }
    }
}

#[test]
fn runs_that_crash_one_after_the_other_stand_in_their_order() {
    Bench::run(LONG, async |bench| {
        let mut expected = Vec::new();
        // All of them at once, so that each has to wait for all before it.
        let old = bench.idle(1, &output()).await;
        expected.push("run 1 begins".to_owned());
        for run in 2..500 {
            let (source, new) = bench.open(run, &output());
            bench.hub.finished(RunId(run - 1));
            if run == 2 {
                say(&old[0], "run 1 ends");
                expected.push("run 1 ends".to_owned());
            }
            say(&new[1], format!("run {run} begins\n"));
            say(&new[0], format!("run {run} ends"));
            bench.hub.attach(source);
        }
        drop(old);
        bench.until("run 499 ends").await;
        let lines = bench.lines();
        let runs: Vec<u64> = lines.iter().map(|l| l.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(runs.is_sorted(), "{runs:?}");
        assert_eq!(runs.len(), 998);
    });
}

#[test]
fn somebody_who_holds_the_old_pipe_holds_up_nobody() {
    for pty in [false, true] {
        Bench::run(LONG, async |bench| {
            let output = OutputSpec { pty, ..output() };
            let old = bench.idle(1, &output).await;
            say(&old[0], "dying words\n");
            bench.hub.finished(RunId(1));
            let (source, new) = bench.open(2, &output);
            say(&new[0], "run 2\n");
            bench.hub.attach(source);
            bench.until("run 2").await;
            say(&old[0], "a grandchild\n");
            bench.until("a grandchild").await;
            assert_eq!(bench.lines(), ["run 1 begins", "dying words", "run 2", "a grandchild"]);
        });
    }
}

#[test]
fn somebody_who_fills_the_old_pipe_without_a_pause_holds_up_nobody() {
    Bench::run(LONG, async |bench| {
        let old = bench.idle(1, &output()).await;
        say(&old[0], "dying words\n");
        bench.hub.finished(RunId(1));
        let (source, new) = bench.open(2, &output());
        say(&new[0], "run 2\n");
        bench.hub.attach(source);
        // Never more than it has room for, and something in it whenever it is looked at.
        let flood = format!("{}\n", "x".repeat(999)).repeat(60);
        let mut written = 0;
        while !bench.lines().contains(&"run 2".to_owned()) {
            say(&old[0], &flood);
            written += flood.len();
            assert!(written < 3 << 20, "the new run is not read");
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.lines()[1], "dying words");
    });
}

#[test]
fn a_line_that_somebody_may_still_complete_comes_at_its_deadline() {
    Bench::run(Duration::from_millis(1), async |bench| {
        let old = bench.idle(1, &output()).await;
        say(&old[0], "without an end");
        bench.hub.finished(RunId(1));
        let (source, new) = bench.open(2, &output());
        say(&new[0], "run 2\n");
        bench.hub.attach(source);
        bench.until("run 2").await;
        bench.until("without an end").await;
        drop((old, new));
        while !bench.hub.streams.is_empty() {
            let run = bench.hub.streams.join_next().await.unwrap().unwrap();
            bench.hub.ended(run);
        }
        assert!(bench.hub.runs.is_empty());
    });
}

#[test]
fn what_runs_beside_it_is_read_while_it_lives() {
    Bench::run(LONG, async |bench| {
        let main = bench.idle(1, &output()).await;
        for helper in 2..5 {
            let (source, ends) = bench.open(helper, &output());
            say(&ends[1], format!("check {helper}"));
            drop(ends);
            bench.hub.attach(source);
            bench.hub.finished(RunId(helper));
            bench.until(&format!("check {helper}")).await;
        }
        say(&main[0], "main\n");
        bench.until("main").await;
        assert_eq!(bench.lines(), ["run 1 begins", "check 2", "check 3", "check 4", "main"]);
    });
}
