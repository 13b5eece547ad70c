//! `pm-cli` under the name that the installation guide copies.

fn main() -> std::process::ExitCode {
    cli::main()
}
