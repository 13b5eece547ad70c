//! `validate`: definitions checked as a daemon would read them, without one.

mod layout;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use config::{LoadError, Loaded, Main, Problem};
use model::ProcessId;
use serde_json::{Value, json};

use crate::FAILED;
use crate::args::migrate::ValidateArgs;
use crate::report::{Failure, Session, Stop};

pub(in crate::verb) use layout::layout;

/// What was checked.
struct Checked {
    title: String,
    good: usize,
    problems: Vec<Problem>,
}

pub(super) fn run(session: &mut Session<'_>, args: ValidateArgs) -> Result<(), Stop> {
    let layout = layout(session.context)?;
    let mut checked = Vec::new();
    if args.files.is_empty() {
        let no_id = |_: &_| ProcessId::from_digest([0; 6]);
        let loaded = config::load(&layout, &no_id, Main::Required);
        checked.extend(settle(session, &layout.main, loaded));
    }
    for file in args.files {
        let loaded = match file.to_str() {
            Some("-") => {
                let mut bytes = Vec::new();
                // One byte more than a file may have, so that it is refused.
                io::stdin().lock().take((4 << 20) + 1).read_to_end(&mut bytes)?;
                config::check_text(Path::new("<stdin>"), bytes, &layout.log_dir)
            }
            _ => named(config::check_file(&session.context.cwd.join(&file), &layout.log_dir), &file),
        };
        let title = if file == Path::new("-") { PathBuf::from("<stdin>") } else { file };
        checked.extend(settle(session, &title, loaded));
    }
    let errors: usize = checked.iter().map(|c| count(c, true)).sum();
    if errors > 0 && session.code == crate::DONE {
        session.code = FAILED;
    }
    if session.json() {
        return show_json(session, &checked);
    }
    for checked in &checked {
        for problem in &checked.problems {
            session.say(&format!("{problem}\n"))?;
        }
        let (errors, warnings) = (count(checked, true), count(checked, false));
        let good = plural(checked.good, "good definition");
        let line = format!(
            "{}: {good}, {}, {}\n",
            checked.title,
            plural(errors, "error"),
            plural(warnings, "warning")
        );
        session.show(&line)?;
    }
    Ok(())
}

fn count(checked: &Checked, errors: bool) -> usize {
    checked.problems.iter().filter(|problem| problem.is_error() == errors).count()
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What the problems of a file say; `None` = there is no such file, which was reported.
fn settle(session: &mut Session<'_>, path: &Path, loaded: Result<Loaded, LoadError>) -> Option<Checked> {
    let title = path.display().to_string();
    match loaded {
        Ok(loaded) => Some(Checked { title, good: loaded.desired.specs.len(), problems: loaded.problems }),
        Err(LoadError::Invalid { problems }) => Some(Checked { title, good: 0, problems }),
        Err(error) => {
            let text = error.to_string();
            let failure = match text.split_once("; ") {
                Some((message, _)) if matches!(&error, LoadError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound) => {
                    Failure::new(FAILED, message).with_hint("check its name")
                }
                Some((message, hint)) => Failure::new(FAILED, message).with_hint(hint),
                None => Failure::new(FAILED, text),
            };
            session.fail(&failure);
            None
        }
    }
}

/// The same with the file as it was named.
fn named(loaded: Result<Loaded, LoadError>, file: &Path) -> Result<Loaded, LoadError> {
    let own = |problems: &mut Vec<Problem>| {
        problems.iter_mut().for_each(|problem| file.clone_into(&mut problem.file));
    };
    match loaded {
        Ok(mut loaded) => {
            own(&mut loaded.problems);
            Ok(loaded)
        }
        Err(LoadError::Invalid { mut problems }) => {
            own(&mut problems);
            Err(LoadError::Invalid { problems })
        }
        Err(LoadError::Missing { .. }) => Err(LoadError::Unreadable {
            path: file.to_owned(),
            source: io::Error::new(io::ErrorKind::NotFound, "there is no such file"),
        }),
        Err(LoadError::Unreadable { source, .. }) => {
            Err(LoadError::Unreadable { path: file.to_owned(), source })
        }
    }
}

fn show_json(session: &mut Session<'_>, checked: &[Checked]) -> Result<(), Stop> {
    let problem = |problem: &Problem| -> Value {
        json!({
            "severity": if problem.is_error() { "error" } else { "warning" },
            "file": problem.file.display().to_string(),
            "line": problem.place.as_ref().map(|place| place.line),
            "column": problem.place.as_ref().map(|place| place.column),
            "key": problem.key,
            "process": problem.process.as_ref().map(ToString::to_string),
            "message": problem.message,
            "hint": problem.hint,
        })
    };
    let problems: Vec<Value> = checked.iter().flat_map(|checked| &checked.problems).map(problem).collect();
    let good: usize = checked.iter().map(|checked| checked.good).sum();
    let valid = session.code == crate::DONE;
    session.write_json(&json!({ "valid": valid, "good": good, "problems": problems }))
}
