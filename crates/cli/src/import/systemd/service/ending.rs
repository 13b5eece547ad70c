//! How a service ends, and what follows: restarts, signals, times, statuses.

use std::time::Duration;

use model::{ExitMatcher, KillMode, OnStartLimit, RestartPolicy, Signal};

use super::Reader;
use crate::import::systemd::time::{or_longest, or_none};
use crate::import::systemd::unit::Assignment;

impl Reader<'_> {
    pub(super) fn restart(&mut self, from: &Assignment) {
        match from.key.as_str() {
            "Restart" => {
                let policy = match from.value.as_str() {
                    "no" => RestartPolicy::Never,
                    "always" => RestartPolicy::Always,
                    "on-success" => RestartPolicy::OnSuccess,
                    "on-failure" => RestartPolicy::OnFailure,
                    "on-abnormal" | "on-abort" | "on-watchdog" => {
                        let instead = "list the codes in `restart_prevent_exit_status`";
                        self.lost(
                            from,
                            "as `on-failure`, it is also restarted after a bad exit code",
                            instead,
                        );
                        RestartPolicy::OnFailure
                    }
                    _ => return self.lost(from, "this is not known", ""),
                };
                self.definition().restart = Some(policy);
            }
            "RestartSec" => {
                let Some(span) = self.span(from).map(or_longest) else { return };
                let definition = self.definition();
                definition.restart_sec = Some(span);
                // The delay stays the same in systemd, unless a maximum is written.
                let longest = definition.restart_max_delay_sec.unwrap_or(span).max(span);
                definition.restart_max_delay_sec = Some(longest);
            }
            _ => {
                let Some(span) = self.span(from).map(or_longest) else { return };
                let first = self.definition().restart_sec.unwrap_or_default();
                self.definition().restart_max_delay_sec = Some(span.max(first));
            }
        }
    }

    pub(super) fn start_limit(&mut self, from: &Assignment) {
        self.definition().on_start_limit = Some(OnStartLimit::Fail);
        if from.key == "StartLimitBurst" {
            match from.value.parse::<u32>().ok().filter(|n| *n <= 10_000) {
                Some(burst) => self.definition().start_limit_burst = Some(burst),
                None => self.lost(from, "it is no number from 0 to 10000", ""),
            }
            return;
        }
        match self.span(from) {
            Some(Duration::ZERO) => self.definition().start_limit_burst = Some(0),
            Some(span) => self.definition().start_limit_interval_sec = Some(or_longest(span)),
            None => {}
        }
    }

    pub(super) fn statuses(&mut self, from: &Assignment) {
        let mut found = Vec::new();
        for word in from.value.split_whitespace() {
            match status(word) {
                Some(matcher) => found.push(matcher),
                None => {
                    let why = format!("{word} is neither an exit code nor a signal");
                    self.into.lost(&from.at, &from.written(), why, "write its number");
                }
            }
        }
        let definition = self.definition();
        let list = match from.key.as_str() {
            "SuccessExitStatus" => &mut definition.success_exit_status,
            _ => &mut definition.restart_prevent_exit_status,
        };
        list.get_or_insert_default().extend(found);
    }

    pub(super) fn kill(&mut self, from: &Assignment) {
        match from.key.as_str() {
            "KillMode" => {
                let mode = match from.value.as_str() {
                    "control-group" => return,
                    "mixed" => KillMode::Mixed,
                    "process" => KillMode::Process,
                    "none" => {
                        self.lost(
                            from,
                            "nothing is left alive by a stop",
                            "stop it with `exec_stop`; what outlives it is killed",
                        );
                        KillMode::Process
                    }
                    _ => return self.lost(from, "this is not known", ""),
                };
                self.definition().kill_mode = Some(mode);
            }
            "SendSIGHUP" => {
                let on = self.flag(from);
                self.definition().send_sighup = on.filter(|on| *on);
            }
            "SendSIGKILL" => {
                if self.flag(from) == Some(false) {
                    self.lost(from, "what outlives `stop_timeout` is killed", "raise `stop_timeout`");
                }
            }
            key => match from.value.parse::<Signal>() {
                Ok(signal) if key == "KillSignal" => self.definition().kill_signal = Some(signal),
                Ok(signal) => self.definition().reload_signal = Some(signal),
                Err(_) => self.lost(from, "it is no signal", ""),
            },
        }
    }

    pub(super) fn timeout(&mut self, from: &Assignment) {
        let Some(span) = self.span(from) else { return };
        // 0 is no limit to systemd, for a start and for a stop.
        let span = if span.is_zero() { Duration::MAX } else { span };
        let definition = self.definition();
        match from.key.as_str() {
            "TimeoutStartSec" => definition.start_timeout = Some(or_none(span)),
            "TimeoutStopSec" => definition.stop_timeout = Some(or_longest(span)),
            "WatchdogSec" => definition.watchdog_sec = Some(or_none(span)),
            _ => {
                definition.start_timeout = Some(or_none(span));
                definition.stop_timeout = Some(or_longest(span));
            }
        }
    }
}

/// An exit code, one of its names from sysexits(3), or a signal.
fn status(word: &str) -> Option<ExitMatcher> {
    const NAMES: [(&str, u8); 17] = [
        ("SUCCESS", 0),
        ("FAILURE", 1),
        ("USAGE", 64),
        ("DATAERR", 65),
        ("NOINPUT", 66),
        ("NOUSER", 67),
        ("NOHOST", 68),
        ("UNAVAILABLE", 69),
        ("SOFTWARE", 70),
        ("OSERR", 71),
        ("OSFILE", 72),
        ("CANTCREAT", 73),
        ("IOERR", 74),
        ("TEMPFAIL", 75),
        ("PROTOCOL", 76),
        ("NOPERM", 77),
        ("CONFIG", 78),
    ];
    let named = NAMES.iter().find(|(name, _)| *name == word).map(|(_, code)| ExitMatcher::Code(*code));
    named.or_else(|| word.parse().ok())
}
