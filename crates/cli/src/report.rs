//! One run of the program: its streams, its exit code, and how errors look.

use std::fmt::Write as _;
use std::io::{self, Write};

use rpc::ClientError;

use crate::args::{Global, Output};
use crate::context::Context;
use crate::find::{self, Found};
use crate::render::Paint;
use crate::{DONE, FAILED, NO_SUCH_PROCESS, UNREACHABLE};

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It did not work.
    Failure(Failure),
    /// The output can't be written.
    Io(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What did not work, and the way out.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Unreachable { .. } => Self::new(UNREACHABLE, text),
            ClientError::Rejected(rejection) => {
                let code = match rejection.reason.as_str() {
                    "PROCESS_NOT_FOUND" => NO_SUCH_PROCESS,
                    "SHUTTING_DOWN" => UNREACHABLE,
                    _ => FAILED,
                };
                Self { code, message: text, hint: rejection.hint }
            }
            ClientError::TimedOut(_) => {
                Self::new(FAILED, text).with_hint("the daemon carries on; see pm-cli list for the outcome")
            }
            ClientError::Lost(_) => Self::new(UNREACHABLE, text)
                .with_hint("if the daemon still runs (pm-cli status), check that the address is its own"),
        }
    }
}

/// One run of the program.
pub(crate) struct Session<'a> {
    pub(crate) context: &'a Context,
    pub(crate) global: Global,
    pub(crate) out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// The exit code so far: that of the first failure.
    pub(crate) code: u8,
    reported: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        context: &'a Context,
        global: Global,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        Self { context, global, out, err, code: DONE, reported: false }
    }

    /// Finds the daemon.
    pub(crate) async fn connect(&self) -> Result<Found, Stop> {
        Ok(find::connect(self.context, &self.global).await?)
    }

    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    pub(crate) fn paint(&self) -> Paint {
        Paint { on: self.context.color && !self.global.no_color }
    }

    /// Writes a JSON document to stdout.
    pub(crate) fn write_json(&mut self, value: &serde_json::Value) -> Result<(), Stop> {
        writeln!(self.out, "{value:#}")?;
        Ok(())
    }

    /// Writes an error and its hint to stderr and remembers the exit code, which it returns.
    pub(crate) fn fail(&mut self, failure: &Failure) -> u8 {
        let mut text = String::new();
        if self.reported {
            text.push('\n');
        }
        // Writing to a String can't fail, and nobody can be told when stderr can't be written.
        let _infallible = writeln!(text, "error: {}", failure.message).is_ok();
        if let Some(hint) = &failure.hint {
            let _infallible = writeln!(text, "\nhint: {hint}").is_ok();
        }
        let _told = self.out.flush().and_then(|()| self.err.write_all(text.as_bytes())).is_ok();
        self.reported = true;
        if self.code == DONE {
            self.code = failure.code;
        }
        self.code
    }

    /// Says something to the human on stderr.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Stop> {
        writeln!(self.err, "{text}")?;
        Ok(())
    }
}
