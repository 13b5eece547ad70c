//! One run of the program: its streams, its exit code, and how errors look.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use model::Wall;
use rpc::{Client, ClientError};

use crate::args::{self, Global, Output, keys};
use crate::context::Context;
use crate::find::{self, Found};
use crate::render::paint::visible;
use crate::render::{Paint, document};
use crate::when::Clock;
use crate::{DONE, FAILED, NO_SUCH_PROCESS, UNREACHABLE};

/// `UNIMPLEMENTED` of gRPC.
const UNIMPLEMENTED: i32 = 12;
/// What a question in passing may take.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// The daemon does not know this call.
    unknown_call: bool,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, unknown_call: false }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, with the daemon that it is about, where there are several.
    pub(crate) fn of(self, host: Option<&String>) -> Self {
        match host {
            Some(host) => Self { message: format!("{host}: {}", self.message), ..self },
            None => self,
        }
    }

    /// The same for somebody who gave options: it names these, and not the keys that they stand for.
    pub(crate) fn in_options(self) -> Self {
        let hint = self.hint.map(|hint| keys::in_options(&hint));
        Self { message: keys::about_options(&self.message), hint, ..self }
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
                let unknown_call = i32::from(rejection.code) == UNIMPLEMENTED;
                let nothing_said = "the daemon does not know this call".to_owned();
                let message = if text.is_empty() { nothing_said } else { text };
                Self { code, message, hint: rejection.hint, unknown_call }
            }
            ClientError::TimedOut(_) => {
                Self::new(FAILED, text).with_hint("the daemon carries on; see pm-cli list for the outcome")
            }
            ClientError::Lost(why) if is_foreign(&why) => {
                Self::new(UNREACHABLE, format!("something answers there, but not as dd-procmgrd does ({why})")).with_hint(
                    "check the port: metrics are served on another one than control, and pm-cli status on that machine lists \
                     both",
                )
            }
            ClientError::Lost(_) => Self::new(UNREACHABLE, text)
                .with_hint(
                "if the daemon still runs (pm-cli status), check that the address is its own: metrics are served on another port",
            ),
        }
    }
}

