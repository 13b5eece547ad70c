//! The composition root: builds every part from its own configuration, joins them, and is the binary dd-procmgrd.
//!
//! [`main`] reads as the life of the daemon: arguments, settings, signals, `App::build`, `App::run`, exit status.

mod access;
mod adapters;
mod app;
mod args;
mod audit;
mod check;
mod clock;
mod control;
mod counts;
mod definitions;
mod directories;
mod ending;
mod identity;
mod inherited;
mod init;
mod keys;
mod leftovers;
mod listeners;
mod lock;
mod logging;
mod logs;
mod prober;
mod reload;
mod rest;
mod settings;
mod signals;
mod stats;
mod summary;
mod systemd;
mod watchdog;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use settings::Settings;
use signals::Signals;

/// Cannot start with these settings (`EX_USAGE` of sysexits.h).
const CANNOT_START: u8 = 64;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let journal = logging::stderr_is_journal();
    let started = Settings::from_process(&args).and_then(|settings| {
        if args.check {
            return Ok(check::run(&settings));
        }
        sys::memory::keep_small();
        // Before the first thread, and logging has one: threads inherit the mask.
        let signals = Signals::block(settings.init)?;
        logging::init(settings.journal.clone().filter(|socket| journal && socket.exists()), journal)?;
        end_on_panic();
        match sys::limits::raise_open_files() {
            Ok(limit) => tracing::debug!("up to {limit} open files"),
            Err(error) => tracing::warn!("the limit on open files stays as it is: {error}"),
        }
        app::App::build(settings, &signals, journal).map(|app| app.run(&signals))
    });
    logging::flush();
    started.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(CANNOT_START)
    })
}

/// A defect in the daemon itself (`EX_SOFTWARE` of sysexits.h).
const DEFECT: i32 = 70;

/// A panic on a thread that nothing can replace ends the daemon, so that the service manager starts a new one. The
/// other way, processes would run on unsupervised behind an API that still answers.
fn end_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        logging::flush();
        print(panic);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if matches!(name, "main" | "supervisor" | "logpipe") {
            #[expect(clippy::exit, reason = "there is nothing left that could return")]
            std::process::exit(DEFECT);
        }
    }));
}

#[expect(clippy::print_stderr, reason = "the daemon can't start, and its log may not be there yet")]
fn complain(error: &anyhow::Error) {
    eprintln!("dd-procmgrd: {error:#}");
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread::Builder;

    use super::*;

    /// Ends the program that it runs in, so it runs once more, in one of its own.
    #[test]
    fn a_panic_of_what_nothing_can_replace_ends_the_daemon() {
        const THREAD: &str = "TEST_PANICS_ON_THREAD";
        if let Ok(name) = std::env::var(THREAD) {
            end_on_panic();
            let panics = Builder::new().name(name).spawn(|| panic!("a defect")).unwrap();
            assert!(panics.join().is_err());
            return;
        }
        for (name, code) in [("supervisor", DEFECT), ("logpipe", DEFECT), ("spawn-1", 0)] {
            let mut program = Command::new(std::env::current_exe().unwrap());
            program.args(["--exact", "tests::a_panic_of_what_nothing_can_replace_ends_the_daemon"]);
            let done = program.env(THREAD, name).output().unwrap();
            assert_eq!(done.status.code(), Some(code), "{name}: {done:?}");
        }
    }
}
