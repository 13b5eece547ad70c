//! `cat`: everything that defines processes, and where each piece of it stands.

use rpc::v1::Process;
use serde_json::json;

use crate::args::Names;
use crate::render::paint::one_line;
use crate::report::{Session, Stop};
use crate::verb::each::each;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move {
        // What was typed may be an id: with several processes each has to be told by its name.
        match client.get(&name).await {
            Ok(process) => Ok((client.fragments(&process.name).await?, process)),
            // There may be settings of something that nothing defines any more.
            Err(error) => match client.fragments(&name).await {
                Ok(fragments) if !fragments.is_empty() => {
                    Ok((fragments, Process { name, ..Process::default() }))
                }
                _ => Err(error),
            },
        }
    };
    let done = each(session, &found.client, names, call).await?;
    if session.json() {
        let processes: Vec<_> = done
            .iter()
            .map(|(fragments, process)| {
                let fragments: Vec<_> =
                    fragments.iter().map(|f| json!({ "origin": f.origin, "text": f.text })).collect();
                let id = (!process.process_id.is_empty()).then_some(&process.process_id);
                json!({ "name": process.name, "process_id": id, "fragments": fragments })
            })
            .collect();
        return session.write_json(&json!({ "processes": processes }));
    }
    for (i, (fragments, process)) in done.iter().enumerate() {
        if done.len() > 1 {
            let gap = if i == 0 { "" } else { "\n" };
            session.show(&format!("{gap}## {}\n", process.name))?;
        }
        session.show(&text(fragments))?;
        if process.process_id.is_empty() {
            let name = &process.name;
            session.say(&format!(
                "note: nothing defines {name} any more; remove this with: pm-cli delete {name}"
            ))?;
        }
    }
    Ok(())
}

/// Each fragment below its origin, a comment in YAML.
pub(super) fn text(fragments: &[rpc::v1::Fragment]) -> String {
    let pieces: Vec<String> = fragments
        .iter()
        .map(|fragment| format!("# {}\n{}\n", one_line(&fragment.origin), fragment.text.trim_end()))
        .collect();
    pieces.join("\n")
}
