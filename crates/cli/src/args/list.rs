//! What `list` can be asked for.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::units;

/// `list`
#[derive(Debug, Default, Args)]
pub(crate) struct ListArgs {
    /// Only these: names, ids, unique id prefixes, @GROUP, or patterns such as 'web-*'
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Only those in one of these states; several with commas
    #[arg(long, value_name = "STATE", value_enum, value_delimiter = ',')]
    pub(crate) state: Vec<StateArg>,
    /// Only members of one of these groups; several with commas
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub(crate) group: Vec<String>,
    /// Only those whose health check fails
    #[arg(long)]
    pub(crate) unhealthy: bool,
    /// Only those that something is wrong with: backoff, crash_loop, failed, invalid
    #[arg(long)]
    pub(crate) failed: bool,
    /// In which order
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t)]
    pub(crate) sort: Sort,
    /// The other way round
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Show more columns, and cut nothing; the same as `-o wide`
    #[arg(long, short)]
    pub(crate) wide: bool,
    /// Only names, one a line; the same as `-o name`
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show it again and again, each 2 seconds or as often as is said
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = interval
    )]
    pub(crate) watch: Option<Duration>,
}

/// By what is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name
    #[default]
    Name,
    /// What needs somebody first
    State,
    /// The newest run first
    Uptime,
    /// What was restarted most often first
    Restarts,
    /// What uses most memory first
    Memory,
    /// What used most CPU time since its run began first
    Cpu,
}

/// A state, as `list` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum StateArg {
    Stopped,
    Starting,
    Running,
    Reloading,
    Stopping,
    Backoff,
    CrashLoop,
    Exited,
    Failed,
    Waiting,
    Invalid,
    Skipped,
}

/// Asking more often than this would keep the daemon busy for nobody's eyes.
const SHORTEST: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_duration(text)?;
    if interval < SHORTEST {
        return Err("write 0.1 or more".to_owned());
    }
    Ok(interval)
}
