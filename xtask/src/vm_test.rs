//! `cargo xtask vm-test`: limits on a kernel of its own. Where a container shares the kernel of a machine that has cgroup v1,
//! there are no controllers to limit with; a virtual machine under software emulation has all of them and needs no KVM.

mod image;
mod machine;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::MetadataCommand;

use machine::{Machine, Said};

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only checks whose name holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Test the release build instead of the debug build
    #[arg(long)]
    release: bool,
    /// Take the build as it is
    #[arg(long)]
    no_build: bool,
    /// Print everything that the machine prints
    #[arg(long)]
    verbose: bool,
    /// Seconds that the machine has
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    limit: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "building the image of the machine needs root: sudo -E env PATH=\"$PATH\" cargo xtask vm-test"
    );
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let root = metadata.workspace_root.into_std_path_buf();
    let profile = if args.release { "release" } else { "debug" };
    let binaries = metadata.target_directory.into_std_path_buf().join(profile);
    if !args.no_build {
        build(&root, args.release)?;
    }
    let image = image::prepare()?;
    let payload = image::payload(&root, &binaries, args.only.as_deref().unwrap_or(""))?;
    let mut machine = Machine::boot(&image, payload.path())?;
    let (passed, failed) = follow(&mut machine, args)?;
    machine::print(&format!("{passed} passed, {failed} failed, {:.1} s", machine.age().as_secs_f64()));
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what the checks say, and counts.
fn follow(machine: &mut Machine, args: &Args) -> Result<(usize, usize)> {
    let (mut passed, mut failed) = (0, 0);
    let limit = Duration::from_secs(args.limit);
    loop {
        match machine.next(limit)? {
            Said::Passed(line) => {
                passed += 1;
                machine::print(&line);
            }
            Said::Failed(line) => {
                failed += 1;
                machine::print(&line);
            }
            Said::Noted(line) => machine::print(&line),
            Said::Other(line) if args.verbose => machine::print(&line),
            Said::Other(_) => {}
            Said::Done => return Ok((passed, failed)),
            Said::Ended => bail!("the machine ended before its checks did:\n{}", machine.last_lines()),
        }
    }
}

fn build(root: &Path, release: bool) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package=daemon", "--package=cli"]);
    if release {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(root).status().context("running cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(())
}
