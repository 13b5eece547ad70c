//! `update`: changes some keys of a process, or shows what that would do.

use model::{Definition, HealthSpec};
use rpc::Client;
use serde_json::json;

use crate::USAGE;
use crate::args::keys;
use crate::args::update::UpdateArgs;
use crate::progress::{self, What};
use crate::render::{change, json};
use crate::report::{Failure, Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, mut args: UpdateArgs) -> Result<(), Stop> {
    let (name, dry_run) = (args.name.clone(), args.dry_run);
    let waits = !dry_run && !args.no_wait;
    let unset: Vec<String> = std::mem::take(&mut args.unset).iter().map(|word| keys::key_of(word)).collect();
    let unsets = !unset.is_empty();
    let change = args.check_change();
    let mut definition = args.definition(&session.context.cwd);
    if definition == Definition::default() && unset.is_empty() && change.is_none() {
        let failure = Failure::new(USAGE, format!("nothing to change was given for {name}"));
        return Err(failure.with_hint("see pm-cli update --help").into());
    }
    let mut found = session.connect().await?;
    if let Some(change) = change {
        definition.health_check = Some(change.of(check_of(&mut found.client, &name).await?));
    }
    let names = [name.clone()];
    let what = What { names: &names, outcome: "to be changed", client: Some(found.client.clone()) };
    let client = &mut found.client;
    let update = async {
        if waits {
            client.update_and_wait(&name, definition, unset).await
        } else {
            client.update(&name, definition, unset, dry_run).await
        }
    };
    let updated = match progress::during(session, &what, update).await? {
        Ok(updated) => updated,
        Err(error) => {
            let changed = change::did_not_start(&error);
            let failure = Failure::from(error);
            // What is unset is named as a key.
            session.fail(&if unsets { failure } else { failure.in_options() });
            if changed {
                session.say(&format!(
                    "\nthe change to {name} is made all the same; take it back with: pm-cli update {name} --unset KEY (or all)"
                ))?;
            }
            return Ok(());
        }
    };
    let name = updated.process.as_ref().map_or(name.as_str(), |process| &process.name);
    if session.json() {
        let mut document = json::processes(updated.process.as_slice(), session.context.now);
        document["dry_run"] = json!(dry_run);
        document["warnings"] = updated.warnings.into();
        document["change"] = updated.change.as_ref().map(change::json).into();
        return session.write_json(&document);
    }
    change::warn(session, &updated.warnings)?;
    match (&updated.change, dry_run) {
        (None, false) => session.show(&format!("{name}: nothing changed\n")),
        (None, true) => session.show(&format!("{name}: nothing would change\n")),
        (Some(change), false) => {
            session.show(&change::line(change))?;
            change::outcome(session, change, updated.process.as_ref().filter(|_| waits))
        }
        (Some(change), true) => {
            session.show("preview, nothing is changed yet; the update would do this:\n")?;
            session.show(&change::line(change))
        }
    }
}

/// The health check that a process has, to be changed.
async fn check_of(client: &mut Client, name: &str) -> Result<HealthSpec, Stop> {
    let process = client.get(name).await?;
    let definition = process.definition.and_then(|definition| rpc::read_definition(*definition).ok());
    definition.and_then(|definition| definition.health_check).ok_or_else(|| {
        let text = format!("{name} has no health check that could be changed");
        let hint = "say what is asked: --health-http, --health-tcp, --health-exec or --health-grpc";
        Failure::new(USAGE, text).with_hint(hint).into()
    })
}
