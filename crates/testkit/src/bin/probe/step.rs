//! The steps and how they are written.

use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::serve::Answer;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    To(Stream),
    Width(usize),
    Every(Duration),
    Print(u64),
    Same(u64),
    Account(u64, String),
    Text(String),
    Partial(String),
    Long(usize),
    Garbage(usize),
    Nul,
    Utf8,
    Close,
    Cat,
    Report(Report),
    Variable(String),
    Notify(String),
    NotifyFromChild(String),
    Watchdog(Duration, u64),
    WaitFile(String),
    Touch(String),
    Pidfile(String),
    ExitFile(String),
    OnHup(String),
    ServeHttp(u16, Answer),
    ServeTcp(u16),
    Ignore(Signal),
    Wait(Signal),
    Echo,
    Sleep(Duration),
    Session,
    Child(String),
    Orphan(String),
    Daemonize(Option<String>),
    Detach(Option<String>),
    Hydra(usize, Duration),
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
    IsATty,
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
            "account" => {
                let (lines, dir) = pair(wanted()?)?;
                Self::Account(number(lines)?, dir.to_owned())
            }
            "text" => Self::Text(wanted()?.to_owned()),
            "partial" => Self::Partial(wanted()?.to_owned()),
            "long" => Self::Long(number(wanted()?)?),
            "garbage" => Self::Garbage(number(wanted()?)?),
            "nul" => Self::Nul,
            "utf8" => Self::Utf8,
            "close" => Self::Close,
            "cat" => Self::Cat,
            "env" => value.map_or(Self::Report(Report::Env), |name| Self::Variable(name.to_owned())),
            "cwd" => Self::Report(Report::Cwd),
            "ids" => Self::Report(Report::Ids),
            "fds" => Self::Report(Report::Fds),
            "signals" => Self::Report(Report::Signals),
            "umask" => Self::Report(Report::Umask),
            "args" => Self::Report(Report::Args),
            "isatty" => Self::Report(Report::IsATty),
            "notify" => Self::Notify(wanted()?.to_owned()),
            "notify-from-child" => Self::NotifyFromChild(wanted()?.to_owned()),
            "watchdog" => {
                let (pause, times) = pair(wanted()?)?;
                Self::Watchdog(time(pause)?, number(times)?)
            }
            "wait-file" => Self::WaitFile(wanted()?.to_owned()),
            "touch" => Self::Touch(wanted()?.to_owned()),
            "pidfile" => Self::Pidfile(wanted()?.to_owned()),
            "exit-file" => Self::ExitFile(wanted()?.to_owned()),
            "on-hup" => Self::OnHup(wanted()?.to_owned()),
            "serve-http" => {
                let (port, answer) = pair(wanted()?)?;
                Self::ServeHttp(number(port)?, how_to_answer(answer)?)
            }
            "serve-tcp" => Self::ServeTcp(number(wanted()?)?),
            "ignore" => Self::Ignore(signal(wanted()?)?),
            "wait" => Self::Wait(signal(wanted()?)?),
            "echo" => Self::Echo,
            "sleep" => Self::Sleep(value.map_or(Ok(Duration::MAX), time)?),
            "session" => Self::Session,
            "child" => Self::Child(value.unwrap_or("sleep").to_owned()),
            "orphan" => Self::Orphan(value.unwrap_or("sleep").to_owned()),
            "hold" => Self::Orphan(format!("sleep={}", value.unwrap_or("1000000000"))),
            "daemonize" => Self::Daemonize(value.map(str::to_owned)),
            "detach" => Self::Detach(value.map(str::to_owned)),
            "hydra" => {
                let (count, life) = pair(wanted()?)?;
                Self::Hydra(number(count)?, time(life)?)
            }
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

/// `A:B`
fn pair(text: &str) -> Result<(&str, &str), String> {
    text.split_once(':').ok_or_else(|| format!("{text} needs two parts with a colon between them"))
}

fn how_to_answer(text: &str) -> Result<Answer, String> {
    Ok(match text {
        "hang" => Answer::Never,
        path if path.starts_with('/') => Answer::File(path.to_owned()),
        status => Answer::Status(number(status)?),
    })
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
        assert_eq!("notify=READY=1".parse(), Ok(Step::Notify("READY=1".to_owned())));
        assert_eq!("watchdog=50ms:3".parse(), Ok(Step::Watchdog(Duration::from_millis(50), 3)));
        assert_eq!("serve-http=0:/a:b".parse(), Ok(Step::ServeHttp(0, Answer::File("/a:b".to_owned()))));
        assert_eq!("child=ignore=TERM,sleep".parse(), Ok(Step::Child("ignore=TERM,sleep".to_owned())));
    }

    #[test]
    fn words_that_are_no_steps() {
        for word in [
            "help",
            "",
            "exit",
            "exit=256",
            "sleep=-1",
            "crash=SIGSEGV",
            "to=stdlog",
            "watchdog=1s",
            "serve-http=80",
            "serve-http=80:fine",
            "serve-tcp=65536",
        ] {
            assert!(word.parse::<Step>().is_err(), "{word}");
        }
    }
}
