//! A million malformed definitions, in this process: good files with bytes, lines and words exchanged, doubled and cut out.
//!
//! Reading each ends soon and without a panic, complaints can be shown, and no process is good and broken at the same time.
//! (What coverage finds is for the fuzz targets; this needs no other build.)

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use config::LoadError;

use super::Size;
use super::dice::Dice;
use super::report::Report;

/// A text of a few kilobytes that takes longer is made to be slow.
const SLOW: Duration = Duration::from_secs(5);
/// Longest text: most mutations make texts longer.
const LONGEST: usize = 16 * 1024;
/// What texts are broken with: what YAML gives a meaning to, keys, and what terminals obey.
const PIECES: [&str; 40] = [
    "",
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "&a ",
    "*a",
    "!!str ",
    "<<: *a",
    "|\n",
    ">\n",
    "#",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "\0",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{feff}",
    "processes:",
    "defaults:",
    "command: x",
    "env: {A: B}",
    "log: {max_size: 1}",
    "health_check: {type: tcp}",
    "restart: ",
    "~",
    "1e309",
    "-9223372036854775809",
    "0x1F",
];

pub(crate) fn run(size: &Size) -> Result<Report> {
    let wanted: u64 = size.of(20_000, 1_000_000);
    let mut dice = Dice::new(size.seed);
    let good = seeds()?;
    let (mut loaded, mut refused, mut complaints, mut slowest) = (0_u64, 0_u64, 0_u64, Duration::ZERO);
    let begin = Instant::now();
    for number in 0..wanted {
        let text = mutated(&good, &mut dice);
        let asked = Instant::now();
        let problems =
            match config::check_text(Path::new("processes.yaml"), text.clone(), Path::new("/var/log/pm")) {
                Ok(found) => {
                    loaded += 1;
                    let twice = found
                        .desired
                        .invalid
                        .iter()
                        .find(|broken| found.desired.specs.iter().any(|s| s.name == broken.spec.name));
                    ensure!(
                        twice.is_none(),
                        "text {number}: a process is good and broken:\n{}",
                        String::from_utf8_lossy(&text)
                    );
                    found.problems
                }
                Err(LoadError::Invalid { problems }) => {
                    refused += 1;
                    ensure!(
                        !problems.is_empty(),
                        "text {number} is refused without a word:\n{}",
                        String::from_utf8_lossy(&text)
                    );
                    problems
                }
                Err(error) => bail!("text {number}: {error}"),
            };
        for problem in &problems {
            let harmless = !problem.to_string().contains(['\u{1b}', '\0', '\u{202e}']);
            ensure!(harmless, "text {number}: a terminal would obey {problem:?}");
        }
        complaints += problems.len() as u64;
        let took = asked.elapsed();
        slowest = slowest.max(took);
        ensure!(took < SLOW, "text {number} took {took:?}:\n{}", String::from_utf8_lossy(&text));
    }
    let rate = wanted as f64 / begin.elapsed().as_secs_f64();
    Ok(Report::load(format!("{wanted} texts made from {} good ones, {rate:.0} a second", good.len()))
        .and(format!("{loaded} could be used, {refused} could not, {complaints} complaints"))
        .and(format!("the slowest took {} ms, none panicked", slowest.as_millis())))
}

/// The seeds of the fuzz target of the same name.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/documents");
    let entries = std::fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    // The same dice, the same texts.
    paths.sort();
    let texts: Vec<Vec<u8>> = paths.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    ensure!(!texts.is_empty(), "{} is empty", dir.display());
    Ok(texts)
}

fn mutated(good: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut text = good[dice.below(good.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(text.len() + 1);
        let to = (at + dice.below(24)).min(text.len());
        match dice.below(7) {
            0 => {
                let byte = dice.byte();
                text.splice(at..to.min(at + 1), [byte]);
            }
            1 => drop(text.splice(at..to, [])),
            2 | 3 => drop(text.splice(at..at, PIECES[dice.below(PIECES.len())].bytes())),
            4 => drop(text.splice(at..to, PIECES[dice.below(PIECES.len())].bytes())),
            // A stretch of another good text.
            5 => {
                let other = &good[dice.below(good.len())];
                let from = dice.below(other.len());
                let until = (from + dice.below(200)).min(other.len());
                text.splice(at..at, other[from..until].iter().copied());
            }
            _ => {
                let again = text[at..to].repeat(dice.below(40));
                text.splice(at..at, again);
            }
        }
        text.truncate(LONGEST);
    }
    text
}
