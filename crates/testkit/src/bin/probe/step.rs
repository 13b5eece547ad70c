//! The steps and how they are written.

use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

/// Printed for `probe help` and for anything unknown.
pub(crate) const HELP: &str = "\
usage: probe STEP...
  to=stdout|stderr    stream for the steps that follow (stdout)
  width=BYTES         length of numbered lines without the newline (11)
  every=TIME          pause after each numbered line (0); TIME is a number of seconds, or 10ms
  print[=N]           N numbered lines, as fast as the reader takes them; without N for ever
  same=N              N equal lines of the width, with next to no work of its own
  text=TEXT           a line
  partial=TEXT        a line without its newline
  long=BYTES          one line of that length
  garbage=BYTES       bytes of every value, always the same
  nul                 a line with a NUL byte in it
  utf8                a line that is not UTF-8
  close               closes the stream and goes on
  cat                 standard input to the stream, until its end
  env cwd ids fds signals umask args
                      prints the process's own ...
  ignore=SIG          the signal has no effect, from the program's start
  wait=SIG            waits for the signal, held back from the program's start
  echo                prints `got SIG...` for each signal until TERM, held back from the program's start
  sleep[=TIME]        without TIME for ever
  session             setsid(2)
  child[=STEPS]       a child that does STEPS, separated by commas (sleep); prints its pid
  orphan[=STEPS]      the same, double-forked into a session of its own
  storm=N             keeps N short-lived children running, for ever
  chain=TIME          lives that long, then starts a successor that does the same, and exits
  crash=SIG           sends the signal to itself
  exit=CODE           ends here; the end of the steps is exit=0";

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    To(Stream),
    Width(usize),
    Every(Duration),
    Print(u64),
    Same(u64),
    Text(String),
    Partial(String),
    Long(usize),
    Garbage(usize),
    Nul,
    Utf8,
    Close,
    Cat,
    Report(Report),
    Ignore(Signal),
    Wait(Signal),
    Echo,
    Sleep(Duration),
    Session,
    Child(String),
    Orphan(String),
    Storm(usize),
    Chain(Duration),
    Crash(Signal),
    Exit(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Env,
    Cwd,
    Ids,
    Fds,
    Signals,
    Umask,
    Args,
}

impl FromStr for Step {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
        let wanted = || value.ok_or_else(|| format!("{name} needs a value"));
        Ok(match name {
            "to" => Self::To(match wanted()? {
                "stdout" => Stream::Stdout,
                "stderr" => Stream::Stderr,
                other => return Err(format!("no stream is called {other}")),
            }),
            "width" => Self::Width(number(wanted()?)?),
            "every" => Self::Every(time(wanted()?)?),
            "print" => Self::Print(value.map_or(Ok(u64::MAX), number)?),
            "same" => Self::Same(number(wanted()?)?),
            "text" => Self::Text(wanted()?.to_owned()),
            "partial" => Self::Partial(wanted()?.to_owned()),
            "long" => Self::Long(number(wanted()?)?),
            "garbage" => Self::Garbage(number(wanted()?)?),
            "nul" => Self::Nul,
            "utf8" => Self::Utf8,
            "close" => Self::Close,
            "cat" => Self::Cat,
            "env" => Self::Report(Report::Env),
            "cwd" => Self::Report(Report::Cwd),
            "ids" => Self::Report(Report::Ids),
            "fds" => Self::Report(Report::Fds),
            "signals" => Self::Report(Report::Signals),
            "umask" => Self::Report(Report::Umask),
            "args" => Self::Report(Report::Args),
            "ignore" => Self::Ignore(signal(wanted()?)?),
            "wait" => Self::Wait(signal(wanted()?)?),
            "echo" => Self::Echo,
            "sleep" => Self::Sleep(value.map_or(Ok(Duration::MAX), time)?),
            "session" => Self::Session,
            "child" => Self::Child(value.unwrap_or("sleep").to_owned()),
            "orphan" => Self::Orphan(value.unwrap_or("sleep").to_owned()),
            "storm" => Self::Storm(number(wanted()?)?),
            "chain" => Self::Chain(time(wanted()?)?),
            "crash" => Self::Crash(signal(wanted()?)?),
            "exit" => Self::Exit(number(wanted()?)?),
            _ => return Err(format!("no step is called {name}")),
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number that fits here"))
}

fn time(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds: f64 = number(digits)?;
    Duration::try_from_secs_f64(seconds * unit).map_err(|e| format!("{text}: {e}"))
}

fn signal(text: &str) -> Result<Signal, String> {
    format!("SIG{text}").parse().map_err(|_| format!("no signal is called {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_steps() {
        assert_eq!("print".parse(), Ok(Step::Print(u64::MAX)));
        assert_eq!("every=10ms".parse(), Ok(Step::Every(Duration::from_millis(10))));
        assert_eq!("text=a=b".parse(), Ok(Step::Text("a=b".to_owned())));
        assert_eq!("crash=SEGV".parse(), Ok(Step::Crash(Signal::SIGSEGV)));
        assert_eq!("child=ignore=TERM,sleep".parse(), Ok(Step::Child("ignore=TERM,sleep".to_owned())));
    }

    #[test]
    fn words_that_are_no_steps() {
        for word in ["help", "", "exit", "exit=256", "sleep=-1", "crash=SIGSEGV", "to=stdlog"] {
            assert!(word.parse::<Step>().is_err(), "{word}");
        }
    }

    #[test]
    fn every_step_is_in_the_help() {
        for word in
            "to width every print same text partial long garbage nul utf8 close cat ignore wait echo sleep \
                     session child orphan storm chain crash exit"
                .split_whitespace()
        {
            assert!(HELP.lines().any(|l| l.trim_start().starts_with(word)), "{word}");
        }
    }
}
