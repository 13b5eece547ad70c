//! The parts, and which program of `benches` measures each.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::build::Builds;
use super::raw::Raw;

/// One part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Starts,
    Crowd,
    Growth,
    File,
    Fifty,
    Journald,
    Scrapes,
}

/// What all parts need.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) builds: &'a Builds,
    pub(crate) base: &'a Path,
    pub(crate) announce: &'a Path,
    pub(crate) out: &'a Path,
    /// Of the booted container.
    pub(crate) init: Option<u32>,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    pub(crate) peers: Option<&'a str>,
}

/// A part that was run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) part: Part,
    pub(crate) raw: Raw,
    pub(crate) failed: bool,
}

impl Part {
    pub(crate) const ALL: [Self; 7] =
        [Self::Starts, Self::Crowd, Self::Growth, Self::File, Self::Fifty, Self::Journald, Self::Scrapes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::Crowd => "crowd",
            Self::Growth => "growth",
            Self::File => "file",
            Self::Fifty => "fifty",
            Self::Journald => "journald",
            Self::Scrapes => "scrapes",
        }
    }

    /// The heading of its tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Starts => "1,000 processes: start, one changed definition, stop",
            Self::Crowd => "300 processes: idle, asked, killed",
            Self::Growth => "From 100 to 10,000 processes",
            Self::File => "One pipe to one file",
            Self::Fifty => "Fifty pipes to fifty files",
            Self::Journald => "One pipe to a file and journald",
            Self::Scrapes => "Scrapes",
        }
    }

    /// Those with this text in their name. Only what `contest` measures can be done with two builds.
    pub(crate) fn chosen(only: Option<&str>, two_builds: bool) -> Result<Vec<Self>> {
        let known: Vec<Self> =
            Self::ALL.into_iter().filter(|part| !two_builds || part.measured_by().is_none()).collect();
        let chosen: Vec<Self> =
            known.iter().copied().filter(|part| only.is_none_or(|text| part.name().contains(text))).collect();
        if chosen.is_empty() {
            let names: Vec<&str> = known.iter().map(|part| part.name()).collect();
            bail!("no part is called {}; there are {}", only.unwrap_or_default(), names.join(", "));
        }
        Ok(chosen)
    }

    /// Whether supervisors of others take part.
    pub(crate) fn has_peers(self) -> bool {
        matches!(self, Self::Starts | Self::Crowd)
    }

    /// The words for `measure`, for those parts that it does.
    fn measured_by(self) -> Option<[&'static str; 3]> {
        match self {
            Self::Starts | Self::Crowd | Self::Growth => None,
            Self::File => Some(["logs", "--only", "one pipe to one file"]),
            Self::Fifty => Some(["logs", "--only", "fifty"]),
            Self::Journald => Some(["logs", "--only", "journald"]),
            Self::Scrapes => Some(["scrapes", "--only", "scrapes"]),
        }
    }

    /// Runs it; what it says goes to this program's output.
    pub(crate) fn run(self, setting: &Setting<'_>) -> Result<Ran> {
        let path = setting.out.join(format!("{}.jsonl", self.name()));
        match self.measured_by() {
            None => {
                run(self.contest(setting, &path))?;
                Ok(Ran { part: self, raw: Raw::read(&fs::read_to_string(&path)?)?, failed: false })
            }
            Some(words) => self.measure(setting, words, &path),
        }
    }

    fn contest(self, setting: &Setting<'_>, path: &Path) -> Command {
        let mut command = Command::new(setting.builds.program("contest"));
        command
            .arg("--out")
            .arg(path)
            .arg("--base")
            .arg(setting.base)
            .arg("--announce")
            .arg(setting.announce);
        command.args(["--part", self.name(), "--rounds", &setting.rounds.to_string()]);
        command.arg("--peers").arg(setting.builds.target.join("peers"));
        // Where its first line says that files are.
        command.env("TMPDIR", setting.base.parent().unwrap_or(setting.base));
        if let Some(init) = setting.init {
            command.args(["--systemd", &init.to_string()]);
        }
        for (name, dir) in &setting.builds.programs {
            command.arg("--build").arg(format!("{name}={}", dir.display()));
        }
        if let Some(peers) = setting.peers {
            command.args(["--only-peers", peers]);
        }
        if setting.quick {
            command.arg("--quick");
        }
        command
    }

    /// Its tables are made by the program itself.
    fn measure(self, setting: &Setting<'_>, words: [&str; 3], path: &Path) -> Result<Ran> {
        let said = setting.out.join(format!("{}.md", self.name()));
        let mut command = Command::new(setting.builds.program("measure"));
        command.args(words).args(["--rounds", &setting.rounds.to_string()]).arg("--raw").arg(path);
        if setting.quick {
            command.args(["--lines", "500000"]);
        }
        command.stdout(File::create(&said)?);
        // A part that misses one of its bounds has measured all the same.
        let status = command.stdin(Stdio::null()).status().context("running measure")?;
        let text = fs::read_to_string(&said)?;
        let mut raw = Raw::read(&fs::read_to_string(path).unwrap_or_default())?;
        raw.tables = text;
        if !status.success() {
            raw.tables += &format!(
                "\nThis part missed a bound or ended with an error ({status}); its message is above the tables of the run.\n"
            );
        }
        Ok(Ran { part: self, raw, failed: !status.success() })
    }
}

fn run(mut command: Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().context("running contest")?;
    ensure!(status.success(), "contest: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_chosen_by_a_piece_of_its_name_and_an_unknown_one_is_refused() {
        assert_eq!(Part::chosen(None, false).unwrap(), Part::ALL);
        assert_eq!(Part::chosen(Some("crowd"), false).unwrap(), [Part::Crowd]);
        let error = Part::chosen(Some("nonsense"), false).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("journald"), "{error}");
    }

    #[test]
    fn two_builds_are_compared_only_where_both_take_part() {
        assert_eq!(Part::chosen(None, true).unwrap(), [Part::Starts, Part::Crowd, Part::Growth]);
        assert!(Part::chosen(Some("journald"), true).is_err());
    }
}
