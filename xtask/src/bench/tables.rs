//! Tables in Markdown: who, how much, how many times the floor in the same round.

use std::fmt::Write as _;

use super::parts::{Part, Ran};
use super::raw::{Raw, percentile, spread};

/// What everybody is compared with.
const FLOOR: &str = "floor";
/// Of this, the slowest ones count as well.
const TAILED: &str = "restart";

/// All parts, with headings.
pub(crate) fn all(ran: &[Ran]) -> String {
    let mut text = String::new();
    for ran in ran {
        text += &format!("## {}\n\n{}\n", ran.part.title(), part(ran));
    }
    text
}

/// One part, without its heading.
pub(crate) fn part(ran: &Ran) -> String {
    let raw = &ran.raw;
    if !raw.tables.is_empty() {
        return demoted(&raw.tables);
    }
    let counts: Vec<String> = raw.counts().into_iter().map(thousands).collect();
    let mut text = format!("{} {} processes.\n\n", raw.machine, counts.join(", "));
    if ran.part == Part::Growth {
        text += &growth(raw);
    } else {
        for what in raw.whats() {
            text += &one(raw, &what, 0.5, &what);
            if what == TAILED {
                text += &one(raw, &what, 0.99, &format!("{what}, p99"));
            }
        }
    }
    text + &notes(raw)
}

/// A table of one thing, the best first.
fn one(raw: &Raw, what: &str, share: f64, title: &str) -> String {
    let mut rows: Vec<(f64, String)> = Vec::new();
    for who in raw.everybody(what) {
        let rounds: Vec<f64> =
            raw.each_round(&who, what, None, share).into_iter().map(|(_, value)| value).collect();
        let ratios = spread(&raw.ratios(&who, FLOOR, what, None, share));
        let row = format!("| {who} | {} | {ratios} | {} |\n", spread(&rounds), rounds.len());
        rows.push((percentile(&mut rounds.clone(), 0.5), row));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let unit = raw.unit(what);
    let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
    let mut text = format!(
        "| {title}{unit} | median of rounds (lowest - highest) | × floor, same round | rounds |\n|---|---|---|---|\n"
    );
    rows.iter().for_each(|(_, row)| text += row);
    text + "\n"
}

/// Everything by number of processes, a table for each contestant, and how much more ten times as many cost.
fn growth(raw: &Raw) -> String {
    let counts = raw.counts();
    let mut text = String::new();
    for what in raw.whats() {
        let heads: Vec<String> = counts.iter().map(|count| thousands(*count)).collect();
        writeln!(text, "| {what}, {} | {} |", raw.unit(&what), heads.join(" | ")).ok();
        writeln!(text, "|---|{}", "---|".repeat(counts.len())).ok();
        for who in raw.everybody(&what) {
            let cell = |count: &u64| {
                let rounds = raw.each_round(&who, &what, Some(*count), 0.5);
                spread(&rounds.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
            };
            let cells: Vec<String> = counts.iter().map(cell).collect();
            writeln!(text, "| {who} | {} |", cells.join(" | ")).ok();
        }
        text.push('\n');
    }
    text
}

/// Who took part, and who did not.
fn notes(raw: &Raw) -> String {
    let mut text = String::new();
    if !raw.versions.is_empty() {
        let all: Vec<String> =
            raw.versions.iter().map(|(who, version)| format!("{who}: {version}")).collect();
        writeln!(text, "Versions: {}.\n", all.join("; ")).ok();
    }
    for (who, why) in &raw.left_out {
        writeln!(text, "- {who} left out: {why}").ok();
    }
    text
}

/// Titles of a measuring program are plain lines; its machine line and tables stay as they are.
fn demoted(text: &str) -> String {
    text.trim().to_owned() + "\n"
}

/// `10,000`
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_comes_first_and_is_compared_with_the_floor() {
        let line = |who: &str, value: f64| {
            format!(
                "{{\"part\":\"starts\",\"count\":9,\"round\":0,\"who\":\"{who}\",\"what\":\"all started\",\"value\":{value},\"unit\":\"ms\"}}\n"
            )
        };
        let text = line("slow", 90.0)
            + &line("floor", 30.0)
            + "{\"who\":\"gone\",\"left_out\":\"not installed: x\"}\n";
        let ran = Ran { part: Part::Starts, raw: Raw::read(&text).unwrap(), failed: false };
        let table = part(&ran);
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows[1], "| floor | 30.0 | 1.00 | 1 |");
        assert_eq!(rows[2], "| slow | 90.0 | 3.00 | 1 |");
        assert!(table.contains("- gone left out: not installed: x"), "{table}");
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!(
            [0, 100, 1_000, 10_000, 1_234_567].map(thousands),
            ["0", "100", "1,000", "10,000", "1,234,567"]
        );
    }
}
