//! `cargo xtask fuzz`: builds the targets of `fuzz/` with AddressSanitizer, lets each look for inputs for some seconds, and
//! fails when one found something.
//!
//! Needs a C++ compiler, which libFuzzer is written for; not cargo-fuzz. Without it, it says NOT RUN and fails: nothing was
//! looked for. Inputs that brought something new are kept below the target directory, so that the
//! next run goes on from there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::MetadataCommand;

/// What a fuzzer has to have in the code: where it has been, and what was compared there. And what tells a wrong access.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
];
/// The packages that have it: ours, and those of others that read what strangers write. In all of them it would take a
/// quarter more to build, for what a fuzzer had better not look into, as regular expressions.
const LOOKED_INTO: [&str; 8] =
    ["config", "fuzz", "logpipe", "model", "serde_yaml", "supervisor", "sys", "unsafe-libyaml"];
/// The same of what the targets with a server need beside.
const LOOKED_INTO_SERVER: [&str; 5] = ["h2", "httparse", "metrics", "rpc", "tls"];
/// One input takes milliseconds; on a busy machine not a thousand times that. The clock goes on while a machine is paused: what
/// was called slow is worth a second try, alone.
const SLOW: u32 = 25;
/// What is shown of a target that found something.
const LAST_LINES: usize = 40;

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these; all of them otherwise
    names: Vec<String>,
    /// How long each looks
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Without those that need a server: half of the building is for them
    #[arg(long, conflicts_with = "names")]
    ci: bool,
    /// Name the targets, and end
    #[arg(long)]
    list: bool,
}

/// A program of the package.
#[derive(Debug)]
struct Target {
    name: String,
    /// Needs the feature of the same name.
    server: bool,
}

