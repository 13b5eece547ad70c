//! The table of keys: everything that is known about a key stands in one line here. Reading, checking, layering,
//! rendering, suggestions and docs/CONFIG.md are derived from it.

use model::Definition;
use serde_yaml::Value;

use crate::fault::Faults;
use crate::kinds::{
    AbsolutePath, Account, Accounts, Args, Bytes, Command, Count, Env, Exits, Flag, Inherit, KillModeKind,
    Kind, Line, LineBytes, Names, OnLimitKind, OutputKind, Ratio, RestartKind, Seconds, SignalKind, Umask,
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
    /// Spellings from elsewhere that mean this key.
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
        }
    };
    ($name:ident: $($rest:tt)+) => {
        key!($name = $name: $($rest)+)
    };
}

/// The keys of a process.
pub(crate) const KEYS: [Key; 29] = [
    key!(description: Line, "empty", Hot, ["desc", "comment", "title"], "A line for humans, shown by `list` and `describe`."),
    key!(command: Command, "required", Restart, ["cmd", "exec", "program", "run", "ExecStart", "entrypoint"],
        "The program. Without `args`, a command with blanks is split into words the way a shell does; no shell runs."),
    key!(args: Args, "none", Restart, ["arguments", "argv", "params"],
        "Arguments. With this key `command` is the program's path or name as it stands."),
    key!(working_dir: AbsolutePath, "`/`", Restart, ["directory", "cwd", "working_directory", "workdir", "chdir", "dir"],
        "Directory in which the program starts."),
    key!(env: Env, "none", Restart, ["environment", "environ", "envs", "env_vars", "variables"],
        "Environment variables. Layers are merged variable by variable."),
    key!(inherit_env: Inherit, "`false`", Restart, ["pass_env", "inherit_environment"],
        "Variables taken over from the daemon's own environment: all, none, or the named ones."),
    key!(user: Account, "the daemon's user", Restart, ["run_as", "uid", "username"], "User that the program runs as."),
    key!(group: Account, "the user's primary group", Restart, ["gid"], "Group that the program runs as."),
    key!(supplementary_groups: Accounts, "the user's groups", Restart, ["extra_groups"], "Supplementary groups."),
    key!(umask: Umask, "`\"0022\"`", Restart, [], "File mode creation mask."),
    key!(auto_start: Flag, "`true`", Hot, ["enabled", "start_on_boot", "autorun"], "Start it with the daemon."),
    key!(after: Names, "none", Hot, ["depends_on", "start_after"], "Start after these and stop before them (order only)."),
    key!(before: Names, "none", Hot, ["start_before"], "Start before these and stop after them (order only)."),
    key!(restart: RestartKind, "`on-failure`", Hot, ["restart_policy", "auto_restart", "respawn"],
        "What follows an exit that nobody asked for."),
    key!(restart_sec: Seconds, "`1`", Hot, ["restart_delay", "backoff", "start_secs"],
        "First delay before a restart; doubles with each failure in a row; 0 = at once."),
    key!(restart_max_delay_sec: Seconds, "`60`, or `restart_sec` if that is longer", Hot, ["max_delay", "restart_max_delay", "backoff_max"], "Longest delay."),
    key!(restart_jitter: Ratio, "`0.1`", Hot, ["jitter"],
        "Each delay is spread by up to this share, so that many processes don't restart in step."),
    key!(runtime_success_sec: Seconds, "`10`", Hot, ["min_uptime", "success_after"],
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
    key!(stop_timeout: Seconds, "`10`", Hot, ["stop_timeout_sec", "timeout_stop_sec", "stop_wait_secs", "kill_timeout", "grace_period"],
        "Time from `kill_signal` to SIGKILL."),
    key!(send_sighup: Flag, "`false`", Hot, [], "Send SIGHUP right after `kill_signal`."),
    key!(stdout: OutputKind, "`capture`", Restart, ["stdout_logfile", "standard_output", "output", "log_file"],
        "Standard output: to the log file and journald, to nowhere, to the daemon's own output, to a file of this path \
         and journald, or (`direct:`) straight into a file, uncaptured."),
    key!(stderr: OutputKind, "`capture`", Restart, ["stderr_logfile", "standard_error", "error_log"], "Standard error, likewise."),
];

/// The keys below `log:`.
pub(crate) const LOG_KEYS: [Key; 5] = [
    key!(journald = log.journald: Flag, "`true`", Hot, ["journal", "syslog"], "Send captured lines to journald, where it is there."),
    key!(file = log.file: Flag, "`true`", Hot, ["to_file"], "Write captured lines to the file."),
    key!(max_size = log.max_size: Bytes, "`50MiB`", Hot, ["maxbytes", "rotate_size", "log_max_size"],
        "Rotate when the file would grow beyond this; 0 = never."),
    key!(max_files = log.max_files: Count, "`5`", Hot, ["backups", "rotate", "keep", "log_max_files"],
        "Rotated files kept beside the current one."),
    key!(max_line = log.max_line: LineBytes, "`256KiB`", Hot, ["line_max", "max_line_length"],
        "Longest line; longer ones are cut, marked and counted."),
];

/// Keys of a process that a later version has.
pub(crate) const LATER: [&str; 24] = [
    "environment_file",
    "groups",
    "requires",
    "wants",
    "binds_to",
    "conflicts",
    "condition_path_exists",
    "remain_after_exit",
    "pidfile",
    "exec_stop",
    "exec_start_pre",
    "exec_start_post",
    "exec_reload",
    "exec_stop_post",
    "reload_signal",
    "health_check",
    "pty",
    "resource_limits",
    "rlimits",
    "nice",
    "oom_score_adj",
    "ambient_capabilities",
    "no_new_privileges",
    "runtime_directory",
];

/// Keys below `log:` that a later version has.
pub(crate) const LOG_LATER: [&str; 7] =
    ["max_age", "compress", "overflow", "rate_limit", "multiline", "parse", "redact"];

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
