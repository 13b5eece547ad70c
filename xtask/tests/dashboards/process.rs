//! One process in depth.

use serde_json::json;

use crate::make::{Board, Panel, Source, annotation, annotations, variables};
use crate::overview::JOURNALCTL;
use crate::states;

pub(crate) fn board() -> Board {
    let mut variables = variables();
    // One at a time: the numbers on top are those of one.
    let process = variables.last_mut().expect("the process is the last one");
    process["multi"] = json!(false);
    process["includeAll"] = json!(false);
    process["current"] = json!({});
    let mut annotations = annotations();
    annotations.push(annotation(
        "Process started",
        "green",
        "ddprocmgr_process_start_time_seconds{@process} * 1000",
        "{{process}} on {{instance}}",
        true,
    ));
    Board {
        name: "process",
        title: "dd-procmgrd / Process",
        description: "One process of dd-procmgrd in depth.",
        source: Source::Prometheus,
        variables,
        annotations,
        panels: panels(),
    }
}

fn panels() -> Vec<Panel> {
    let mut panels = numbers();
    panels.push(
        Panel::timeline("State", "The state that it was in.", "{{instance}}", &states::number())
            .mapped(states::by_number()),
    );
    panels.push(definition());
    panels.push(Panel::row("Runs"));
    panels.extend(runs());
    panels.push(Panel::row("Resources"));
    panels.extend(resources());
    panels.push(Panel::row("Output"));
    panels.extend(output());
    panels
}

fn numbers() -> Vec<Panel> {
    vec![
        Panel::stat("State", "The state that it is in now.", "short", &states::number())
            .mapped(states::by_number())
            .size(4, 4),
        Panel::stat(
            "Uptime",
            "Since when the current run is up.",
            "dtdurations",
            "ddprocmgr_process_uptime_seconds{@process}",
        ),
        Panel::stat(
            "Restarts",
            "Automatic restarts in the time shown.",
            "short",
            "increase(ddprocmgr_process_restarts_total{@process}[$__range])",
        )
        .from(1.0, "yellow")
        .from(10.0, "red"),
        Panel::stat(
            "Last exit code",
            "How the last run ended: its exit code, or 128 and the number of the signal.",
            "none",
            "ddprocmgr_process_last_exit_code{@process}",
        )
        .from(1.0, "orange")
        .when_empty("none yet"),
        Panel::stat(
            "Next start",
            "When it is started again by itself.",
            "dateTimeFromNow",
            "1000 * ddprocmgr_process_next_start_timestamp_seconds{@process}",
        )
        .when_empty("none due"),
        Panel::stat(
            "Health",
            "What its health check says.",
            "short",
            "ddprocmgr_process_health{@process} == 1",
        )
        .named("{{state}}")
        .when_empty("no check, or not up"),
    ]
}

fn definition() -> Panel {
    Panel::table(
        "Definition",
        "What it runs, and what to type on its host for its journal.",
        &[
            JOURNALCTL,
            "max by (job, instance, process) (ddprocmgr_process_wanted_up{@process})",
            "max by (job, instance, process) (ddprocmgr_process_definition_broken{@process})",
            "1000 * max by (job, instance, process) (ddprocmgr_process_state_timestamp_seconds{@process})",
            "1000 * max by (job, instance, process) \
             (ddprocmgr_process_last_exit_timestamp_seconds{@process})",
        ],
        &[
            ("instance", "instance"),
            ("process", "process"),
            ("process_id", "process_id"),
            ("command", "command"),
            ("user", "user"),
            ("restart_policy", "restart policy"),
            ("Value #B", "Wanted up"),
            ("Value #C", "Definition broken"),
            ("Value #D", "In its state since"),
            ("Value #E", "Last end"),
            ("journal", "journal"),
            ("job", "job"),
        ],
    )
    .column("Wanted up", &[("unit", json!("bool_yes_no"))])
    .column("Definition broken", &[("unit", json!("bool_yes_no"))])
    .column("In its state since", &[("unit", json!("dateTimeFromNow"))])
    .column("Last end", &[("unit", json!("dateTimeFromNow"))])
    .column("journal", &[("custom.width", json!(420)), ("custom.inspect", json!(true))])
    .column("job", &[("custom.hidden", json!(true))])
    .size(24, 4)
}

