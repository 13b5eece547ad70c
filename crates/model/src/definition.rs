//! A definition as written: only the keys that somebody wrote. Layers of these are merged, then resolved to a
//! [`ProcessSpec`](crate::ProcessSpec) by `config`, which also owns the table of keys and the default values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::{
    Capabilities, Compression, Dependency, EnvironmentFile, ExitMatcher, HealthSpec, Hook, InheritEnv,
    KillMode, LineParser, LogFormat, MetricsDetail, Multiline, OnStartLimit, Output, Overflow, PathCondition,
    ProcessName, ProcessType, RateLimit, ResourceLimits, RestartPolicy, Rlimits, Signal,
};

/// One layer of one process. `None` = the key is not written in this layer.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "each field is the key of the same name; config's table of keys documents them"
)]
pub struct Definition {
    pub description: Option<String>,
    pub groups: Option<Vec<String>>,
    pub command: Option<String>,
    pub args: Option<Vec<String>>,
    pub working_dir: Option<PathBuf>,
    pub env: Option<BTreeMap<String, String>>,
    pub environment_file: Option<Vec<EnvironmentFile>>,
    pub inherit_env: Option<InheritEnv>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub supplementary_groups: Option<Vec<String>>,
    pub umask: Option<u32>,
    pub auto_start: Option<bool>,
    pub after: Option<Vec<ProcessName>>,
    pub before: Option<Vec<ProcessName>>,
    pub requires: Option<Vec<Dependency>>,
    pub wants: Option<Vec<Dependency>>,
    pub binds_to: Option<Vec<Dependency>>,
    pub conflicts: Option<Vec<ProcessName>>,
    pub condition_path_exists: Option<Vec<PathCondition>>,
    /// The key `type`.
    pub kind: Option<ProcessType>,
    pub remain_after_exit: Option<bool>,
    pub pidfile: Option<PathBuf>,
    /// Zero = none.
    pub start_timeout: Option<Duration>,
    /// Zero = none.
    pub watchdog_sec: Option<Duration>,
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
    pub exec_start_pre: Option<Vec<Hook>>,
    pub exec_start_post: Option<Vec<Hook>>,
    pub exec_reload: Option<Vec<Hook>>,
    pub reload_signal: Option<Signal>,
    pub exec_stop: Option<Vec<Hook>>,
    pub exec_stop_post: Option<Vec<Hook>>,
    pub health_check: Option<HealthSpec>,
    pub critical: Option<bool>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
    pub pty: Option<bool>,
    pub metrics: Option<MetricsDetail>,
    pub resource_limits: Option<ResourceLimits>,
    pub rlimits: Option<Rlimits>,
    pub nice: Option<i8>,
    pub oom_score_adj: Option<i16>,
    pub ambient_capabilities: Option<Capabilities>,
    pub no_new_privileges: Option<bool>,
    pub runtime_directory: Option<Vec<String>>,
    pub runtime_directory_mode: Option<u32>,
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
    pub max_age: Option<Duration>,
    pub max_files: Option<u32>,
    pub max_total_size: Option<u64>,
    pub compress: Option<Compression>,
    pub format: Option<LogFormat>,
    pub max_line: Option<u32>,
    pub overflow: Option<Overflow>,
    pub journald_overflow: Option<Overflow>,
    /// `Some(None)` = written as `none`, which takes back what an earlier layer says.
    pub file_rate_limit: Option<Option<RateLimit>>,
    /// Likewise.
    pub rate_limit: Option<Option<RateLimit>>,
    pub multiline: Option<Multiline>,
    pub parse: Option<LineParser>,
    pub json_fields: Option<Vec<String>>,
    pub redact: Option<Vec<String>>,
}
