//! The one table of metrics. Descriptors, `docs/METRICS.md` and the checks of dashboards and alert rules all
//! derive from it; a metric that is not here can't be exported.
//!
//! Rules: prefix `ddprocmgr_` (but the standard `process_*` set for the daemon itself, and `grpc_server_*` as other
//! gRPC servers have it); the label `process` is
//! the process's name; no pid and no run in any label, because each new value is a new series and a counter
//! that starts anew with each restart can't be alerted on.

use std::fmt;

pub use model::MetricsDetail as Detail;

/// What a metric is; the exposition has nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up; starts again from 0 with the daemon.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Durations, counted by how long they were: `_bucket`, `_sum` and `_count` of each.
    Histogram,
}

impl Kind {
    /// The word of the TYPE line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a value counts or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0 or 1.
    Bool,
    /// A number of things.
    Count,
    /// A length of time.
    Seconds,
    /// A point in time: seconds since 1970.
    UnixSeconds,
    /// Bytes.
    Bytes,
    /// A number that stands for itself.
    Code,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bool => "0 or 1",
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::UnixSeconds => "unix time in seconds",
            Self::Bytes => "bytes",
            Self::Code => "code",
        })
    }
}

/// Which collector exports a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The supervisor's snapshot.
    Processes,
    /// The processes' /proc entries.
    Proc,
    /// The processes' cgroups.
    Cgroups,
    /// The log pipeline's accounting.
    Logs,
    /// How long starts, stops and checks took.
    Durations,
    /// The daemon's own facts.
    Daemon,
    /// Calls of the control API.
    Grpc,
    /// The daemon as an operating system process.
    SelfProcess,
    /// The scrape itself.
    Scrape,
}

impl Group {
    /// Every group, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Processes,
        Self::Proc,
        Self::Cgroups,
        Self::Logs,
        Self::Durations,
        Self::Daemon,
        Self::Grpc,
        Self::SelfProcess,
        Self::Scrape,
    ];

    /// The value of the label `collector`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Proc => "proc",
            Self::Cgroups => "cgroups",
            Self::Logs => "logs",
            Self::Durations => "durations",
            Self::Daemon => "daemon",
            Self::Grpc => "grpc",
            Self::SelfProcess => "self_process",
            Self::Scrape => "scrape",
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Label names, in the order of the exposition.
    pub labels: &'static [&'static str],
    /// Unit of the value.
    pub unit: Unit,
    /// How many series there are, in words.
    pub series: &'static str,
    /// The HELP text.
    pub help: &'static str,
    /// Who exports it.
    pub group: Group,
}

/// What is exported of a process with [`Detail::Basic`]: a fifth of the series.
pub static BASIC: &[&Metric] = &[
    &PROCESS_INFO,
    &PROCESS_UP,
    &PROCESS_WANTED,
    &PROCESS_RESTARTS,
    &PROCESS_STARTS,
    &PROCESS_START_TIME,
    &PROCESS_UPTIME,
    &PROCESS_LAST_EXIT_CODE,
    &PROCESS_LAST_EXIT_TIME,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &LOG_DROPPED,
];

impl Metric {
    /// Whether it is exported of a process with this much detail.
    #[must_use]
    pub fn is_in(&self, detail: Detail) -> bool {
        match detail {
            Detail::Off => false,
            Detail::Basic => BASIC.iter().any(|m| std::ptr::eq(*m, self)),
            Detail::Full => true,
        }
    }
}

/// Declares each metric as a static and lists it in [`TABLE`], so that none can be left out of the table.
macro_rules! table {
    ($($group:ident { $($id:ident = $kind:ident $name:literal [$($label:literal),*] $unit:ident, $series:literal, $help:literal;)* })*) => {
        $($(pub(crate) static $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            unit: Unit::$unit,
            series: $series,
            help: $help,
            group: Group::$group,
        };)*)*
        /// Every metric, in the order of the documentation.
        pub static TABLE: &[&Metric] = &[$($(&$id),*),*];
    };
}

