//! Dashboards, alert rules and runbooks: made from tables, following the rules of Grafana's dashboard-linter, and
//! speaking of metrics that exist. That each query works is tried by `cargo xtask dashboards` on a real Prometheus.

mod alerts;
mod journal;
mod lint;
mod logs;
mod make;
mod names;
mod overview;
mod process;
mod states;

#[path = "../../src/dashboards/promql.rs"]
mod promql;
#[path = "../support/source.rs"]
#[expect(dead_code, reason = "it reads code as well")]
mod source;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use make::Board;
use source::{files, root};

/// Where they lie.
const DIRECTORY: &str = "dashboards/grafana";

fn boards() -> Vec<Board> {
    vec![overview::board(), process::board(), logs::board(), journal::board()]
}

/// The dashboards as they are provisioned: path and content.
fn provisioned() -> Vec<(String, Value)> {
    let files = files(&[DIRECTORY], "json");
    assert!(files.len() >= 4, "the dashboards were not found in {DIRECTORY}");
    files.into_iter().map(|(path, text)| (path, serde_json::from_str(&text).expect("JSON"))).collect()
}

/// Every query of a dashboard with the place where it stands: those of panels, annotations and variables.
fn queries(path: &str, dashboard: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |place: String, query: &Value| {
        found.push((place, query.as_str().expect("a query is a text").to_owned()));
    };
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            add(format!("{path}: panel {} {}", panel["title"], target["refId"]), &target["expr"]);
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        add(format!("{path}: annotation {}", annotation["name"]), &annotation["expr"]);
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            add(format!("{path}: variable {}", variable["name"]), &variable["definition"]);
        }
    }
    found
}

#[test]
fn the_dashboards_are_made_from_the_tables() {
    let directory = root().join(DIRECTORY);
    let mut names = BTreeSet::new();
    for board in boards() {
        let name = format!("{}.json", board.name);
        let text = board.text();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(directory.join(&name), &text).expect("the file can be written");
        }
        let found = fs::read_to_string(directory.join(&name)).unwrap_or_default();
        assert!(
            found == text,
            "{DIRECTORY}/{name} is not what xtask/tests/dashboards says: UPDATE_DOCS=1 cargo test -p xtask --test dashboards"
        );
        names.insert(format!("{DIRECTORY}/{name}"));
    }
    let there: BTreeSet<String> = provisioned().into_iter().map(|(path, _)| path).collect();
    assert_eq!(there, names, "left: the files that are there, right: the boards of the tables");
}

/// A link by a uid that is none, or a uid that changes, leads to "dashboard not found".
#[test]
fn links_lead_to_dashboards_that_are_there() {
    let boards = provisioned();
    let uids: BTreeSet<&str> =
        boards.iter().map(|(_, board)| board["uid"].as_str().expect("a uid")).collect();
    assert_eq!(uids.len(), boards.len(), "two dashboards have one uid");
    let mut followed = 0;
    for (path, board) in &boards {
        assert!(board["uid"].as_str().expect("a uid").len() <= 40, "{path}: Grafana refuses longer uids");
        assert_eq!(
            board["links"][0]["tags"][0], board["tags"][0],
            "{path}: links to the other dashboards by its own tag"
        );
        let text = board.to_string();
        for (at, _) in text.match_indices("\"/d/") {
            let uid = text[at + 4..].split('?').next().expect("a text has a first part");
            assert!(uids.contains(uid), "{path}: a link to {uid}, which is not there");
            followed += 1;
        }
    }
    assert!(followed > 0, "the rows of the overview lead somewhere");
}

#[test]
fn selectors_are_found() {
    use promql::{Selector, selectors};
    let expr = r#"sum by (process) (rate(ddprocmgr_a_total{x="process_y"}[5m])) / on (process) up > 0"#;
    let expected = [
        Selector {
            name: "ddprocmgr_a_total",
            matchers: r#"x="process_y""#,
            range: Some("5m"),
            inside: vec!["", "rate"],
        },
        Selector { name: "up", matchers: "", range: None, inside: vec![] },
    ];
    assert_eq!(selectors(expr), expected);
    assert_eq!(selectors("process:ddprocmgr_x:increase10m >= 3"), []);
    let found = selectors(r#"up{job=~"$job",state!="a"}"#);
    assert_eq!(names::labels(&found[0]), [("job", r#"=~"$job""#), ("state", r#"!="a""#)]);
}
