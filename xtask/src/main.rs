//! `cargo xtask`: what developers run beside cargo's own commands.

mod bench;
mod browser;
mod churn;
mod dashboards;
mod faults;
mod fuzz;
mod instructions;
mod package;
mod programs;
mod prometheus;
mod sanitize;
mod status_page;
mod system_test;
mod vm_test;
mod wait;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of dd-procmgrd.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure everything side by side and make the tables of docs/BENCHMARKS.md (systemd in it needs root)
    Bench(bench::Args),
    /// Count the instructions of the pure parts and compare with those in benches/instructions.json (needs valgrind)
    Instructions(instructions::Args),
    /// Install the release build on a booted systemd in a container and check it there (needs root)
    SystemTest(system_test::Args),
    /// Limit processes in a virtual machine of its own and check that there (needs root, qemu and mmdebstrap)
    VmTest(vm_test::Args),
    /// Try every query and rule of dashboards/ on a real Prometheus beside a daemon (needs Debian's prometheus)
    Dashboards(dashboards::Args),
    /// Create, crash and delete processes for an hour below a real Prometheus, and check that it saw all of it
    Churn(churn::Args),
    /// Break things on purpose below a real daemon, and check that nothing is lost, doubled or left behind
    Faults(faults::Args),
    /// Look for inputs that break the parsers, with libFuzzer and AddressSanitizer (needs g++)
    Fuzz(fuzz::Args),
    /// Run the tests of sys and logpipe with AddressSanitizer
    Sanitize(sanitize::Args),
    /// Make a .deb, an archive with static programs and install.sh, and what container images are made from
    Package(package::Args),
    /// Look at the status page in a real Chromium (needs Debian's chromium)
    StatusPage(status_page::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().task {
        Task::Bench(args) => bench::run(&args),
        Task::Instructions(args) => instructions::run(&args),
        Task::SystemTest(args) => system_test::run(&args),
        Task::VmTest(args) => vm_test::run(&args),
        Task::Dashboards(args) => dashboards::run(&args),
        Task::Churn(args) => churn::run(&args),
        Task::Faults(args) => faults::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Sanitize(args) => sanitize::run(&args),
        Task::Package(args) => package::run(&args),
        Task::StatusPage(args) => status_page::run(&args),
    }
}
