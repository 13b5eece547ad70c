//! The table of keys: everything that is known about a key stands in one line here. Reading, checking, layering,
//! rendering, suggestions and docs/CONFIG.md are derived from it.

use model::Definition;
use serde_yaml::Value;

use crate::fault::Faults;
use crate::kinds::{
    AbsolutePath, Account, Accounts, Age, Args, Bytes, CapabilitySet, Command, CompressionKind, Conditions,
    Count, DirectoryNames, Env, EnvironmentFiles, Exits, FilePath, Flag, FormatKind, Groups, Health, Hooks,
    Inherit, JsonKeys, KillModeKind, Kind, Line, LineBytes, MetricsKind, MultilineKind, Names, Needs, Nice,
    OnLimitKind, OomScore, OutputKind, OverflowKind, ParserKind, Patterns, Rate, Ratio, Resources,
    RestartKind, RlimitsKind, Seconds, SignalKind, TypeKind, Umask,
};
use crate::tree::Node;

/// What a change of a key does to a running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Applied at once; the pid stays.
    Hot,
    /// Needs a new run.
    Restart,
}

/// One key.
pub(crate) struct Key {
    /// As written; without the table's prefix (`log.`).
    pub(crate) name: &'static str,
    /// Spellings from elsewhere that mean this key; case, `_` and `-` don't count, so that systemd's `PIDFile` is
    /// not among them.
    pub(crate) also: &'static [&'static str],
    /// What it takes, in words.
    pub(crate) kind: &'static str,
    /// What holds without it: YAML in backticks, or words.
    pub(crate) default: &'static str,
    pub(crate) effect: Effect,
    pub(crate) doc: &'static str,
    pub(crate) read: fn(&Node, &mut Definition, &mut Faults),
    pub(crate) check: fn(&Definition, &mut Faults),
    pub(crate) write: fn(&Definition) -> Option<Value>,
    pub(crate) overlay: fn(&mut Definition, &Definition),
    /// As if it had never been written.
    pub(crate) clear: fn(&mut Definition),
}

macro_rules! key {
    ($name:ident = $($field:ident).+: $kind:ty, $default:literal, $effect:ident, $also:expr, $doc:literal) => {
        Key {
            name: stringify!($name),
            also: &$also,
            kind: <$kind as Kind>::WORDS,
            default: $default,
            effect: Effect::$effect,
            doc: $doc,
            read: |node, definition, faults| definition.$($field).+ = <$kind>::read(node, faults),
            check: |definition, faults| {
                if let Some(value) = &definition.$($field).+ {
                    <$kind>::check(value, faults);
                }
            },
            write: |definition| definition.$($field).+.as_ref().map(<$kind>::write),
            overlay: |earlier, later| {
                if let Some(value) = &later.$($field).+ {
                    match &mut earlier.$($field).+ {
                        Some(before) => <$kind>::overlay(before, value),
                        none => *none = Some(value.clone()),
                    }
                }
            },
            clear: |definition| definition.$($field).+ = None,
        }
    };
    ($name:ident: $($rest:tt)+) => {
        key!($name = $name: $($rest)+)
    };
}

