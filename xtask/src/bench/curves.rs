//! Which growth curves are drawn.

use super::parts::{Part, Ran};
use super::raw::percentile;
use super::svg::{Series, picture};

/// File, title, and what is drawn.
const CURVES: [(&str, &str, &str); 5] = [
    ("start.svg", "Until all processes have begun to run, ms", "all started"),
    ("memory.svg", "Memory of the daemon when nothing happens (PSS), MB", "memory (PSS)"),
    ("list.svg", "pm-cli list, the whole command, ms", "list"),
    ("scrape.svg", "One scrape, until the last byte, ms", "scrape"),
    ("stop.svg", "Until the last process is gone, ms", "all stopped"),
];

/// Those for which there are values.
pub(crate) fn pictures(ran: &[Ran]) -> Vec<(String, String)> {
    let Some(ran) = ran.iter().find(|ran| ran.part == Part::Growth) else { return Vec::new() };
    let raw = &ran.raw;
    let mut pictures = Vec::new();
    for (file, title, what) in CURVES {
        let mut all = Vec::new();
        for who in raw.everybody(what) {
            let point = |count: &u64| {
                let mut rounds: Vec<f64> = raw
                    .each_round(&who, what, Some(*count), 0.5)
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect();
                let median = percentile(&mut rounds, 0.5);
                median.is_finite().then_some((*count as f64, median))
            };
            let points = raw.counts().iter().filter_map(point).collect();
            all.push(Series { name: who, points });
        }
        if all.iter().any(|series| series.points.len() > 1) {
            pictures.push((file.to_owned(), picture(title, &all)));
        }
    }
    pictures
}
