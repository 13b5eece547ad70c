//! Runs the user's editor, and outlives what is meant for it.

use std::io;
use std::path::Path;
use std::process::{Child, Command};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::FAILED;
use crate::context::Context;
use crate::report::Failure;

/// What is tried where neither VISUAL nor EDITOR says which one.
const USUAL: [&str; 3] = ["editor", "nano", "vi"];
const HINT: &str = "set EDITOR to an editor that is installed";

/// Signals while an editor or a question is on the terminal. Ctrl-C and Ctrl-\ go to every program on it, and most
/// editors take them for something else than an end; without this they would end pm-cli below its editor.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    hangup: Signal,
    // Never read: that they exist keeps the signals from ending the program.
    _interrupt: Signal,
    _quit: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _interrupt: signal(SignalKind::interrupt())?,
            _quit: signal(SignalKind::quit())?,
        })
    }

    /// The end of the session, which also an editor has to obey.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// The same, or Ctrl-C from now on.
    async fn interrupted(&mut self) {
        let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return self.ended().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            () = self.ended() => {}
        }
    }

    /// Waits for something, unless the user stops it.
    pub(super) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.interrupted() => Err(interruption()),
        }
    }
}

fn interruption() -> Failure {
    Failure::new(FAILED, "interrupted; nothing is changed")
}

/// Whether the user said which editor.
pub(super) fn is_chosen(context: &Context) -> bool {
    ["VISUAL", "EDITOR"].into_iter().any(|name| context.var(name).is_some_and(|line| !line.trim().is_empty()))
}

/// Opens the file in the editor and waits for its end, which has to be a good one.
pub(super) async fn run(context: &Context, path: &Path, signals: &mut Signals) -> Result<(), Failure> {
    let (editor, mut child) = open(context, path)?;
    let wait = tokio::task::spawn_blocking(move || child.wait());
    let status = tokio::select! {
        status = wait => status.map_err(io::Error::other).and_then(|status| status),
        () = signals.ended() => return Err(interruption()),
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Failure::new(FAILED, format!("the editor ({editor}) failed ({status}); nothing is changed")))
        }
        Err(e) => Err(Failure::new(FAILED, format!("can't wait for the editor ({editor}): {e}"))),
    }
}

/// Starts the editor that the user wants, else the first of the usual ones that is there.
fn open(context: &Context, path: &Path) -> Result<(String, Child), Failure> {
    for variable in ["VISUAL", "EDITOR"] {
        let Some(line) = context.var(variable) else { continue };
        if line.trim().is_empty() {
            continue;
        }
        // Split as a shell splits words, so that `code --wait` and `sed -i '1a x'` both work.
        let words = shlex::split(line).filter(|words| !words.is_empty()).ok_or_else(|| {
            Failure::new(FAILED, format!("{variable} is {line:?}, which can't be split into words"))
                .with_hint("close its quotes")
        })?;
        let program = words[0].clone();
        let child = Command::new(&program).args(&words[1..]).arg(path).spawn().map_err(|e| {
            Failure::new(FAILED, format!("can't run the editor {line:?} (from {variable}): {e}"))
                .with_hint(HINT)
        })?;
        return Ok((program, child));
    }
    for program in USUAL {
        match Command::new(program).arg(path).spawn() {
            Ok(child) => return Ok((program.to_owned(), child)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                let text = format!("can't run the editor {program:?}: {e}");
                return Err(Failure::new(FAILED, text).with_hint(HINT));
            }
        }
    }
    let text = format!("there is no editor: {} were not found", USUAL.join(", "));
    Err(Failure::new(FAILED, text).with_hint(HINT))
}
