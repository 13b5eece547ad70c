//! How findings look.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Found, Verdict};
use crate::render::Paint;
use crate::render::paint::one_line;

/// For humans.
pub(crate) fn text(found: &[Found], paint: Paint) -> String {
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for Found { check, finding } in found {
        let unknown = finding.verdict == Verdict::NotChecked;
        if unknown && told.contains(&finding.found.as_str()) {
            continue;
        }
        let word = format!("{:<11}", finding.verdict.word());
        let word = match finding.verdict {
            Verdict::Problem => paint.red(&word),
            Verdict::Warning => paint.yellow(&word),
            Verdict::Ok | Verdict::NotChecked => word.as_str().into(),
        };
        let _infallible = writeln!(text, "{word}  {:<15}  {}", check.name, one_line(&finding.found)).is_ok();
        let mut also = String::new();
        if unknown {
            // One reason keeps many checks from looking: it is said once.
            told.push(&finding.found);
            let same =
                found.iter().filter(|other| other.finding == *finding && other.check.name != check.name);
            also = same.map(|other| other.check.name).collect::<Vec<_>>().join(", ");
        }
        for (label, what) in [("means", &finding.meaning), ("next", &finding.command), ("also", &also)] {
            for (i, line) in what.lines().enumerate() {
                let label = if i == 0 { format!("{label}:") } else { String::new() };
                let _infallible = writeln!(text, "{:13}{label:<6} {}", "", one_line(line)).is_ok();
            }
        }
    }
    let _infallible = writeln!(text, "\n{}", summary(found)).is_ok();
    text
}

/// `26 looks: 24 ok, 1 warning, 1 problem, none not checked`
fn summary(found: &[Found]) -> String {
    let [ok, warnings, problems, unknown] = counts(found);
    let plural = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    format!(
        "{ok} ok, {}, {}, {unknown} not checked",
        plural(warnings, "warning"),
        plural(problems, "problem")
    )
}

fn counts(found: &[Found]) -> [usize; 4] {
    [Verdict::Ok, Verdict::Warning, Verdict::Problem, Verdict::NotChecked]
        .map(|verdict| found.iter().filter(|found| found.finding.verdict == verdict).count())
}

/// For programs.
pub(crate) fn document(found: &[Found]) -> Value {
    let checks: Vec<Value> = found
        .iter()
        .map(|Found { check, finding }| {
            let some = |text: &String| (!text.is_empty()).then(|| text.clone());
            json!({
                "check": check.name,
                "verdict": finding.verdict.key(),
                "found": finding.found,
                "meaning": some(&finding.meaning),
                "next": some(&finding.command),
            })
        })
        .collect();
    let [ok, warnings, problems, unknown] = counts(found);
    json!({
        "checks": checks,
        "counts": { "ok": ok, "warning": warnings, "problem": problems, "not_checked": unknown },
    })
}
