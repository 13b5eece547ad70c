//! What is said on a terminal while something takes long: one line, renewed each second and erased in the end.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use rpc::Client;
use rpc::v1::{NextActionKind, Process};

use crate::render::state_word;
use crate::report::{Session, Stop};
use crate::units::{duration, setting, span, wall};
use crate::when;

/// What takes less is not worth a word.
const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);
/// Names on the line.
const NAMED: usize = 3;
/// Processes that are asked about.
const ASKED: usize = 1;
/// Clears the line and goes to its beginning.
const ERASE: &str = "\r\x1b[K";

/// Waits for the work. `what` is "waiting for" this; `client` tells more about it when it is one process.
pub(crate) async fn during<T>(
    session: &mut Session<'_>,
    what: &What<'_>,
    work: impl Future<Output = T>,
) -> Result<T, Stop> {
    let mut work = std::pin::pin!(work);
    // A script wants no such line, and where the error stream is a file it would only fill that.
    if !session.context.interactive {
        return Ok(work.await);
    }
    let (began, zone) = (Instant::now(), (session.context.zone)());
    let (mut shown, mut pause) = (false, FIRST);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(pause) => {
                let now = what.detail(began.elapsed(), &zone);
                // The work may be done before that is known.
                let line = tokio::select! {
                    done = &mut work => break done,
                    line = now => line,
                };
                let line = fit(&line, session.context.width);
                session.ask_raw(&format!("{ERASE}{line}"))?;
                (shown, pause) = (true, AGAIN);
            }
        }
    };
    if shown {
        session.ask_raw(ERASE)?;
    }
    Ok(done)
}

/// What is waited for.
#[derive(Debug)]
pub(crate) struct What<'a> {
    /// Names of processes; none where it is about the daemon.
    pub(crate) names: &'a [String],
    /// `to stop`, `the configuration to be read`
    pub(crate) outcome: &'a str,
    /// Whom to ask how far it is.
    pub(crate) client: Option<Client>,
}

impl What<'_> {
    /// `waiting for web to stop … 3s (stop_timeout 10s, then SIGKILL at 12:00:05)`
    async fn detail(&self, waited: Duration, zone: &TimeZone) -> String {
        let mut text = format!("waiting for {}{} … {}", self.who(), self.outcome, span(whole(waited)));
        if let (Some(client), [name]) = (&self.client, &self.names[..self.names.len().min(ASKED + 1)]) {
            let mut client = client.clone().with_timeout(Some(AGAIN));
            if let Ok(process) = client.get(name).await {
                text.push_str(&standing(&process, zone));
            }
        }
        text
    }

    fn who(&self) -> String {
        let shown = self.names[..self.names.len().min(NAMED)].join(", ");
        match self.names.len().saturating_sub(NAMED) {
            0 if shown.is_empty() => String::new(),
            0 => format!("{shown} "),
            more => format!("{shown} and {more} more "),
        }
    }
}

fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// ` (stop_timeout 10s, then SIGKILL at 12:00:05)`, in the time of the user's clock; else its state.
fn standing(process: &Process, zone: &TimeZone) -> String {
    let limit = process.definition.as_ref().and_then(|d| d.stop_timeout).map(|t| setting(duration(t)));
    let next = process.next_action.as_ref().and_then(|next| {
        let at = when::local(wall(next.time.as_ref()?), zone);
        // Without its day and its milliseconds.
        let at = at.split_once(' ').and_then(|(_, time)| time.get(..8)).unwrap_or(&at);
        Some(match next.kind() {
            NextActionKind::Kill => {
                let limit = limit.map_or(String::new(), |limit| format!("stop_timeout {limit}, then "));
                format!("{limit}SIGKILL at {at}")
            }
            NextActionKind::Start => format!("{}, started at {at}", state_word(process.state())),
            NextActionKind::Unspecified => return None,
        })
    });
    format!(" ({})", next.unwrap_or_else(|| state_word(process.state())))
}

/// A line that wrapped could not be erased.
fn fit(line: &str, width: Option<usize>) -> String {
    let line = crate::render::paint::one_line(line);
    let room = width.unwrap_or(80).saturating_sub(1);
    line.chars().take(room).collect()
}

#[cfg(test)]
mod tests {
    use rpc::v1;

    use super::*;

    #[test]
    fn who_is_waited_for() {
        let names = |n: usize| (0..n).map(|i| format!("p{i}")).collect::<Vec<_>>();
        for (n, expected) in [(0, ""), (1, "p0 "), (3, "p0, p1, p2 "), (9, "p0, p1, p2 and 6 more ")] {
            let names = names(n);
            assert_eq!(What { names: &names, outcome: "to stop", client: None }.who(), expected);
        }
    }

    #[test]
    fn what_comes_next_is_said() {
        let time = prost_types::Timestamp { seconds: 43_205, nanos: 0 };
        let next = v1::NextAction { kind: NextActionKind::Kill.into(), time: Some(time) };
        let stop_timeout = Some(prost_types::Duration { seconds: 10, nanos: 0 });
        let mut process =
            Process { state: v1::State::Stopping.into(), next_action: Some(next), ..Process::default() };
        let zone = TimeZone::UTC;
        assert_eq!(standing(&process, &zone), " (SIGKILL at 12:00:05)");
        process.definition =
            Some(Box::new(v1::ProcessDefinition { stop_timeout, ..v1::ProcessDefinition::default() }));
        assert_eq!(standing(&process, &zone), " (stop_timeout 10s, then SIGKILL at 12:00:05)");
        process.next_action = None;
        assert_eq!(standing(&process, &zone), " (stopping)");
    }

    #[test]
    fn a_line_never_wraps_nor_acts() {
        assert_eq!(fit("abcdef", Some(4)), "abc");
        assert_eq!(fit("a\nb\u{1b}", None), "a\\nb\\u{1b}");
    }
}
