//! Pipe to file, 100-byte lines, one child: the pipeline beside `cat >file`, in turns, in one run.
//!
//! `throughput [MEGABYTES [ROUNDS [MAX_SIZE_MB]]]`; files go to a temporary directory below the current one.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use logpipe::{Config, Source};
use model::{
    InvocationId, LogSpec, Output, OutputSpec, ProcessId, ProcessName, ProcessRef, RunId, RunNumber, Sink,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    if args.get(1).is_some_and(|a| a == "write") {
        return Ok(write_lines(number(2, 0)?)?);
    }
    let (megabytes, rounds, max_mb) = (number(1, 2000)?, number(2, 3)?, number(3, 0)?);
    let dir = tempfile::tempdir_in(".")?;
    for round in 1..=rounds {
        let cat = cat(dir.path(), megabytes)?;
        let ours = pipeline(dir.path(), megabytes, max_mb)?;
        println!("round {round}: cat {cat:.0} MB/s, logpipe {ours:.0} MB/s, {:.2} x", ours / cat);
    }
    Ok(())
}

/// The child: whole lines of 100 bytes, 64 KiB at a time, as a busy program with a buffered stdout writes them.
fn write_lines(megabytes: u64) -> io::Result<()> {
    let line = format!("{}\n", "x".repeat(99));
    let buffer = line.repeat(656);
    let mut out = io::stdout().lock();
    let mut left = megabytes * 1_000_000 / 100;
    while left > 0 {
        let lines = left.min(656);
        out.write_all(&buffer.as_bytes()[..usize::try_from(lines).unwrap_or(0) * 100])?;
        left -= lines;
    }
    out.flush()
}

fn writer(megabytes: u64, out: OwnedFd) -> io::Result<std::process::Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["write", &megabytes.to_string()]).stdout(Stdio::from(out)).spawn()
}

fn rate(megabytes: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number to look at")]
    let megabytes = megabytes as f64;
    megabytes / took.as_secs_f64()
}

fn cat(dir: &std::path::Path, megabytes: u64) -> io::Result<f64> {
    let path = dir.join("cat.log");
    let file = File::create(&path)?;
    let (read, write) = io::pipe()?;
    let begin = Instant::now();
    let mut cat = Command::new("cat").stdin(Stdio::from(OwnedFd::from(read))).stdout(file).spawn()?;
    writer(megabytes, write.into())?.wait()?;
    cat.wait()?;
    let took = begin.elapsed();
    std::fs::remove_file(path)?;
    Ok(rate(megabytes, took))
}

fn pipeline(dir: &std::path::Path, megabytes: u64, max_mb: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let dir = dir.join("logs");
    let config =
        Config { dir: dir.clone(), journald: None, console: None, drain_deadline: Duration::from_secs(5) };
    let pipe = logpipe::start(config)?;
    let process = ProcessRef { name: ProcessName::new("bench")?, id: ProcessId::from_digest([0; 6]) };
    let log = LogSpec {
        journald: false,
        file: true,
        max_size: max_mb * 1_000_000,
        max_files: 5,
        max_line: 256 << 10,
        ..LogSpec::default()
    };
    let output = OutputSpec { stdout: Output::Capture, stderr: Output::Null, pty: false, log };
    let ends = pipe.open(&process.name, &output)?;
    let begin = Instant::now();
    let mut child = writer(megabytes, ends.stdout)?;
    pipe.attach(Source {
        process,
        run: RunId(1),
        number: RunNumber(1),
        invocation: InvocationId(1),
        pid: child.id(),
        output,
        captured: ends.captured,
    });
    child.wait()?;
    let books = pipe.clone();
    pipe.shutdown(Duration::from_secs(60));
    let took = begin.elapsed();
    let stats = books.stats();
    let file = stats[0].sink(Sink::File).ok_or("nothing was written")?;
    assert_eq!(file.written, megabytes * 10_000, "every line is in the file");
    std::fs::remove_dir_all(dir)?;
    Ok(rate(megabytes, took))
}
