//! The exposition as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::prometheus::get;

/// What one scrape shows.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Every value of the label `process`.
    pub(crate) processes: BTreeSet<String>,
    /// How many series.
    pub(crate) series: usize,
    /// Series that are there more than once.
    pub(crate) twice: Vec<String>,
    /// Collectors that failed.
    pub(crate) failed: Vec<String>,
    /// The daemon's resident memory in bytes.
    pub(crate) resident: f64,
}

impl Page {
    pub(crate) fn read(address: SocketAddr) -> Result<Self> {
        let (status, body) = get(address, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}: {body}");
        Ok(Self::parse(&body))
    }

    /// Of the text format only what the own writer uses: a label's value may hold anything but a quote.
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            page.series += 1;
            *seen.entry(series).or_default() += 1;
            if let Some(name) = label(series, "process") {
                page.processes.insert(name.to_owned());
            }
            if series.starts_with("ddprocmgr_scrape_collector_success") && value != "1" {
                page.failed.push(series.to_owned());
            }
            if series == "process_resident_memory_bytes" {
                page.resident = value.parse().unwrap_or_default();
            }
        }
        page.twice = seen.into_iter().filter(|(_, n)| *n > 1).map(|(series, _)| series.to_owned()).collect();
        page
    }
}

fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let labels = series.split_once('{')?.1;
    let at = labels.find(&format!("{name}=\""))?;
    // `sub_process="x"` is another label.
    let whole = at == 0 || labels.as_bytes()[at - 1] == b',';
    labels[at + name.len() + 2..].split('"').next().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_is_wrong() {
        let page = Page::parse(
            "# HELP a b\na{process=\"x\"} 1\na{stream=\"o\",process=\"y\"} 2\na{process=\"x\"} 3\n\
             ddprocmgr_scrape_collector_success{collector=\"proc\"} 0\nprocess_resident_memory_bytes 5e6\nb{sub_process=\"z\"} 1\n",
        );
        assert_eq!(page.processes, ["x", "y"].map(str::to_owned).into());
        assert_eq!((page.series, page.twice), (6, vec!["a{process=\"x\"}".to_owned()]));
        assert_eq!(page.failed, ["ddprocmgr_scrape_collector_success{collector=\"proc\"}"]);
        assert!(page.resident > 4e6);
    }
}
