//! Every query of the dashboards and rules, as Prometheus is asked it: with the variables in place.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::promql::selectors;

/// A question to Prometheus.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Where it stands.
    pub(crate) place: String,
    /// What it is.
    pub(crate) expr: String,
}

impl Question {
    fn new(place: impl Into<String>, expr: &str) -> Self {
        Self { place: place.into(), expr: substituted(expr) }
    }
}

/// What Grafana puts in the place of its variables when all is chosen. Longer names first: one is the beginning of
/// another.
const VARIABLES: [(&str, &str); 6] = [
    ("$__rate_interval", "1m"),
    ("$__interval", "15s"),
    ("$__range", "1h"),
    ("$instance", ".+"),
    ("$process", ".+"),
    ("$job", ".+"),
];

fn substituted(expr: &str) -> String {
    VARIABLES.iter().fold(expr.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The queries of the dashboards that ask Prometheus.
pub(crate) fn of_dashboards(root: &Path) -> Result<Vec<Question>> {
    let mut found = Vec::new();
    let directory = root.join("dashboards/grafana");
    for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
        if list(&board["templating"], "list").iter().any(|v| v["query"] == "prometheus") {
            found.extend(of_dashboard(&board)?);
        }
    }
    ensure!(found.len() > 50, "the queries were not found in {}", directory.display());
    Ok(found)
}

fn of_dashboard(board: &Value) -> Result<Vec<Question>> {
    let title = text(&board["title"]);
    let mut found = Vec::new();
    for panel in list(board, "panels") {
        for target in list(panel, "targets") {
            let place = format!("{title}: {} {}", text(&panel["title"]), text(&target["refId"]));
            found.push(Question::new(place, text(&target["expr"])));
        }
    }
    for annotation in list(&board["annotations"], "list") {
        let place = format!("{title}: mark {}", text(&annotation["name"]));
        found.push(Question::new(place, text(&annotation["expr"])));
    }
    for variable in list(&board["templating"], "list").iter().filter(|v| v["type"] == "query") {
        let definition = text(&variable["definition"]);
        found.push(Question::new(
            format!("{title}: variable {}", text(&variable["name"])),
            &values(definition)?,
        ));
    }
    Ok(found)
}

/// `label_values(series, label)` as the query whose result has these values.
fn values(definition: &str) -> Result<String> {
    let inner = definition.strip_prefix("label_values(").and_then(|d| d.strip_suffix(')'));
    let (series, label) = inner.and_then(|i| i.rsplit_once(", ")).with_context(|| definition.to_owned())?;
    let named = match series.strip_suffix('}') {
        Some(matched) => format!(r#"{matched},{label}!=""}}"#),
        None => format!(r#"{series}{{{label}!=""}}"#),
    };
    Ok(format!("count by ({label}) ({named})"))
}

/// The expressions of the rules.
pub(crate) fn of_rules(root: &Path) -> Result<Vec<Question>> {
    let mut found = Vec::new();
    let file: Value = serde_yaml::from_str(&std::fs::read_to_string(root.join(super::RULES))?)?;
    for rule in list(&file, "groups").iter().flat_map(|group| list(group, "rules")) {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).context("a rule without a name")?;
        found.push(Question::new(format!("rule {name}"), text(&rule["expr"])));
    }
    ensure!(found.len() > 20, "the rules were not found in {}", super::RULES);
    Ok(found)
}

/// The examples of the guide.
pub(crate) fn of_guide(root: &Path) -> Result<Vec<Question>> {
    let text = std::fs::read_to_string(root.join(super::GUIDE)).context(super::GUIDE)?;
    let blocks = text.split("```promql\n").skip(1);
    let found: Vec<Question> = blocks
        .filter_map(|rest| rest.split_once("```"))
        .map(|(expr, _)| Question::new(format!("{}: {}", super::GUIDE, expr.trim()), expr.trim()))
        .collect();
    ensure!(!found.is_empty(), "no examples in {}", super::GUIDE);
    Ok(found)
}

/// What the rules look at, one question for each series: an alert that is quiet gives nothing, and its series have to be
/// there all the same.
pub(crate) fn below_rules(rules: &[Question]) -> Vec<Question> {
    let mut found = Vec::new();
    for rule in rules {
        for selector in selectors(&rule.expr) {
            let expr = format!("{}{{{}}}", selector.name, selector.matchers);
            found.push(Question { place: format!("{}: {expr}", rule.place), expr });
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let expr = r#"rate(a{job=~"$job",instance=~"$instance"}[$__rate_interval])"#;
        assert_eq!(substituted(expr), r#"rate(a{job=~".+",instance=~".+"}[1m])"#);
    }

    #[test]
    fn a_variable_is_a_query_for_its_values() {
        let plain = values("label_values(ddprocmgr_build_info, job)").unwrap();
        assert_eq!(plain, r#"count by (job) (ddprocmgr_build_info{job!=""})"#);
        let matched = values(r#"label_values(up{job="a"}, process)"#).unwrap();
        assert_eq!(matched, r#"count by (process) (up{job="a",process!=""})"#);
        assert!(values("label_values(job)").is_err());
    }
}
