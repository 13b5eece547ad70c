//! The 17 rules of Grafana's dashboard-linter 0.2 for dashboards of the classic model, by its names and conditions, and
//! what a dashboard needs beside them to be provisioned as it is. Where the linter looks at some kinds of panels only,
//! these look at all of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::names::labels;
use crate::promql::{Selector, selectors};
use crate::provisioned;

/// Name and check: what breaks it, with the place.
type Rule = (&'static str, fn(&Value) -> Vec<String>);

const RULES: [Rule; 17] = [
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", |board| template(board, "job", "Job")),
    ("template-instance-rule", |board| template(board, "instance", "Instance")),
    ("template-label-promql-rule", template_label),
    ("template-on-time-change-reload-rule", template_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_texts),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_targets),
    ("target-logql-rule", target_logql),
    ("target-logql-auto-rule", target_logql_auto),
    ("target-promql-rule", target_promql),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", |board| target_matcher(board, "job")),
    ("target-instance-rule", |board| target_matcher(board, "instance")),
    ("target-counter-agg-rule", target_counter),
    ("uneditable-dashboard", uneditable),
];

/// Units of Grafana that the boards use; a misspelt one would be shown behind the number.
const UNITS: [&str; 10] = [
    "none",
    "short",
    "bytes",
    "Bps",
    "cps",
    "s",
    "percentunit",
    "dtdurations",
    "dateTimeFromNow",
    "bool_yes_no",
];

/// Variables that Grafana itself replaces, beside those of the dashboard.
const BUILT_IN: [&str; 5] = ["__rate_interval", "__interval", "__range", "__auto", "1"];

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn variables(board: &Value) -> &[Value] {
    list(&board["templating"], "list")
}

/// All but headings.
fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "panels").iter().filter(|panel| panel["type"] != "row")
}

fn is_loki(board: &Value) -> bool {
    variables(board).iter().any(|v| v["type"] == "datasource" && v["query"] == "loki")
}

/// The queries of panels and annotations.
fn queries(board: &Value) -> Vec<&str> {
    let targets = panels(board).flat_map(|panel| list(panel, "targets"));
    targets.chain(list(&board["annotations"], "list")).map(|target| text(target, "expr")).collect()
}

/// Those of one language.
fn queries_of(board: &Value, loki: bool) -> Vec<&str> {
    if is_loki(board) == loki { queries(board) } else { Vec::new() }
}

fn uses_the_variable(value: &Value) -> bool {
    matches!(text(&value["datasource"], "uid"), "$datasource" | "${datasource}")
}

fn template_datasource(board: &Value) -> Vec<String> {
    let sources: Vec<&Value> = variables(board).iter().filter(|v| v["type"] == "datasource").collect();
    match sources[..] {
        [one] if one["name"] == "datasource" && one["label"] == "Data source" => Vec::new(),
        [one] => vec![format!("the data source is called {} and labeled {}", one["name"], one["label"])],
        _ => vec![format!("{} variables for the data source", sources.len())],
    }
}

fn template(board: &Value, name: &str, label: &str) -> Vec<String> {
    let Some(variable) = variables(board).iter().find(|v| v["name"] == name) else {
        return vec![format!("no variable {name}")];
    };
    let right = uses_the_variable(variable)
        && variable["type"] == "query"
        && variable["label"] == label
        && variable["multi"] == true
        && variable["allValue"] == ".+";
    if right { Vec::new() } else { vec![format!("the variable {name}: {variable}")] }
}

fn template_label(board: &Value) -> Vec<String> {
    let right = |definition: &str| {
        let inner = definition.strip_prefix("label_values(").and_then(|d| d.strip_suffix(')'));
        let series = inner.and_then(|i| i.rsplit_once(", ")).map(|(series, _)| series);
        // In Loki without streams it asks for all values of the label.
        is_loki(board) && inner.is_some() || series.is_some_and(|s| selectors(s).len() == 1)
    };
    let asked = variables(board).iter().filter(|v| v["type"] == "query").map(|v| text(v, "definition"));
    asked.filter(|definition| !right(definition)).map(str::to_owned).collect()
}

fn template_reload(board: &Value) -> Vec<String> {
    let asked = variables(board).iter().filter(|v| v["type"] == "query");
    asked.filter(|v| v["refresh"] != 2).map(|v| format!("{} is not read again", v["name"])).collect()
}

