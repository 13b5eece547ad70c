//! How outcomes look. Everything below is pure: wire types in, text out.

pub(crate) mod describe;
pub(crate) mod json;
pub(crate) mod status;
pub(crate) mod table;

use std::borrow::Cow;
use std::time::Duration;

use model::Wall;
use rpc::v1::{self, State};

use crate::report::{Session, Stop};
use crate::units;

/// Colors, or none. A color only repeats what a word says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) on: bool,
}

impl Paint {
    /// A text in the color of a state.
    pub(crate) fn state<'a>(self, state: State, text: &'a str) -> Cow<'a, str> {
        let code = match state {
            State::Running => "32",
            State::CrashLoop | State::Failed | State::Invalid => "31",
            State::Starting | State::Reloading | State::Stopping | State::Backoff | State::Waiting => "33",
            State::Stopped | State::Exited | State::Skipped | State::Unspecified => return text.into(),
        };
        self.code(code, text)
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> Cow<'_, str> {
        self.code("1", text)
    }

    /// Something bad.
    pub(crate) fn red(self, text: &str) -> Cow<'_, str> {
        self.code("31", text)
    }

    fn code<'a>(self, code: &str, text: &'a str) -> Cow<'a, str> {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m").into() } else { text.into() }
    }
}

/// The word of an enum value: `STATE_CRASH_LOOP` is `crash_loop`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

pub(crate) fn state_word(state: State) -> String {
    word(state.as_str_name(), "STATE_")
}

/// How long the live run has been up, in whole seconds: what is shown is older than a millisecond anyway.
pub(crate) fn uptime(process: &v1::Process, now: Wall) -> Option<Duration> {
    let run = process.run.as_ref()?;
    run.pid?;
    let up = now.since(units::wall(run.start_time.as_ref()?));
    Some(Duration::from_secs(up.as_secs()))
}

/// `exit code 3`, `SIGSEGV (core dumped)`, `could not start`.
pub(crate) fn ending(last: &v1::LastExit) -> String {
    let Some(status) = &last.status else { return "could not start".to_owned() };
    let core = if status.core_dumped { " (core dumped)" } else { "" };
    match &status.how {
        Some(v1::exit_status::How::Code(code)) => format!("exit code {code}"),
        Some(v1::exit_status::How::Signal(signal)) => format!("{signal}{core}"),
        None => "unknown status".to_owned(),
    }
}

/// What start, stop, restart and create --auto-start say: one line for each process.
pub(crate) fn outcome(session: &mut Session<'_>, done: &[v1::Process]) -> Result<(), Stop> {
    if session.json() {
        return session.write_json(&json::processes(done, session.context.now));
    }
    for process in done {
        let word = state_word(process.state());
        let state = session.paint().state(process.state(), &word).into_owned();
        let detail = match process.run.as_ref().and_then(|run| run.pid) {
            Some(pid) => format!("pid {pid}"),
            None => process.reason.clone(),
        };
        writeln!(session.out, "{}: {state} ({detail})", process.name)?;
    }
    Ok(())
}
