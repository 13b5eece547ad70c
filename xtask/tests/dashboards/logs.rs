//! The health of the log pipeline: what goes in, what comes out, and what is lost or held up on the way.

use serde_json::json;

use crate::make::{Board, Panel, Source, annotations, variables};

pub(crate) fn board() -> Board {
    Board {
        name: "logs",
        title: "dd-procmgrd / Log pipeline",
        description: "From the pipes of the processes to files and journald: read = written + dropped \
        + truncated + queued.",
        source: Source::Prometheus,
        variables: variables(),
        annotations: annotations(),
        panels: panels(),
    }
}

fn panels() -> Vec<Panel> {
    let mut panels = numbers();
    panels.push(Panel::row("Flow"));
    panels.extend(flow());
    panels.push(Panel::row("Trouble"));
    panels.extend(trouble());
    panels.push(losers());
    panels
}

fn numbers() -> Vec<Panel> {
    vec![
        Panel::stat(
            "Lines read",
            "Lines that all processes print.",
            "cps",
            "sum(rate(ddprocmgr_process_log_lines_total{@process}[$__rate_interval]))",
        ),
        Panel::stat(
            "Bytes read",
            "Bytes that all processes print.",
            "Bps",
            "sum(rate(ddprocmgr_process_log_bytes_total{@process}[$__rate_interval]))",
        ),
        Panel::stat(
            "Dropped",
            "Lines that did not reach a sink in the time shown.",
            "short",
            "sum(increase(ddprocmgr_process_log_dropped_lines_total{@process}[$__range]))",
        )
        .from(1.0, "red"),
        Panel::stat(
            "Cut",
            "Lines longer than max_line in the time shown.",
            "short",
            "sum(increase(ddprocmgr_process_log_truncated_lines_total{@process}[$__range]))",
        )
        .from(1.0, "yellow"),
        Panel::stat(
            "Waiting",
            "Lines between pipe and sink now.",
            "short",
            "sum(ddprocmgr_process_log_queued_lines{@process})",
        ),
        Panel::stat(
            "Without journal",
            "Hosts that have something for journald and can't connect to it.",
            "short",
            "count(ddprocmgr_journald_connected{@daemon} == 0 \
             and increase(ddprocmgr_journald_errors_total{@daemon}[$__rate_interval]) > 0) or vector(0)",
        )
        .from(1.0, "red"),
    ]
}

fn flow() -> Vec<Panel> {
    vec![
        Panel::lines("Lines read", "The 20 that print most.", "cps").query(
            "{{instance}} {{process}}",
            "topk(20, sum by (job, instance, process) \
             (rate(ddprocmgr_process_log_lines_total{@process}[$__rate_interval])))",
        ),
        Panel::lines("Bytes read", "The 20 that print most.", "Bps").query(
            "{{instance}} {{process}}",
            "topk(20, sum by (job, instance, process) \
             (rate(ddprocmgr_process_log_bytes_total{@process}[$__rate_interval])))",
        ),
        Panel::lines("Lines written", "Whole lines that reached each sink.", "cps").query(
            "{{instance}} {{sink}}",
            "sum by (job, instance, sink) \
             (rate(ddprocmgr_process_log_written_lines_total{@process}[$__rate_interval]))",
        ),
        Panel::lines("Bytes written", "Bytes that reached each sink, with marks and framing.", "Bps").query(
            "{{instance}} {{sink}}",
            "sum by (job, instance, sink) \
             (rate(ddprocmgr_process_log_written_bytes_total{@process}[$__rate_interval]))",
        ),
    ]
}

fn trouble() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Dropped lines",
            "Lines that did not reach a sink, of those processes that lost any.",
            "short",
        )
        .query(
            "{{instance}} {{process}} {{sink}}",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_dropped_lines_total{@process}[$__rate_interval])) > 0",
        ),
        Panel::lines(
            "Cut lines",
            "Lines longer than max_line, of those processes that printed any.",
            "short",
        )
        .query(
            "{{instance}} {{process}} {{sink}}",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_truncated_lines_total{@process}[$__rate_interval])) > 0",
        ),
        Panel::lines(
            "Waiting lines",
            "Lines between pipe and sink: the 20 longest queues. At the \
             file's the process waits, at journald's it loses lines.",
            "short",
        )
        .query(
            "{{instance}} {{process}} {{sink}}",
            "topk(20, sum by (job, instance, process, sink) \
             (ddprocmgr_process_log_queued_lines{@process}))",
        ),
        Panel::lines("Write errors", "Failed writes to a sink.", "short").query(
            "{{instance}} {{process}} {{sink}}",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_write_errors_total{@process}[$__rate_interval])) > 0",
        ),
        Panel::lines(
            "Connection to journald",
            "1 while connected, which it is once there was something to send. A host that uses no journal is not shown.",
            "short",
        )
        .query("{{instance}}", "ddprocmgr_journald_connected{@daemon}"),
        Panel::lines("Errors of journald", "Failed connects and sends, and events that were lost.", "short")
            .query(
                "{{instance}} errors",
                "increase(ddprocmgr_journald_errors_total{@daemon}[$__rate_interval])",
            )
            .query(
                "{{instance}} lost events",
                "increase(ddprocmgr_journald_events_dropped_total{@daemon}[$__rate_interval])",
            ),
    ]
}

fn losers() -> Panel {
    Panel::table(
        "By process and sink",
        "What each process had in the time shown.",
        &[
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_written_lines_total{@process}[$__range]))",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_dropped_lines_total{@process}[$__range]))",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_truncated_lines_total{@process}[$__range]))",
            "sum by (job, instance, process, sink) (ddprocmgr_process_log_queued_lines{@process})",
            "sum by (job, instance, process, sink) \
             (increase(ddprocmgr_process_log_write_errors_total{@process}[$__range]))",
            "max by (job, instance, process, sink) (ddprocmgr_process_log_lag_seconds{@process})",
        ],
        &[
            ("instance", "instance"),
            ("process", "process"),
            ("sink", "sink"),
            ("Value #A", "Written"),
            ("Value #B", "Dropped"),
            ("Value #C", "Cut"),
            ("Value #D", "Waiting"),
            ("Value #E", "Errors"),
            ("Value #F", "Behind"),
            ("job", "job"),
        ],
    )
    .column("Behind", &[("unit", json!("s"))])
    .column("job", &[("custom.hidden", json!(true))])
}
