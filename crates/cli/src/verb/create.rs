//! `create`: defines a process, and starts it when asked.

use rpc::{ClientError, Create};

use crate::args::create::CreateArgs;
use crate::render::paint::one_line;
use crate::render::{self, json};
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, args: CreateArgs) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let (name, start) = (args.name.clone(), args.options.auto_start == Some(true));
    let definition = args.definition(&session.context.cwd);
    let process = match found
        .client
        .create(Create { name: name.clone(), definition, start, dry_run: false })
        .await
    {
        Ok(process) => process,
        Err(error) => {
            let defined = matches!(&error, ClientError::Rejected(r) if r.reason == "START_FAILED");
            session.fail(&error.into());
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
        return session.write_json(&json::processes(&[process], session.context.now));
    }
    let command = one_line(&process.command_line);
    session.show(&format!("created {} ({}): {command}\n", process.name, process.process_id))?;
    if start {
        return render::outcome(session, &[process]);
    }
    session.say(&format!("hint: start it: pm-cli start {name}"))
}
