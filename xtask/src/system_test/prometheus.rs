//! A real Prometheus in the container, which scrapes the daemon each second.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::bed::Bed;

/// Beside the daemon, which has Prometheus' own default port.
const ADDRESS: &str = "127.0.0.1:9099";

const CONFIG: &str = "\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: dd-procmgrd
    static_configs:
      - targets: ['127.0.0.1:9090']
  - job_name: prometheus
    static_configs:
      - targets: ['127.0.0.1:9099']";

/// Starts it, unless it runs already, and waits until it answers.
pub(crate) fn start(bed: &Bed) -> Result<()> {
    if bed.try_sh("systemctl is-active --quiet testbed-prometheus")?.code != 0 {
        bed.sh("mkdir -p /var/lib/testbed-prometheus")?;
        bed.write("/var/lib/testbed-prometheus/prometheus.yml", CONFIG)?;
        bed.sh(&format!(
            "systemd-run --quiet --unit=testbed-prometheus --working-directory=/var/lib/testbed-prometheus \
             /usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data \
             --web.listen-address={ADDRESS}"
        ))?;
    }
    bed.wait("Prometheus to be ready", || {
        Ok((bed.try_sh(&format!("curl --silent --fail http://{ADDRESS}/-/ready"))?.code == 0).then_some(()))
    })
}

/// The value of the only series that an expression gives now; `None` when there is none yet.
pub(crate) fn value(bed: &Bed, expression: &str) -> Result<Option<f64>> {
    let answer = bed.sh(&format!(
        "curl --silent --show-error --fail --get --data-urlencode 'query={expression}' http://{ADDRESS}/api/v1/query"
    ))?;
    parse(&answer).with_context(|| format!("asking Prometheus for {expression}"))
}

fn parse(answer: &str) -> Result<Option<f64>> {
    let value: Value = serde_json::from_str(answer)?;
    let series = value["data"]["result"].as_array().with_context(|| format!("no result in {answer}"))?;
    ensure!(series.len() <= 1, "more than one series: {answer}");
    let Some(series) = series.first() else { return Ok(None) };
    let text = series["value"][1].as_str().with_context(|| format!("no value in {answer}"))?;
    Ok(Some(text.parse()?))
}

/// Waits until the only series of an expression has a value that passes; that value.
pub(crate) fn wait(bed: &Bed, expression: &str, passes: impl Fn(f64) -> bool) -> Result<f64> {
    let mut last = None;
    let found = bed.wait(expression, || {
        last = value(bed, expression)?;
        Ok(last.filter(|v| passes(*v)))
    });
    found.with_context(|| format!("Prometheus' last answer: {last:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        let answer = |series: &str| format!(r#"{{"status":"success","data":{{"result":[{series}]}}}}"#);
        assert_eq!(parse(&answer("")).unwrap(), None);
        assert_eq!(parse(&answer(r#"{"metric":{},"value":[1.5,"3"]}"#)).unwrap(), Some(3.0));
        assert!(parse(&answer(r#"{"value":[1,"3"]},{"value":[1,"4"]}"#)).is_err());
        assert!(parse(r#"{"status":"error"}"#).is_err());
    }
}