/// The keys of a process.
pub(crate) const KEYS: [Key; 59] = [
    key!(description: Line, "empty", Hot, ["desc", "comment", "title"], "A line for humans, shown by `list` and `describe`."),
    key!(groups: Groups, "none", Hot, ["tags", "labels", "namespace", "profiles"],
        "Names under which it is addressed together with others, as `@name`. Not the groups of its user: these are \
         `supplementary_groups`."),
    key!(command: Command, "required", Restart, ["cmd", "exec", "program", "run", "ExecStart", "entrypoint", "script"],
        "The program. Without `args`, a command with blanks is split into words the way a shell does; no shell runs."),
    key!(args: Args, "none", Restart, ["arguments", "argv", "params"],
        "Arguments. With this key `command` is the program's path or name as it stands."),
    key!(working_dir: AbsolutePath, "`/`", Restart, ["directory", "cwd", "working_directory", "workdir", "chdir", "dir"],
        "Directory in which the program starts."),
    key!(env: Env, "none", Restart, ["environment", "environ", "envs", "env_vars", "variables"],
        "Environment variables. Layers are merged variable by variable."),
    key!(environment_file: EnvironmentFiles, "none", Restart, ["env_file", "env_files", "environment_files", "dotenv", "env_from"],
        "[Files of variables](#files-of-variables), read again at each start. `env` wins over them, a later file over an \
         earlier one."),
    key!(inherit_env: Inherit, "`false`", Restart, ["pass_env", "inherit_environment"],
        "Variables taken over from the daemon's own environment: all, none, or the named ones."),
    key!(user: Account, "the daemon's user", Restart, ["run_as", "uid", "username"], "User that the program runs as."),
    key!(group: Account, "the user's primary group", Restart, ["gid"], "Group that the program runs as."),
    key!(supplementary_groups: Accounts, "the user's groups", Restart, ["extra_groups"], "Supplementary groups."),
    key!(umask: Umask, "`\"0022\"`", Restart, [], "File mode creation mask."),
    key!(auto_start: Flag, "`true`", Hot, ["enabled", "start_on_boot", "autorun"], "Start it with the daemon."),
    key!(after: Names, "none", Hot, ["start_after"], "Start after these and stop before them (order only)."),
    key!(before: Names, "none", Hot, ["start_before"], "Start before these and stop after them (order only)."),
    key!(requires: Needs, "none", Hot, ["depends_on", "dependencies", "requisite", "needs"],
        "Started with it; it waits for these, and it is stopped when one of them is stopped on purpose. See \
         [dependencies](#dependencies)."),
    key!(wants: Needs, "none", Hot, ["waits_for", "upholds"],
        "Started with it; it waits for these as long as they are on their way."),
    key!(binds_to: Needs, "none", Hot, ["part_of", "bound_to"],
        "As `requires`; it is also stopped when one of these goes down by itself, and started again when that is back."),
    key!(conflicts: Names, "none", Hot, ["conflicts_with", "excludes"], "Never up together with these: starting one stops the other."),
    key!(condition_path_exists: Conditions, "none", Hot,
        ["condition_path", "ConditionPathIsDirectory", "ConditionFileNotEmpty", "AssertPathExists", "only_if_exists"],
        "Checked before each start, all of them: where one does not hold it is not started but `skipped`."),
    key!(type = kind: TypeKind, "`simple`", Restart, ["service_type", "process_type", "kind"],
        "When a start counts as done: `simple` once the program is executed, `notify` once it sent `READY=1` (sd_notify(3)), \
         `oneshot` once it ended successfully, `forking` once its first process ended successfully and a daemon is left."),
    key!(remain_after_exit: Flag, "`false`", Restart, ["remain"],
        "A `oneshot` that ended well counts as up until it is stopped."),
    key!(pidfile: FilePath, "none", Restart, ["pid_path"], "Where a `forking` program writes the pid of its daemon."),
    key!(start_timeout: Seconds, "`90`, and none for a `oneshot`", Hot,
        ["start_timeout_sec", "timeout_start_sec", "timeout_start", "timeout_up", "startup_timeout", "listen_timeout", "timeout_sec"],
        "Time from exec until it is up as its `type` says; later is a failure. 0 = for ever."),
    key!(watchdog_sec: Seconds, "none", Restart, ["watchdog", "watchdog_timeout", "watchdog_usec"],
        "Longest silence between two `WATCHDOG=1` (sd_notify(3)), for every `type`; a longer one is a failure. 0 = none."),
    key!(restart: RestartKind, "`on-failure`", Hot, ["restart_policy", "auto_restart", "respawn"],
        "What follows an exit that nobody asked for."),
    key!(restart_sec: Seconds, "`1`", Hot, ["restart_delay", "backoff"],
        "First delay before a restart; doubles with each failure in a row; 0 = at once. What was not even executed is tried \
         again after 1 s at the earliest, then 2 s, 4 s and so on."),
    key!(restart_max_delay_sec: Seconds, "`60`, or `restart_sec` if that is longer", Hot, ["max_delay", "restart_max_delay", "backoff_max"], "Longest delay."),
    key!(restart_jitter: Ratio, "`0.1`", Hot, ["jitter"],
        "Each delay is spread by up to this share, so that many processes don't restart in step."),
    key!(runtime_success_sec: Seconds, "`10`", Hot, ["min_uptime", "success_after", "start_secs"],
        "After a run of this length the delay falls back to `restart_sec`."),
    key!(start_limit_burst: Count, "`5`", Hot, ["start_retries", "max_restarts", "max_retries"],
        "Automatic starts allowed within `start_limit_interval_sec`; 0 = no limit."),
    key!(start_limit_interval_sec: Seconds, "`10`", Hot, ["start_limit_interval"],
        "The window in which `start_limit_burst` counts."),
    key!(on_start_limit: OnLimitKind, "`cooldown`", Hot, ["start_limit_action"],
        "When the limit is reached: try again after a cool-down (state `crash_loop`), or give up (state `failed`)."),
    key!(success_exit_status: Exits, "none", Hot, ["exit_codes", "success_codes"], "Statuses that count as success beside 0."),
    key!(restart_prevent_exit_status: Exits, "none", Hot, ["no_restart_codes"], "Statuses after which it is never restarted."),
    key!(kill_signal: SignalKind, "`TERM`", Hot, ["stop_signal", "signal"], "The polite request to end."),
    key!(kill_mode: KillModeKind, "`control-group`", Hot, [],
        "Who gets `kill_signal`: all of its processes, the main one and then SIGKILL for the rest, or the main one only."),
    key!(stop_timeout: Seconds, "`10`", Hot,
        ["stop_timeout_sec", "timeout_stop_sec", "timeout_stop", "stop_wait_secs", "kill_timeout", "grace_period", "timeout_kill"],
        "Time from `kill_signal` to SIGKILL."),
    key!(send_sighup: Flag, "`false`", Hot, [], "Send SIGHUP right after `kill_signal`."),
    key!(exec_start_pre: Hooks, "none", Hot, ["pre_start", "start_pre", "before_start", "pre_exec", "exec_condition"],
        "Run before the program; a failure means that it is not started."),
    key!(exec_start_post: Hooks, "none", Hot, ["post_start", "start_post", "after_start"],
        "Run once the program is up as its `type` says; a failure means that it is stopped."),
    key!(exec_reload: Hooks, "none", Hot, ["reload_command", "reload"], "Run by `pm-cli reload`; the pid stays."),
    key!(reload_signal: SignalKind, "`HUP`", Hot, ["hup_signal"],
        "Sent to the main process by `pm-cli reload` when there is no `exec_reload`."),
    key!(exec_stop: Hooks, "none", Hot, ["stop_command", "pre_stop", "stop_pre", "before_stop"], "Run before `kill_signal` is sent."),
    key!(exec_stop_post: Hooks, "none", Hot, ["post_stop", "stop_post", "after_stop", "finish"],
        "Run once nothing is left of it, however it ended."),
    key!(health_check: Health, "none", Hot, ["health", "health_cmd", "liveness_probe", "readiness_probe", "probe"],
        "How it is asked, again and again, whether it works."),
    key!(critical: Flag, "`false`", Hot, ["essential", "vital"],
        "The daemon ends, with this process's status, when it ends for good: for a daemon that is PID 1 of a container."),
    key!(stdout: OutputKind, "`capture`", Restart, ["stdout_logfile", "standard_output", "output", "log_file", "out_file"],
        "Standard output: to the log file and journald, to nowhere, to the daemon's own output, to a file of this path \
         and journald, or (`direct:`) straight into a file, uncaptured."),
    key!(stderr: OutputKind, "`capture`", Restart, ["stderr_logfile", "standard_error", "error_log", "err_file"], "Standard error, likewise."),
    key!(pty: Flag, "`false`", Restart, ["tty", "terminal", "pseudo_terminal"],
        "Its standard output is a terminal, so that programs that buffer into a pipe print at once. It has to be captured."),
    key!(metrics: MetricsKind, "`full`", Hot, ["metrics_detail", "prometheus", "monitoring"],
        "How much of it is exported to Prometheus: everything, a fifth of that, or nothing but its part of the counts of \
         all processes."),
    key!(resource_limits: Resources, "none", Hot, ["resources", "limits", "cgroup", "resource_limit", "deploy"],
        "How much of the machine all of its processes may take together."),
    key!(rlimits: RlimitsKind, "the daemon's", Restart, ["ulimits", "ulimit", "rlimit", "LimitNOFILE", "open_files"],
        "How much each of its processes may take. Layers are merged limit by limit."),
    key!(nice: Nice, "the daemon's", Restart, ["niceness", "priority"], "Its place among those that want the processor."),
    key!(oom_score_adj: OomScore, "the daemon's", Restart, ["OOMScoreAdjust", "oom_score", "oom_adj"],
        "How likely the kernel is to kill it when the machine is out of memory."),
    key!(ambient_capabilities: CapabilitySet, "none", Restart, ["capabilities", "caps", "cap_add"],
        "What it may do although its user is not root. The daemon must have these itself."),
    key!(no_new_privileges: Flag, "`false`", Restart, ["no_new_privs"],
        "Nothing that it executes gains privileges, as `sudo` does."),
    key!(runtime_directory: DirectoryNames, "none", Restart, ["runtime_dir", "run_dir"],
        "[Directories](#runtime-directories) that are made for each run and removed after it."),
    key!(runtime_directory_mode: Umask, "`\"0755\"`", Restart, ["runtime_dir_mode"], "Their mode."),
];

