//! `edit`: the override of a process in the user's editor, checked before it is saved.

mod editor;
mod sheet;

use std::io;
use std::path::Path;

use model::ProcessName;
use rpc::v1::{ConfigChange, GetOverrideResponse, Process};
use rpc::{Client, ClientError};
use serde_json::json;

use crate::FAILED;
use crate::args::OneName;
use crate::progress::{self, What};
use crate::render::change;
use crate::render::paint::one_line;
use crate::report::{Failure, Session, Stop};
use crate::verb::cat;
use editor::Signals;
use sheet::{Sheet, commented, is_empty};

pub(super) async fn run(session: &mut Session<'_>, args: OneName) -> Result<(), Stop> {
    if !session.context.interactive && !editor::is_chosen(session.context) {
        let text = "edit needs a terminal for the editor";
        let hint = "set EDITOR to a program that edits by itself, or change keys with pm-cli update";
        return Err(Failure::new(FAILED, text).with_hint(hint).into());
    }
    let mut found = session.connect().await?;
    let name = found.client.get(&args.name).await?.name;
    // It becomes the name of a file.
    let name = ProcessName::new(&name).map_err(|e| Failure::new(FAILED, format!("{name:?}: {e}")))?;
    let stored = found.client.override_text(name.as_str()).await?;
    let header = header(&mut found.client, &name, &stored).await;
    let dir = Path::new(session.context.var("TMPDIR").unwrap_or("/tmp"));
    // Before there is a file that a signal could leave behind.
    let mut signals =
        Signals::new().map_err(|e| Failure::new(FAILED, format!("can't wait for signals: {e}")))?;
    let sheet = Sheet::create(dir, &name, header, &stored.text)
        .map_err(|e| Failure::new(FAILED, format!("can't create a file in {}: {e}", dir.display())))?;
    let mut editing = Editing { session, client: &mut found.client, name: &name, stored: &stored };
    match editing.run(&sheet, &mut signals).await {
        Ok(Some(outcome)) => return show(session, &name, &stored.path, &outcome),
        Ok(None) => {}
        Err(Stop::Failure(failure)) => {
            session.fail(&failure);
        }
        Err(stop @ Stop::Io(_)) => return Err(stop),
    }
    // Nobody shall lose what they wrote; what can't be read back may be worth something, too.
    if !sheet.text().is_ok_and(|text| same(&text, &stored.text)) {
        let above = sheet.lines_above();
        let kept = sheet.keep();
        let kept = kept.display();
        session.say(&format!(
            "\nyour text is kept in {kept}; line 1 of the override is line {} there. Put it right, then: \
             EDITOR='cp {kept}' pm-cli edit {name}",
            above + 1
        ))?;
    }
    Ok(())
}

/// What was done.
struct Outcome {
    /// Whether the file was written or removed.
    changed: bool,
    /// Whether there is an override now.
    exists: bool,
    /// What that does to the process.
    change: Option<ConfigChange>,
    /// It, as it is now.
    process: Option<Process>,
    /// Why its new run is not up.
    failure: Option<Failure>,
}

/// One sitting of the user at the text.
struct Editing<'a, 'b> {
    session: &'a mut Session<'b>,
    client: &'a mut Client,
    name: &'a ProcessName,
    stored: &'a GetOverrideResponse,
}

