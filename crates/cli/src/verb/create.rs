//! `create`: defines a process, and starts it when asked.

use rpc::{ClientError, Create};

use crate::USAGE;
use crate::args::create::CreateArgs;
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
