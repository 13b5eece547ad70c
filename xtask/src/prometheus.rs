//! A real Prometheus that scrapes a daemon and itself and evaluates the rules every few seconds, in a directory of its
//! own.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait::wait;

/// The job that is meant. There is another one, which has metrics of the same names.
const JOB: &str = "dd-procmgrd";
/// Longest time for one answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The running server; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Prometheus {
    address: SocketAddr,
    child: Child,
    // Holds its data and its log for as long as it runs.
    dir: TempDir,
}

/// One series of an answer.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Its labels.
    pub(crate) labels: Value,
    /// Its value now.
    pub(crate) value: f64,
}

impl Sample {
    /// Whether it is about another target than dd-procmgrd.
    pub(crate) fn is_foreign(&self) -> bool {
        self.labels["job"].as_str().is_some_and(|job| job != JOB)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.labels, self.value)
    }
}

/// One line for each.
pub(crate) fn lines(samples: &[Sample]) -> String {
    samples.iter().map(|sample| format!("\n  {sample}")).collect()
}

/// Status and body of a page.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    // 1.0: the answer ends with the connection and comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("an answer without a status")?;
    Ok((status, body.to_owned()))
}

/// A port of loopback that is free now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a port of loopback")?;
    Ok(listener.local_addr()?.port())
}

impl Prometheus {
    /// Starts it and waits until it answers. It gives a scrape as many seconds as there are between two.
    pub(crate) fn start(target: &str, rules: Option<&Path>, interval: u32) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("pm-prometheus-").tempdir()?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let rules: Vec<_> = rules.into_iter().map(|path| format!("'{}'", path.display())).collect();
        let config = format!(
            "global: {{scrape_interval: {interval}s, evaluation_interval: {interval}s}}\nrule_files: [{}]\nscrape_configs:\n  \
             - job_name: {JOB}\n    static_configs: [{{targets: ['{target}']}}]\n  \
             - job_name: prometheus\n    static_configs: [{{targets: ['{address}']}}]\n",
            rules.join(", ")
        );
        std::fs::write(dir.path().join("prometheus.yml"), config)?;
        let log = File::create(dir.path().join("log"))?;
        let child = Command::new("prometheus")
            .current_dir(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("prometheus can't be executed: apt-get install --no-install-recommends prometheus")?;
        let mut server = Self { address, child, dir };
        wait("Prometheus to be ready", || {
            if let Some(status) = server.child.try_wait()? {
                let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
                anyhow::bail!("Prometheus ended at once ({status}):\n{log}");
            }
            Ok(server.get("/-/ready").ok().filter(|(status, _)| *status == 200).map(drop))
        })?;
        Ok(server)
    }

    /// What an expression gives now.
    pub(crate) fn query(&self, expr: &str) -> Result<Vec<Sample>> {
        let (_, body) = self.get(&format!("/api/v1/query?query={}", encoded(expr)))?;
        samples(&body).with_context(|| format!("asking Prometheus for {expr}"))
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.address, path)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; its data goes with its directory.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every byte but letters and digits as `%XX`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut done, byte| {
        if byte.is_ascii_alphanumeric() {
            done.push(char::from(byte));
        } else {
            let _infallible = write!(done, "%{byte:02X}");
        }
        done
    })
}

/// The samples of an answer of the API; a scalar is one without labels.
fn samples(body: &str) -> Result<Vec<Sample>> {
    let answer: Value = serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))?;
    ensure!(answer["status"] == "success", "{}", answer["error"]);
    let sample = |labels: &Value, value: &Value| -> Result<Sample> {
        let text = value[1].as_str().with_context(|| format!("no value in {body}"))?;
        Ok(Sample { labels: labels.clone(), value: text.parse()? })
    };
    match answer["data"]["result"].as_array() {
        Some(result) if answer["data"]["resultType"] == "scalar" => {
            Ok(vec![sample(&Value::Null, &Value::Array(result.clone()))?])
        }
        Some(result) => result.iter().map(|series| sample(&series["metric"], &series["value"])).collect(),
        None => anyhow::bail!("no result in {body}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        let answer = |kind: &str, result: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
        };
        assert!(samples(&answer("vector", "[]")).unwrap().is_empty());
        let found = samples(&answer("vector", r#"[{"metric":{"a":"b"},"value":[1.5,"NaN"]}]"#)).unwrap();
        assert_eq!(found[0].labels["a"], "b");
        assert!(found[0].value.is_nan());
        assert_eq!(samples(&answer("scalar", r#"[1.5,"3"]"#)).unwrap()[0].value, 3.0);
        let error = samples(r#"{"status":"error","error":"parse error"}"#).unwrap_err();
        assert!(error.to_string().contains("parse error"), "{error}");
    }

    #[test]
    fn a_query_goes_into_a_path() {
        assert_eq!(encoded(r#"up{a="b"} > 0"#), "up%7Ba%3D%22b%22%7D%20%3E%200");
    }
}
