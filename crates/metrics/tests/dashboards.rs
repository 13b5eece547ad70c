//! Dashboards and alert rules speak of metrics that exist, in the ways that work.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use metrics::names::{Kind, Metric, TABLE};
use serde_json::Value;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards").join(name)
}

/// The files directly in a directory with this ending, with their text.
fn files(directory: &Path, ending: &str) -> Vec<(String, String)> {
    let paths = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    let wanted: BTreeSet<PathBuf> = paths.filter(|p| p.extension().is_some_and(|e| e == ending)).collect();
    assert!(!wanted.is_empty(), "nothing in {}", directory.display());
    wanted.into_iter().map(|p| (p.display().to_string(), std::fs::read_to_string(&p).unwrap())).collect()
}

fn table() -> BTreeMap<&'static str, &'static Metric> {
    TABLE.iter().map(|m| (m.name, *m)).collect()
}

/// A metric in a query: its name, the text between its braces, and the functions that it stands in.
#[derive(Debug, PartialEq)]
struct Selector<'a> {
    name: &'a str,
    matchers: &'a str,
    inside: Vec<&'a str>,
}

/// The selectors of a PromQL expression, well enough for the expressions of this repository: a name that starts
/// with one of the two prefixes and is not within braces, quotes or a grouping's label list.
fn selectors(expr: &str) -> Vec<Selector<'_>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = expr;
    let mut word = "";
    while let Some(c) = rest.chars().next() {
        if is_name(c) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (word, rest) = rest.split_at(end);
            let prefixed = word.starts_with("ddprocmgr_") || word.starts_with("process_") || word == "up";
            let grouping =
                matches!(open.last(), Some(&("by" | "without" | "on" | "ignoring" | "group_left")));
            if prefixed && !grouping {
                let matchers = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map_or("", |(m, _)| m);
                found.push(Selector { name: word, matchers, inside: open.clone() });
            }
            continue;
        }
        let length = match c {
            '{' => rest.find('}').unwrap() + 1,
            '"' => rest[1..].find('"').unwrap() + 2,
            '(' => {
                open.push(word);
                1
            }
            ')' => {
                open.pop();
                1
            }
            _ => c.len_utf8(),
        };
        if !c.is_whitespace() {
            word = "";
        }
        rest = &rest[length..];
    }
    found
}

