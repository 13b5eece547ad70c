//! Procfile: `name: command`, as foreman, honcho and Heroku run it.

use std::path::Path;

use model::EnvironmentFile;

use super::command::{of_shell_line, set_words};
use super::draft::{At, Draft, Import, Unusable};
use super::files::{Files, directory, file, text};

/// What foreman gives the first process, and how far the next one is away.
const PORT: u32 = 5000;
const STEP: u32 = 100;

/// Whether a text can be the name of an entry.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

pub(super) fn read(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    let here = directory(path);
    let env_path = here.join(".env");
    let env = files.read(&env_path).ok();
    let base = env.as_deref().and_then(port).unwrap_or(PORT);
    let mut index = 0;
    let mut count = 0;
    for (number, line) in text(files, path)?.lines().enumerate() {
        let at = At { file: path.display().to_string(), line: number + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, command)) = line.split_once(':').filter(|(name, _)| is_name(name)) else {
            into.lost(&at, line, "this is no `name: command`", "");
            continue;
        };
        let command = command.trim();
        if command.is_empty() {
            into.lost(&at, line, "there is no command", "");
            continue;
        }
        count += 1;
        let mut draft = Draft { name: name.to_owned(), at: at.clone(), ..Draft::default() };
        let definition = &mut draft.definition;
        set_words(definition, &of_shell_line(command, &["sh", "-c"]));
        definition.working_dir = Some(here.clone());
        if env.is_some() {
            definition.environment_file =
                Some(vec![EnvironmentFile { path: env_path.clone(), optional: false }]);
        }
        if name == "release" {
            // Heroku runs it once, before anything else of a new version.
            definition.kind = Some(model::ProcessType::Oneshot);
            definition.auto_start = Some(false);
            let instead = "start it yourself: pm-cli start release";
            into.changed(&at, name, "it runs when it is started, and not before each release", instead);
        } else {
            let own = base.saturating_add(STEP.saturating_mul(index));
            definition.env.get_or_insert_default().insert("PORT".to_owned(), own.to_string());
            index += 1;
        }
        into.drafts.push(draft);
    }
    if count == 0 {
        return Err(Unusable::new(&file(path), "there is no `name: command` in it", "is it a Procfile?"));
    }
    if let Some(env) = &env {
        expansions(&env_path, env, into);
    }
    Ok(())
}

/// The `PORT` of a .env file.
fn port(env: &str) -> Option<u32> {
    let value = |line: &str| {
        let (name, value) = line.trim().trim_start_matches("export ").split_once('=')?;
        (name.trim() == "PORT").then(|| value.trim().trim_matches(['"', '\'']).parse().ok())?
    };
    env.lines().filter_map(value).next_back()
}

/// Foreman puts line ends for `\n` in double quotes; the daemon takes such files as systemd does.
fn expansions(path: &Path, env: &str, into: &mut Import) {
    for (number, line) in env.lines().enumerate() {
        let Some((name, value)) = line.split_once('=') else { continue };
        if value.trim_start().starts_with('"') && value.contains("\\n") {
            let at = At { file: path.display().to_string(), line: number + 1 };
            let instead = "write the value over several lines, within the quotes";
            into.lost(&at, name.trim(), "`\\n` in double quotes stays two characters", instead);
        }
    }
}
