//! `import`: the files of other supervisors as a processes.yaml.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::args::migrate::ImportArgs;
use crate::import::{self, Finished, Import, Note, RealFiles, Weight};
use crate::render::paint::one_line;
use crate::report::{Failure, Session, Stop};
use crate::verb::validate::layout;
use crate::{DONE, FAILED, USAGE};

pub(super) fn run(session: &mut Session<'_>, args: &ImportArgs) -> Result<(), Stop> {
    let context = session.context;
    let log_dir = layout(context).map_or_else(|_| "/var/log/dd-procmgrd".into(), |layout| layout.log_dir);
    let variable = |name: &str| context.env.get(name).cloned();
    let files = RealFiles { variable: &variable };
    let mut import = Import::default();
    let mut read = Vec::new();
    for file in &args.files {
        // Processes keep their paths, wherever the result is put.
        match import::read(&files, &context.cwd.join(file), args.format, &mut import) {
            Ok(()) => read.push(one_line(&file.display().to_string()).into_owned()),
            Err(unusable) => {
                let message = short(&unusable.message, &context.cwd);
                let failure = Failure::new(USAGE, message);
                let failure =
                    if unusable.hint.is_empty() { failure } else { failure.with_hint(unusable.hint) };
                session.fail(&failure);
            }
        }
    }
    if read.is_empty() {
        return Ok(());
    }
    let head =
        [format!("Made by pm-cli import from {}. Check it with: pm-cli validate FILE", read.join(", "))];
    let finished = import::finish(import, &head, &log_dir).map_err(|error| Failure::new(USAGE, error))?;
    if session.code == DONE && !finished.complete() {
        session.code = FAILED;
    }
    if let Some(path) = &args.output_file {
        write_new(&context.cwd.join(path), &finished.yaml)?;
    }
    if session.json() {
        return session.write_json(&document(&finished, &context.cwd));
    }
    if args.output_file.is_none() {
        session.raw(finished.yaml.as_bytes())?;
        session.flush()?;
    }
    tell(session, &finished, &context.cwd)
}

/// Creates a file that nobody else may read: it holds the values of variables.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let failure = Failure::new(FAILED, format!("can't write {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                failure.with_hint("name another file, or move that one away")
            }
            _ => failure,
        }
    })
}

fn tell(session: &mut Session<'_>, finished: &Finished, cwd: &Path) -> Result<(), Stop> {
    for note in &finished.notes {
        let title = match note.weight {
            Weight::Lost => "not carried over",
            Weight::Changed => "differs",
        };
        let at = short(&note.at.to_string(), cwd);
        let line = format!("{title}: {at}: {}: {}", one_line(&note.what), one_line(&note.why));
        session.say(&line)?;
        if !note.instead.is_empty() {
            session.say(&format!("  instead: {}", one_line(&note.instead)))?;
        }
    }
    let count = |weight| finished.notes.iter().filter(|note| note.weight == weight).count();
    let (lost, changed) = (count(Weight::Lost), count(Weight::Changed));
    let gap = if finished.notes.is_empty() && session.code == DONE { "" } else { "\n" };
    let things = |count: usize, what: &str| match count {
        0 => String::new(),
        1 => format!(", 1 thing {what}"),
        n => format!(", {n} things {what}"),
    };
    let processes = match finished.processes {
        1 => "1 process".to_owned(),
        n => format!("{n} processes"),
    };
    let rest = things(lost, "not carried over") + &things(changed, "that may differ");
    session.say(&format!("{gap}imported {processes}{rest}"))
}

/// Paths as they were typed.
fn short(text: &str, cwd: &Path) -> String {
    let prefix = format!("{}/", cwd.display().to_string().trim_end_matches('/'));
    text.strip_prefix(&prefix).unwrap_or(text).to_owned()
}

fn document(finished: &Finished, cwd: &Path) -> Value {
    let note = |note: &Note| {
        json!({
            "file": short(&note.at.file, cwd),
            "line": (note.at.line > 0).then_some(note.at.line),
            "carried_over": note.weight == Weight::Changed,
            "what": note.what,
            "why": note.why,
            "instead": (!note.instead.is_empty()).then_some(&note.instead),
        })
    };
    json!({
        "complete": finished.complete(),
        "processes": finished.processes,
        "yaml": finished.yaml,
        "notes": finished.notes.iter().map(note).collect::<Vec<_>>(),
    })
}
