//! The daemon; everything is in the library of this crate.

fn main() -> std::process::ExitCode {
    daemon::main()
}
