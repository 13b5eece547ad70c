//! `events`: what happened, a line each.

use jiff::tz::TimeZone;
use rpc::v1::{self, EventSeverity, ExitReason};
use serde_json::{Value, json};

use super::paint::one_line;
use super::{Paint, word};
use crate::units::{duration, wall};
use crate::when::{self, LOCAL_WIDTH};

/// Names grow the column up to here; longer ones push their line to the right.
const WIDEST_NAME: usize = 24;

/// Lines of events. Columns are as wide as the widest that was seen: of a stream nobody knows what comes.
#[derive(Debug)]
pub(crate) struct Lines {
    zone: TimeZone,
    paint: Paint,
    name: usize,
    kind: usize,
}

impl Lines {
    pub(crate) fn new(zone: TimeZone, paint: Paint) -> Self {
        Self { zone, paint, name: 0, kind: 0 }
    }

    /// `2026-11-21 19:03:04.120 W web  exited   ended with exit code 3 after 2.5 s [pid=812 run=4]`
    pub(crate) fn text(&mut self, events: &[v1::Event]) -> String {
        for event in events {
            self.name = self.name.max(one_line(&event.process).chars().count().min(WIDEST_NAME));
            self.kind = self.kind.max(one_line(&event.kind).chars().count());
        }
        events.iter().map(|event| self.line(event)).collect()
    }

    fn line(&self, event: &v1::Event) -> String {
        let at = event.time.as_ref().map_or_else(|| "-".to_owned(), |at| when::local(wall(at), &self.zone));
        // A letter, as a color alone would be lost on many.
        let mark = match event.severity() {
            EventSeverity::Error => "E",
            EventSeverity::Warning => "W",
            EventSeverity::Unspecified | EventSeverity::Info | EventSeverity::Notice => " ",
        };
        let (name, kind) = (one_line(&event.process), one_line(&event.kind));
        let kind = format!("{kind:<0$}", self.kind);
        let what = format!("{kind}  {}", sentence(event));
        let what = match event.severity() {
            EventSeverity::Error => self.paint.red(&what),
            EventSeverity::Warning => self.paint.yellow(&what),
            EventSeverity::Unspecified | EventSeverity::Info | EventSeverity::Notice => what.as_str().into(),
        };
        format!("{at:<LOCAL_WIDTH$} {mark} {name:<0$}  {what}\n", self.name)
    }
}

/// The sentence without what stands before it already. Of one with several lines (a broken definition) the first: the
/// others are an excerpt of a file, and `why` shows it.
fn sentence(event: &v1::Event) -> String {
    let text = event.message.strip_prefix(&event.process).map_or(&*event.message, str::trim_start);
    let id = format!("process_id={}]", event.process_id);
    let text = match text.strip_suffix(&id) {
        Some(start) if start.ends_with('[') => start.trim_end_matches('[').trim_end().to_owned(),
        Some(start) => format!("{}]", start.trim_end()),
        None => text.to_owned(),
    };
    match text.split_once('\n') {
        Some((first, _)) => format!("{} …", one_line(first)),
        None => one_line(&text).into_owned(),
    }
}

/// One event for programs.
pub(crate) fn json(event: &v1::Event, epoch: &str) -> Value {
    let (code, signal) = match event.exit_status.as_ref().and_then(|status| status.how.as_ref()) {
        Some(v1::exit_status::How::Code(code)) => (Some(*code), None),
        Some(v1::exit_status::How::Signal(signal)) => (None, Some(signal.as_str())),
        None => (None, None),
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "sequence": event.sequence,
        "epoch": epoch,
        "time": event.time.as_ref().map(|at| wall(at).to_string()),
        "kind": event.kind,
        "severity": word(event.severity().as_str_name(), "EVENT_SEVERITY_"),
        "process": event.process,
        "process_id": event.process_id,
        "run": (event.run != 0).then_some(event.run),
        "invocation_id": some(&event.invocation_id),
        "pid": event.pid,
        "message": event.message,
        "exit_code": code,
        "signal": signal,
        "core_dumped": event.exit_status.as_ref().map(|status| status.core_dumped),
        "exit_reason": match event.exit_reason() {
            ExitReason::Unspecified => None,
            reason => Some(word(reason.as_str_name(), "EXIT_REASON_")),
        },
        "duration_seconds": event.duration.map(|d| duration(d).as_secs_f64()),
        "restarts": (event.restarts != 0).then_some(event.restarts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(process: &str, kind: &str, message: &str, severity: EventSeverity) -> v1::Event {
        v1::Event {
            time: Some(prost_types::Timestamp { seconds: 1_795_284_184, nanos: 500_000_000 }),
            kind: kind.into(),
            process: process.into(),
            process_id: "0123456789ab".into(),
            message: message.into(),
            severity: severity.into(),
            ..Default::default()
        }
    }

    fn lines(events: &[v1::Event], color: bool) -> String {
        let paint = Paint::new(color);
        paint.finish(&Lines::new(TimeZone::UTC, paint).text(events))
    }

    #[test]
    fn a_line_says_nothing_twice() {
        let events = [
            event(
                "web",
                "exited",
                "web ended with exit code 3 after 2.5 s [pid=812 run=4 process_id=0123456789ab]",
                EventSeverity::Warning,
            ),
            event("db-2", "created", "db-2 is defined [process_id=0123456789ab]", EventSeverity::Info),
            event("web", "spawn_failed", "something else", EventSeverity::Error),
        ];
        let expected = "\
2026-11-21 18:03:04.500+00:00 W web   exited        ended with exit code 3 after 2.5 s [pid=812 run=4]
2026-11-21 18:03:04.500+00:00   db-2  created       is defined
2026-11-21 18:03:04.500+00:00 E web   spawn_failed  something else
";
        assert_eq!(lines(&events, false), expected);
        let colored = lines(&events, true);
        assert!(colored.contains("web   \x1b[33mexited "), "{colored:?}");
        assert!(colored.contains("web   \x1b[31mspawn_failed "), "{colored:?}");
    }

    #[test]
    fn one_event_is_one_line() {
        let problem = "web has a broken definition: error: unknown key\n --> x.yaml:1\x1b[2J\n [process_id=0123456789ab]";
        let text = lines(&[event("web", "invalid", problem, EventSeverity::Error)], false);
        assert!(text.ends_with("has a broken definition: error: unknown key …\n"), "{text}");
        let evil = event("we\nb\x1b[2J", "kind\nx", "\u{9b}31m", EventSeverity::Info);
        let text = lines(&[evil], false);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains(['\x1b', '\u{9b}']), "{text}");
    }

    #[test]
    fn long_names_do_not_push_all_lines() {
        let long = "n".repeat(128);
        let events =
            [event(&long, "ready", "", EventSeverity::Info), event("a", "ready", "", EventSeverity::Info)];
        let text = lines(&events, false);
        assert!(text.lines().nth(1).unwrap().chars().count() < 80, "{text}");
    }

    #[test]
    fn no_time_and_no_severity_are_survived() {
        let text = lines(&[v1::Event { severity: 99, ..Default::default() }], false);
        assert!(text.starts_with('-'), "{text}");
        assert_eq!(json(&v1::Event::default(), "")["exit_reason"], Value::Null);
    }
}
