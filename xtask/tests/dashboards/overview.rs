//! The board to begin with: all hosts and all processes.

use serde_json::json;

use crate::make::{Board, Panel, Source, annotations, own, variables};
use crate::states;

/// Where a row about a process leads.
const PROCESS: &str = "/d/ddprocmgr-process?var-datasource=${datasource}&var-job=${__data.fields.job}\
    &var-instance=${__data.fields.instance}&var-process=${__data.fields.process}&${__url_time_range}";

/// The line to type for the journal of a process, made of its PROCESS_ID.
pub(crate) const JOURNALCTL: &str = r#"label_replace(max by (job, instance, process, process_id, command, user, restart_policy) (ddprocmgr_process_info{@process}), "journal", "journalctl -u dd-procmgrd PROCESS_ID=$1", "process_id", "(.+)")"#;

/// Those that are not up yet, and those that are up and sick; without any health check there is no series of it.
const NOT_READY: &str = r#"sum(ddprocmgr_processes{@daemon,state=~"starting|waiting"}) + (sum(ddprocmgr_process_health{@process,state="unhealthy"}) or vector(0))"#;

pub(crate) fn board() -> Board {
    Board {
        name: "overview",
        title: "dd-procmgrd / Overview",
        description: "All hosts and processes of dd-procmgrd at a glance.",
        source: Source::Prometheus,
        variables: variables(),
        annotations: annotations(),
        panels: panels(),
    }
}

fn panels() -> Vec<Panel> {
    let mut panels = numbers();
    panels.push(processes());
    panels.extend(over_time());
    panels.push(Panel::row("Hosts"));
    panels.push(hosts());
    panels.extend(daemons());
    panels.push(Panel::row("Control API"));
    panels.extend(calls());
    panels
}

fn numbers() -> Vec<Panel> {
    vec![
        Panel::stat(
            "Running",
            "Processes that are up.",
            "short",
            r#"sum(ddprocmgr_processes{@daemon,state=~"running|reloading"})"#,
        )
        .size(3, 4),
        Panel::stat(
            "Not ready",
            "Processes on their way up, held back by others, or that fail their health check.",
            "short",
            NOT_READY,
        )
        .from(1.0, "yellow")
        .size(3, 4),
        Panel::stat(
            "Crash looping",
            "Processes between two tries.",
            "short",
            r#"sum(ddprocmgr_processes{@daemon,state=~"backoff|crash_loop"})"#,
        )
        .from(1.0, "red")
        .size(3, 4),
        Panel::stat(
            "Failed",
            "Processes that failed and are not tried again, or whose definition is broken.",
            "short",
            r#"sum(ddprocmgr_processes{@daemon,state=~"failed|invalid"})"#,
        )
        .from(1.0, "red")
        .size(3, 4),
        Panel::stat(
            "Restarts",
            "Automatic restarts in the time shown.",
            "short",
            "sum(increase(ddprocmgr_process_restarts_total{@process}[$__range]))",
        )
        .from(1.0, "yellow")
        .size(3, 4),
        Panel::stat(
            "Lost log lines",
            "Lines that did not reach a sink in the time shown.",
            "short",
            "sum(increase(ddprocmgr_process_log_dropped_lines_total{@process}[$__range]))",
        )
        .from(1.0, "red")
        .size(3, 4),
        Panel::stat(
            "Broken configuration",
            "Hosts whose last load of the configuration failed.",
            "short",
            "count(ddprocmgr_config_last_reload_successful{@daemon} == 0) or vector(0)",
        )
        .from(1.0, "red")
        .size(3, 4),
        Panel::stat(
            "Not scraped",
            "Hosts that Prometheus gets no metrics from, and got some in the time shown.",
            "short",
            "count(up{@daemon} == 0 and on (job, instance) \
             max_over_time(ddprocmgr_build_info{@daemon}[$__range])) or vector(0)",
        )
        .from(1.0, "red")
        .size(3, 4),
    ]
}

