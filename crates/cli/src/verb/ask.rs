//! What `is-active` and `is-enabled` have in common: a yes or no for each process, and an exit code for scripts.

use rpc::v1;
use serde_json::json;

use crate::DONE;
use crate::args::AskArgs;
use crate::report::{Session, Stop};
use crate::verb::known::named;

/// One question.
pub(super) struct Question {
    /// Key of the answer in JSON.
    pub(super) key: &'static str,
    /// Whether the answer is yes.
    pub(super) yes: fn(&v1::Process) -> bool,
    /// The answer in a word.
    pub(super) word: fn(&v1::Process) -> String,
    /// The exit code when no answer is yes.
    pub(super) none: u8,
}

/// Asks it of each process. The answer for a process that was named alone is the bare word, as scripts want it.
pub(super) async fn ask(session: &mut Session<'_>, args: AskArgs, question: Question) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let asked = named(session, &mut found.client, &args.names).await?;
    if session.code == DONE && !asked.iter().any(question.yes) {
        session.code = question.none;
    }
    if args.quiet {
        return Ok(());
    }
    if session.json() {
        let answers: Vec<_> = asked
            .iter()
            .map(|p| {
                let mut answer = json!({ "name": p.name, "process_id": p.process_id });
                answer["state"] = json!(crate::render::state_word(p.state()));
                answer[question.key] = json!((question.yes)(p));
                answer
            })
            .collect();
        return session.write_json(&json!({ "processes": answers }));
    }
    let bare = matches!(args.names.names.as_slice(), [one] if !one.starts_with('@'));
    for process in &asked {
        let word = (question.word)(process);
        let line = if bare { format!("{word}\n") } else { format!("{}: {word}\n", process.name) };
        session.show(&line)?;
    }
    Ok(())
}
