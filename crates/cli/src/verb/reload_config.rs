//! `reload-config`: reads the configuration again and applies what changed, or shows what that would be.

use serde_json::json;

use crate::FAILED;
use crate::progress::{self, What};
use crate::render::change;
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, dry_run: bool) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let what = What { names: &[], outcome: "the configuration to be applied", client: None };
    let report = progress::during(session, &what, found.client.reload(dry_run)).await??;
    if session.json() {
        let changes: Vec<_> = report.changes.iter().map(change::json).collect();
        session.write_json(&json!({
            "dry_run": dry_run,
            "changes": changes,
            "problems": report.problems,
        }))?;
    } else {
        session.show(match (dry_run, report.changes.is_empty()) {
            (false, true) => "nothing changed\n",
            (true, true) => "nothing would change\n",
            (false, false) => "",
            (true, false) => "preview, nothing is changed yet; a reload would do this:\n",
        })?;
        for change in &report.changes {
            session.show(&change::line(change))?;
        }
    }
    // The daemon shows them as a compiler does; only errors leave something behind that is not in force.
    session.flush()?;
    for problem in &report.problems {
        session.say(problem.trim_end())?;
    }
    if report.problems.iter().any(|problem| !problem.starts_with("warning:")) {
        session.code = FAILED;
        session.say(if dry_run {
            "\nwhat has an error would not be applied; the last good definition would stay in force"
        } else {
            "\nwhat has an error is not applied; the last good definition stays in force"
        })?;
    }
    Ok(())
}