impl Editing<'_, '_> {
    /// Edits until the daemon takes it; `None` = the user does not want to correct what it refused, which is told.
    async fn run(&mut self, sheet: &Sheet, signals: &mut Signals) -> Result<Option<Outcome>, Stop> {
        let stored = self.stored;
        loop {
            editor::run(self.session.context, sheet.path(), signals).await?;
            let mut text = sheet
                .text()
                .map_err(|e| Failure::new(FAILED, format!("can't read what the editor wrote: {e}")))?;
            let removed = is_empty(&text);
            if same(&text, &stored.text) || (removed && !stored.exists) {
                let (process, failure) = (None, None);
                let (changed, change, exists) = (false, None, stored.exists);
                return Ok(Some(Outcome { changed, exists, change, process, failure }));
            }
            if removed {
                text.clear();
                self.session.say(&format!("the override is empty now: {} will be removed", stored.path))?;
            }
            match signals.unless(self.client.set_override(self.name.as_str(), text.clone(), true)).await? {
                Ok(_) => {}
                Err(error) if !correctable(&error) => return Err(error.into()),
                Err(error) => {
                    let failure = Failure::from(error);
                    if !self.session.context.interactive {
                        return Err(failure.into());
                    }
                    self.session.complain(&failure);
                    self.session.ask("\nedit again? [Y/n] ")?;
                    if !signals.unless(yes()).await? {
                        self.session.code = FAILED;
                        return Ok(None);
                    }
                    let told = format!("{}\n{}", failure.message.trim_end(), failure.hint());
                    sheet
                        .explain(&told)
                        .map_err(|e| Failure::new(FAILED, format!("can't write the file anew: {e}")))?;
                    continue;
                }
            }
            let now = signals.unless(self.client.override_text(self.name.as_str())).await??;
            if now.text != stored.text || now.exists != stored.exists {
                let text = format!("{} was changed by somebody else meanwhile", stored.path);
                let hint = format!("edit it again, as it is now: pm-cli edit {}", self.name);
                return Err(Failure::new(FAILED, text).with_hint(hint).into());
            }
            let names = [self.name.to_string()];
            let what = What { names: &names, outcome: "to be changed", client: Some(self.client.clone()) };
            let save = signals.unless(self.client.set_override_and_wait(self.name.as_str(), text));
            let saved = progress::during(self.session, &what, save).await?;
            // The daemon carries on with what it accepted.
            let unsure = |_| {
                let text = format!("interrupted; pm-cli cat {} shows whether it is saved", self.name);
                Failure::new(FAILED, text)
            };
            let (changed, exists) = (true, !removed);
            return match saved.map_err(unsure)? {
                Ok(done) => {
                    let (process, change) = (done.process, done.change);
                    Ok(Some(Outcome { changed, exists, change, process, failure: None }))
                }
                Err(error) if change::did_not_start(&error) => {
                    let (process, change, failure) = (None, None, Some(error.into()));
                    Ok(Some(Outcome { changed, exists, change, process, failure }))
                }
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// Whether another text may help.
fn correctable(error: &ClientError) -> bool {
    matches!(error, ClientError::Rejected(rejection)
        if matches!(rejection.reason.as_str(), "INVALID_REQUEST" | "FAILED_PRECONDITION"))
}

/// Whether two texts are the same but for the end of the last line, which editors like to complete.
fn same(a: &str, b: &str) -> bool {
    a.trim_end() == b.trim_end()
}

/// The answer on the terminal. Nothing but Enter is yes; the end of the input is no.
async fn yes() -> bool {
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line)
    });
    let answer = answer.await.ok().flatten();
    answer.is_some_and(|line| matches!(line.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

/// What the user should know, as comments.
async fn header(client: &mut Client, name: &ProcessName, stored: &GetOverrideResponse) -> String {
    let about = format!(
        "Override of {name}: the keys that shall differ, as they stand below `{name}:` in processes.yaml.\n\
         It is stored in {}. It wins over files; what pm-cli update, enable and disable set wins over it.\n\
         Leave no key here to remove it.\n\n",
        stored.path
    );
    let definition = match client.fragments(name.as_str()).await {
        Ok(mut fragments) => {
            // It stands below the header anyway, and it may be edited there.
            fragments.retain(|fragment| !fragment.origin.starts_with(&stored.path));
            let lines = cat::text(&fragments);
            format!("What defines it beside this, later lines win:\n\n{lines}")
        }
        // Whoever repairs a file needs the editor more than this.
        Err(error) => format!("What defines it beside this can't be shown: {error}"),
    };
    commented(&(about + &definition)) + "#\n"
}

fn show(session: &mut Session<'_>, name: &ProcessName, path: &str, outcome: &Outcome) -> Result<(), Stop> {
    let Outcome { changed, exists, change, process, failure } = outcome;
    if let Some(failure) = failure {
        session.fail(failure);
    }
    if session.json() {
        return session.write_json(&json!({
            "name": name.as_str(),
            "path": path,
            "exists": exists,
            "changed": changed,
            "change": change.as_ref().map(change::json),
        }));
    }
    if !changed {
        return session.show(&format!("{name}: nothing changed\n"));
    }
    let done = if *exists { "saved" } else { "removed" };
    session.show(&format!("{name}: {} {done}\n", one_line(path)))?;
    match change {
        Some(change) => {
            session.show(&change::line(change))?;
            change::outcome(session, change, process.as_ref())
        }
        None if failure.is_some() => Ok(()),
        None => session.show(&format!("{name}: that changes nothing of its definition\n")),
    }
}