fn processes() -> Panel {
    let link = json!({"title": "${__data.fields.process} in depth", "url": PROCESS, "targetBlank": false});
    let colored = json!({"type": "color-text"});
    let any = json!({
        "mode": "absolute",
        "steps": [{"color": "text", "value": null}, {"color": "orange", "value": 1}],
    });
    Panel::table(
        "Processes",
        "One row for each process. Its name leads to its own dashboard; the last column is what to \
         type on its host.",
        &[
            JOURNALCTL,
            "max by (job, instance, process, state) (ddprocmgr_process_state{@process} == 1)",
            "max by (job, instance, process) (ddprocmgr_process_uptime_seconds{@process})",
            "max by (job, instance, process) \
             (increase(ddprocmgr_process_restarts_total{@process}[$__range]))",
            "max by (job, instance, process) (ddprocmgr_process_tree_resident_memory_bytes{@process})",
            "max by (job, instance, process) \
             (rate(ddprocmgr_process_tree_cpu_seconds_total{@process}[$__rate_interval]))",
            "max by (job, instance, process) (ddprocmgr_process_last_exit_code{@process})",
        ],
        &[
            ("instance", "instance"),
            ("process", "process"),
            ("state", "state"),
            ("Value #C", "Uptime"),
            ("Value #D", "Restarts"),
            ("Value #E", "Memory"),
            ("Value #F", "CPU"),
            ("Value #G", "Last exit code"),
            ("command", "command"),
            ("user", "user"),
            ("restart_policy", "restart policy"),
            ("process_id", "process_id"),
            ("journal", "journal"),
            ("job", "job"),
        ],
    )
    .column("process", &[("links", json!([link]))])
    .column("state", &[("mappings", states::by_name()), ("custom.cellOptions", colored.clone())])
    .column("Uptime", &[("unit", json!("dtdurations"))])
    .column("Restarts", &[("decimals", json!(0)), ("custom.cellOptions", colored), ("thresholds", any)])
    .column("Memory", &[("unit", json!("bytes"))])
    .column("CPU", &[("unit", json!("percentunit")), ("decimals", json!(1))])
    .column("journal", &[("custom.width", json!(420)), ("custom.inspect", json!(true))])
    .column("process_id", &[("custom.hidden", json!(true))])
    .column("job", &[("custom.hidden", json!(true))])
    .size(24, 12)
}

fn over_time() -> Vec<Panel> {
    vec![
        Panel::lines("Processes by state", "How many processes are in each state.", "short")
            .query("{{state}}", "sum by (state) (ddprocmgr_processes{@daemon}) > 0")
            .stacked(),
        Panel::lines("Restarts", "Automatic restarts, of those processes that had any.", "short").query(
            "{{instance}} {{process}}",
            "increase(ddprocmgr_process_restarts_total{@process}[$__rate_interval]) > 0",
        ),
        Panel::lines("Memory", "The 20 largest: resident memory of all processes of a run.", "bytes").query(
            "{{instance}} {{process}}",
            "topk(20, ddprocmgr_process_tree_resident_memory_bytes{@process})",
        ),
        Panel::lines(
            "CPU",
            "The 20 busiest: processor time of all processes of a run; 100 % is one processor.",
            "percentunit",
        )
        .query(
            "{{instance}} {{process}}",
            "topk(20, rate(ddprocmgr_process_tree_cpu_seconds_total{@process}[$__rate_interval]))",
        ),
        Panel::lines("Ends", "Ends of runs by reason.", "short")
            .query(
                "{{reason}}",
                "sum by (reason) (increase(ddprocmgr_process_exits_total{@process}[$__rate_interval]))",
            )
            .stacked(),
        Panel::lines(
            "Processes killed for memory",
            "What the kernel killed below dd-procmgrd, where its cgroup tells.",
            "short",
        )
        .query("{{instance}}", "increase(ddprocmgr_oom_kills_total{@daemon}[$__rate_interval])"),
    ]
}

fn hosts() -> Panel {
    Panel::table(
        "Hosts",
        "One row for each dd-procmgrd.",
        &[
            "max by (job, instance, version, revision) (ddprocmgr_build_info{@daemon})",
            "time() - max by (job, instance) \
             (process_start_time_seconds{@daemon} and on (job, instance) ddprocmgr_build_info{@daemon})",
            "sum by (job, instance) (ddprocmgr_processes{@daemon})",
            "min by (job, instance) (ddprocmgr_config_last_reload_successful{@daemon})",
            "1000 * max by (job, instance) \
             (ddprocmgr_config_last_reload_success_timestamp_seconds{@daemon})",
            "min by (job, instance) (ddprocmgr_listener_up{@daemon})",
            "min by (job, instance) (ddprocmgr_scrape_collector_success{@daemon})",
        ],
        &[
            ("job", "job"),
            ("instance", "instance"),
            ("version", "version"),
            ("revision", "revision"),
            ("Value #B", "Up for"),
            ("Value #C", "Processes"),
            ("Value #D", "Configuration"),
            ("Value #E", "Loaded"),
            ("Value #F", "Addresses"),
            ("Value #G", "Metrics"),
        ],
    )
    .column("Up for", &[("unit", json!("dtdurations"))])
    .column("Configuration", &[("mappings", ok_or("broken"))])
    .column("Loaded", &[("unit", json!("dateTimeFromNow"))])
    .column("Addresses", &[("mappings", ok_or("one is taken"))])
    .column("Metrics", &[("mappings", ok_or("incomplete"))])
    .size(24, 6)
}

