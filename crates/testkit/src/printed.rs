//! Lines of the probe's step `account`, found again in the log files that they were written to.
//!
//! A line says which process and run printed it and which of that run's lines it is, and a record beside the output
//! says how many bytes of a run the kernel took. With both, a line that was lost or is there twice can't hide.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Bytes that the probe hands to one write(2), at most: a killed run may have got that much more into its pipe than its
/// record says.
pub const LARGEST_WRITE: usize = 64 * 1024;
/// Where in a record the number of bytes stands; the pid is before it.
pub const TAKEN_OFFSET: u64 = 16;
/// Digits of that number.
const TAKEN_DIGITS: usize = 20;

/// `NAME RUN 0000001 xxx...`, `width` bytes without the newline; more where that is too short.
#[must_use]
pub fn line(name: &str, run: u64, number: u64, width: usize) -> String {
    let head = format!("{name} {run} {number:07} ");
    let fill = width.saturating_sub(head.len());
    format!("{head}{}", "x".repeat(fill))
}

/// Name, run and number of a whole line of this width; `None` for a part of one.
#[must_use]
pub fn parse(text: &str, width: usize) -> Option<(&str, u64, u64)> {
    let mut words = text.split(' ');
    let (name, run, number) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (text.len() == width).then_some((name, run, number))
}

/// The record of one run.
#[must_use]
pub fn record(dir: &Path, name: &str, run: u64) -> PathBuf {
    dir.join(format!("{name}.{run}"))
}

/// The pid in a record; `None` before the run has begun to print.
#[must_use]
pub fn pid(record: &Path) -> Option<u32> {
    let bytes = fs::read(record).ok()?;
    std::str::from_utf8(bytes.split(|b| *b == b'\n').next()?).ok()?.parse().ok()
}

/// Bytes that the kernel took, as far as the run could tell; `None` before it has begun to print.
#[must_use]
pub fn taken(record: &Path) -> Option<u64> {
    let bytes = fs::read(record).ok()?;
    let from = usize::try_from(TAKEN_OFFSET).ok()?;
    match bytes.get(from..from + TAKEN_DIGITS) {
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        // No write(2) has returned yet.
        None => Some(0),
    }
}

/// What stands in all log files of one process.
#[derive(Debug, Default)]
pub struct Printed {
    name: String,
    width: usize,
    /// Lines, those that a kill has cut included.
    pub lines: u64,
    /// Bytes, without the newline behind a line that a kill has cut.
    bytes: u64,
    /// For each run the stretches of numbers that stand one after the other in one file.
    stretches: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Printed {
    /// Reads `NAME.log` and every file that is called so with something behind it, whoever gave it that name.
    ///
    /// # Errors
    /// Where a file can't be read, or holds what the process has not printed.
    pub fn read(dir: &Path, name: &str, width: usize) -> io::Result<Self> {
        let mut all = Self { name: name.to_owned(), width, ..Self::default() };
        let mut torn = Vec::new();
        for file in files(dir, name)? {
            for text in BufReader::new(file).lines() {
                all.take(text?, &mut torn)?;
            }
        }
        for text in torn {
            if !all.is_a_beginning(&text) {
                return Err(io::Error::other(format!("{name}: {text:?} is the beginning of no line")));
            }
        }
        Ok(all)
    }

    fn take(&mut self, text: String, torn: &mut Vec<String>) -> io::Result<()> {
        self.lines += 1;
        self.bytes += u64::try_from(text.len()).map_err(io::Error::other)?;
        let Some((name, run, number)) = parse(&text, self.width) else {
            torn.push(text);
            return Ok(());
        };
        if text != line(&self.name, run, number, self.width) {
            return Err(io::Error::other(format!(
                "a line that {} has not printed: {text:?} {name}",
                self.name
            )));
        }
        self.bytes += 1;
        let stretches = self.stretches.entry(run).or_default();
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => stretches.push((number, number)),
        }
        Ok(())
    }

    /// Whether this is the beginning of the first line that is missing of some run.
    fn is_a_beginning(&self, text: &str) -> bool {
        let runs = 1..=self.stretches.keys().max().map_or(1, |last| last + 1);
        runs.into_iter().any(|run| {
            let stretches = self.stretches.get(&run).into_iter().flatten();
            let last = stretches.map(|(_, last)| *last).max().unwrap_or_default();
            line(&self.name, run, last + 1, self.width).starts_with(text)
        })
    }