fn runs() -> Vec<Panel> {
    vec![
        Panel::lines("Restarts and starts", "Automatic restarts, and all starts.", "short")
            .query(
                "{{instance}} restarts",
                "increase(ddprocmgr_process_restarts_total{@process}[$__rate_interval])",
            )
            .query(
                "{{instance}} starts",
                "increase(ddprocmgr_process_starts_total{@process}[$__rate_interval])",
            ),
        Panel::lines("Ends", "Ends of its runs by reason.", "short")
            .query(
                "{{instance}} {{reason}}",
                "increase(ddprocmgr_process_exits_total{@process}[$__rate_interval]) > 0",
            )
            .stacked(),
        Panel::lines("Uptime", "How long each run lived: the higher the teeth, the better.", "s")
            .query("{{instance}}", "ddprocmgr_process_uptime_seconds{@process}")
            .size(8, 8),
        Panel::lines("Failures of the health check", "Checks that failed in a row.", "short")
            .query("{{instance}}", "ddprocmgr_process_health_check_failures{@process}")
            .size(8, 8),
        Panel::lines(
            "Delay of the next start",
            "What is left of the delay before the next automatic start.",
            "s",
        )
        .query("{{instance}}", "ddprocmgr_process_restart_delay_seconds{@process}")
        .size(8, 8),
    ]
}

fn resources() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Memory",
            "Resident memory of the main process and of all of its run; what its cgroup is charged \
             and may take, where it has one.",
            "bytes",
        )
        .query("{{instance}} main process", "ddprocmgr_process_resident_memory_bytes{@process}")
        .query("{{instance}} all", "ddprocmgr_process_tree_resident_memory_bytes{@process}")
        .query("{{instance}} cgroup", "ddprocmgr_process_cgroup_memory_bytes{@process}")
        .query("{{instance}} limit", "ddprocmgr_process_cgroup_memory_limit_bytes{@process}"),
        Panel::lines(
            "CPU",
            "Processor time of the main process and of all of its run; 100 % is one processor.",
            "percentunit",
        )
        .query(
            "{{instance}} main process",
            "rate(ddprocmgr_process_cpu_seconds_total{@process}[$__rate_interval])",
        )
        .query(
            "{{instance}} all",
            "rate(ddprocmgr_process_tree_cpu_seconds_total{@process}[$__rate_interval])",
        ),
        Panel::lines(
            "Pressure",
            "Share of the time in which something of it had to wait for a \
             resource, where its cgroup tells.",
            "percentunit",
        )
        .query(
            "{{instance}} {{resource}}",
            "rate(ddprocmgr_process_cgroup_pressure_seconds_total{@process}[$__rate_interval])",
        ),
        Panel::lines("Storage", "Bytes that the main process made the kernel read and write.", "Bps")
            .query(
                "{{instance}} read",
                "rate(ddprocmgr_process_read_bytes_total{@process}[$__rate_interval])",
            )
            .query(
                "{{instance}} written",
                "rate(ddprocmgr_process_written_bytes_total{@process}[$__rate_interval])",
            ),
        Panel::lines(
            "Processes and threads",
            "Processes of its run, and threads of the main process.",
            "short",
        )
        .query("{{instance}} processes", "ddprocmgr_process_tree_processes{@process}")
        .query("{{instance}} threads", "ddprocmgr_process_threads{@process}"),
        Panel::lines("Descriptors", "Open files, pipes and sockets of the main process.", "short")
            .query("{{instance}}", "ddprocmgr_process_open_fds{@process}"),
    ]
}

fn output() -> Vec<Panel> {
    vec![
        Panel::lines("Log lines", "Lines that it prints.", "cps").query(
            "{{instance}} {{stream}}",
            "rate(ddprocmgr_process_log_lines_total{@process}[$__rate_interval])",
        ),
        Panel::lines("Lost log lines", "Lines that did not reach a sink, or were cut.", "short")
            .query(
                "{{instance}} {{sink}} dropped",
                "sum by (job, instance, process, sink) \
                 (increase(ddprocmgr_process_log_dropped_lines_total{@process}[$__rate_interval]))",
            )
            .query(
                "{{instance}} {{sink}} cut",
                "sum by (job, instance, process, sink) \
                 (increase(ddprocmgr_process_log_truncated_lines_total{@process}[$__rate_interval]))",
            ),
    ]
}