table! {
    Processes {
        PROCESSES = Gauge "ddprocmgr_processes" ["state"] Count, "1 per state",
            "Managed processes in each state.";
        PROCESS_INFO = Gauge "ddprocmgr_process_info" ["process", "process_id", "command", "user", "restart_policy"] Bool, "1 per process",
            "Definition of the managed process; always 1. The command is the program alone, cut at 128 bytes; an empty user is the daemon's own.";
        PROCESS_UP = Gauge "ddprocmgr_process_up" ["process"] Bool, "1 per process",
            "Whether the main process is alive (1) or not (0).";
        PROCESS_WANTED = Gauge "ddprocmgr_process_wanted_up" ["process"] Bool, "1 per process",
            "Whether the managed process is meant to be up (1), or was stopped or never started (0).";
        PROCESS_BROKEN = Gauge "ddprocmgr_process_definition_broken" ["process"] Bool, "1 per process",
            "Whether the newest definition is broken (1), so that an older one or none is in force.";
        PROCESS_STATE = Gauge "ddprocmgr_process_state" ["process", "state"] Bool, "1 per process and state",
            "State of the managed process: 1 for the current state, 0 for all others.";
        PROCESS_STATE_TIME = Gauge "ddprocmgr_process_state_timestamp_seconds" ["process"] UnixSeconds, "1 per process",
            "Time since which the managed process is in its state.";
        PROCESS_RESTARTS = Counter "ddprocmgr_process_restarts_total" ["process"] Count, "1 per process",
            "Automatic restarts of the managed process.";
        PROCESS_STARTS = Counter "ddprocmgr_process_starts_total" ["process"] Count, "1 per process",
            "Starts of the managed process that reached its program, automatic or asked for.";
        PROCESS_EXITS = Counter "ddprocmgr_process_exits_total" ["process", "reason"] Count, "1 per process and reason",
            "Ends of the managed process by reason; stopped means asked for, spawn_failed that it never began.";
        PROCESS_OOM_KILLS = Counter "ddprocmgr_process_oom_kills_total" ["process"] Count, "1 per process",
            "Processes of the managed process, its main process included, that the kernel killed for lack of memory; 0 where cgroups don't account for memory.";
        PROCESS_START_TIME = Gauge "ddprocmgr_process_start_time_seconds" ["process"] UnixSeconds, "1 per live process",
            "Time at which the current run was started; absent while the process is down.";
        PROCESS_UPTIME = Gauge "ddprocmgr_process_uptime_seconds" ["process"] Seconds, "1 per process",
            "Time since the current run was started; 0 while the process is down.";
        PROCESS_LAST_EXIT_CODE = Gauge "ddprocmgr_process_last_exit_code" ["process"] Code, "at most 1 per process",
            "How the last run ended, as a shell counts: exit code, 128 + N after signal N, 255 when unknown; absent before the first end and when the last run never began.";
        PROCESS_LAST_EXIT_TIME = Gauge "ddprocmgr_process_last_exit_timestamp_seconds" ["process"] UnixSeconds, "at most 1 per process",
            "Time at which the last run ended or failed to begin; absent before.";
        PROCESS_RESTART_DELAY = Gauge "ddprocmgr_process_restart_delay_seconds" ["process"] Seconds, "1 per process",
            "Time until the next automatic start; 0 when none is due.";
        PROCESS_NEXT_START = Gauge "ddprocmgr_process_next_start_timestamp_seconds" ["process"] UnixSeconds, "at most 1 per process",
            "Time of the next automatic start, in backoff and crash_loop; absent when none is due.";
        PROCESS_HEALTH = Gauge "ddprocmgr_process_health" ["process", "state"] Bool, "3 per live process with a health check",
            "What the health checks say: 1 for the current state, 0 for the others; absent without a health check and while the process is not up.";
        PROCESS_HEALTH_FAILURES = Gauge "ddprocmgr_process_health_check_failures" ["process"] Count, "1 per live process with a health check",
            "Health checks that failed in a row until now.";
        PROCESS_HEALTH_CHECKS = Counter "ddprocmgr_process_health_checks_total" ["process", "result"] Count, "2 per live process with a health check",
            "Health checks of the current run by result, exec checks included; absent while the process is not up.";
        PROCESS_HEALTH_DURATION = Gauge "ddprocmgr_process_health_check_duration_seconds" ["process"] Seconds, "at most 1 per live process with a health check",
            "Time that the last health check took; absent before the first one of a run.";
    }
    Proc {
        PROCESS_CPU = Counter "ddprocmgr_process_cpu_seconds_total" ["process"] Seconds, "1 per process",
            "User and system CPU time of the main process and the children it waited for, summed over all runs.";
        PROCESS_RESIDENT = Gauge "ddprocmgr_process_resident_memory_bytes" ["process"] Bytes, "1 per live process",
            "Resident memory of the main process; absent while it is down.";
        PROCESS_VIRTUAL = Gauge "ddprocmgr_process_virtual_memory_bytes" ["process"] Bytes, "1 per live process",
            "Virtual memory of the main process; absent while it is down.";
        PROCESS_FDS = Gauge "ddprocmgr_process_open_fds" ["process"] Count, "1 per live process",
            "Open file descriptors of the main process; absent while it is down, or where the kernel (before 6.2) lets only its owner count them.";
        PROCESS_MAX_FDS = Gauge "ddprocmgr_process_max_fds" ["process"] Count, "at most 1 per live process",
            "Largest number of file descriptors that the main process may open (soft limit, as it was when a scrape first saw it); absent when unlimited, while it is down, or where the daemon may not ask.";
        PROCESS_THREADS = Gauge "ddprocmgr_process_threads" ["process"] Count, "1 per live process",
            "Threads of the main process; absent while it is down.";
        PROCESS_READ = Counter "ddprocmgr_process_read_bytes_total" ["process"] Bytes, "1 per live process",
            "Bytes that the main process made the kernel fetch from storage, in its current run; absent while it is down, or where the daemon may not ask.";
        PROCESS_WRITTEN = Counter "ddprocmgr_process_written_bytes_total" ["process"] Bytes, "1 per live process",
            "Bytes that the main process made the kernel send to storage, in its current run; absent while it is down, or where the daemon may not ask.";
        TREE_PROCESSES = Gauge "ddprocmgr_process_tree_processes" ["process"] Count, "1 per process",
            "Processes that the run consists of: the main process and what descends from it or is in its session; 0 while it is down.";
        TREE_RESIDENT = Gauge "ddprocmgr_process_tree_resident_memory_bytes" ["process"] Bytes, "1 per live process",
            "Resident memory of all processes of the run; memory that they share is counted once for each. Absent while it is down.";
        TREE_CPU = Counter "ddprocmgr_process_tree_cpu_seconds_total" ["process"] Seconds, "1 per process",
            "User and system CPU time of all processes of all runs, as far as it was seen at a scrape.";
    }
    Cgroups {
        CGROUP_MEMORY = Gauge "ddprocmgr_process_cgroup_memory_bytes" ["process"] Bytes, "1 per live process with a cgroup",
            "Memory charged to the cgroup of the run, page cache included; absent where dd-procmgrd has no cgroups or no memory controller.";
        CGROUP_MEMORY_LIMIT = Gauge "ddprocmgr_process_cgroup_memory_limit_bytes" ["process"] Bytes, "at most 1 per live process with a cgroup",
            "Memory that the cgroup of the run may take; absent when unlimited.";
        CGROUP_PRESSURE = Counter "ddprocmgr_process_cgroup_pressure_seconds_total" ["process", "resource"] Seconds, "3 per live process with a cgroup",
            "Time in which something of the current run had to wait for the resource (PSI some); absent where the kernel does not tell.";
        OOM_KILLS = Counter "ddprocmgr_oom_kills_total" [] Count, "at most 1",
            "Processes that the kernel killed for lack of memory in the cgroup of dd-procmgrd, managed processes included; absent where no cgroup tells.";
    }
    Logs {
        LOG_LINES = Counter "ddprocmgr_process_log_lines_total" ["process", "stream"] Count, "1 per captured stream",
            "Lines read from the managed process.";
        LOG_BYTES = Counter "ddprocmgr_process_log_bytes_total" ["process", "stream"] Bytes, "1 per captured stream",
            "Bytes read from the managed process.";
        LOG_WRITTEN = Counter "ddprocmgr_process_log_written_lines_total" ["process", "stream", "sink"] Count, "1 per captured stream and sink",
            "Lines written whole to the sink.";
        LOG_WRITTEN_BYTES = Counter "ddprocmgr_process_log_written_bytes_total" ["process", "stream", "sink"] Bytes, "1 per captured stream and sink",
            "Bytes written to the sink, with marks and framing.";
        LOG_DROPPED = Counter "ddprocmgr_process_log_dropped_lines_total" ["process", "stream", "sink"] Count, "1 per captured stream and sink",
            "Lines that did not reach the sink.";
        LOG_TRUNCATED = Counter "ddprocmgr_process_log_truncated_lines_total" ["process", "stream", "sink"] Count, "1 per captured stream and sink",
            "Lines written to the sink but cut at the longest length allowed.";
        LOG_QUEUED = Gauge "ddprocmgr_process_log_queued_lines" ["process", "stream", "sink"] Count, "1 per captured stream and sink",
            "Lines that wait for the sink: read = written + dropped + truncated + queued.";
        LOG_LAG = Gauge "ddprocmgr_process_log_lag_seconds" ["process", "sink"] Seconds, "1 per process and sink",
            "How long the oldest line that waits for the sink has been waiting; 0 when none waits.";
        LOG_ERRORS = Counter "ddprocmgr_process_log_write_errors_total" ["process", "stream", "sink"] Count, "1 per captured stream and sink",
            "Failed writes to the sink.";
    }
    Durations {
        SPAWN_DURATION = Histogram "ddprocmgr_spawn_duration_seconds" [] Seconds, "1",
            "Time from the decision to start a process to its running program.";
        READY_DURATION = Histogram "ddprocmgr_ready_duration_seconds" [] Seconds, "1",
            "Time from the decision to start a process to its readiness; simple processes without hooks are not in it.";
        STOP_DURATION = Histogram "ddprocmgr_stop_duration_seconds" [] Seconds, "1",
            "Time from the stop signal to the end of the main process.";
        RESTART_LATENCY = Histogram "ddprocmgr_restart_latency_seconds" [] Seconds, "1",
            "Time from the end of a main process to its automatic restart, without the delay that its restart policy asked for.";
        HEALTH_CHECKS = Counter "ddprocmgr_health_checks_total" ["result"] Count, "2",
            "Health checks over the network by result: passed or failed.";
        HEALTH_DURATION = Histogram "ddprocmgr_health_check_duration_seconds" [] Seconds, "1",
            "Time that health checks over the network took.";
    }
    Daemon {
        BUILD_INFO = Gauge "ddprocmgr_build_info" ["version", "revision"] Bool, "1",
            "Version of dd-procmgrd and the source revision it was built from; always 1.";
        RELOAD_SUCCESSFUL = Gauge "ddprocmgr_config_last_reload_successful" [] Bool, "1",
            "Whether the last load of the configuration succeeded; the one at start counts.";
        RELOAD_TIME = Gauge "ddprocmgr_config_last_reload_success_timestamp_seconds" [] UnixSeconds, "at most 1",
            "Time of the last successful load of the configuration; absent before the first.";
        TURNS = Counter "ddprocmgr_supervisor_turns_total" [] Count, "1",
            "Turns of the supervisor's main loop.";
        TURN_TIME = Counter "ddprocmgr_supervisor_turn_seconds_total" [] Seconds, "1",
            "Time spent in turns of the supervisor's main loop.";
        TURN_LONGEST = Gauge "ddprocmgr_supervisor_longest_turn_seconds" [] Seconds, "1",
            "Longest turn of the supervisor's main loop since dd-procmgrd started.";
        TURN_DURATION = Histogram "ddprocmgr_supervisor_turn_duration_seconds" [] Seconds, "1",
            "Time that turns of the supervisor's main loop took: what an event waits for at most.";
        JOURNALD_CONNECTED = Gauge "ddprocmgr_journald_connected" [] Bool, "at most 1",
            "Whether dd-procmgrd is connected to the journal; absent when it does not use one.";
        JOURNALD_ERRORS = Counter "ddprocmgr_journald_errors_total" [] Count, "at most 1",
            "Failed connects and sends to the journal.";
        EVENTS_DROPPED = Counter "ddprocmgr_journald_events_dropped_total" [] Count, "at most 1",
            "Lifecycle events that the journal did not get.";
        LISTENER_UP = Gauge "ddprocmgr_listener_up" ["listener"] Bool, "1 per listener",
            "Whether dd-procmgrd listens on the address (1) or could not bind it and tries again (0).";
    }
    Grpc {
        GRPC_STARTED = Counter "grpc_server_started_total" ["grpc_type", "grpc_service", "grpc_method"] Count, "1 per method",
            "Calls that began.";
        GRPC_HANDLED = Counter "grpc_server_handled_total" ["grpc_type", "grpc_service", "grpc_method", "grpc_code"] Count, "1 per method and code that occurred, and OK",
            "Calls that ended, by status code.";
        GRPC_HANDLING = Histogram "grpc_server_handling_seconds" ["grpc_type", "grpc_service", "grpc_method"] Seconds, "1 per method that was called",
            "Time from the beginning of a call to its end.";
    }
    SelfProcess {
        SELF_CPU = Counter "process_cpu_seconds_total" [] Seconds, "1",
            "User and system CPU time of dd-procmgrd.";
        SELF_FDS = Gauge "process_open_fds" [] Count, "1",
            "Open file descriptors of dd-procmgrd.";
        SELF_MAX_FDS = Gauge "process_max_fds" [] Count, "at most 1",
            "Largest number of file descriptors that dd-procmgrd may open; absent when unlimited.";
        SELF_RESIDENT = Gauge "process_resident_memory_bytes" [] Bytes, "1",
            "Resident memory of dd-procmgrd.";
        SELF_VIRTUAL = Gauge "process_virtual_memory_bytes" [] Bytes, "1",
            "Virtual memory of dd-procmgrd.";
        SELF_START_TIME = Gauge "process_start_time_seconds" [] UnixSeconds, "1",
            "Time at which dd-procmgrd was started.";
        SELF_THREADS = Gauge "process_threads" [] Count, "1",
            "Threads of dd-procmgrd.";
    }
    Scrape {
        SCRAPE_DURATION = Gauge "ddprocmgr_scrape_duration_seconds" [] Seconds, "1",
            "Time that collecting this exposition took.";
        COLLECTOR_SUCCESS = Gauge "ddprocmgr_scrape_collector_success" ["collector"] Bool, "1 per collector",
            "Whether the collector got everything it asked for (1) or left something out (0).";
        COLLECTOR_DURATION = Gauge "ddprocmgr_scrape_collector_duration_seconds" ["collector"] Seconds, "1 per collector",
            "Time that the collector took.";
    }
}
