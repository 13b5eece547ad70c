//! `reload-config`: reads the configuration again and applies what changed.

use serde_json::json;

use crate::FAILED;
use crate::render::word;
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let report = found.client.reload().await?;
    let changes =
        report.changes.iter().map(|c| (&c.name, word(c.impact().as_str_name(), "IMPACT_"), &c.keys));
    if session.json() {
        let changes: Vec<_> = changes
            .map(|(name, impact, keys)| json!({ "name": name, "impact": impact, "keys": keys }))
            .collect();
        session.write_json(&json!({ "changes": changes, "problems": report.problems }))?;
    } else if report.changes.is_empty() {
        writeln!(session.out, "nothing changed")?;
    } else {
        for (name, impact, keys) in changes {
            let keys = if keys.is_empty() { String::new() } else { format!(" ({})", keys.join(", ")) };
            writeln!(session.out, "{name}: {impact}{keys}")?;
        }
    }
    // The daemon shows them as a compiler does; only errors leave something behind that is not in force.
    for problem in &report.problems {
        session.say(problem.trim_end())?;
    }
    if report.problems.iter().any(|problem| !problem.starts_with("warning:")) {
        session.code = FAILED;
        session.say("\nwhat has an error is not applied; the last good definition stays in force")?;
    }
    Ok(())
}
