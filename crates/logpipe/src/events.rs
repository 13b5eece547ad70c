//! Lifecycle events as journal entries, and the one sentence for each that the daemon prints as well.

mod catalog;

use std::fmt::Write as _;
use std::time::Duration;

use model::{Event, EventKind, ExitReason, ExitStatus, HealthState};

pub use catalog::catalog;

use crate::entry::{field, process, run, show};

/// MESSAGE_ID of each event kind: fixed for ever, since people's queries and the message catalog use them.
pub const MESSAGE_IDS: [(&str, &str); 27] = [
    ("created", "1054610f6a9245d39e38b8aa613a3d23"),
    ("updated", "b2c0e88085b3460a818b593d53b85c60"),
    ("removed", "74a68eaeedbd41f8a8d4e47ede0e8e89"),
    ("invalid", "414a8e02f65a402797dd9e4fd21ea52a"),
    ("started", "bda46a7fc6c34d0d83fdfaaa2901ad35"),
    ("spawn_failed", "3a55258359fe4255a0e40d2c857c9172"),
    ("exited", "d8e6978a75744e7fb4b22973e55d730b"),
    ("restart_scheduled", "2e8ba0b26fa54a7985a4c2b43d6ba105"),
    ("start_limit_reached", "4f596fbd24904d0ca97d4c3d6e9fc1d8"),
    ("stopping", "f8e243938e294adc8730bc1f232c2f44"),
    ("stop_timed_out", "a304699860944b8a96d3a8f3aa55f4d0"),
    ("leftovers_killed", "32b74895ae864674b5ba7c8fef4f1c01"),
    ("survivors", "4df29567e4db47829d11dbec0aa4ffdf"),
    ("stopped", "bfa12f67c9e647b2a3db848c52c6945a"),
    ("ready", "b26094cc6ec1493981a57a8e3ad35c30"),
    ("skipped", "115afb3cd0464922a8a291cbef71d089"),
    ("held", "031f6bbe23cc45f58445dba0fba8d210"),
    ("hook_failed", "949aee907bb54e3d80a243a1ab4a9c61"),
    ("start_timed_out", "48711a1ac94648a7a20314c2be88346b"),
    ("watchdog_expired", "a0fe4287e8bb4787a2b427ec23f722c1"),
    ("health", "e0bbfc88bb54428382d9bcd12d5a2985"),
    ("reloading", "605990b12c494129a988f0f1ff90c072"),
    ("reloaded", "65f78989427640669273ae84f063490b"),
    ("main_process", "b8fabecfe4ce4d398524dc603134d6ab"),
    ("critical_ended", "199cb2461a3949ac996470e0458a7714"),
    ("oom_killed", "5c6228a9e3854e32a7ecb794e2544a02"),
    ("degraded", "b0ce0203aa9d477b9bb5f5ffa7c57d9b"),
];

fn message_id(kind: &str) -> &'static str {
    MESSAGE_IDS.iter().find(|(name, _)| *name == kind).map_or("", |(_, id)| id)
}

/// Syslog priority of an event: 3 = somebody has to act, 4 = something went wrong, 6 = for the record.
#[must_use]
pub fn priority(kind: &EventKind) -> u8 {
    match kind {
        EventKind::Invalid { .. }
        | EventKind::SpawnFailed(_)
        | EventKind::StartLimitReached { .. }
        | EventKind::Survivors { .. }
        | EventKind::WatchdogExpired { .. }
        | EventKind::StartTimedOut { .. }
        | EventKind::CriticalEnded { .. }
        | EventKind::HookFailed { ignored: false, .. } => 3,
        EventKind::Exited { status, reason, .. } => match (reason, status) {
            (ExitReason::Success | ExitReason::Stopped, _) => 6,
            (_, ExitStatus::Signal { core: true, .. }) => 3,
            _ => 4,
        },
        EventKind::Health { state: HealthState::Unhealthy, .. }
        | EventKind::HookFailed { .. }
        | EventKind::Held { .. }
        | EventKind::StopTimedOut { .. }
        | EventKind::OomKilled { .. }
        | EventKind::Degraded { .. }
        | EventKind::LeftoversKilled { .. } => 4,
        EventKind::Created
        | EventKind::Updated { .. }
        | EventKind::Removed
        | EventKind::Started { .. }
        | EventKind::Ready { .. }
        | EventKind::Skipped { .. }
        | EventKind::Health { .. }
        | EventKind::Reloading
        | EventKind::Reloaded
        | EventKind::MainProcess { .. }
        | EventKind::RestartScheduled { .. }
        | EventKind::Stopping { .. }
        | EventKind::Stopped => 6,
    }
}