    /// Whether a run's lines are there from the first to the last that the kernel took, each exactly once. `taken` is
    /// what its record says; `all` the number of lines of a run that was not killed.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check(&self, run: u64, taken: u64, all: Option<u64>) -> Result<(), String> {
        let who = format!("run {run} of {}", self.name);
        let mut stretches = self.stretches.get(&run).cloned().unwrap_or_default();
        stretches.sort_unstable();
        let mut there = 0;
        for (first, last) in &stretches {
            if *first != there + 1 {
                return Err(format!("{who}: lines are missing or there twice: {stretches:?}"));
            }
            there = *last;
        }
        let size = u64::try_from(self.width + 1).unwrap_or(u64::MAX);
        let (least, most) = match all {
            Some(all) => (all, all),
            None => {
                let largest = u64::try_from(LARGEST_WRITE + self.width + 1).unwrap_or(u64::MAX);
                (taken / size, (taken + largest).div_ceil(size))
            }
        };
        if (least..=most).contains(&there) {
            Ok(())
        } else {
            Err(format!("{who}: {there} lines, but the kernel took at least {least} and at most {most}"))
        }
    }
}

impl Printed {
    /// Whether the files hold every byte that was read, parts of lines included. A kill may have cut a line before its
    /// newline, which can't be told from a whole one.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check_bytes(&self, read: u64, kills: u64) -> Result<(), String> {
        if (read..=read + kills).contains(&self.bytes) {
            Ok(())
        } else {
            Err(format!("{}: {read} bytes were read, and {} are in the files", self.name, self.bytes))
        }
    }
}

/// Newlines in all log files of a process.
///
/// # Errors
/// Where one can't be read.
pub fn count_lines(dir: &Path, name: &str) -> io::Result<u64> {
    let mut lines = 0;
    for file in files(dir, name)? {
        lines += BufReader::new(file).split(b'\n').count();
    }
    u64::try_from(lines).map_err(io::Error::other)
}

/// What begins with a dot is no log.
fn files(dir: &Path, name: &str) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let prefix = format!("{name}.log");
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|file| file.starts_with(&prefix)) {
            files.push(File::open(entry.path())?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 20;

    fn printed(files: &[&[&str]]) -> io::Result<Printed> {
        let dir = tempfile::tempdir().unwrap();
        for (number, lines) in files.iter().enumerate() {
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(dir.path().join(format!("web.log.{number}")), lines).unwrap();
        }
        fs::write(dir.path().join("webb.log"), "somebody else's\n").unwrap();
        Printed::read(dir.path(), "web", WIDTH)
    }

    #[test]
    fn finds_what_is_lost_doubled_or_strange() {
        let lines: Vec<String> = (1..=4).map(|number| line("web", 1, number, WIDTH)).collect();
        let [one, two, three, four] = lines.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
            panic!()
        };
        assert_eq!(parse(one, WIDTH), Some(("web", 1, 1)));
        let check = |files: &[&[&str]]| printed(files).unwrap().check(1, 4 * 21, Some(4));
        assert_eq!(check(&[&[three, four], &[one, two]]), Ok(()));
        assert!(check(&[&[one, two], &[four]]).is_err());
        assert!(check(&[&[one, two, three, four], &[three]]).is_err());
        assert!(check(&[&[one, two, three]]).is_err());
        assert!(printed(&[&[one, "web 1 0000002 xxxxy"]]).is_err());
        let torn = printed(&[&[one, "web 1 00000"]]).unwrap();
        assert_eq!(torn.check_bytes(21 + 11, 0), Ok(()));
        assert!(torn.check_bytes(21 + 12, 1).is_err());
        assert!(printed(&[&[one, "eb 1 0000002"]]).is_err());
    }

    #[test]
    fn a_killed_run_is_judged_by_its_record() {
        let lines: Vec<String> = (1..=4).map(|number| line("web", 1, number, WIDTH)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let printed = printed(&[&lines]).unwrap();
        assert_eq!(printed.check(1, 2 * 21, None), Ok(()));
        assert!(printed.check(1, 5 * 21, None).is_err());
    }
}
