//! From pipes to files, beside what does nothing else.

use anyhow::Result;

use super::ways::{self, Round, WAYS, Way};
use super::{LINE, median, spread};
use crate::Options;
use crate::table::Table;

pub(super) fn one(table: &mut Table, options: &Options) -> Result<()> {
    compare(table, options, &WAYS, Round { children: 1, lines: options.lines })
}

pub(super) fn fifty(table: &mut Table, options: &Options) -> Result<()> {
    compare(table, options, &WAYS, Round { children: 50, lines: options.lines / 50 })
}

fn compare(table: &mut Table, options: &Options, ways: &[Way], round: Round) -> Result<()> {
    let (here, missing): (Vec<&Way>, Vec<&Way>) = ways.iter().partition(|way| way.is_there());
    let mut rates = vec![Vec::new(); here.len()];
    let mut thrown_away = Vec::new();
    let rate = |seconds: f64| (round.children * round.lines * LINE) as f64 / seconds / 1e6;
    for _ in 0..options.rounds {
        for (way, rates) in here.iter().zip(&mut rates) {
            rates.push(rate(way.measure(round)?));
        }
        thrown_away.push(rate(ways::thrown_away(round)?));
    }
    for (way, rates) in here.iter().zip(&rates) {
        table.raw(way.name, "MB/s", rates)?;
    }
    table.raw("thrown away", "MB/s", &thrown_away)?;
    table.head(&["way", "MB/s, median (lowest - highest)", "× `cat`"]);
    rates.iter_mut().for_each(|rates| rates.sort_unstable_by(f64::total_cmp));
    let bare = here.iter().position(|way| way.name.starts_with("`cat"));
    let bare = bare.map_or(f64::NAN, |cat| median(&rates[cat]));
    for (way, rates) in here.iter().zip(&mut rates) {
        let ratio = format!("{:.2}", median(rates) / bare);
        table.row(&[way.name.to_owned(), spread(rates, 0), ratio]);
    }
    thrown_away.sort_unstable_by(f64::total_cmp);
    let ratio = format!("{:.2}", median(&thrown_away) / bare);
    table.row(&["`cat >/dev/null`: the writer's own speed".to_owned(), spread(&mut thrown_away, 0), ratio]);
    for way in missing {
        table.row(&[way.name.to_owned(), "not installed".to_owned(), String::new()]);
    }
    table.line(&format!(
        "\n{} rounds, {} children with {} lines of {LINE} bytes each; every line counted in every round.",
        options.rounds, round.children, round.lines
    ));
    Ok(())
}
