//! The rules for Prometheus: each alert says what it is and where to read on, has a runbook, and has tests that fire it
//! and that must not. The tests themselves are run by promtool, in `cargo xtask dashboards`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::faults;
use crate::source::{files, root};

const RULES: &str = "dashboards/alerts/ddprocmgr.yml";
const TESTS: &str = "dashboards/alerts/tests";
const RUNBOOKS: &str = "docs/runbooks";

/// Headings of a runbook, in their order.
const SECTIONS: [&str; 4] = ["## What it means", "## Look at", "## Do", "## Silence it when"];

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path)).expect("it is there");
    serde_yaml::from_str(&text).expect("YAML")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn rules() -> Vec<Value> {
    let file = read(RULES);
    let rules: Vec<Value> =
        list(&file, "groups").iter().flat_map(|group| list(group, "rules")).cloned().collect();
    assert!(rules.len() > 20, "the rules were not found");
    rules
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().or(rule["record"].as_str()).expect("a rule has a name")
}

#[test]
fn rules_speak_of_metrics_that_exist() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.iter().map(name).collect();
    assert_eq!(names.len(), rules.len(), "a name stands twice");
    for rule in &rules {
        let expr = rule["expr"].as_str().expect("an expression");
        assert_eq!(faults(expr), Vec::<String>::new(), "{}: {expr}", name(rule));
        let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        for recorded in words.filter(|word| word.contains(":ddprocmgr_")) {
            assert!(names.contains(recorded), "{}: {recorded} is not recorded", name(rule));
        }
    }
}

#[test]
fn every_alert_says_what_it_is_and_where_to_read_on() {
    for alert in alerts() {
        let name = name(&alert);
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name}: severity {severity:?}");
        for key in ["summary", "description"] {
            let text = alert["annotations"][key].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{name}: {key} is no sentence: {text:?}");
        }
        assert_eq!(alert["annotations"]["runbook_url"], format!("{RUNBOOKS}/{name}.md"), "{name}");
    }
}

/// How the list of runbooks shows an alert.
fn row(alert: &Value) -> String {
    let name = name(alert);
    let after = alert["for"].as_str().unwrap_or("at once");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (severity, summary) = (text(&alert["labels"]["severity"]), text(&alert["annotations"]["summary"]));
    format!("| [{name}]({name}.md) | {severity} | {after} | {summary} |")
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = alerts();
    let named: BTreeSet<String> = alerts.iter().map(|a| format!("{RUNBOOKS}/{}.md", name(a))).collect();
    let runbooks: BTreeMap<String, String> =
        files(&[RUNBOOKS], "md").into_iter().filter(|(path, _)| !path.ends_with("README.md")).collect();
    assert_eq!(
        runbooks.keys().cloned().collect::<BTreeSet<_>>(),
        named,
        "left: the files, right: the alerts"
    );
    let index = std::fs::read_to_string(root().join(RUNBOOKS).join("README.md")).expect("it is there");
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(
        listed,
        alerts.iter().map(row).collect::<Vec<_>>(),
        "left: {RUNBOOKS}/README.md, right: {RULES}"
    );
    for (path, text) in &runbooks {
        let file = path.rsplit('/').next().expect("a path has a last part");
        let title = file.trim_end_matches(".md");
        assert!(text.starts_with(&format!("# {title}\n")), "{path}: its title is not the alert's name");
        let sections: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(sections, SECTIONS, "{path}");
    }
}

/// A command that does not exist is worst at three in the morning.
#[test]
fn runbooks_and_alerts_use_verbs_that_exist() {
    let verbs = std::fs::read_to_string(root().join("docs/CLI.md")).expect("it is there");
    let mut texts = files(&[RUNBOOKS], "md");
    texts.extend(files(&["dashboards/alerts"], "yml"));
    let mut used = 0;
    for (path, text) in &texts {
        for (at, found) in text.match_indices("pm-cli ") {
            let rest = &text[at + found.len()..];
            let verb =
                &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len())];
            assert!(verbs.contains(&format!("\n| `{verb}")), "{path}: pm-cli {verb}");
            used += 1;
        }
    }
    assert!(used > 40, "the commands were not found");
}

#[test]
fn every_alert_has_a_test_that_fires_it_and_one_that_does_not() {
    let mut fired = BTreeSet::new();
    let mut quiet = BTreeSet::new();
    for (path, _) in files(&[TESTS], "yml") {
        for test in list(&read(&path), "tests") {
            for case in list(test, "alert_rule_test") {
                let name = case["alertname"].as_str().expect("a name").to_owned();
                let set = if list(case, "exp_alerts").is_empty() { &mut quiet } else { &mut fired };
                set.insert(name);
            }
        }
    }
    let names: BTreeSet<String> = alerts().iter().map(|alert| name(alert).to_owned()).collect();
    assert_eq!(fired, names, "left: alerts that a test of {TESTS} fires, right: all of {RULES}");
    assert_eq!(quiet, names, "left: alerts that a test of {TESTS} keeps quiet, right: all of {RULES}");
}
