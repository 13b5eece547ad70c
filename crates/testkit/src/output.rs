//! The result of a program that has ended, as a test wants to look at it.

use std::fmt;
use std::process::{Command, Stdio};

/// Exit code and both outputs of a finished program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// Its exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// Standard output of a program that succeeded.
    ///
    /// # Panics
    /// When it failed; the message holds everything known.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.code == 0, "should have succeeded: {self}");
        self.stdout
    }

    /// Standard error of a program that failed with this exit code.
    ///
    /// # Panics
    /// When it succeeded or failed otherwise.
    #[track_caller]
    pub fn failure(self, code: i32) -> String {
        assert!(self.code == code, "should have failed with exit code {code}: {self}");
        self.stderr
    }

    /// Standard output of a program that succeeded, parsed as JSON.
    ///
    /// # Panics
    /// When it failed or printed something else.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.success();
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}):\n{text}"),
        }
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` exit code {}\n{}{}", self.command, self.code, self.stdout, self.stderr)
    }
}

/// Runs a command to its end with empty input. Output that is not UTF-8 gets replacement characters.
pub fn run(command: &mut Command) -> std::io::Result<Finished> {
    use std::os::unix::process::ExitStatusExt as _;

    let output = command.stdin(Stdio::null()).output()?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    Ok(Finished {
        command: words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "),
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
