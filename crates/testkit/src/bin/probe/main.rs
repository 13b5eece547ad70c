//! `probe STEP...`: a child process that does what a test asks for, step by step, and exits with code 0 after the last
//! one. `probe help` lists the steps; each is a word or `word=value`.
//!
//! Example: `probe ignore=TERM to=stderr print=3 partial=end sleep`

mod output;
mod processes;
mod report;
mod signals;
mod step;

use std::process::ExitCode;

use output::Output;
use step::Step;

/// Exit code for a step that does not exist.
const USAGE: u8 = 64;
/// Exit code for a step that failed, for instance because its output was closed.
const BROKEN: u8 = 65;

fn main() -> ExitCode {
    let mut output = Output::new();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let steps: Vec<Step> = match words.iter().map(|w| w.parse()).collect() {
        Ok(steps) => steps,
        Err(error) => {
            output.complain(&format!("{error}\n{}", step::HELP));
            return ExitCode::from(USAGE);
        }
    };
    // Before anything else: a signal that a later step is about must not end the program in an earlier one.
    signals::prepare(&steps);
    for (step, word) in steps.iter().zip(&words) {
        match run(step, &mut output) {
            Ok(None) => {}
            Ok(Some(code)) => return ExitCode::from(code),
            Err(error) => {
                output.complain(&format!("probe: {word}: {error}"));
                return ExitCode::from(BROKEN);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Does one step. `Some(code)` ends the program.
fn run(step: &Step, output: &mut Output) -> std::io::Result<Option<u8>> {
    match step {
        Step::To(stream) => output.switch(*stream),
        Step::Width(bytes) => output.width = *bytes,
        Step::Every(pause) => output.pause = *pause,
        Step::Print(lines) => output.numbered(*lines)?,
        Step::Same(lines) => output.same(*lines)?,
        Step::Text(text) => output.raw(format!("{text}\n").as_bytes())?,
        Step::Partial(text) => output.raw(text.as_bytes())?,
        Step::Long(bytes) => output.long(*bytes)?,
        Step::Garbage(bytes) => output.garbage(*bytes)?,
        Step::Nul => output.raw(b"before\0after\n")?,
        Step::Utf8 => output.raw(b"caf\xe9 \xff\xfe\n")?,
        Step::Close => output.close()?,
        Step::Cat => output.copy_stdin()?,
        Step::Report(what) => output.raw(report::text(*what)?.as_bytes())?,
        Step::Ignore(_) => {}
        Step::Wait(signal) => signals::wait(*signal)?,
        Step::Echo => signals::echo(output)?,
        Step::Sleep(time) => std::thread::sleep(*time),
        Step::Session => processes::new_session()?,
        Step::Child(steps) => {
            let pid = processes::child(steps)?;
            output.raw(format!("{pid}\n").as_bytes())?;
        }
        Step::Orphan(steps) => processes::orphan(steps)?,
        Step::Storm(count) => processes::storm(*count)?,
        Step::Chain(life) => {
            std::thread::sleep(*life);
            processes::child(&format!("chain={}ms", life.as_millis()))?;
            return Ok(Some(0));
        }
        Step::Crash(signal) => signals::crash(*signal)?,
        Step::Exit(code) => return Ok(Some(*code)),
    }
    Ok(None)
}
