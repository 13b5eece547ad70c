//! `export`: what is in force as a processes.yaml.

use config::{FileEntry, MASK, render_file, without_defaults};
use model::{Definition, ProcessName};
use rpc::v1::{Process, ProcessView, State};
use serde_json::json;

use crate::FAILED;
use crate::args::Names;
use crate::args::migrate::ExportArgs;
use crate::report::{Failure, Session, Stop};
use crate::verb::each::each;
use crate::verb::import::write_new;

pub(super) async fn run(session: &mut Session<'_>, args: ExportArgs) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let mut processes: Vec<Process> = if args.names.is_empty() {
        found.client.list(ProcessView::Full).await?
    } else {
        let call = |mut client: rpc::Client, name: String| async move { client.get(&name).await };
        each(session, &found.client, Names { names: args.names }, call).await?
    };
    if processes.is_empty() && session.code != crate::DONE {
        return Ok(());
    }
    processes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut entries = Vec::new();
    let mut secrets = Vec::new();
    for process in processes {
        match entry(process, &mut secrets) {
            Ok(entry) => entries.push(entry),
            Err(failure) => {
                session.fail(&failure);
            }
        }
    }
    let head = ["What dd-procmgrd had in force, by pm-cli export.".to_owned()];
    let yaml = render_file(&head, &entries);
    if let Some(path) = &args.output_file {
        write_new(&session.context.cwd.join(path), &yaml)?;
    }
    if session.json() {
        return session.write_json(&json!({ "processes": entries.len(), "secrets": secrets, "yaml": yaml }));
    }
    if args.output_file.is_none() {
        session.raw(yaml.as_bytes())?;
        session.flush()?;
    }
    if !secrets.is_empty() {
        let count = secrets.len();
        session.say(&format!(
            "{} left out, a comment stands in the place of each:",
            if count == 1 { "1 secret is".to_owned() } else { format!("{count} secrets are") }
        ))?;
        for secret in &secrets {
            session.say(&format!("  {secret}"))?;
        }
    }
    Ok(())
}

/// Its definition without what is hidden from us.
fn entry(process: Process, secrets: &mut Vec<String>) -> Result<FileEntry, Failure> {
    let name = process.name.clone();
    let failed = |why: String| Failure::new(FAILED, format!("{name}: {why}"));
    if process.state() == State::Invalid {
        let hint = format!("correct it first: pm-cli why {name}");
        return Err(failed("its definition is broken, and left out".to_owned()).with_hint(hint));
    }
    let own = ProcessName::new(&name).map_err(|error| failed(error.to_string()))?;
    let shown =
        process.definition.ok_or_else(|| failed("the daemon doesn't show its definition".to_owned()))?;
    let mut definition = rpc::read_definition(*shown).map_err(|violations| {
        let fields: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.text)).collect();
        failed(fields.join("; ")).with_hint("pm-cli is older than the daemon: update it")
    })?;
    let mut comments = Vec::new();
    for key in hide(&mut definition) {
        comments.push(format!("{key} is secret: write it here, or into a file for `environment_file`"));
        secrets.push(format!("{name}: {key}"));
    }
    Ok(FileEntry { definition: without_defaults(&own, &definition), name: own, comments })
}

/// Takes out what is masked, and names it.
fn hide(definition: &mut Definition) -> Vec<String> {
    let mut hidden = Vec::new();
    if let Some(env) = &mut definition.env {
        env.retain(|name, value| {
            let masked = value.contains(MASK);
            if masked {
                hidden.push(format!("env.{name}"));
            }
            !masked
        });
    }
    if let Some(patterns) = &mut definition.log.redact {
        let before = patterns.len();
        patterns.retain(|pattern| pattern != MASK);
        if patterns.len() < before {
            hidden.push("log.redact".to_owned());
        }
    }
    hidden
}
