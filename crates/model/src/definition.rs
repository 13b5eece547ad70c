//! A definition as written: only the keys that somebody wrote. Layers of these are merged, then resolved to a
//! [`ProcessSpec`](crate::ProcessSpec) by `config`, which also owns the table of keys and the default values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ExitMatcher, InheritEnv, KillMode, OnStartLimit, Output, ProcessName, RestartPolicy, Signal};

/// One layer of one process. `None` = the key is not written in this layer.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "each field is the key of the same name; config's table of keys documents them"
)]
pub struct Definition {
    pub description: Option<String>,
    pub command: Option<String>,
    pub args: Option<Vec<String>>,
    pub working_dir: Option<PathBuf>,
    pub env: Option<BTreeMap<String, String>>,
    pub inherit_env: Option<InheritEnv>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub supplementary_groups: Option<Vec<String>>,
    pub umask: Option<u32>,
    pub auto_start: Option<bool>,
    pub after: Option<Vec<ProcessName>>,
    pub before: Option<Vec<ProcessName>>,
    pub restart: Option<RestartPolicy>,
    pub restart_sec: Option<Duration>,
    pub restart_max_delay_sec: Option<Duration>,
    pub restart_jitter: Option<f64>,
    pub runtime_success_sec: Option<Duration>,
    pub start_limit_burst: Option<u32>,
    pub start_limit_interval_sec: Option<Duration>,
    pub on_start_limit: Option<OnStartLimit>,
    pub success_exit_status: Option<Vec<ExitMatcher>>,
    pub restart_prevent_exit_status: Option<Vec<ExitMatcher>>,
    pub kill_signal: Option<Signal>,
    pub kill_mode: Option<KillMode>,
    pub stop_timeout: Option<Duration>,
    pub send_sighup: Option<bool>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
    pub log: LogDefinition,
}

/// The keys below `log:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is the key of the same name; config's table of keys documents them"
)]
pub struct LogDefinition {
    pub journald: Option<bool>,
    pub file: Option<bool>,
    pub max_size: Option<u64>,
    pub max_files: Option<u32>,
    pub max_line: Option<u32>,
}