fn panel_datasource(board: &Value) -> Vec<String> {
    let targets = panels(board).flat_map(|panel| list(panel, "targets"));
    let all = panels(board).chain(targets).chain(list(&board["annotations"], "list"));
    all.filter(|value| !uses_the_variable(value)).map(ToString::to_string).collect()
}

fn panel_texts(board: &Value) -> Vec<String> {
    let mute = |panel: &&Value| text(panel, "title").is_empty() || text(panel, "description").is_empty();
    panels(board).filter(mute).map(|panel| format!("panel {} {}", panel["id"], panel["title"])).collect()
}

fn panel_units(board: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for panel in panels(board) {
        let own = text(&panel["fieldConfig"]["defaults"], "unit");
        let properties = list(&panel["fieldConfig"], "overrides").iter().flat_map(|o| list(o, "properties"));
        let columns = properties.filter(|p| p["id"] == "unit").map(|p| text(p, "value"));
        let unknown = std::iter::once(own).chain(columns).filter(|unit| !UNITS.contains(unit));
        faults.extend(unknown.map(|unit| format!("{}: no unit is called {unit:?}", panel["title"])));
    }
    faults
}

fn panel_targets(board: &Value) -> Vec<String> {
    panels(board).filter(|p| list(p, "targets").is_empty()).map(|p| p["title"].to_string()).collect()
}

/// Brackets in pairs, and no variable that nobody replaces. Prometheus itself parses the queries for it in
/// `cargo xtask dashboards`; for LogQL nothing does.
fn malformed(board: &Value, query: &str) -> Option<String> {
    let mut open = Vec::new();
    for c in query.chars() {
        match c {
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => {
                let opened = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(opened) {
                    return Some(format!("brackets in {query}"));
                }
            }
            _ => {}
        }
    }
    let known: BTreeSet<&str> = variables(board).iter().map(|v| text(v, "name")).chain(BUILT_IN).collect();
    let unknown = query.split('$').skip(1).find(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        !known.contains(&rest[..end])
    });
    match unknown {
        _ if query.is_empty() || !open.is_empty() => Some(format!("brackets in {query:?}")),
        Some(rest) => Some(format!("nobody replaces ${rest}")),
        None => None,
    }
}

fn target_promql(board: &Value) -> Vec<String> {
    queries_of(board, false).into_iter().filter_map(|query| malformed(board, query)).collect()
}

fn target_logql(board: &Value) -> Vec<String> {
    let selects = |query: &&str| !query.contains("{job=~\"$job\",instance=~\"$instance\"");
    let mut faults: Vec<String> =
        queries_of(board, true).into_iter().filter_map(|query| malformed(board, query)).collect();
    faults.extend(queries_of(board, true).into_iter().filter(selects).map(str::to_owned));
    faults
}

fn target_logql_auto(board: &Value) -> Vec<String> {
    let ranges = queries_of(board, true).into_iter().flat_map(|query| query.split('[').skip(1));
    ranges.filter(|rest| !rest.starts_with("$__auto]")).map(str::to_owned).collect()
}

fn target_rate_interval(board: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for query in queries_of(board, false) {
        let rates =
            selectors(query).into_iter().filter(|s| matches!(s.inside.last(), Some(&("rate" | "irate"))));
        faults.extend(rates.filter(|s| s.range != Some("$__rate_interval")).map(|_| query.to_owned()));
    }
    faults
}

fn target_matcher(board: &Value, label: &str) -> Vec<String> {
    let expected = format!("=~\"${label}\"");
    let mut faults = Vec::new();
    for query in queries_of(board, false) {
        let found = selectors(query);
        let right =
            |s: &Selector<'_>| labels(s).into_iter().any(|(name, value)| name == label && value == expected);
        if found.is_empty() || !found.iter().all(right) {
            faults.push(query.to_owned());
        }
    }
    faults
}

fn target_counter(board: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for query in queries_of(board, false) {
        let counted = |s: &Selector<'_>| matches!(s.inside.last(), Some(&("rate" | "irate" | "increase")));
        let counters = selectors(query).into_iter().filter(|s| s.name.ends_with("_total"));
        faults.extend(counters.filter(|s| !counted(s)).map(|_| query.to_owned()));
    }
    faults
}

fn uneditable(board: &Value) -> Vec<String> {
    if board["editable"] == false { Vec::new() } else { vec!["it can be edited".to_owned()] }
}

