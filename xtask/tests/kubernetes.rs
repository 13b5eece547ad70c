//! The examples for Kubernetes: the rules are those of dashboards/alerts, and the parts find each other.

#[path = "support/source.rs"]
#[expect(dead_code, reason = "it reads code as well")]
mod source;

use std::fs;

use serde_yaml::Value;

use source::root;

const RULES: &str = "dashboards/alerts/ddprocmgr.yml";
const RULE: &str = "examples/kubernetes/prometheusrule.yaml";

const HEAD: &str = "\
# For the Prometheus operator. Made from dashboards/alerts/ddprocmgr.yml:
# UPDATE_DOCS=1 cargo test -p xtask --test kubernetes
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: dd-procmgrd
  labels:
    app.kubernetes.io/name: dd-procmgrd
spec:
";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The rules with their comments, two columns to the right.
fn rule(rules: &str) -> String {
    let body = rules.lines().skip_while(|line| *line != "groups:");
    let shifted = body.map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    format!("{HEAD}{}", shifted.collect::<String>())
}

#[test]
fn the_prometheus_rule_is_made_from_the_alerts() {
    let text = rule(&read(RULES));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(RULE), &text).expect("the file can be written");
    }
    assert!(
        read(RULE) == text,
        "{RULE} is not what {RULES} says: UPDATE_DOCS=1 cargo test -p xtask --test kubernetes"
    );
    let (rules, made): (Value, Value) =
        (serde_yaml::from_str(&read(RULES)).expect("YAML"), serde_yaml::from_str(&text).expect("YAML"));
    assert_eq!(made["spec"]["groups"], rules["groups"], "moved to the right, and nothing else");
}

/// What the schema of the resource allows (monitoring.coreos.com/v1, PrometheusRule): the operator refuses other keys,
/// which a Prometheus would take.
#[test]
fn every_rule_is_one_that_the_operator_takes() {
    let made: Value = serde_yaml::from_str(&read(RULE)).expect("YAML");
    let groups = made["spec"]["groups"].as_sequence().expect("groups");
    let keys = |value: &Value| -> Vec<String> {
        let mapping = value.as_mapping().expect("a mapping");
        mapping.keys().map(|key| key.as_str().expect("a text").to_owned()).collect()
    };
    for group in groups {
        for key in keys(group) {
            assert!(
                ["name", "interval", "rules", "limit", "labels", "query_offset"].contains(&key.as_str()),
                "{key}"
            );
        }
        for rule in group["rules"].as_sequence().expect("rules") {
            for key in keys(rule) {
                let known = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
                assert!(known.contains(&key.as_str()), "{key} in {rule:?}");
            }
            assert!(rule["expr"].is_string(), "{rule:?}");
            for texts in ["labels", "annotations"] {
                let values = rule[texts].as_mapping().into_iter().flatten();
                values
                    .for_each(|(name, value)| assert!(value.is_string(), "{name:?} is no text in {rule:?}"));
            }
        }
    }
}

#[test]
fn the_monitor_finds_the_pods_and_names_the_job_as_the_rules_expect() {
    let text = read("examples/kubernetes/daemonset.yaml");
    let documents: Vec<Value> =
        text.split("\n---\n").map(|document| serde_yaml::from_str(document).expect("YAML")).collect();
    let kind = |kind: &str| documents.iter().find(|d| d["kind"] == kind).expect("it is in the file");
    let set = &kind("DaemonSet")["spec"];
    let monitor: Value = serde_yaml::from_str(&read("examples/kubernetes/podmonitor.yaml")).expect("YAML");
    let labels = &set["template"]["metadata"]["labels"];
    assert_eq!(&set["selector"]["matchLabels"], labels);
    assert_eq!(&monitor["spec"]["selector"]["matchLabels"], labels);
    let job = monitor["spec"]["jobLabel"].as_str().expect("a label");
    assert_eq!(labels[job], "dd-procmgrd", "the job that the rules expect");
    let container = &set["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"][0]["name"], monitor["spec"]["podMetricsEndpoints"][0]["port"]);
    // Each mount has its volume, and the definitions are where the daemon looks for them.
    let volumes = set["template"]["spec"]["volumes"].as_sequence().expect("volumes");
    for mount in container["volumeMounts"].as_sequence().expect("mounts") {
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount:?}");
    }
    assert!(kind("ConfigMap")["data"]["processes.yaml"].is_string());
}
