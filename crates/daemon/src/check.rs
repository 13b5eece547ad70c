//! `dd-procmgrd --check`: the definitions as the daemon would read them, without starting anything.

use std::process::ExitCode;

use config::Main;
use model::ProcessId;

use crate::settings::Settings;

/// Prints every problem. Success when there is no error.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]
pub(crate) fn run(settings: &Settings) -> ExitCode {
    // Ids do not matter for the check, and the state directory may not be there yet.
    let no_id = |_: &_| ProcessId::from_digest([0; 6]);
    match config::load(&settings.layout, &no_id, Main::Required) {
        Ok(loaded) => {
            for problem in &loaded.problems {
                eprintln!("{problem}\n");
            }
            let errors = loaded.problems.iter().filter(|p| p.is_error()).count();
            let (good, main) = (loaded.desired.specs.len(), settings.layout.main.display());
            println!("{main}: {good} good definitions, {errors} problems");
            if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