/// What the transport says when the other side speaks something else than gRPC, as a web server or the metrics do.
fn is_foreign(why: &str) -> bool {
    ["frame with invalid size", "invalid compression flag", "grpc-status header missing"]
        .iter()
        .any(|text| why.contains(text))
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
    /// Which daemon this is about, where there are several.
    pub(crate) host: Option<String>,
    /// Documents that are put together with those of other daemons instead of being written.
    pub(crate) documents: Option<Vec<serde_json::Value>>,
    /// The daemon that was found, for a word about its version.
    daemon: RefCell<Option<Client>>,
    /// A call that the daemon does not know was made.
    skewed: bool,
    began: Instant,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        context: &'a Context,
        global: Global,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        let paint = Paint::new(context.color && !global.no_color);
        Self {
            context,
            global,
            out,
            err,
            paint,
            code: DONE,
            reported: false,
            host: None,
            documents: None,
            daemon: RefCell::default(),
            skewed: false,
            began: Instant::now(),
        }
    }

    /// Finds the daemon.
    pub(crate) async fn connect(&self) -> Result<Found, Stop> {
        let found = find::connect(self.context, &self.global).await?;
        *self.daemon.borrow_mut() = Some(found.client.clone());
        Ok(found)
    }

    /// The time by now: a watch goes on for hours.
    pub(crate) fn now(&self) -> Wall {
        self.context.now.after(self.began.elapsed())
    }

    /// The same, where the user is.
    pub(crate) fn clock(&self) -> Clock {
        Clock { now: self.context.now, zone: (self.context.zone)() }
    }

    /// Says once which versions talk to each other, when the daemon did not know a call.
    pub(crate) async fn tell_of_skew(&mut self) {
        let client = self.daemon.borrow().clone();
        let Some(client) = client.filter(|_| self.skewed) else { return };
        let mut client = client.with_timeout(Some(PATIENCE));
        let daemon = client.status().await.map(|status| status.version).unwrap_or_default();
        let Some(text) = skew(env!("CARGO_PKG_VERSION"), &daemon) else { return };
        // Nobody can be told when stderr can't be written.
        let _told = self.say(&text).is_ok();
    }

    /// Whether the outcome is a document ([`Session::write_json`]), not text for humans.
    pub(crate) fn json(&self) -> bool {
        matches!(self.global.output, Output::Json | Output::Yaml | Output::Name)
    }

    /// Whether nothing is cut and more is shown.
    pub(crate) fn wide(&self) -> bool {
        self.global.output == Output::Wide
    }

    /// Columns that text has to fit into.
    pub(crate) fn width(&self) -> Option<usize> {
        self.context.width.filter(|_| !self.wide())
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

    /// Writes a document to stdout, as JSON, YAML or names, or keeps it for whoever puts several together.
    pub(crate) fn write_json(&mut self, value: &serde_json::Value) -> Result<(), Stop> {
        if let Some(documents) = &mut self.documents {
            documents.push(value.clone());
            return Ok(());
        }
        let text = match self.global.output {
            Output::Yaml => document::yaml(value),
            Output::Name => document::names(value),
            _ => document::json(&format!("{value:#}\n")),
        };
        self.raw(text.as_bytes())
    }

    /// Writes one JSON object on a line of its own; as YAML, one document of a stream.
    pub(crate) fn write_json_line(&mut self, value: &serde_json::Value) -> Result<(), Stop> {
        let mut value = std::borrow::Cow::Borrowed(value);
        if let Some(host) = &self.host {
            value.to_mut()["host"] = host.as_str().into();
        }
        let text = match self.global.output {
            Output::Yaml => format!("---\n{}", document::yaml(&value)),
            Output::Name => document::names(&value),
            _ => document::json(&format!("{value}\n")),
        };
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
        self.skewed |= failure.unknown_call;
        let mut text = String::new();
        if self.reported {
            text.push('\n');
        }
        // Writing to a String can't fail, and nobody can be told when stderr can't be written.
        // Problems of definitions come as a compiler shows them.
        let prefix = if failure.message.starts_with("error: ") { "" } else { "error: " };
        let message = in_words_of_the_verb(failure.message.trim_end(), self.context);
        let _infallible = writeln!(text, "{prefix}{}", visible(&message)).is_ok();
        if let Some(hint) = &failure.hint {
            let _infallible = writeln!(text, "\nhint: {}", visible(hint)).is_ok();
        }
        // In the order in which it was said; and said also where the data can't be written.
        let _written = self.out.flush().is_ok();
        let _told = self.err.write_all(text.as_bytes()).is_ok();
        self.reported = true;
    }

    /// Says something to the human on stderr.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Stop> {
        self.ask(&format!("{text}\n"))
    }

    /// Writes to a terminal's stderr as it is: text that was made visible, with what moves the cursor.
    pub(crate) fn ask_raw(&mut self, text: &str) -> Result<(), Stop> {
        self.err.write_all(text.as_bytes())?;
        self.err.flush()?;
        Ok(())
    }

    /// Says something that an answer follows on the same line.
    pub(crate) fn ask(&mut self, text: &str) -> Result<(), Stop> {
        self.out.flush()?;
        self.err.write_all(visible(text).as_bytes())?;
        self.err.flush()?;
        Ok(())
    }
}

/// A refusal names the call of the API; who typed a verb knows that.
fn in_words_of_the_verb<'a>(message: &'a str, context: &Context) -> Cow<'a, str> {
    const NEEDS: &str = " needs the role ";
    let Some((before, after)) = message.split_once(NEEDS) else { return message.into() };
    let Some(verb) = args::verb_typed(&context.args) else { return message.into() };
    match before.rsplit_once("; ") {
        Some((who, call)) => format!("{who}; {verb} ({call}){NEEDS}{after}").into(),
        None => message.into(),
    }
}

/// What is said when the daemon does not know a call; nothing where the versions explain nothing.
fn skew(own: &str, daemon: &str) -> Option<String> {
    (own != daemon && !daemon.is_empty()).then(|| {
        format!(
            "\nnote: this pm-cli is {own}, the daemon is {daemon}: bring both to the same version, and restart the daemon if it \
             was updated while it ran"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_only_where_they_differ() {
        assert_eq!(skew("1.2.0", "1.2.0"), None);
        assert_eq!(skew("1.2.0", ""), None);
        assert!(skew("1.2.0", "1.1.0").unwrap().contains("this pm-cli is 1.2.0, the daemon is 1.1.0"));
    }

    #[test]
    fn a_call_that_is_not_known_and_says_nothing_gets_words() {
        let rejection = rpc::Rejection {
            code: UNIMPLEMENTED.into(),
            reason: String::new(),
            message: String::new(),
            hint: None,
            violations: Vec::new(),
        };
        let failure = Failure::from(ClientError::Rejected(rejection));
        assert!(failure.unknown_call);
        assert_eq!(
            (failure.code(), failure.message.as_str()),
            (FAILED, "the daemon does not know this call")
        );
    }
}
