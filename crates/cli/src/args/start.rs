//! How it comes up, on the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use model::{Definition, PathCondition, ProcessType};

use super::definition::{absolute, one_of, prefixed, some};
use crate::units;

/// `--type` and what belongs to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it comes up")]
pub(crate) struct StartArgs {
    /// When its start counts as done [default: simple]
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of(ProcessType::ALL, ProcessType::as_str))]
    kind: Option<ProcessType>,
    /// A oneshot that ended well counts as up
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    remain_after_exit: Option<bool>,
    /// Where a forking program writes the pid of its daemon
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Time for a start, 0 = no limit [default: 90; oneshot: no limit]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    start_timeout: Option<Duration>,
    /// Longest silence between two WATCHDOG=1, 0 = no limit [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    watchdog_sec: Option<Duration>,
    /// Start it only if this path exists, or with `!` before it, if it doesn't; may be given several times
    #[arg(long, value_name = "PATH")]
    condition_path_exists: Vec<PathBuf>,
}

impl StartArgs {
    pub(super) fn write(self, cwd: &Path, definition: &mut Definition) {
        let condition = |written: PathBuf| {
            let (negated, path) = prefixed(&written, '!');
            PathCondition { path: absolute(cwd, path), negated }
        };
        definition.kind = self.kind;
        definition.remain_after_exit = self.remain_after_exit;
        definition.pidfile = self.pidfile.map(|path| absolute(cwd, &path));
        definition.start_timeout = self.start_timeout;
        definition.watchdog_sec = self.watchdog_sec;
        definition.condition_path_exists =
            some(self.condition_path_exists.into_iter().map(condition).collect());
    }
}
