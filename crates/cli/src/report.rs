//! One run of the program: its streams, its exit code, and how errors look.

use std::fmt::Write as _;
use std::io::{self, Write};

use rpc::ClientError;

use crate::args::{Global, Output};
use crate::context::Context;
use crate::find::{self, Found};
use crate::render::Paint;
use crate::render::paint::visible;
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
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: u8,
    pub(crate) message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The way out; empty when there is none.
    pub(crate) fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or_default()
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
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    paint: Paint,
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
        let paint = Paint::new(context.color && !global.no_color);
        Self { context, global, out, err, paint, code: DONE, reported: false }
    }

    /// Finds the daemon.
    pub(crate) async fn connect(&self) -> Result<Found, Stop> {
        Ok(find::connect(self.context, &self.global).await?)
    }

    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Whether what is shown is colored.
    pub(crate) fn color(&self) -> bool {
        self.context.color && !self.global.no_color
    }

    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes text for humans to stdout, made visible and colored.
    pub(crate) fn show(&mut self, text: &str) -> Result<(), Stop> {
        self.raw(self.paint.finish(text).as_bytes())
    }

    /// Writes to stdout as it is: what a process printed, for whoever asked for exactly that.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.out.write_all(bytes)?;
        Ok(())
    }

    /// Hands to the reader what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.out.flush()?;
        Ok(())
    }

    /// Writes a JSON document to stdout.
    pub(crate) fn write_json(&mut self, value: &serde_json::Value) -> Result<(), Stop> {
        let text = json_text(&format!("{value:#}\n"));
        self.raw(text.as_bytes())
    }

    /// Writes one JSON object on a line of its own.
    pub(crate) fn write_json_line(&mut self, value: &serde_json::Value) -> Result<(), Stop> {
        let text = json_text(&format!("{value}\n"));
        self.raw(text.as_bytes())
    }

    /// Writes an error and its hint to stderr and remembers the exit code, which it returns.
    pub(crate) fn fail(&mut self, failure: &Failure) -> u8 {
        self.complain(failure);
        if self.code == DONE {
            self.code = failure.code;
        }
        self.code
    }

    /// Writes an error and its hint to stderr. It can still be put right, so it decides nothing.
    pub(crate) fn complain(&mut self, failure: &Failure) {
        let mut text = String::new();
        if self.reported {
            text.push('\n');
        }
        // Writing to a String can't fail, and nobody can be told when stderr can't be written.
        // Problems of definitions come as a compiler shows them.
        let prefix = if failure.message.starts_with("error: ") { "" } else { "error: " };
        let _infallible = writeln!(text, "{prefix}{}", visible(failure.message.trim_end())).is_ok();
        if let Some(hint) = &failure.hint {
            let _infallible = writeln!(text, "\nhint: {}", visible(hint)).is_ok();
        }
        let _told = self.out.flush().and_then(|()| self.err.write_all(text.as_bytes())).is_ok();
        self.reported = true;
    }

    /// Says something to the human on stderr.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Stop> {
        self.ask(&format!("{text}\n"))
    }

    /// Says something that an answer follows on the same line.
    pub(crate) fn ask(&mut self, text: &str) -> Result<(), Stop> {
        self.err.write_all(visible(text).as_bytes())?;
        self.err.flush()?;
        Ok(())
    }
}

/// serde_json writes out the control characters that JSON forbids; the rest of them, which a terminal acts on as well,
/// can only stand within strings, where an escape means the same.
fn json_text(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\u{7f}'..='\u{9f}') {
            let _infallible = write!(done, "\\u{:04x}", u32::from(c)).is_ok();
        } else {
            done.push(c);
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_carries_control_characters_as_escapes() {
        let value = json!({ "text": "a\u{1b}\u{9b}\u{7f}é" });
        let text = json_text(&value.to_string());
        assert_eq!(text, r#"{"text":"a\u001b\u009b\u007fé"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
