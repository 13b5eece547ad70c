//! How outcomes look. Everything below is pure: wire types in, text out.

pub(crate) mod change;
pub(crate) mod columns;
pub(crate) mod daemon;
pub(crate) mod definition;
pub(crate) mod describe;
pub(crate) mod document;
pub(crate) mod event;
pub(crate) mod graph;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod members;
pub(crate) mod paint;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod why;

use std::time::Duration;

use model::Wall;
use rpc::v1::{self, HealthState, State};

use crate::report::{Session, Stop};
use crate::units;
pub(crate) use paint::Paint;

/// The word of an enum value: `STATE_CRASH_LOOP` is `crash_loop`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

pub(crate) fn state_word(state: State) -> String {
    word(state.as_str_name(), "STATE_")
}

pub(crate) fn health_word(state: HealthState) -> String {
    word(state.as_str_name(), "HEALTH_STATE_")
}

/// How long the live run has been up, in whole seconds: what is shown is older than a millisecond anyway.
pub(crate) fn uptime(process: &v1::Process, now: Wall) -> Option<Duration> {
    let run = process.run.as_ref()?;
    run.pid?;
    up(run.uptime.as_ref(), run.start_time.as_ref(), now)
}

/// What the daemon says, which knows it whatever a clock was set to; an old one leaves it to the clocks.
pub(crate) fn up(
    told: Option<&prost_types::Duration>,
    start: Option<&prost_types::Timestamp>,
    now: Wall,
) -> Option<Duration> {
    let up = told.copied().map(units::duration).or_else(|| Some(now.since(units::wall(start?))))?;
    Some(Duration::from_secs(up.as_secs()))
}

/// `exit code 3`, `SIGSEGV (core dumped)`, `could not start`.
pub(crate) fn ending(last: &v1::LastExit) -> String {
    let Some(status) = &last.status else {
        // No status tells of these: nothing was executed, or it ended well and left no daemon behind.
        let text = match last.reason() {
            v1::ExitReason::HookFailed => "hook failed",
            v1::ExitReason::NotReady => "not ready",
            _ => "could not start",
        };
        return text.to_owned();
    };
    if last.reason() == v1::ExitReason::Oom {
        return "killed by the kernel: out of memory".to_owned();
    }
    let core = if status.core_dumped { " (core dumped)" } else { "" };
    match &status.how {
        Some(v1::exit_status::How::Code(code)) => format!("exit code {code}"),
        Some(v1::exit_status::How::Signal(signal)) => format!("{signal}{core}"),
        None => "unknown status".to_owned(),
    }
}

/// `8 automatic, 9 starts in all`
pub(crate) fn starts(counters: &v1::Counters) -> String {
    if counters.starts == 0 && counters.restarts > 0 {
        return format!("{} automatic, and no attempt came up", counters.restarts);
    }
    let plural = if counters.starts == 1 { "" } else { "s" };
    format!("{} automatic, {} start{plural} in all", counters.restarts, counters.starts)
}

/// What a process is now, after a verb changed it: `running (pid 4242)`.
pub(crate) fn standing(process: &v1::Process, paint: Paint) -> String {
    let state = state_word(process.state());
    let detail = match process.run.as_ref().and_then(|run| run.pid) {
        Some(pid) => format!("pid {pid}"),
        // Its first line says what is wrong; `why` shows where.
        None if process.state() == State::Invalid => {
            paint::one_line(process.reason.lines().next().unwrap_or_default()).into_owned()
        }
        None => paint::one_line(&process.reason).into_owned(),
    };
    format!("{} ({detail})", paint.state(process.state(), &state))
}

/// What start, stop, restart, reset and create --auto-start say: one line for each process.
pub(crate) fn outcome(session: &mut Session<'_>, done: &[v1::Process]) -> Result<(), Stop> {
    if session.json() {
        return session.write_json(&json::processes(done, session.context.now));
    }
    for process in done {
        let standing = standing(process, session.paint());
        session.show(&format!("{}: {standing}\n", process.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_says_of_an_uptime_goes_before_what_clocks_say() {
        let started = prost_types::Timestamp { seconds: 1_000, nanos: 0 };
        let told = prost_types::Duration { seconds: 7, nanos: 900_000_000 };
        let year_later = Wall::default().after(Duration::from_secs(31_537_000));
        for (told, start, expected) in [
            (Some(&told), Some(&started), Some(7)),
            (Some(&told), None, Some(7)),
            // Of a daemon that doesn't tell.
            (None, Some(&started), Some(31_536_000)),
            (None, None, None),
        ] {
            assert_eq!(up(told, start, year_later), expected.map(Duration::from_secs));
        }
        let run =
            v1::Run { pid: Some(1), uptime: Some(told), start_time: Some(started), ..Default::default() };
        let mut process = v1::Process { run: Some(run), ..Default::default() };
        assert_eq!(uptime(&process, year_later), Some(Duration::from_secs(7)));
        // Only descendants are left: nothing is up.
        process.run.as_mut().unwrap().pid = None;
        assert_eq!(uptime(&process, year_later), None);
    }
}
