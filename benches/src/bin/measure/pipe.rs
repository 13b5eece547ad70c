//! From a child's pipe to its log file: lines of 100 bytes, rotation on, every line counted afterwards.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{TempDaemon, binary, eventually_within};

use crate::table::Table;

/// 1 GB in lines of 100 bytes, the newline included.
const LINES: u64 = 10_000_000;
const BYTES: f64 = 1e9;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let probe = binary("probe")?.display().to_string();
    let bare = cat(&probe)?;
    let daemon = TempDaemon::start(&format!(
        "processes:\n  p0:\n    command: {probe} width=99 same={LINES}\n    auto_start: false\n    restart: never\n    \
         log: {{journald: false, max_size: 128MiB, max_files: 20}}\n"
    ));
    let begin = Instant::now();
    daemon.pm(&["start", "p0"]).success();
    // The end is seen at the log itself; pm-cli is asked only every 50 ms at most, in a process of its own.
    let done = eventually_within(Duration::from_secs(120), || {
        let listed = daemon.pm(&["list", "--output", "json"]).json();
        (listed["processes"][0]["state"] == "exited").then(Instant::now)
    });
    let time = done.context("the child did not end within two minutes")?.duration_since(begin);
    let lines = count_lines(&daemon.logs())?;
    ensure!(lines == LINES, "{lines} of {LINES} lines are in the files");
    table.rates("pipe to file, lines of 100 bytes, all counted", BYTES / time.as_secs_f64(), BYTES / bare);
    Ok(())
}

/// Seconds of `probe | cat >file`.
fn cat(probe: &str) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let file = File::create(dir.path().join("lines"))?;
    let mut source = Command::new(probe);
    source.args(["width=99", &format!("same={LINES}")]).stdout(Stdio::piped());
    let begin = Instant::now();
    let mut source = source.spawn()?;
    let pipe = source.stdout.take().context("it was piped")?;
    let status = Command::new("cat").stdin(pipe).stdout(file).status()?;
    let seconds = begin.elapsed().as_secs_f64();
    source.wait()?;
    ensure!(status.success(), "cat: {status}");
    Ok(seconds)
}

/// Newlines in all log files of a directory: their indexes, which begin with a dot, may hold such bytes too.
fn count_lines(dir: &Path) -> Result<u64> {
    let mut lines = 0;
    let mut buffer = vec![0; 1 << 20];
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let mut file = File::open(entry.path())?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            lines += buffer[..count].iter().map(|b| u64::from(*b == b'\n')).sum::<u64>();
        }
    }
    Ok(lines)
}
