//! `cargo xtask instructions`: how many instructions the pure parts execute for small fixed workloads, under valgrind. The
//! count does not depend on what else the machine does, so that a change of a few per cent can be seen on a busy one.
//!
//! It does depend on the compiler and its settings, and on what the processor has (memchr takes AVX2 where it is). With
//! others than those in benches/instructions.json the counts are shown and nothing is compared: they would say nothing about
//! a change of this code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;
use serde_json::{Value, json};

/// More than this many per cent away fails. Two runs of one build differ by less than a tenth of that: the seeds of hash maps.
const TOLERANCE: u64 = 3;
const PROGRAM: &str = "instructions";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the counts as those to compare with
    #[arg(long)]
    accept: bool,
    /// Take the release build as it is
    #[arg(long)]
    no_build: bool,
}

/// Counts, and what they depend on beside the code.
#[derive(Clone, Debug, PartialEq)]
struct Counts {
    rustc: String,
    processor: String,
    /// What the release profile says, and the environment over it.
    profile: String,
    counts: BTreeMap<String, u64>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let root = metadata.workspace_root.into_std_path_buf();
    let target = metadata.target_directory.into_std_path_buf();
    if !args.no_build {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--release", "--package=benches", "--bin=instructions"]);
        let status = cargo.current_dir(&root).status().context("running cargo")?;
        ensure!(status.success(), "cargo build: {status}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml")?;
    let profile = profile(&manifest, std::env::vars_os());
    let now = count(&target.join("release").join(PROGRAM), profile)?;
    let path = root.join("benches/instructions.json");
    if args.accept {
        fs::write(&path, now.to_json()?)?;
        say(&format!("written to {}", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let before = Counts::read(&path)?;
    let (text, good) = compare(&before, &now);
    say(&text);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count(program: &Path, profile: String) -> Result<Counts> {
    let output = Command::new(program).arg("list").output().with_context(|| program.display().to_string())?;
    let names = String::from_utf8(output.stdout)?;
    let mut counts = BTreeMap::new();
    for name in names.split_whitespace() {
        counts.insert(name.to_owned(), callgrind(program, name)?);
    }
    Ok(Counts { rustc: rustc()?, processor: processor(), profile, counts })
}

/// Instructions of one workload.
fn callgrind(program: &Path, workload: &str) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let out: PathBuf = dir.path().join("out");
    let mut command = Command::new("valgrind");
    // Without the environment, whose size moves the stack.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(["--tool=callgrind", "--toggle-collect=*counted_workload*"]);
    command.arg(format!("--callgrind-out-file={}", out.display())).arg(program).arg(workload);
    let done =
        command.output().context("running valgrind: apt-get install --no-install-recommends valgrind")?;
    ensure!(done.status.success(), "{workload}: {}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.context("callgrind tells no totals")?.trim().parse()?;
    ensure!(
        total > 100_000,
        "{workload}: only {total} instructions: was its function left out of the build?"
    );
    Ok(total)
}

fn rustc() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("running rustc")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What is chosen by at run time.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|one| one == flag);
    let with: Vec<&str> = ["sse4_2", "avx2"].into_iter().filter(|flag| has(flag)).collect();
    format!("{} {}", std::env::consts::ARCH, with.join(" ")).trim().to_owned()
}

/// How much of the program is optimized at a time moves the counts by more than most changes of the code do.
fn profile(manifest: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> String {
    let mut settings = Vec::new();
    let mut section = String::new();
    for line in manifest.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        } else if !line.is_empty() && section.starts_with("profile.release") {
            let below = section.trim_start_matches("profile.release").trim_start_matches('.');
            settings.push(format!("{below} {line}").trim().to_owned());
        }
    }
    let mut over: Vec<String> = environment
        .into_iter()
        .map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(key, _)| key.starts_with("CARGO_PROFILE_RELEASE_") || key.ends_with("RUSTFLAGS"))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    over.sort();
    settings.extend(over);
    settings.join(", ")
}

impl Counts {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{}; make it: cargo xtask instructions --accept", path.display()))?;
        Self::from_json(&text).with_context(|| path.display().to_string())
    }

    fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let word = |key: &str| -> Result<String> {
            Ok(value[key].as_str().with_context(|| format!("no {key}"))?.to_owned())
        };
        let counts = value["counts"].as_object().context("no counts")?.iter();
        let counts =
            counts.map(|(name, count)| Ok((name.clone(), count.as_u64().context("a count is a number")?)));
        Ok(Self {
            rustc: word("rustc")?,
            processor: word("processor")?,
            // Counts that were accepted before it was written down compare with nothing.
            profile: word("profile").unwrap_or_else(|_| "a profile that is not told".to_owned()),
            counts: counts.collect::<Result<_>>()?,
        })
    }

    fn to_json(&self) -> Result<String> {
        let value = json!({
            "rustc": self.rustc,
            "processor": self.processor,
            "profile": self.profile,
            "counts": self.counts,
        });
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }
}

