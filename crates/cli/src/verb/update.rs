//! `update`: changes some keys of a process, or shows what that would do.

use model::Definition;
use serde_json::json;

use crate::USAGE;
use crate::args::update::UpdateArgs;
use crate::progress::{self, What};
use crate::render::{change, json};
use crate::report::{Failure, Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, mut args: UpdateArgs) -> Result<(), Stop> {
    let (name, dry_run) = (args.name.clone(), args.dry_run);
    let unset = std::mem::take(&mut args.unset);
    let definition = args.definition(&session.context.cwd);
    if definition == Definition::default() && unset.is_empty() {
        let failure = Failure::new(USAGE, format!("nothing to change was given for {name}"));
        return Err(failure.with_hint("see pm-cli update --help").into());
    }
    let mut found = session.connect().await?;
    let names = [name.clone()];
    let what = What { names: &names, outcome: "to be changed", client: Some(found.client.clone()) };
    let update = found.client.update(&name, definition, unset, dry_run);
    let updated = progress::during(session, &what, update).await??;
    let name = updated.process.as_ref().map_or(name.as_str(), |process| &process.name);
    if session.json() {
        let mut document = json::processes(updated.process.as_slice(), session.context.now);
        document["dry_run"] = json!(dry_run);
        document["change"] = updated.change.as_ref().map(change::json).into();
        return session.write_json(&document);
    }
    match (&updated.change, dry_run) {
        (None, false) => session.show(&format!("{name}: nothing changed\n")),
        (None, true) => session.show(&format!("{name}: nothing would change\n")),
        (Some(change), false) => session.show(&change::line(change)),
        (Some(change), true) => {
            session.show("preview, nothing is changed yet; the update would do this:\n")?;
            session.show(&change::line(change))
        }
    }
}