#[test]
fn dashboards_follow_the_rules_of_the_linter() {
    let mut faults = Vec::new();
    for (path, board) in provisioned() {
        for (rule, check) in RULES {
            faults.extend(check(&board).into_iter().map(|fault| format!("{path}: {rule}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A good dashboard with one thing changed breaks the rule that is about it.
#[test]
fn each_rule_finds_what_breaks_it() {
    let boards = provisioned();
    let good = |loki: bool| &boards.iter().find(|(_, b)| is_loki(b) == loki).expect("there is one").1;
    let cases: [(&str, bool, &str, &str); 21] = [
        ("template-datasource-rule", false, "/templating/list/0/label", r#""Source""#),
        ("template-datasource-rule", true, "/templating/list/0/type", r#""query""#),
        ("template-job-rule", false, "/templating/list/1/multi", "false"),
        ("template-instance-rule", false, "/templating/list/2/allValue", r#""""#),
        ("template-label-promql-rule", false, "/templating/list/3/definition", r#""label_values(process)""#),
        ("template-on-time-change-reload-rule", false, "/templating/list/3/refresh", "1"),
        ("panel-datasource-rule", false, "/panels/0/datasource/uid", r#""prometheus""#),
        ("panel-datasource-rule", true, "/panels/0/targets/0/datasource/uid", r#""loki""#),
        ("panel-title-description-rule", false, "/panels/0/description", r#""""#),
        ("panel-units-rule", false, "/panels/0/fieldConfig/defaults/unit", r#""byte""#),
        ("panel-no-targets-rule", false, "/panels/0/targets", "[]"),
        ("target-logql-rule", true, "/panels/0/targets/0/expr", r#""{job=~\"$job\"""#),
        (
            "target-logql-auto-rule",
            true,
            "/panels/0/targets/0/expr",
            r#""rate({job=~\"$job\",instance=~\"$instance\"}[5m])""#,
        ),
        (
            "target-promql-rule",
            false,
            "/panels/0/targets/0/expr",
            r#""up{job=~\"$job\",instance=~\"$instance\"})""#,
        ),
        ("target-promql-rule", false, "/panels/0/targets/0/expr", r#""up{job=~\"$jobs\"}""#),
        (
            "target-rate-interval-rule",
            false,
            "/panels/0/targets/0/expr",
            r#""rate(process_cpu_seconds_total[5m])""#,
        ),
        (
            "target-job-rule",
            false,
            "/panels/0/targets/0/expr",
            r#""up{job=\"$job\",instance=~\"$instance\"}""#,
        ),
        ("target-instance-rule", false, "/panels/0/targets/0/expr", r#""up{job=~\"$job\"}""#),
        (
            "target-instance-rule",
            false,
            "/annotations/list/1/expr",
            r#""up{job=~\"$job\"} + process_start_time_seconds""#,
        ),
        ("target-counter-agg-rule", false, "/panels/0/targets/0/expr", r#""process_cpu_seconds_total""#),
        ("uneditable-dashboard", false, "/editable", "true"),
    ];
    for (rule, check) in RULES {
        let mut tried = 0;
        for (_, loki, pointer, value) in cases.iter().filter(|(name, ..)| *name == rule) {
            let mut board = good(*loki).clone();
            *board.pointer_mut(pointer).expect("it is there") = serde_json::from_str(value).expect("JSON");
            assert!(!check(&board).is_empty(), "{rule} finds nothing wrong with {value} at {pointer}");
            tried += 1;
        }
        assert!(tried > 0, "nothing breaks {rule}");
    }
}

/// What an export from a running Grafana has and a file that is provisioned must not have, and panels on each other.
#[test]
fn dashboards_can_be_provisioned_as_they_are() {
    for (path, board) in provisioned() {
        assert_eq!(board["schemaVersion"], 39, "{path}: the model of Grafana 10.4 and newer");
        assert!(board["id"].is_null(), "{path}: an id is that of one Grafana's database");
        assert!(board.get("__inputs").is_none(), "{path}: an export that asks for its data source");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&board, "panels") {
            let place = format!("{path}: panel {}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{place}: its id stands twice");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|k| panel["gridPos"][k].as_u64().expect("a number"));
            assert!(x + w <= 24, "{place}: wider than the grid");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{place}: lies on another at {cell:?}");
            }
        }
    }
}
