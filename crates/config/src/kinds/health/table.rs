//! The keys of a health check: a table, from which suggestions and docs/CONFIG.md are made.

use super::super::address::Port;
use super::super::fields::Field;
use super::super::{Args, Command, Count, Kind, Seconds, Times};

macro_rules! field {
    ($name:literal, $also:expr, $kind:expr, $default:literal, $doc:literal) => {
        Field { name: $name, also: &$also, kind: $kind, default: $default, doc: $doc }
    };
}

/// The keys of a health check.
pub(crate) const FIELDS: [Field; 14] = [
    field!(
        "type",
        ["kind", "check_type", "protocol"],
        "`http`, `tcp`, `exec` or `grpc`",
        "required",
        "What is asked, see above."
    ),
    field!(
        "url",
        ["endpoint", "http_endpoint", "http_get", "uri"],
        "`http://host:port/path`",
        "from `port` and `path`",
        "http: the URL."
    ),
    field!(
        "address",
        ["host", "hostname", "tcp_host", "target"],
        "`host:port`",
        "from `port`",
        "tcp, grpc: where to connect."
    ),
    field!(
        "port",
        ["tcp_port", "tcp_socket", "http_port"],
        Port::WORDS,
        "none",
        "http, tcp, grpc: a port of 127.0.0.1, in the place of `url` or `address`."
    ),
    field!(
        "path",
        ["http_path"],
        "a path from `/`, perhaps with a query",
        "`/`",
        "http: what to ask of `port`."
    ),
    field!(
        "service",
        ["grpc_service", "service_name"],
        "a text",
        "empty: the server as a whole",
        "grpc: the service asked about."
    ),
    field!(
        "command",
        ["cmd", "test", "exec_command", "script", "run"],
        Command::WORDS,
        "required for exec",
        "exec: what to execute. Without `args` it is split as the `command` of a process is; no shell runs."
    ),
    field!("args", ["arguments", "exec_args"], Args::WORDS, "none", "exec: arguments."),
    field!(
        "interval",
        ["period", "period_seconds", "check_interval"],
        Seconds::WORDS,
        "`10`",
        "From the end of a check to the start of the next one; at least 10 ms."
    ),
    field!(
        "timeout",
        ["timeout_seconds"],
        Seconds::WORDS,
        "`5`",
        "Longest wait for an answer, at least 10 ms; no answer is a failure. A command is killed with all that it started."
    ),
    field!(
        "retries",
        ["failure_threshold", "failures"],
        Times::WORDS,
        "`3`",
        "Failures in a row that make it `unhealthy`."
    ),
    field!(
        "start_period",
        ["initial_delay_seconds", "initial_delay", "grace_period"],
        Seconds::WORDS,
        "`10`",
        "For this long after it is up, failures don't count, and it is asked each second (or each `interval`, if that is \
         shorter) until the first success."
    ),
    field!(
        "success_threshold",
        ["successes"],
        Times::WORDS,
        "`1`",
        "Successes in a row that make it `healthy`."
    ),
    field!(
        "restart_after",
        ["restart_threshold"],
        Count::WORDS,
        "`0`",
        "Failures in a row after which it is restarted as after a crash: at least `retries`; 0 = never."
    ),
];
