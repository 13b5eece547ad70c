//! The journal in Loki: what processes printed, and what happened to them.

use serde_json::{Value, json};

use crate::make::{Board, Panel, Source};

/// What processes printed. Events are about processes too, and have no stream.
const OUTPUT: &str = "{@process,stream=~\"$stream\"} |~ `$search`";
/// What happened to them.
const EVENTS: &str = r#"{@process,event!=""}"#;

pub(crate) fn board() -> Board {
    Board {
        name: "journal",
        title: "dd-procmgrd / Journal",
        description: "Output and lifecycle of the processes, from journald by way of Loki.",
        source: Source::Loki,
        variables: vec![
            variable("job", "Job", ""),
            variable("instance", "Instance", r#"{job=~"$job"}"#),
            variable("process", "Process", r#"{job=~"$job",instance=~"$instance"}"#),
            variable("stream", "Stream", r#"{job=~"$job",instance=~"$instance",process=~"$process"}"#),
            json!({"name": "search", "label": "Search", "type": "textbox", "query": "", "current": {"text": "", "value": ""}, "options": [], "hide": 0}),
        ],
        annotations: Vec::new(),
        panels: vec![
            Panel::lines("Lines", "Lines that each process printed.", "cps")
                .of(Source::Loki)
                .query(
                    "{{instance}} {{process}} {{stream}}",
                    &format!("sum by (instance, process, stream) (rate({OUTPUT} [$__auto]))"),
                )
                .stacked(),
            Panel::lines("Events", "What happened to processes, by kind.", "short")
                .of(Source::Loki)
                .query("{{event}}", &format!("sum by (event) (count_over_time({EVENTS} [$__auto]))"))
                .stacked(),
            Panel::logs(
                "Events",
                "Starts, ends, restarts and what else dd-procmgrd says of processes.",
                EVENTS,
            )
            .size(24, 8),
            Panel::logs("Output", "What processes printed.", OUTPUT),
        ],
    }
}

/// The values of a label of these streams.
fn variable(name: &str, label: &str, stream: &str) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": {"type": "loki", "uid": "${datasource}"},
        "definition": if stream.is_empty() { format!("label_values({name})") } else { format!("label_values({stream}, {name})") },
        "query": {"label": name, "refId": name, "stream": stream, "type": 1},
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "allValue": ".+",
        "includeAll": true,
        "multi": true,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    })
}