/// What to say, and whether it is good.
fn compare(before: &Counts, now: &Counts) -> (String, bool) {
    let conditions = |c: &Counts| format!("{} on {} with {}", c.rustc, c.processor, c.profile);
    let comparable = conditions(before) == conditions(now);
    let mut text = format!("{:<12} {:>14} {:>14} {:>8}\n", "workload", "accepted", "now", "");
    let mut away = Vec::new();
    for (name, count) in &now.counts {
        let Some(accepted) = before.counts.get(name) else {
            away.push(name.as_str());
            writeln!(text, "{name:<12} {:>14} {count:>14}", "none").ok();
            continue;
        };
        let percent = (*count as f64 / *accepted as f64 - 1.0) * 100.0;
        if count.abs_diff(*accepted) * 100 > TOLERANCE * accepted {
            away.push(name);
        }
        writeln!(text, "{name:<12} {accepted:>14} {count:>14} {percent:>+7.2}%").ok();
    }
    away.extend(before.counts.keys().filter(|name| !now.counts.contains_key(*name)).map(String::as_str));
    if !comparable {
        writeln!(
            text,
            "NOT COMPARED:\n  accepted: {}\n  counted:  {}\ncargo xtask instructions --accept takes these.",
            conditions(before),
            conditions(now)
        )
        .ok();
        return (text, true);
    }
    if !away.is_empty() {
        writeln!(
            text,
            "More than {TOLERANCE} % away, new or gone: {}. If that is meant: cargo xtask instructions --accept, and the reason in the \
             commit's message.",
            away.join(", ")
        )
        .ok();
    }
    (text, away.is_empty())
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rustc: &str, counts: &[(&str, u64)]) -> Counts {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { rustc: rustc.to_owned(), processor: "x".to_owned(), profile: "y".to_owned(), counts }
    }

    #[test]
    fn three_per_cent_either_way_are_let_through() {
        let before = counts("1", &[("a", 1000)]);
        for (now, good) in [(1030, true), (970, true), (1031, false), (969, false)] {
            let (text, verdict) = compare(&before, &counts("1", &[("a", now)]));
            assert_eq!(verdict, good, "{text}");
            assert_eq!(text.contains("--accept"), !good, "{text}");
        }
    }

    #[test]
    fn another_compiler_processor_or_profile_compares_nothing_and_says_so() {
        let before = counts("1", &[("a", 1000)]);
        let now = counts("1", &[("a", 2000)]);
        assert!(!compare(&before, &now).1);
        for now in [
            Counts { rustc: "2".to_owned(), ..now.clone() },
            Counts { processor: "x+avx".to_owned(), ..now.clone() },
            Counts { profile: "y, lto".to_owned(), ..now.clone() },
        ] {
            let (text, good) = compare(&before, &now);
            assert!(good && text.contains("NOT COMPARED") && text.contains("2000"), "{text}");
        }
    }

    #[test]
    fn the_profile_is_what_the_manifest_says_and_the_environment_over_it() {
        let manifest = "[profile.dev]\nlto = true\n[profile.release]\n# why\nlto = \"thin\" # so\n\n[profile.release.package.x]\n\
                        opt-level = 1\n[other]\na = 1\n";
        let environment = [("RUSTFLAGS", "-Cx"), ("HOME", "/h"), ("CARGO_PROFILE_RELEASE_LTO", "off")];
        let environment = environment.map(|(key, value)| (key.into(), value.into()));
        assert_eq!(
            profile(manifest, environment),
            "lto = \"thin\", package.x opt-level = 1, CARGO_PROFILE_RELEASE_LTO=off, RUSTFLAGS=-Cx"
        );
    }

    #[test]
    fn a_workload_that_came_or_went_has_to_be_accepted() {
        for (before, now) in
            [([("a", 1)].as_slice(), [("a", 1), ("b", 1)].as_slice()), (&[("a", 1), ("b", 1)], &[("a", 1)])]
        {
            let (text, good) = compare(&counts("1", before), &counts("1", now));
            assert!(!good && text.contains('b'), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let some = counts("rustc 1", &[("a", 5), ("b", 6)]);
        assert_eq!(Counts::from_json(&some.to_json().unwrap()).unwrap(), some);
        assert!(Counts::from_json("{}").is_err());
        let old = r#"{"rustc": "rustc 1", "processor": "x", "counts": {"a": 5}}"#;
        assert!(compare(&Counts::from_json(old).unwrap(), &some).0.contains("NOT COMPARED"));
    }
}
