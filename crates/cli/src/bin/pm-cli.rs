//! The command `pm-cli`.

fn main() -> std::process::ExitCode {
    cli::main()
}
