//! `probe STEP...`: a child process that does what a test asks for, step by step, and exits with code 0 after the last
//! one. `probe help` lists the steps; each is a word or `word=value`.
//!
//! Example: `probe ignore=TERM to=stderr print=3 partial=end sleep`

mod account;
mod files;
mod help;
mod notify;
mod output;
mod processes;
mod report;
mod serve;
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
            output.complain(&format!("{error}\n{}", help::HELP));
            return ExitCode::from(USAGE);
        }
    };
    // Before anything else: a signal that a later step is about must not end the program in an earlier one.
    signals::prepare(&steps);
    for (number, (step, word)) in steps.iter().zip(&words).enumerate() {
        let settings = processes::settings(&steps[..number], &words);
        let rest = words[number + 1..].iter().map(String::as_str);
        let others = Others { remaining: settings.iter().copied().chain(rest).collect(), settings };
        match run(step, &others, &mut output) {
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

/// The words that another process needs to go on for this one.
struct Others<'a> {
    /// Steps so far that set something.
    settings: Vec<&'a str>,
    /// The same, and all steps to come.
    remaining: Vec<&'a str>,
}

/// Does one step. `Some(code)` ends the program.
fn run(step: &Step, others: &Others<'_>, output: &mut Output) -> std::io::Result<Option<u8>> {
    match step {
        Step::To(stream) => output.switch(*stream),
        Step::Width(bytes) => output.width = *bytes,
        Step::Every(pause) => output.pause = *pause,
        Step::Print(lines) => output.numbered(*lines)?,
        Step::Same(lines) => output.same(*lines)?,
        Step::Account(lines, dir) => {
            account::print(std::io::stdout(), dir, *lines, output.width, output.pause)?;
        }
        Step::Text(text) => output.raw(format!("{text}\n").as_bytes())?,
        Step::Partial(text) => output.raw(text.as_bytes())?,
        Step::Long(bytes) => output.long(*bytes)?,
        Step::Garbage(bytes) => output.garbage(*bytes)?,
        Step::Nul => output.raw(b"before\0after\n")?,
        Step::Utf8 => output.raw(b"caf\xe9 \xff\xfe\n")?,
        Step::Close => output.close()?,
        Step::Cat => output.copy_stdin()?,
        Step::Report(what) => output.raw(report::text(*what)?.as_bytes())?,
        Step::Variable(name) => output.raw(report::variable(name).as_bytes())?,
        Step::Notify(text) => notify::send(text)?,
        Step::NotifyFromChild(text) => processes::finish([format!("notify={text}").as_str()])?,
        Step::Watchdog(pause, times) => notify::ping(*pause, *times)?,
        Step::WaitFile(path) => files::wait(path)?,
        Step::Touch(path) => files::touch(path)?,
        Step::Pidfile(path) => files::pidfile(path)?,
        Step::ExitFile(path) => return Ok(Some(files::code(path)?)),
        Step::OnHup(path) => signals::on_hup(path),
        Step::ServeHttp(port, answer) => {
            let port = serve::http(*port, answer.clone())?;
            output.raw(format!("port {port}\n").as_bytes())?;
        }
        Step::ServeTcp(port) => {
            let port = serve::tcp(*port)?;
            output.raw(format!("port {port}\n").as_bytes())?;
        }
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
        Step::Daemonize(pidfile) => {
            processes::daemonize(pidfile.as_deref(), &others.remaining)?;
            return Ok(Some(0));
        }
        Step::Detach(pidfile) => {
            processes::detach(pidfile.as_deref(), &others.remaining)?;
            return Ok(Some(0));
        }
        Step::Hydra(count, life) => processes::hydra(*count, *life)?,
        Step::Storm(count) => processes::storm(*count)?,
        Step::Chain(life) => {
            std::thread::sleep(*life);
            processes::successor(*life, &others.settings)?;
            return Ok(Some(0));
        }
        Step::Crash(signal) => signals::crash(*signal)?,
        Step::Exit(code) => return Ok(Some(*code)),
    }
    Ok(None)
}
