//! Raw values as the measuring programs write them, and what is asked of them: medians, the lowest and the highest, ratios to
//! somebody else in the same round.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::parts::Ran;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) count: u64,
    pub(crate) round: u64,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// Everything that a part has written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raw {
    pub(crate) machine: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) versions: Vec<(String, String)>,
    /// Who, and why.
    pub(crate) left_out: Vec<(String, String)>,
    /// Made by the program itself.
    pub(crate) tables: String,
    lines: Vec<Value>,
}

impl Raw {
    /// A line of JSON for each fact.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let mut raw = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("a line of raw values: {line}"))?;
            let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let number = |key: &str| value[key].as_u64().unwrap_or_default();
            if let Some(machine) = value["machine"].as_str() {
                machine.clone_into(&mut raw.machine);
            } else if value["version"].is_string() {
                raw.versions.push((word("who"), word("version")));
            } else if value["left_out"].is_string() {
                raw.left_out.push((word("who"), word("left_out")));
            } else if let Some(number_of) = value["value"].as_f64() {
                raw.samples.push(Sample {
                    count: number("count"),
                    round: number("round"),
                    who: word("who"),
                    what: word("what"),
                    value: number_of,
                    unit: word("unit"),
                });
            }
            raw.lines.push(value);
        }
        Ok(raw)
    }

    /// A part that could not be run.
    pub(crate) fn failed(why: &str) -> Self {
        Self { tables: format!("Not measured: {why}\n"), ..Self::default() }
    }

    /// Whether anything was measured.
    pub(crate) fn has_values(&self) -> bool {
        !self.samples.is_empty()
    }

    /// In the order in which they first came.
    pub(crate) fn whats(&self) -> Vec<String> {
        first_seen(self.samples.iter().map(|sample| &sample.what))
    }

    pub(crate) fn everybody(&self, what: &str) -> Vec<String> {
        first_seen(self.samples.iter().filter(|sample| sample.what == what).map(|sample| &sample.who))
    }

    pub(crate) fn counts(&self) -> BTreeSet<u64> {
        self.samples.iter().map(|sample| sample.count).collect()
    }

    pub(crate) fn unit(&self, what: &str) -> &str {
        self.samples.iter().find(|sample| sample.what == what).map_or("", |sample| &sample.unit)
    }

    /// Values of one, by round.
    pub(crate) fn rounds(&self, who: &str, what: &str, count: Option<u64>) -> BTreeMap<u64, Vec<f64>> {
        let mut rounds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let wanted =
            |s: &&Sample| s.who == who && s.what == what && count.is_none_or(|count| s.count == count);
        for sample in self.samples.iter().filter(wanted) {
            rounds.entry(sample.round).or_default().push(sample.value);
        }
        rounds
    }

    /// One value for each round: the one that this share of the round's values does not exceed.
    pub(crate) fn each_round(
        &self,
        who: &str,
        what: &str,
        count: Option<u64>,
        share: f64,
    ) -> Vec<(u64, f64)> {
        let rounds = self.rounds(who, what, count);
        rounds.into_iter().map(|(round, mut values)| (round, percentile(&mut values, share))).collect()
    }

    /// One contestant to another one, in each round in which both were there.
    pub(crate) fn ratios(&self, who: &str, to: &str, what: &str, count: Option<u64>, share: f64) -> Vec<f64> {
        let others: BTreeMap<u64, f64> = self.each_round(to, what, count, share).into_iter().collect();
        let own = self.each_round(who, what, count, share).into_iter();
        own.filter_map(|(round, value)| Some(value / others.get(&round).filter(|other| **other > 0.0)?))
            .collect()
    }
}

fn first_seen<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(one) {
            seen.push(one.clone());
        }
    }
    seen
}

/// The value that this share of the values does not exceed; the mean of the two in the middle for one half of an even
/// number. NaN without any.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let wanted = share * values.len() as f64;
    let rank = (1_u32..).zip(values.iter()).position(|(n, _)| f64::from(n) >= wanted);
    match rank {
        None => f64::NAN,
        Some(rank) if share == 0.5 && values.len().is_multiple_of(2) => {
            f64::midpoint(values[rank], values[rank + 1])
        }
        Some(rank) => values[rank],
    }
}

/// `median (lowest - highest)`, with three significant digits.
pub(crate) fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    let middle = percentile(&mut values, 0.5);
    match values.as_slice() {
        [] => String::new(),
        [one] => digits(*one),
        [lowest, .., highest] => format!("{} ({} - {})", digits(middle), digits(*lowest), digits(*highest)),
    }
}

/// Three significant digits, and all before the point.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.995 => format!("{value:.3}"),
        some if some < 9.995 => format!("{value:.2}"),
        more if more < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The file with everything.
pub(crate) fn together(ran: &[Ran]) -> Result<String> {
    let parts: serde_json::Map<String, Value> =
        ran.iter().map(|ran| (ran.part.name().to_owned(), json!(ran.raw.lines))).collect();
    Ok(serde_json::to_string_pretty(&parts)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_grouped_by_round_and_compared_within_it() {
        let raw = Raw::read(concat!(
            "{\"machine\":\"m\"}\n{\"who\":\"b\",\"version\":\"b 1\"}\n{\"who\":\"c\",\"part\":\"all\",\"left_out\":\"gone\"}\n",
            "{\"part\":\"p\",\"count\":3,\"round\":0,\"who\":\"a\",\"what\":\"w\",\"value\":10.0,\"unit\":\"ms\"}\n",
            "{\"part\":\"p\",\"count\":3,\"round\":0,\"who\":\"b\",\"what\":\"w\",\"value\":20.0,\"unit\":\"ms\"}\n",
            "{\"part\":\"p\",\"count\":3,\"round\":1,\"who\":\"b\",\"what\":\"w\",\"value\":99.0,\"unit\":\"ms\"}\n",
        ))
        .unwrap();
        assert_eq!(raw.ratios("b", "a", "w", None, 0.5), [2.0], "round 1 has no partner");
        assert_eq!(raw.everybody("w"), ["a", "b"]);
        assert_eq!((raw.machine.as_str(), raw.versions.len(), raw.left_out.len()), ("m", 1, 1));
        assert!(Raw::read("nonsense\n").is_err());
    }

    #[test]
    fn percentiles_of_few_and_of_none() {
        assert_eq!(percentile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(percentile(&mut [4.0, 1.0, 2.0, 3.0], 0.5), 2.5);
        assert_eq!(percentile(&mut [1.0, 2.0], 0.99), 2.0);
        assert_eq!(percentile(&mut [7.0], 0.5), 7.0);
        assert!(percentile(&mut [], 0.5).is_nan());
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            [0.0, 0.1234, 1.234, 12.34, 123.4, 1234.5].map(digits),
            ["0", "0.123", "1.23", "12.3", "123", "1234"]
        );
        assert_eq!(spread(&[2.0, 1.0, 3.0]), "2.00 (1.00 - 3.00)");
        assert_eq!(spread(&[2.0]), "2.00");
        assert_eq!(spread(&[]), "");
    }
}
