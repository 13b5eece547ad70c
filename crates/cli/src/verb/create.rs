//! `create`: defines a process, and starts it when asked.

use rpc::{ClientError, Create};

use crate::create_args::CreateArgs;
use crate::render::{self, json};
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, args: CreateArgs) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let (name, start) = (args.name.clone(), args.options.auto_start);
    let definition = args.definition(&session.context.cwd);
    let process = match found.client.create(Create { name: name.clone(), definition, start }).await {
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
    writeln!(session.out, "created {} ({}): {}", process.name, process.process_id, process.command_line)?;
    if start {
        return render::outcome(session, &[process]);
    }
    session.say(&format!("hint: start it: pm-cli start {name}"))
}
