//! Rounds: in each of them everybody has one turn, and each round begins with somebody else, so that nobody always comes after
//! the same one. Whoever fails, or takes so long that nothing would be learned from more, has no further turn.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::contestants::{Field, Who};
use crate::record::{Place, Record, say};
use crate::stage::{Nanos, Stage};

/// One turn may last that long if there shall be more of them.
const LONG: Duration = Duration::from_secs(45);
/// All processes have to be there, or gone, after that.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What may be asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// A tenth of everything, to see that it works.
    pub(crate) quick: bool,
    /// Where rounds have their directories.
    pub(crate) base: PathBuf,
    /// The child.
    pub(crate) announce: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 3, quick: false, base: std::env::temp_dir(), announce: PathBuf::new() }
    }
}

impl Options {
    /// So many, or a tenth of them.
    pub(crate) fn scaled(&self, count: usize) -> usize {
        if self.quick { count.div_ceil(10) } else { count }
    }
}

/// One contestant's turn in one round.
pub(crate) struct Turn<'a> {
    pub(crate) options: &'a Options,
    pub(crate) field: &'a Field,
    pub(crate) who: &'a Who,
    pub(crate) count: usize,
    pub(crate) stage: &'a mut Stage,
    place: Place<'a>,
    record: &'a mut Record,
}

impl Turn<'_> {
    /// The first one is 0.
    pub(crate) fn round(&self) -> usize {
        self.place.round
    }

    pub(crate) fn value(&mut self, what: &str, value: f64, unit: &str) -> Result<()> {
        self.record.value(self.place, what, value, unit)
    }

    /// From one time to another one, in ms.
    pub(crate) fn span(&mut self, what: &str, begin: Nanos, end: Nanos) -> Result<()> {
        self.value(what, end.saturating_sub(begin) as f64 / 1e6, "ms")
    }

    pub(crate) fn took(&mut self, what: &str, took: Duration) -> Result<()> {
        self.value(what, took.as_secs_f64() * 1e3, "ms")
    }

    /// A measurement that this contestant can't do.
    pub(crate) fn left_out(&mut self, what: &str, why: &str) -> Result<()> {
        self.record.left_out(&format!("{}: {what}", self.place.part), self.place.who, why)
    }
}

/// Everybody's turns.
pub(crate) fn play(
    part: &str,
    count: usize,
    options: &Options,
    (field, all, record): (&Field, &[Who], &mut Record),
    mut turn: impl FnMut(&mut Turn<'_>) -> Result<()>,
) -> Result<()> {
    let mut order: Vec<&Who> = all.iter().collect();
    let mut out: Vec<&Who> = Vec::new();
    for round in 0..options.rounds {
        for who in order.clone() {
            if out.contains(&who) {
                continue;
            }
            let (name, begin) = (who.name(), Instant::now());
            let place = Place { part, count, round, who: &name };
            let mut stage = Stage::new(&options.base, &options.announce)?;
            let result = turn(&mut Turn { options, field, who, count, stage: &mut stage, place, record });
            if let Err(error) = result {
                record.left_out(part, &name, &format!("round {}: {error:#}", round + 1))?;
                out.push(who);
            } else if begin.elapsed() > LONG {
                let why = format!("a round takes {:.0} s: no further ones", begin.elapsed().as_secs_f64());
                record.left_out(part, &name, &why)?;
                out.push(who);
            }
            say(&format!(
                "{part} {count}, round {}: {name}, {:.1} s",
                round + 1,
                begin.elapsed().as_secs_f64()
            ));
        }
        let by = order.len().min(1);
        order.rotate_left(by);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_round_begins_with_somebody_else_and_whoever_fails_has_no_further_turn() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("raw");
        let options = Options { rounds: 3, base: base.path().to_owned(), ..Options::default() };
        let field = Field { peers: PathBuf::new(), systemd: None, builds: BTreeMap::new() };
        let all = ["a", "b", "c"].map(|name| Who::Ours(name.to_owned()));
        let mut order = Vec::new();
        let mut record = Record::create(&out).unwrap();
        play("part", 7, &options, (&field, &all, &mut record), |turn| {
            order.push(turn.who.name());
            anyhow::ensure!(turn.who.name() != "b", "it broke");
            turn.value("what", 1.5, "ms")
        })
        .unwrap();
        assert_eq!(order.concat(), "abccaca");
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(text.matches("\"value\":1.5").count(), 6);
        assert!(text.contains("round 1: it broke"), "{text}");
    }
}
