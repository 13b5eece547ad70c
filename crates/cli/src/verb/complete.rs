//! `__complete`: what may stand where the cursor is. Shells ask it; see packaging/completions.
//!
//! One candidate a line, with a tab and a few words behind it where there are some; `:files` lets the shell complete
//! file names as well. Nothing here fails: no candidates is an answer, too.

mod line;

use std::ffi::OsStr;
use std::time::Duration;

use rpc::v1::{Process, ProcessView};

use crate::args::{self, Global};
use crate::find;
use crate::render::paint::one_line;
use crate::render::state_word;
use crate::report::{Session, Stop};
use crate::saved::Saved;
use line::{Slot, Source, Want};

/// Whoever presses TAB must not wait for a daemon that hangs.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) async fn run(session: &mut Session<'_>, line: &OsStr) -> Result<(), Stop> {
    let Slot { want, typed, prefix, options } = line::read(args::command(), &line.to_string_lossy());
    let mut candidates: Vec<(String, String)> = Vec::new();
    let mut files = false;
    match want {
        Want::Words(words) => candidates = words,
        Want::From(Source::Files) => files = true,
        Want::From(Source::Contexts) => {
            let saved = Saved::read(session.context).unwrap_or_default();
            candidates = saved.contexts.into_keys().map(|name| (name, String::new())).collect();
        }
        Want::From(Source::Hosts) => {
            let saved = Saved::read(session.context).unwrap_or_default();
            let hosts = saved.contexts.into_iter().filter_map(|(name, entry)| Some((entry.host?, name)));
            candidates = hosts.collect();
        }
        Want::From(Source::Users) => {
            let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            candidates = users(&accounts);
        }
        Want::From(source) => {
            let global = Global { timeout: Some(PATIENCE), ..options };
            let asked = tokio::time::timeout(PATIENCE, processes(session, &global)).await;
            candidates = live(&source, &asked.ok().flatten().unwrap_or_default());
        }
        Want::Nothing => {}
    }
    candidates.retain(|(word, _)| word.starts_with(&typed));
    for (word, about) in candidates {
        let tab = if about.is_empty() { "" } else { "\t" };
        let line = format!("{}{}{tab}{}\n", prefix, one_line(&word), one_line(&about).replace('\t', " "));
        session.show(&line)?;
    }
    if files { session.show(":files\n") } else { Ok(()) }
}

async fn processes(session: &Session<'_>, global: &Global) -> Option<Vec<Process>> {
    let mut found = find::connect(session.context, global).await.ok()?;
    found.client.list(ProcessView::Basic).await.ok()
}

/// The names of passwd(5), each with its id.
fn users(accounts: &str) -> Vec<(String, String)> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        (!name.is_empty() && !name.starts_with(['#', '+', '-'])).then(|| (name.to_owned(), uid.to_owned()))
    };
    accounts.lines().filter_map(account).collect()
}

/// Names with their states, groups with the number of their members.
fn live(source: &Source, processes: &[Process]) -> Vec<(String, String)> {
    let names = || processes.iter().map(|p| (p.name.clone(), state_word(p.state())));
    let mut groups: Vec<(String, usize)> = Vec::new();
    for group in processes.iter().flat_map(|p| &p.groups) {
        match groups.iter_mut().find(|(known, _)| known == group) {
            Some((_, members)) => *members += 1,
            None => groups.push((group.clone(), 1)),
        }
    }
    groups.sort_unstable();
    let members = |n: usize| format!("group of {n}");
    match source {
        Source::Names => names().collect(),
        Source::Groups => groups.into_iter().map(|(group, n)| (group, members(n))).collect(),
        Source::NamesAndGroups => {
            let groups = groups.into_iter().map(|(group, n)| (format!("@{group}"), members(n)));
            let all = ("@all".to_owned(), "every process".to_owned());
            names().chain(groups).chain((!processes.is_empty()).then_some(all)).collect()
        }
        Source::Contexts | Source::Hosts | Source::Users | Source::Files => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_the_machine() {
        let text = "root:x:0:0:root:/root:/bin/sh\n# x\n+nis\n\nbroken\nweb:x:33:33::/:\n";
        let found = users(text);
        assert_eq!(found, [("root".to_owned(), "0".to_owned()), ("web".to_owned(), "33".to_owned())]);
    }
}
