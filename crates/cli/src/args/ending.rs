//! How it is stopped, and what follows its end, on the command line.

use std::time::Duration;

use clap::Args;
use model::{Definition, KillMode, RestartPolicy, Signal};

use super::definition::one_of;
use crate::units;

/// `--restart`, `--kill-…` and what belongs to them.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it ends")]
pub(crate) struct EndingArgs {
    /// When to restart it [default: on-failure]
    #[arg(long, value_name = "POLICY", value_parser = one_of(RestartPolicy::ALL, RestartPolicy::as_str))]
    restart: Option<RestartPolicy>,
    /// First delay before a restart, for example 500ms, 5s, 2m; a plain number is seconds [default: 1]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    restart_sec: Option<Duration>,
    /// Signal that asks it to end [default: TERM]
    #[arg(long, value_name = "SIGNAL")]
    kill_signal: Option<Signal>,
    /// Who gets that signal [default: control-group]
    #[arg(long, value_name = "MODE", value_parser = one_of(KillMode::ALL, KillMode::as_str))]
    kill_mode: Option<KillMode>,
    /// Time until SIGKILL [default: 10]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    stop_timeout: Option<Duration>,
    /// The daemon ends, with its status, when it ends for good
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    critical: Option<bool>,
}

impl EndingArgs {
    pub(super) fn write(self, definition: &mut Definition) {
        definition.restart = self.restart;
        definition.restart_sec = self.restart_sec;
        definition.kill_signal = self.kill_signal;
        definition.kill_mode = self.kill_mode;
        definition.stop_timeout = self.stop_timeout;
        definition.critical = self.critical;
    }
}
