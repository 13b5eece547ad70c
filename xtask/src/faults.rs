//! `cargo xtask faults`: breaks things on purpose below a real daemon with real children, and checks afterwards that
//! nothing was lost, doubled or left behind. One file below `faults/` is one fault; docs/RELIABILITY.md has the figures.
//!
//! `--ci` is what CI runs: seconds for each of most. Without it, each runs at the size that the document speaks of. What needs
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
    /// Quickly, and only those that each change is tried by; what can't be tried here is a failure
    #[arg(long, conflicts_with = "names")]
    ci: bool,
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
    ci: Ci,
    run: fn(&Size) -> Result<Report>,
}

/// Whether a fault is among the minutes that each change is tried by, and why not.
#[derive(Clone, Copy, Debug)]
enum Ci {
    Runs,
    Not(&'static str),
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

/// Where a build lies in somebody's home directory, nobody else can execute it.
const FOREIGN: &str = "other users have to be able to execute the build";

const FAULTS: [Fault; 23] = [
    Fault {
        name: "crashes",
        about: "children that crash at once are restarted 100,000 times",
        ci: Ci::Runs,
        run: crashes::run,
    },
    Fault { name: "output", about: "10 GB of output through rotated files", ci: Ci::Runs, run: output::run },
    Fault {
        name: "journald",
        about: "the journal doesn't read for a minute, and its socket goes and comes",
        ci: Ci::Runs,
        run: journald::run,
    },
    Fault {
        name: "disk",
        about: "the disk of logs and state is full, and then is not (root)",
        ci: Ci::Runs,
        run: disk::run,
    },
    Fault {
        name: "readonly",
        about: "logs and state become read-only, and then are not (root)",
        ci: Ci::Runs,
        run: readonly::run,
    },
    Fault {
        name: "descriptors",
        about: "no descriptor is left: EMFILE",
        ci: Ci::Runs,
        run: descriptors::run,
    },
    Fault {
        name: "threads",
        about: "no process or thread can be made: EAGAIN (root)",
        ci: Ci::Not(FOREIGN),
        run: threads::run,
    },
    Fault { name: "memory", about: "no address space is left: ENOMEM", ci: Ci::Runs, run: memory::run },
    Fault {
        name: "clock",
        about: "the wall clock jumps a year ahead, back, and back again",
        ci: Ci::Runs,
        run: clock::run,
    },
    Fault {
        name: "stopped",
        about: "the daemon is stopped for 30 s while its children end",
        ci: Ci::Runs,
        run: stopped::run,
    },
    Fault {
        name: "killed",
        about: "kill -9 of the daemon at 200 random moments",
        ci: Ci::Runs,
        run: killed::run,
    },
    Fault {
        name: "bombs",
        about: "processes that fork without end and leave their session",
        ci: Ci::Runs,
        run: bombs::run,
    },
    Fault {
        name: "clients",
        about: "slow and hostile clients on every listener",
        ci: Ci::Runs,
        run: clients::run,
    },
    Fault {
        name: "frames",
        about: "a million malformed frames on the control socket",
        ci: Ci::Runs,
        run: frames::run,
    },
    Fault {
        name: "documents",
        about: "a million malformed definitions, in one process",
        ci: Ci::Runs,
        run: documents::run,
    },
    Fault {
        name: "reloads",
        about: "50 reloads a second while children crash and the file is being written",
        ci: Ci::Runs,
        run: reloads::run,
    },
    Fault {
        name: "stopping",
        about: "control calls while other processes refuse to stop",
        ci: Ci::Runs,
        run: stopping::run,
    },
    Fault {
        name: "abandoned",
        about: "a service that fails beyond its start limit, until it can start again",
        ci: Ci::Not("it waits for cool-downs, a minute of doing nothing"),
        run: abandoned::run,
    },
    Fault {
        name: "typos",
        about: "reloads with files that are empty, cut, gone, or wrong",
        ci: Ci::Runs,
        run: typos::run,
    },
    Fault {
        name: "strangers",
        about: "another local user commands a daemon of root's (root)",
        ci: Ci::Not(FOREIGN),
        run: strangers::run,
    },
    Fault {
        name: "chatty",
        about: "one child at full speed beside quiet ones",
        ci: Ci::Runs,
        run: chatty::run,
    },
    Fault {
        name: "secrets",
        about: "secrets in everything that the daemon shows",
        ci: Ci::Runs,
        run: secrets::run,
    },
    Fault {
        name: "upgrade",
        about: "the daemon is replaced: logs, counters and definitions go on",
        ci: Ci::Runs,
        run: abandoned::upgrade,
    },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        for fault in &FAULTS {
            let left_out = match fault.ci {
                Ci::Runs => String::new(),
                Ci::Not(why) => format!(" (not in CI: {why})"),
            };
            say(&format!("{:<12} {}{left_out}", fault.name, fault.about));
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
    let size = Size { quick: args.quick || args.ci, seed: args.seed };
    let chosen = FAULTS
        .iter()
        .filter(|f| args.names.is_empty() || args.names.iter().any(|name| name == f.name))
        .filter(|f| !args.ci || matches!(f.ci, Ci::Runs));
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
    let good = broke.is_empty() && (not_run.is_empty() || !args.ci);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    cargo
        .args(args.quick.then_some("--quick"))
        .args(args.ci.then_some("--ci"))
        .arg(format!("--seed={}", args.seed));
    let status = cargo.status().context("running cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_fault_and_why_ci_leaves_it_out() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/RELIABILITY.md");
        let text = std::fs::read_to_string(path).unwrap();
        for Fault { name, ci, .. } in &FAULTS {
            assert!(text.contains(&format!("\n| `{name}`")), "docs/RELIABILITY.md has no figure of {name}");
            if let Ci::Not(why) = ci {
                let row =
                    text.lines().any(|line| line.starts_with(&format!("| `{name}` |")) && line.contains(why));
                assert!(row, "docs/RELIABILITY.md doesn't say of {name}: {why}");
            }
        }
    }
}
