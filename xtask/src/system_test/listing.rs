//! What `pm-cli list --output json` prints, as far as the checks look at it.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u64,
    /// The number of its run, while it has one.
    pub(crate) run: Option<u64>,
}

impl Listed {
    /// Every process of the list.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>> {
        let value: Value =
            serde_json::from_str(text).with_context(|| format!("pm-cli printed no JSON:\n{text}"))?;
        let processes = value.get("processes").and_then(Value::as_array);
        let processes = processes.with_context(|| format!("no `processes` in:\n{text}"))?;
        processes.iter().map(|p| Self::one(p).with_context(|| format!("in {p:#}"))).collect()
    }

    fn one(value: &Value) -> Result<Self> {
        let text =
            |key: &str| value[key].as_str().map(str::to_owned).with_context(|| format!("no text `{key}`"));
        Ok(Self {
            name: text("name")?,
            id: text("process_id")?,
            state: text("state")?,
            pid: value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
            restarts: value["restarts"].as_u64().context("no number `restarts`")?,
            run: value["run"]["number"].as_u64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list() {
        let text = r#"{"processes": [
            {"name": "web", "process_id": "0123456789ab", "state": "running", "pid": 7, "restarts": 2,
             "run": {"number": 4}},
            {"name": "idle", "process_id": "ba9876543210", "state": "stopped", "pid": null, "restarts": 0}]}"#;
        let all = Listed::parse(text).unwrap();
        assert_eq!((all[0].pid, all[0].restarts, all[0].run), (Some(7), 2, Some(4)));
        assert_eq!((all[1].pid, all[1].restarts, all[1].run), (None, 0, None));
    }

    #[test]
    fn says_what_is_missing() {
        let error = Listed::parse(r#"{"processes": [{"name": "web"}]}"#).unwrap_err();
        assert!(format!("{error:#}").contains("process_id"), "{error:#}");
    }
}