/// The event as a sentence: `web ended with exit code 3 after 2.5 s [pid=812 run=4 process_id=1f0a…]`.
///
/// One line, except for a broken definition, whose problem is shown with its source excerpt.
#[must_use]
pub fn describe(event: &Event) -> String {
    let mut text = event.process.name.as_str().to_owned();
    // Writing to a String can't fail.
    sentence(&mut text, &event.kind).unwrap_or_default();
    let mut facts = String::new();
    if let Some(pid) = event.pid {
        write!(facts, "pid={pid} ").unwrap_or_default();
    }
    if let Some((number, _)) = event.run {
        write!(facts, "run={number} ").unwrap_or_default();
    }
    write!(text, " [{facts}process_id={}]", event.process.id).unwrap_or_default();
    text
}

fn sentence(text: &mut String, kind: &EventKind) -> std::fmt::Result {
    match kind {
        EventKind::Created => text.write_str(" is defined"),
        EventKind::Updated { keys } => write!(text, " has a changed definition: {}", keys.join(", ")),
        EventKind::Removed => text.write_str(" is removed"),
        EventKind::Invalid { problem } => write!(text, " has a broken definition: {problem}"),
        EventKind::Started { took } => write!(text, " started within {}", Time(*took)),
        EventKind::Ready { took } => write!(text, " is up after {}", Time(*took)),
        EventKind::Skipped { condition } => {
            write!(text, " is not started: condition_path_exists {condition} does not hold")
        }
        EventKind::Held { reason } => write!(text, " can't be started yet: it {reason}"),
        EventKind::HookFailed { hook, why, ignored } => {
            write!(text, " failed in {}: {why}{}", hook.as_str(), if *ignored { " (ignored)" } else { "" })
        }
        EventKind::StartTimedOut { timeout } => {
            write!(text, " was not up within {} (start_timeout); it is being stopped", Time(*timeout))
        }
        EventKind::WatchdogExpired { timeout } => {
            write!(text, " sent no WATCHDOG=1 within {} (watchdog_sec); it is being stopped", Time(*timeout))
        }
        EventKind::Health { state, message } if message.is_empty() => write!(text, " is {}", state.as_str()),
        EventKind::Health { state, message } => write!(text, " is {}: {message}", state.as_str()),
        EventKind::Reloading => text.write_str(" is being reloaded"),
        EventKind::Reloaded => text.write_str(" is reloaded"),
        EventKind::MainProcess { pid } => write!(text, " has a new main process: pid {pid}"),
        EventKind::CriticalEnded { code } => {
            write!(text, " is critical and ended for good: the daemon ends with exit code {code}")
        }
        EventKind::SpawnFailed(failure) => {
            write!(text, " could not start: {failure}")?;
            if failure.hint.is_empty() { Ok(()) } else { write!(text, " ({})", failure.hint) }
        }
        EventKind::Exited { status, reason: ExitReason::Stopped, ran, .. } => {
            write!(text, " ended as asked with {status} after {}", Time(*ran))
        }
        EventKind::Exited { reason: ExitReason::Oom, ran, .. } => {
            write!(text, " was killed by the kernel after {}: out of memory", Time(*ran))
        }
        EventKind::OomKilled { kills: 1 } => {
            text.write_str(" lost a process: the kernel killed it, as memory ran out")
        }
        EventKind::OomKilled { kills } => {
            write!(text, " lost {kills} processes: the kernel killed them, as memory ran out")
        }
        EventKind::Degraded { problem } => write!(text, " runs, but {problem}"),
        EventKind::Exited { status, ran, .. } => {
            write!(text, " ended with {status} after {}", Time(*ran))
        }
        EventKind::RestartScheduled { delay, restarts } if delay.is_zero() => {
            write!(text, " is restarted at once (restart {restarts})")
        }
        EventKind::RestartScheduled { delay, restarts } => {
            write!(text, " will be restarted in {} (restart {restarts})", Time(*delay))
        }
        EventKind::StartLimitReached { burst, interval, cooldown } => {
            write!(text, " reached its start limit of {burst} starts within {}; ", Time(*interval))?;
            match cooldown {
                Some(cooldown) => write!(text, "next try in {}", Time(*cooldown)),
                None => text.write_str("it stays down until somebody starts it"),
            }
        }
        EventKind::Stopping { signal } => write!(text, " is being stopped with {signal}"),
        EventKind::StopTimedOut { timeout } => {
            write!(text, " did not stop within {}; everything left of it gets SIGKILL", Time(*timeout))
        }
        EventKind::LeftoversKilled { pids } => {
            write!(text, " left processes behind, which are being killed: pid {}", Pids(pids))
        }
        EventKind::Survivors { pids } => {
            write!(text, " has processes that survived SIGKILL (state D?): pid {}", Pids(pids))
        }
        EventKind::Stopped => text.write_str(" is stopped"),
    }
}

