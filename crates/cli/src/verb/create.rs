//! `create`: defines a process, and starts it when asked.

use std::path::Path;

use rpc::{ClientError, Create, v1};

use crate::USAGE;
use crate::args::create::CreateArgs;
use crate::find;
use crate::progress::{self, What};
use crate::render::paint::one_line;
use crate::render::{self, change, json};
use crate::report::{Failure, Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, args: CreateArgs) -> Result<(), Stop> {
    if let Some(word) = args.line.first().filter(|word| word.starts_with('-')) {
        return Err(Failure::new(
            USAGE,
            format!("{word} is no option of create, and no program is called so"),
        )
        .with_hint(format!(
            "the command follows the name: pm-cli create {} sleep 100; options: pm-cli create --help",
            args.name
        ))
        .into());
    }
    for note in &args.notes {
        session.say(note)?;
    }
    let mut found = session.connect().await?;
    let (name, start) = (args.name.clone(), args.options.auto_start == Some(true));
    let dry_run = args.dry_run;
    let definition = args.definition(&session.context.cwd);
    let names = [name.to_string()];
    let what = What { names: &names, outcome: "to start", client: Some(found.client.clone()) };
    let create = found.client.create(Create { name: name.clone(), definition, start, dry_run });
    let (process, warnings) = match progress::during(session, &what, create).await? {
        Ok(created) => (created.process.unwrap_or_default(), created.warnings),
        Err(error) => {
            let defined = matches!(&error, ClientError::Rejected(r) if r.reason == "START_FAILED");
            session.fail(&Failure::from(error).in_options());
            if defined {
                session.say(&format!(
                    "\n{name} stays defined, and the daemon goes on as its restart policy says; to define it differently, remove it \
                     first: pm-cli delete {name}"
                ))?;
            }
            return Ok(());
        }
    };
    if session.json() {
        let mut document = json::processes(&[process], session.context.now);
        document["warnings"] = warnings.into();
        return session.write_json(&document);
    }
    change::warn(session, &warnings)?;
    if let Some(word) = not_there(&process, &session.context.cwd).filter(|_| find::is_local(&found.target)) {
        let dir = working_dir(&process);
        session.say(&format!(
            "warning: {} is a file here, and the process runs in {}: give --working-dir . or the full path",
            one_line(word),
            one_line(dir),
        ))?;
    }
    let command = one_line(&process.command_line);
    if dry_run {
        return session.show(&format!(
            "preview, nothing is created yet: {} ({}): {command}\n",
            process.name, process.process_id
        ));
    }
    session.show(&format!("created {} ({}): {command}\n", process.name, process.process_id))?;
    if start {
        return render::outcome(session, &[process]);
    }
    session.say(&format!("hint: start it: pm-cli start {name}"))
}

/// Where it runs.
fn working_dir(process: &v1::Process) -> &str {
    process.definition.as_ref().and_then(|definition| definition.working_dir.as_deref()).unwrap_or("/")
}

/// The first argument that names something below the caller's directory and nothing where the process runs: who types
/// `python3 server.py` means the file in front of them.
fn not_there<'a>(process: &'a v1::Process, cwd: &Path) -> Option<&'a str> {
    let dir = Path::new(working_dir(process));
    let is_meant = |word: &&str| {
        let is_name = !word.starts_with(['/', '-', '.']) || word.starts_with("./") || word.starts_with("../");
        is_name && cwd.join(word).exists() && !dir.join(word).exists()
    };
    let args = &process.definition.as_ref()?.args;
    args.iter().flat_map(|list| &list.values).map(String::as_str).find(is_meant)
}
