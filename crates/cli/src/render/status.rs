//! `status`: the daemon, for humans.

pub(crate) mod process;

use std::fmt::Write as _;

use rpc::v1::{DaemonStatus, ListenerState};

use super::{Paint, state_word, up};
use crate::units::{span, wall};
use crate::when::Clock;

/// The sheet of the daemon.
pub(crate) fn daemon(d: &DaemonStatus, now: &Clock, paint: Paint) -> String {
    let mut text = String::new();
    let up = up(d.uptime.as_ref(), d.start_time.as_ref(), now.now);
    let up = up.map_or(String::new(), |up| format!(", up {}", span(up)));
    let ready = if d.ready { "ready".into() } else { paint.red("not ready") };
    let mut line = |label: &str, value: &str| {
        let _infallible = writeln!(text, "{label:<11} {value}").is_ok();
    };
    line("daemon", &format!("dd-procmgrd {}, pid {}, uid {}{up}, {ready}", d.version, d.pid, d.uid));
    let total: u32 = d.processes.iter().map(|c| c.count).sum();
    let counts: Vec<String> = d
        .processes
        .iter()
        .map(|c| {
            let text = format!("{} {}", c.count, state_word(c.state()));
            paint.state(c.state(), &text).into_owned()
        })
        .collect();
    let colon = if counts.is_empty() { "" } else { ": " };
    line("processes", &format!("{total}{colon}{}", counts.join(", ")));
    line("config", &d.config_path);
    match &d.last_reload {
        None => line("last load", "never"),
        Some(load) => {
            let at = load.time.as_ref().map_or(String::new(), |at| now.moment(wall(at)));
            let result = match (load.ok, load.problems.is_empty()) {
                (true, true) => "ok".into(),
                (true, false) => "with warnings".into(),
                (false, _) => paint.red("with errors"),
            };
            line("last load", &format!("{at}, {result}"));
            for problem in load.problems.iter().flat_map(|p| p.trim_end().lines()) {
                line("", &format!("  {problem}"));
            }
        }
    }
    for (i, listener) in d.listeners.iter().enumerate() {
        let state = match (listener.state(), &listener.error) {
            (ListenerState::Listening, _) => "listening".to_owned(),
            (ListenerState::Failed, error) => {
                let why = error.as_deref().unwrap_or("unknown error");
                paint.red(&format!("failed: {why}; it is tried again")).into_owned()
            }
            (ListenerState::Disabled, _) => "switched off".to_owned(),
            (ListenerState::Unspecified, _) => "unknown".to_owned(),
        };
        let label = if i == 0 { "listeners" } else { "" };
        let gap = if listener.address.is_empty() { "" } else { ", " };
        line(label, &format!("{}: {}{gap}{state}", listener.role, listener.address));
    }
    line("logs", &d.log_dir);
    line("containment", &d.containment);
    line("your role", &d.caller_role);
    text
}