/// The keys below `log:`.
pub(crate) const LOG_KEYS: [Key; 17] = [
    key!(journald = log.journald: Flag, "`true`", Hot, ["journal", "syslog"], "Send captured lines to journald, where it is there."),
    key!(file = log.file: Flag, "`true`", Hot, ["to_file"], "Write captured lines to the file."),
    key!(max_size = log.max_size: Bytes, "`50MiB`", Hot, ["maxbytes", "rotate_size", "log_max_size"],
        "Rotate when the file would grow beyond this; 0 = never."),
    key!(max_age = log.max_age: Age, "`0`", Hot, ["rotate_interval", "rotate_every", "log_max_age", "hourly", "daily", "weekly"],
        "Rotate a file whose first line is older than this, at the next line; 0 = never."),
    key!(max_files = log.max_files: Count, "`5`", Hot, ["backups", "rotate", "keep", "log_max_files"],
        "Rotated files kept beside the current one."),
    key!(max_total_size = log.max_total_size: Bytes, "`0`", Hot, ["total_size", "system_max_use", "max_disk_usage"],
        "Bytes on disk that the rotated files may take together, without the current one; the oldest go first; 0 = no bound."),
    key!(compress = log.compress: CompressionKind, "`none`", Hot, ["compression", "gzip", "zip"],
        "What becomes of a rotated file, in the background."),
    key!(format = log.format: FormatKind, "`raw`", Hot, ["log_format", "line_format", "log_type"],
        "How a line is written to the file: as printed, behind its time and stream, as an object, or as `key=value` pairs."),
    key!(max_line = log.max_line: LineBytes, "`256KiB`", Hot, ["line_max", "max_line_length"],
        "Longest line; longer ones are cut, marked and counted."),
    key!(overflow = log.overflow: OverflowKind, "`block`", Hot, ["on_full", "on_overflow", "backpressure"],
        "While the file can't be written (a full disk): the process waits, or the oldest or newest of the lines that wait \
         are dropped, counted and marked."),
    key!(journald_overflow = log.journald_overflow: OverflowKind, "`drop_newest`", Hot, ["journal_overflow", "syslog_overflow"],
        "The same while journald takes none and the buffer for it is full. `block` makes the process wait for journald."),
    key!(file_rate_limit = log.file_rate_limit: Rate, "`none`", Hot, ["file_limit", "file_throttle"],
        "At most so many lines go to the file; what is beyond is dropped, counted and marked."),
    key!(rate_limit = log.rate_limit: Rate, "`none`", Hot,
        ["log_rate_limit_burst", "log_rate_limit_interval_sec", "rate_limit_burst", "rate_limit_interval", "journald_rate_limit", "throttle"],
        "The same for journald; the file gets all lines all the same."),
    key!(multiline = log.multiline: MultilineKind, "`none`", Hot, ["join_lines", "stack_traces", "multiline_start", "first_line"],
        "Lines that are one journal entry: those that begin with a blank belong to the one before (`indent`), or all that \
         don't match the regular expression of a first line."),
    key!(parse = log.parse: ParserKind, "`none`", Hot, ["parser", "syslog_level_prefix", "level_prefix", "parse_json"],
        "What is read from a line for the journal: level and message of a JSON object, or the level in a `<N>` before it."),
    key!(json_fields = log.json_fields: JsonKeys, "none", Hot, ["journal_fields", "fields", "labels"],
        "Keys of a JSON line that become fields of its journal entry, in upper case. Only with `parse: json`."),
    key!(redact = log.redact: Patterns, "none", Hot, ["masks", "scrub", "sanitize", "filter_patterns", "log_filter_patterns"],
        "What matches is replaced in each line before anybody gets it. A later layer replaces the list as a whole."),
];

/// The keys of which `earlier` says something that `merged` doesn't.
pub(crate) fn overruled(earlier: &Definition, merged: &Definition) -> Vec<String> {
    // Of variables and the like there may be more: what counts is whether it would change anything on top.
    let mut on_top = merged.clone();
    KEYS.iter().chain(&LOG_KEYS).for_each(|key| (key.overlay)(&mut on_top, earlier));
    let differs = |key: &&Key| (key.write)(&on_top) != (key.write)(merged);
    let own = KEYS.iter().filter(differs).map(|key| key.name.to_owned());
    own.chain(LOG_KEYS.iter().filter(differs).map(|key| format!("log.{}", key.name))).collect()
}

/// Puts a later layer on top of an earlier one, key by key. A layer that names another command brings its own
/// arguments: those of the earlier one would be handed to the wrong program.
pub(crate) fn overlay(earlier: &mut Definition, later: &Definition) {
    if later.command.is_some() {
        earlier.args = None;
    }
    for key in KEYS.iter().chain(&LOG_KEYS) {
        (key.overlay)(earlier, later);
    }
}
