//! `pm-cli`: reads its arguments, finds the daemon, does one verb, shows the outcome.
//!
//! What the program gets from its surroundings is gathered in [`Context`], and it writes only to the two streams it is
//! given, so that a test sees all of it. Data goes to stdout, everything else to stderr.

mod args;
mod context;
mod diagnosis;
mod doctor;
mod find;
mod fleet;
mod import;
mod progress;
mod render;
mod report;
mod saved;
mod select;
mod units;
mod verb;
mod when;

use std::io::{self, Write};
use std::process::ExitCode;

pub use context::Context;

use args::Verb;
use report::{Failure, Session, Stop};

/// Done.
pub const DONE: u8 = 0;
/// Refused or failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// `is-active`: none of them is up; the code that systemctl uses for it.
pub const NOT_ACTIVE: u8 = 3;
/// No process of that name, or no group.
pub const NO_SUCH_PROCESS: u8 = 4;
/// No daemon answers.
pub const UNREACHABLE: u8 = 5;

/// The program on the real surroundings.
#[must_use]
pub fn main() -> ExitCode {
    let context = Context::from_process();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = io::stderr().lock();
    ExitCode::from(run(&context, &mut out, &mut err))
}

/// The program: does what the arguments say and returns its exit code.
pub fn run(context: &Context, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let parsed = match args::parse(&context.args) {
        Ok(parsed) => parsed,
        Err(stop) => {
            // Help and version are what was asked for, and therefore data.
            let text = stop.render();
            let text = if context.color { text.ansi().to_string() } else { text.to_string() };
            let code = u8::try_from(stop.exit_code()).unwrap_or(USAGE);
            let mut written = if stop.use_stderr() {
                err.write_all(text.as_bytes())
            } else {
                out.write_all(text.as_bytes())
            };
            written = written.and_then(|()| out.flush());
            return match written {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => FAILED,
                Ok(()) | Err(_) => code,
            };
        }
    };
    if let Some(code) = fleet::run(context, &parsed, out, err) {
        return code;
    }
    let mut session = Session::new(context, parsed.global, out, err);
    execute(&mut session, parsed.verb)
}

/// Does one verb and returns the exit code.
fn execute(session: &mut Session<'_>, verb: Verb) -> u8 {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(FAILED, format!("can't start: {e}")).into())
        .and_then(|runtime| {
            let result = runtime.block_on(async {
                let result = verb::run(session, verb).await;
                // Here, since a word about the versions needs the connection.
                if let Err(Stop::Failure(failure)) = &result {
                    session.fail(failure);
                }
                session.tell_of_skew().await;
                result
            });
            // Not dropped: that would wait for a question on the terminal that nobody answers any more.
            runtime.shutdown_background();
            match result {
                // It was told above.
                Err(Stop::Failure(_)) if session.code != DONE => Ok(()),
                result => result,
            }
        })
        .and_then(|()| session.flush());
    match result {
        Ok(()) => session.code,
        // The reader of a pipe has seen enough (`pm-cli list | head -1`): that is no failure.
        Err(Stop::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(Stop::Io(e)) => session.fail(&Failure::new(FAILED, format!("can't write the output: {e}"))),
        Err(Stop::Failure(failure)) => session.fail(&failure),
    }
}

/// What `doctor` looks at, as tables of Markdown.
#[must_use]
pub fn checklist() -> String {
    doctor::markdown()
}

/// The whole command line, for the manual and the completions.
#[must_use]
pub fn command() -> clap::Command {
    args::command()
}