#[test]
fn selectors_are_found() {
    let expr = r#"sum by (process) (rate(ddprocmgr_a_total{x="process_y"}[5m])) / on (process) up > 0"#;
    let expected = [
        Selector { name: "ddprocmgr_a_total", matchers: r#"x="process_y""#, inside: vec!["", "rate"] },
        Selector { name: "up", matchers: "", inside: vec![] },
    ];
    assert_eq!(selectors(expr), expected);
    assert_eq!(selectors("process:ddprocmgr_x:increase10m >= 3"), []);
}

/// What holds for every expression: known metrics, labels that they have, counters only through a function that
/// sees resets.
fn check(place: &str, expr: &str) {
    let table = table();
    for s in selectors(expr) {
        let known_labels = if s.name == "up" {
            &[][..]
        } else {
            let metric =
                table.get(s.name).unwrap_or_else(|| panic!("{place}: no metric is called {}", s.name));
            let counted = ["rate", "irate", "increase"].iter().any(|f| s.inside.last() == Some(f));
            assert_eq!(metric.kind == Kind::Counter, counted, "{place}: {} in {:?}", s.name, s.inside);
            metric.labels
        };
        for matcher in s.matchers.split(',').filter(|m| !m.is_empty()) {
            let label = matcher.split(['=', '!', '~']).next().unwrap();
            assert!(
                ["job", "instance"].contains(&label) || known_labels.contains(&label),
                "{place}: {} has no label {label}",
                s.name
            );
        }
    }
}

#[test]
fn alert_rules_are_complete_and_use_known_metrics() {
    for (path, text) in files(&directory("alerts"), "yml") {
        let file: Value = serde_yaml::from_str(&text).unwrap();
        let groups = file["groups"].as_array().unwrap();
        let rules: Vec<&Value> = groups.iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
        let recorded: BTreeSet<&str> = rules.iter().filter_map(|r| r["record"].as_str()).collect();
        let mut names = BTreeSet::new();
        for rule in &rules {
            let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
            let expr = rule["expr"].as_str().unwrap();
            assert!(names.insert(name), "{path}: {name} stands twice");
            check(&format!("{path}: {name}"), expr);
            let known = expr.contains("ddprocmgr_") || expr.contains("job=\"dd-procmgrd\"");
            assert!(
                known || recorded.iter().any(|r| expr.contains(r)),
                "{path}: {name} is about something else"
            );
            if rule["alert"].is_string() {
                assert!(
                    ["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()),
                    "{name}"
                );
                for text in ["summary", "description"] {
                    assert!(
                        rule["annotations"][text].as_str().is_some_and(|t| t.ends_with('.')),
                        "{name}: {text}"
                    );
                }
            }
        }
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
            assert!(
                !word.contains(":ddprocmgr_") || recorded.contains(word),
                "{path}: {word} is not recorded"
            );
        }
    }
}

#[test]
fn dashboards_can_be_provisioned_and_use_known_metrics() {
    let mut uids = BTreeSet::new();
    for (path, text) in files(&directory("grafana"), "json") {
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let uid = dashboard["uid"].as_str().unwrap();
        assert!(uid.len() <= 40 && uids.insert(uid.to_owned()), "{path}: uid {uid}");
        assert_eq!(dashboard["schemaVersion"], 39, "{path}");
        assert_eq!(dashboard["editable"], false, "{path}");
        assert!(
            dashboard["id"].is_null() && dashboard.get("__inputs").is_none(),
            "{path}: an export, not a source"
        );
        variables(&path, &dashboard);
        panels(&path, dashboard["panels"].as_array().unwrap());
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            query(&format!("{path}: annotation {}", annotation["name"]), &annotation["expr"]);
        }
    }
}

fn variables(path: &str, dashboard: &Value) {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(&names[..3], ["datasource", "job", "instance"], "{path}");
    assert_eq!(list[0]["label"], "Data source", "{path}");
    for variable in &list[1..] {
        let place = format!("{path}: variable {}", variable["name"]);
        assert_eq!(variable["datasource"]["uid"], "${datasource}", "{place}");
        assert_eq!(variable["allValue"], ".+", "{place}");
        assert_eq!(
            (&variable["multi"], &variable["refresh"]),
            (&Value::Bool(true), &Value::from(2)),
            "{place}"
        );
        let definition = variable["definition"].as_str().unwrap();
        assert_eq!(variable["query"]["query"], definition, "{place}");
        check(&place, definition);
    }
}

fn panels(path: &str, panels: &[Value]) {
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = format!("{path}: panel {}", panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{place}: id stands twice");
        for text in ["title", "description"] {
            assert!(panel[text].as_str().is_some_and(|t| !t.is_empty()), "{place}: no {text}");
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place}: no unit");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|k| panel["gridPos"][k].as_u64().unwrap());
        assert!(x + w <= 24, "{place}: wider than the grid");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{place}: overlaps another at {cell:?}");
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{place}: no query");
        for target in targets {
            query(&place, &target["expr"]);
        }
    }
}

/// A query of a panel: besides the rest, every selector follows the variables and a rate the panel's width.
fn query(place: &str, expr: &Value) {
    let expr = expr.as_str().unwrap();
    check(place, expr);
    let found = selectors(expr);
    assert!(!found.is_empty(), "{place}: {expr} selects nothing");
    for s in found {
        for matcher in ["job=~\"$job\"", "instance=~\"$instance\""] {
            assert!(s.matchers.contains(matcher), "{place}: {} without {matcher}", s.name);
        }
    }
    for (_, after) in ["rate(", "irate("]
        .iter()
        .flat_map(|f| expr.match_indices(f))
        .map(|(i, f)| expr.split_at(i + f.len()))
    {
        let range = after.split_once('[').and_then(|(_, r)| r.split_once(']')).map(|(r, _)| r);
        assert_eq!(range, Some("$__rate_interval"), "{place}: {expr}");
    }
}
