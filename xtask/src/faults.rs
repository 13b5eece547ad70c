//! `cargo xtask faults`: breaks things on purpose below a real daemon with real children, and checks afterwards that
//! nothing was lost, doubled or left behind. One file below `faults/` is one fault; docs/RELIABILITY.md has the figures.
//!
//! `--quick` is what CI runs: seconds for each. Without it, each runs at the size that the document speaks of. What needs
//! root, a tool or space that isn't there is reported as NOT RUN, never as held.

mod abandoned;
mod bed;
mod bombs;
mod chatty;
mod clients;
mod clock;
mod crashes;
mod descriptors;
mod dice;
mod disk;
mod documents;
mod frames;
mod journal;
mod journald;
mod killed;
mod memory;
mod mount;
mod output;
mod printed;
mod readonly;
mod reloads;
mod report;
mod secrets;
mod starve;
mod stopped;
mod stopping;
mod strangers;
mod threads;
mod typos;
mod vitals;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::programs::Build;
use report::{NotRun, Report};

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    build: Build,
    /// Only these; all of them otherwise
    names: Vec<String>,
    /// Name the faults and what each does, and end
    #[arg(long)]
    list: bool,
    /// Seconds instead of minutes for each
    #[arg(long)]
    quick: bool,
    /// Where the dice begin: the same number does the same things
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take the release build
    #[arg(long)]
    release: bool,
}

/// One thing that goes wrong.
struct Fault {
    name: &'static str,
    about: &'static str,
    run: fn(&Size) -> Result<Report>,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    quick: bool,
    seed: u64,
}

impl Size {
    /// One of the two.
    fn of<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

const FAULTS: [Fault; 23] = [
    Fault {
        name: "crashes",
        about: "children that crash at once are restarted 100,000 times",
        run: crashes::run,
    },
    Fault { name: "output", about: "10 GB of output through rotated files", run: output::run },
    Fault {
        name: "journald",
        about: "the journal doesn't read for a minute, and its socket goes and comes",
        run: journald::run,
    },
    Fault {
        name: "disk",
        about: "the disk of logs and state is full, and then is not (root)",
        run: disk::run,
    },
    Fault {
        name: "readonly",
        about: "logs and state become read-only, and then are not (root)",
        run: readonly::run,
    },
    Fault { name: "descriptors", about: "no descriptor is left: EMFILE", run: descriptors::run },
    Fault { name: "threads", about: "no process or thread can be made: EAGAIN (root)", run: threads::run },
    Fault { name: "memory", about: "no address space is left: ENOMEM", run: memory::run },
    Fault {
        name: "clock",
        about: "the wall clock jumps a year ahead, back, and back again",
        run: clock::run,
    },
    Fault {
        name: "stopped",
        about: "the daemon is stopped for 30 s while its children end",
        run: stopped::run,
    },
    Fault { name: "killed", about: "kill -9 of the daemon at 200 random moments", run: killed::run },
    Fault {
        name: "bombs",
        about: "processes that fork without end and leave their session",
        run: bombs::run,
    },
    Fault { name: "clients", about: "slow and hostile clients on every listener", run: clients::run },
    Fault { name: "frames", about: "a million malformed frames on the control socket", run: frames::run },
    Fault {
        name: "documents",
        about: "a million malformed definitions, in one process",
        run: documents::run,
    },
    Fault {
        name: "reloads",
        about: "50 reloads a second while children crash and the file is being written",
        run: reloads::run,
    },
    Fault {
        name: "stopping",
        about: "control calls while other processes refuse to stop",
        run: stopping::run,
    },
    Fault {
        name: "abandoned",
        about: "a service that fails beyond its start limit, until it can start again",
        run: abandoned::run,
    },
    Fault { name: "typos", about: "reloads with files that are empty, cut, gone, or wrong", run: typos::run },
    Fault {
        name: "strangers",
        about: "another local user commands a daemon of root's (root)",
        run: strangers::run,
    },
    Fault { name: "chatty", about: "one child at full speed beside quiet ones", run: chatty::run },
    Fault { name: "secrets", about: "secrets in everything that the daemon shows", run: secrets::run },
    Fault {
        name: "upgrade",
        about: "the daemon is replaced: logs, counters and definitions go on",
        run: abandoned::upgrade,
    },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        for fault in &FAULTS {
            say(&format!("{:<12} {}", fault.name, fault.about));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let known = |name: &String| FAULTS.iter().any(|fault| fault.name == name);
    if let Some(unknown) = args.names.iter().find(|name| !known(name)) {
        bail!("there is no fault {unknown:?}\n\nhint: cargo xtask faults --list");
    }
    if args.release && cfg!(debug_assertions) {
        return release(args);
    }
    args.build.run()?;
    let size = Size { quick: args.quick, seed: args.seed };
    let chosen =
        FAULTS.iter().filter(|f| args.names.is_empty() || args.names.iter().any(|name| name == f.name));
    let (mut broke, mut not_run) = (Vec::new(), Vec::new());
    for fault in chosen {
        let begin = Instant::now();
        let outcome = attempt(fault, &size);
        let took = begin.elapsed().as_secs_f64();
        match outcome {
            Ok(report) => say(&format!("ok       {:<12} {took:6.1} s  {report}", fault.name)),
            Err(error) => match error.downcast_ref::<NotRun>() {
                Some(why) => {
                    say(&format!("NOT RUN  {:<12} {took:6.1} s  {why}", fault.name));
                    not_run.push(fault.name);
                }
                None => {
                    say(&format!("BROKE    {:<12} {took:6.1} s  {error:#}", fault.name));
                    broke.push(fault.name);
                }
            },
        }
    }
    if !not_run.is_empty() {
        say(&format!("not run: {}", not_run.join(", ")));
    }
    if !broke.is_empty() {
        say(&format!("broke: {}", broke.join(", ")));
    }
    Ok(if broke.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The testkit panics where something isn't as it should be; the other faults are tried all the same.
fn attempt(fault: &Fault, size: &Size) -> Result<Report> {
    catch_unwind(AssertUnwindSafe(|| (fault.run)(size))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", text.unwrap_or("a panic without words")))
    })
}

/// The same with the programs of the other profile: they lie beside the xtask of that profile.
fn release(args: &Args) -> Result<ExitCode> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    cargo.args(["run", "--quiet", "--release", "--package=xtask", "--", "faults"]).args(&args.names);
    cargo.args(args.quick.then_some("--quick")).arg(format!("--seed={}", args.seed));
    let status = cargo.status().context("running cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}
