//! What becomes of children's output, side by side with programs that do the same and nothing else: bytes a second
//! into files, entries a second into journald, memory under a flood, processor time for a trickle.
//!
//! Rounds are interleaved, each number is the median of its rounds with the lowest and the highest beside it, and the
//! lines are counted at the end of every round: a round that has lost or doubled one is an error, not a number.

mod file;
mod flood;
mod journal;
mod private_journal;
mod trickle;
mod ways;

use anyhow::Result;

use crate::table::Table;
use crate::{Measure, Options};

/// Lines are 100 bytes, the newline included.
pub(crate) const LINE: u64 = 100;

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    let parts: [(&str, Measure); 5] = [
        ("logs: one pipe to one file", file::one),
        ("logs: fifty pipes to fifty files", file::fifty),
        ("logs: one pipe to a file and journald", journal::measure),
        ("logs: a flood", flood::measure),
        ("logs: 1,000 children with a line a second each", trickle::measure),
    ];
    for (title, part) in parts {
        if !options.leaves_out(title) {
            table.title(title);
            part(table, options)?;
        }
    }
    Ok(())
}

/// `median (lowest - highest)`
pub(crate) fn spread(values: &mut [f64], digits: usize) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let middle = median(values);
    match values {
        [lowest, .., highest] => format!("{middle:.digits$} ({lowest:.digits$} - {highest:.digits$})"),
        _ => format!("{middle:.digits$}"),
    }
}

/// Of values in order.
pub(crate) fn median(values: &[f64]) -> f64 {
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