/// Seconds with as much precision as matters.
struct Time(Duration);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 1.0 { write!(f, "{:.1} ms", seconds * 1e3) } else { write!(f, "{seconds:.1} s") }
    }
}

struct Pids<'a>(&'a [u32]);

impl std::fmt::Display for Pids<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, pid) in self.0.iter().enumerate() {
            write!(f, "{}{pid}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Appends the event's entry and the empty line that ends it.
pub(crate) fn encode(out: &mut Vec<u8>, event: &Event) {
    field(out, "MESSAGE", describe(event).as_bytes());
    show(out, "PRIORITY", priority(&event.kind));
    field(out, "SYSLOG_IDENTIFIER", b"dd-procmgrd");
    field(out, "MESSAGE_ID", message_id(event.kind.as_str()).as_bytes());
    field(out, "EVENT", event.kind.as_str().as_bytes());
    process(out, &event.process);
    if let Some(pid) = event.pid {
        show(out, "PROCESS_PID", pid);
    }
    if let Some((number, invocation)) = event.run {
        run(out, number, invocation);
    }
    match &event.kind {
        EventKind::Exited { status, .. } => exit_fields(out, *status),
        EventKind::RestartScheduled { delay, restarts } => {
            show(out, "RESTART_COUNT", restarts);
            show(out, "RESTART_DELAY_USEC", delay.as_micros());
        }
        EventKind::SpawnFailed(failure) if failure.errno != 0 => show(out, "ERRNO", failure.errno),
        _ => {}
    }
    out.push(b'\n');
}

/// EXIT_CODE and EXIT_STATUS as systemd writes them.
fn exit_fields(out: &mut Vec<u8>, status: ExitStatus) {
    let (code, number) = match status {
        ExitStatus::Code(code) => ("exited", i32::from(code)),
        ExitStatus::Signal { signal, core: false } => ("killed", signal.number()),
        ExitStatus::Signal { signal, core: true } => ("dumped", signal.number()),
        ExitStatus::Unknown => return,
    };
    field(out, "EXIT_CODE", code.as_bytes());
    show(out, "EXIT_STATUS", number);
}

#[cfg(test)]
pub(crate) mod tests;
