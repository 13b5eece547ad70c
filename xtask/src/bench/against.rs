//! Two revisions side by side: the ratio in each round, and its spread. A spread that has 1 in it says nothing.

use std::fmt::Write as _;

use super::build::OURS;
use super::parts::Ran;
use super::raw::{Raw, percentile, spread};
use super::tables::thousands;

/// A table for each part.
pub(crate) fn tables(ran: &[Ran], revision: &str) -> String {
    let mut text = String::new();
    for ran in ran {
        writeln!(text, "## {}\n\n{}\n", ran.part.title(), ran.raw.machine).ok();
        if !ran.raw.tables.is_empty() {
            writeln!(text, "{}", ran.raw.tables).ok();
        }
        writeln!(
            text,
            "| what | processes | this tree | {revision} | this / {revision}, same round | verdict |"
        )
        .ok();
        writeln!(text, "|---|---|---|---|---|---|").ok();
        for what in ran.raw.whats() {
            // With suffixes: the same build, started in another way.
            for who in ran.raw.everybody(&what).iter().filter(|who| who.starts_with(OURS)) {
                let other = who.replacen(OURS, revision, 1);
                for count in ran.raw.counts() {
                    text += &row(&ran.raw, &what, who, &other, count, 0.5);
                    if what == "restart" {
                        text += &row(&ran.raw, &what, who, &other, count, 0.99);
                    }
                }
            }
        }
        text.push('\n');
        for (who, why) in &ran.raw.left_out {
            writeln!(text, "- {who} left out: {why}").ok();
        }
    }
    text
}

fn row(raw: &Raw, what: &str, who: &str, other: &str, count: u64, share: f64) -> String {
    let ratios = raw.ratios(who, other, what, Some(count), share);
    if ratios.is_empty() {
        return String::new();
    }
    let values = |who: &str| -> Vec<f64> {
        raw.each_round(who, what, Some(count), share).into_iter().map(|(_, value)| value).collect()
    };
    let how = who.strip_prefix(OURS).unwrap_or_default();
    let tail = if share > 0.5 { ", p99" } else { "" };
    format!(
        "| {what}{how}{tail}, {} | {} | {} | {} | {} | {} |\n",
        raw.unit(what),
        thousands(count),
        spread(&values(who)),
        spread(&values(other)),
        spread(&ratios),
        verdict(&ratios)
    )
}

/// All rounds have to agree.
fn verdict(ratios: &[f64]) -> &'static str {
    let mut ratios = ratios.to_vec();
    let (lowest, highest) = (percentile(&mut ratios, 0.0), percentile(&mut ratios, 1.0));
    match (highest < 1.0, lowest > 1.0) {
        _ if ratios.len() < 3 => "too few rounds",
        (true, _) => "less",
        (_, true) => "more",
        _ => "no difference seen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::parts::Part;

    #[test]
    fn rounds_that_do_not_agree_show_no_difference() {
        assert_eq!(verdict(&[0.8, 0.9, 0.95]), "less");
        assert_eq!(verdict(&[1.1, 1.2, 1.3]), "more");
        assert_eq!(verdict(&[0.8, 1.2, 1.3]), "no difference seen");
        assert_eq!(verdict(&[0.5]), "too few rounds");
    }

    #[test]
    fn both_builds_stand_in_one_row() {
        let line = |who: &str, round: u32, value: f64| {
            format!(
                "{{\"part\":\"starts\",\"count\":1000,\"round\":{round},\"who\":\"{who}\",\"what\":\"all started\",\"value\":{value},\"unit\":\"ms\"}}\n"
            )
        };
        let text: String = (0..3).map(|round| line(OURS, round, 50.0) + &line("v1", round, 100.0)).collect();
        let ran = Ran { part: Part::Starts, raw: Raw::read(&text).unwrap(), failed: false };
        let table = tables(&[ran], "v1");
        let row = "| all started, ms | 1,000 | 50.0 (50.0 - 50.0) | 100 (100 - 100) | 0.500 (0.500 - 0.500) | less |";
        assert!(table.contains(row), "{table}");
    }
}
