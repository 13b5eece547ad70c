//! Events as the API shows them.

use model::{Event, EventKind};

use super::process::{exit_status, reason};
use super::{duration, timestamp};
use crate::{Severity, Wording, v1};

pub(crate) fn event(event: &Event, wording: Wording) -> v1::Event {
    let (mut exit_status_of, mut exit_reason, mut restarts) = (None, v1::ExitReason::Unspecified, 0);
    let mut time = None;
    match &event.kind {
        EventKind::Exited { status, reason: why, ran, .. } => {
            (exit_status_of, exit_reason, time) = (Some(exit_status(*status)), reason(*why), Some(*ran));
        }
        EventKind::Started { took } | EventKind::Ready { took } => time = Some(*took),
        EventKind::RestartScheduled { delay, restarts: count } => {
            (time, restarts) = (Some(*delay), *count);
        }
        _ => {}
    }
    v1::Event {
        sequence: event.seq.0,
        time: Some(timestamp(event.at.wall)),
        kind: event.kind.as_str().to_owned(),
        process: event.process.name.to_string(),
        process_id: event.process.id.to_string(),
        run: event.run.map_or(0, |(number, _)| number.0),
        invocation_id: event.run.map(|(_, invocation)| invocation.to_string()).unwrap_or_default(),
        pid: event.pid,
        message: (wording.describe)(event),
        severity: match (wording.severity)(&event.kind) {
            Severity::Info => v1::EventSeverity::Info,
            Severity::Notice => v1::EventSeverity::Notice,
            Severity::Warning => v1::EventSeverity::Warning,
            Severity::Error => v1::EventSeverity::Error,
        }
        .into(),
        exit_status: exit_status_of,
        exit_reason: exit_reason.into(),
        duration: time.map(duration),
        restarts,
    }
}