/// What came of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    executions: u64,
    /// Places in the code that were reached, as libFuzzer counts them.
    coverage: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let fuzz = workspace.workspace_root.as_std_path().join("fuzz");
    let targets = targets(&fuzz)?;
    if args.list {
        for target in &targets {
            say(&target.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.names.iter().find(|name| targets.iter().all(|target| target.name != **name)) {
        bail!("there is no target {unknown:?}\n\nhint: cargo xtask fuzz --list");
    }
    if let Err(why) = tools() {
        say(&format!("NOT RUN: {why:#}"));
        return Ok(ExitCode::FAILURE);
    }
    let chosen = chosen(&targets, args);
    let target_dir = workspace.target_directory.as_std_path().join("fuzz");
    let begin = Instant::now();
    let programs = build(&fuzz, &target_dir, &chosen)?;
    say(&format!("built in {:.0} s", begin.elapsed().as_secs_f64()));
    let mut broke = Vec::new();
    for Target { name, .. } in chosen {
        match look(&programs.join(name), &fuzz, &target_dir, name, args.seconds) {
            Ok(found) => say(&format!(
                "ok       {name:<12} {} executions, {} a second, coverage {}",
                found.executions,
                found.executions / u64::from(args.seconds.max(1)),
                found.coverage
            )),
            Err(error) => {
                say(&format!("BROKE    {name:<12} {error:#}"));
                broke.push(name.as_str());
            }
        }
    }
    if !broke.is_empty() {
        say(&format!("broke: {}", broke.join(", ")));
    }
    Ok(if broke.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen<'a>(targets: &'a [Target], args: &Args) -> Vec<&'a Target> {
    let named = |target: &&Target| args.names.is_empty() || args.names.contains(&target.name);
    targets.iter().filter(named).filter(|target| !(args.ci && target.server)).collect()
}

/// The programs of the package, as its manifest names them.
fn targets(fuzz: &Path) -> Result<Vec<Target>> {
    let metadata = MetadataCommand::new()
        .manifest_path(fuzz.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata of fuzz/")?;
    let package = metadata.packages.first().context("fuzz/ has no package")?;
    let mut targets: Vec<Target> = package
        .targets
        .iter()
        .filter(|target| target.is_bin())
        .map(|target| Target {
            name: target.name.clone(),
            server: target.required_features.iter().any(|feature| feature == "server"),
        })
        .collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!targets.is_empty(), "fuzz/ has no targets");
    Ok(targets)
}

/// Whether everything is there, and how to get what is not.
fn tools() -> Result<()> {
    let compiler = Command::new("c++").arg("--version").output();
    ensure!(
        compiler.is_ok_and(|output| output.status.success()),
        "no C++ compiler\n\nhint: apt-get install --no-install-recommends g++"
    );
    Ok(())
}

/// The cargo that runs this task, allowed what is a nightly's otherwise: a sanitizer, whose library each toolchain brings, and
/// flags for single packages. A second toolchain beside, which finds other things wrong each day, is worse than that.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// With a target named, what runs while something is built (build scripts, macros) is built without the sanitizer.
pub(crate) fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The directory of the programs.
fn build(fuzz: &Path, target_dir: &Path, chosen: &[&Target]) -> Result<PathBuf> {
    let server = chosen.iter().any(|target| target.server);
    let mut cargo = cargo();
    // Incremental builds make more and slower code, and nobody edits in between.
    cargo.current_dir(fuzz).env("CARGO_INCREMENTAL", "0");
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", &triple(), "--target-dir"]);
    cargo.arg(target_dir).args(chosen.iter().map(|target| format!("--bin={}", target.name)));
    cargo.arg("-Zprofile-rustflags");
    if !server {
        cargo.arg("--no-default-features");
    }
    let more: &[&str] = if server { &LOOKED_INTO_SERVER } else { &[] };
    for package in LOOKED_INTO.iter().chain(more) {
        cargo.args(["--config", &format!("profile.release.package.{package}.rustflags={FLAGS:?}")]);
    }
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(target_dir.join(triple()).join("release"))
}

/// Lets one look.
///
/// # Errors
/// When it found something, with its last words and where the input is.
fn look(program: &Path, fuzz: &Path, target_dir: &Path, name: &str, seconds: u32) -> Result<Found> {
    let corpus = target_dir.join("corpus").join(name);
    let artifacts = target_dir.join("artifacts").join(name);
    for dir in [&corpus, &artifacts] {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOW}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    let seeds = fuzz.join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command.output().with_context(|| program.display().to_string())?;
    judge(&output).with_context(|| format!("its inputs are in {}", artifacts.display()))
}

fn judge(output: &Output) -> Result<Found> {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].iter().fold(String::new(), |mut all, line| {
        let _infallible = writeln!(all, "  {line}").is_ok();
        all
    });
    ensure!(output.status.success(), "{}\n{last}", output.status);
    let found = read(&lines).with_context(|| format!("it doesn't say what it did\n{last}"))?;
    // It may have ended well without a start: then nothing was looked for.
    ensure!(found.executions > 0 && found.coverage > 0, "nothing was executed\n{last}");
    Ok(found)
}

/// Reads `#4711 DONE cov: 815 ft: 1234 corp: 99/1Kb lim: 80 exec/s: 470 rss: 99Mb`.
fn read(lines: &[&str]) -> Option<Found> {
    let line = lines.iter().rev().find(|line| line.starts_with('#') && line.contains(" cov: "))?;
    let executions = line[1..].split_whitespace().next()?.parse().ok()?;
    let coverage = line.split(" cov: ").nth(1)?.split_whitespace().next()?.parse().ok()?;
    line.split_whitespace().any(|word| word == "DONE").then_some(Found { executions, coverage })
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const DONE: &str = "INFO: Seed: 1\n#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                        #4711\tDONE   cov: 815 ft: 1234 corp: 99/1Kb lim: 80 exec/s: 470 rss: 99Mb\n\
                        Done 4711 runs in 10 second(s)\n";

    fn output(status: i32, text: &str) -> Output {
        Output { status: ExitStatus::from_raw(status), stdout: Vec::new(), stderr: text.into() }
    }

    #[test]
    fn what_a_fuzzer_did_is_read() {
        assert_eq!(judge(&output(0, DONE)).unwrap(), Found { executions: 4711, coverage: 815 });
    }

    #[test]
    fn a_target_that_found_something_or_looked_for_nothing_is_no_success() {
        let crash = format!("{DONE}==1==ERROR: AddressSanitizer: heap-use-after-free\n");
        for (status, text, said) in [
            (77 << 8, crash.as_str(), "heap-use-after-free"),
            (9, DONE, "signal: 9"),
            (0, "", "doesn't say"),
            (0, "#12\tpulse  cov: 3 ft: 4\n", "doesn't say"),
            (0, &DONE.replace("#4711", "#0"), "nothing was executed"),
        ] {
            let error = format!("{:#}", judge(&output(status, text)).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn ci_leaves_out_what_needs_a_server() {
        let targets = [("documents", false), ("frames", true)]
            .map(|(name, server)| Target { name: name.to_owned(), server });
        let names = |names: &[&str], ci| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            let args = Args { names, seconds: 1, ci, list: false };
            chosen(&targets, &args).iter().map(|target| target.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[], false), ["documents", "frames"]);
        assert_eq!(names(&[], true), ["documents"]);
        assert_eq!(names(&["frames"], false), ["frames"]);
    }

    #[test]
    fn every_source_is_a_target_and_every_target_is_explained() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let names: Vec<String> = targets(&fuzz).unwrap().into_iter().map(|target| target.name).collect();
        let mut sources: Vec<String> = fs::read_dir(fuzz.join("fuzz_targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        sources.sort();
        assert_eq!(names, sources);
        let text = fs::read_to_string(fuzz.join("README.md")).unwrap();
        for name in names {
            assert!(text.contains(&format!("| `{name}` |")), "fuzz/README.md says nothing of {name}");
        }
    }
}