fn ok_or(trouble: &str) -> serde_json::Value {
    json!([{"type": "value", "options": {
        "0": {"color": "red", "index": 1, "text": trouble},
        "1": {"color": "green", "index": 0, "text": "ok"},
    }}])
}

fn daemons() -> Vec<Panel> {
    vec![
        Panel::lines("Memory of dd-procmgrd", "Resident memory of the daemon itself.", "bytes")
            .query("{{instance}}", &own("process_resident_memory_bytes{@daemon}"))
            .size(8, 8),
        Panel::lines(
            "CPU of dd-procmgrd",
            "Processor time of the daemon itself; 100 % is one processor.",
            "percentunit",
        )
        .query("{{instance}}", &own("rate(process_cpu_seconds_total{@daemon}[$__rate_interval])"))
        .size(8, 8),
        Panel::lines(
            "Descriptors of dd-procmgrd",
            "Open files, pipes and sockets of the daemon itself, and how many it may have.",
            "short",
        )
        .query("{{instance}}", &own("process_open_fds{@daemon}"))
        .query("{{instance}} limit", &own("process_max_fds{@daemon}"))
        .size(8, 8),
        Panel::lines(
            "Time of a turn",
            "How long the supervisor's loop takes for one turn: everything else waits meanwhile.",
            "s",
        )
        .query(
            "{{instance}}",
            "rate(ddprocmgr_supervisor_turn_seconds_total{@daemon}[$__rate_interval]) / \
             rate(ddprocmgr_supervisor_turns_total{@daemon}[$__rate_interval])",
        )
        .query("{{instance}} longest", "ddprocmgr_supervisor_longest_turn_seconds{@daemon}"),
        Panel::lines(
            "Time of a scrape",
            "How long the daemon takes to collect its metrics, by collector.",
            "s",
        )
        .query("{{instance}} {{collector}}", "ddprocmgr_scrape_collector_duration_seconds{@daemon}"),
        durations(
            "Time to start",
            "From the decision to the running program",
            "ddprocmgr_spawn_duration_seconds",
        ),
        durations(
            "Time to become ready",
            "From the decision to readiness, of those that say when they are ready",
            "ddprocmgr_ready_duration_seconds",
        ),
        durations("Time to stop", "From the signal to the end", "ddprocmgr_stop_duration_seconds"),
        durations(
            "Restart latency",
            "From the end of a run to the next one, without the delay that was asked for",
            "ddprocmgr_restart_latency_seconds",
        ),
        Panel::lines("Health checks", "Checks over the network by result.", "cps")
            .query(
                "{{instance}} {{result}}",
                "sum by (job, instance, result) \
                 (rate(ddprocmgr_health_checks_total{@daemon}[$__rate_interval]))",
            )
            .stacked()
            .size(8, 8),
        durations(
            "Time of a health check",
            "How long a check over the network took",
            "ddprocmgr_health_check_duration_seconds",
        ),
    ]
}

fn calls() -> Vec<Panel> {
    let rate = |labels: &str, metric: &str| {
        format!("sum by (job, instance, {labels}) (rate({metric}{{@daemon}}[$__rate_interval]))")
    };
    let slowest = rate("grpc_method, le", "grpc_server_handling_seconds_bucket");
    vec![
        Panel::lines("Calls", "Calls of the control API by method.", "cps")
            .query("{{instance}} {{grpc_method}}", &own(&rate("grpc_method", "grpc_server_started_total")))
            .size(8, 8),
        Panel::lines("Results", "Calls that ended, by status code.", "cps")
            .query("{{instance}} {{grpc_code}}", &own(&rate("grpc_code", "grpc_server_handled_total")))
            .size(8, 8),
        Panel::lines("Time of a call", "By method: 99 of 100 were faster.", "s")
            .query("{{instance}} {{grpc_method}}", &own(&format!("histogram_quantile(0.99, {slowest})")))
            .size(8, 8),
    ]
}

/// What half of them and 99 of 100 did not exceed.
fn durations(title: &str, description: &str, histogram: &str) -> Panel {
    let quantile = |part: f64| {
        format!(
            "histogram_quantile({part}, sum by (job, instance, le) \
             (rate({histogram}_bucket{{@daemon}}[$__rate_interval])))"
        )
    };
    Panel::lines(title, &format!("{description}: half of them, and 99 of 100, were faster."), "s")
        .query("{{instance}} half", &quantile(0.5))
        .query("{{instance}} 99 %", &quantile(0.99))
        .size(8, 8)
}
