//! Warnings about command lines that look as if a shell were to read them.

use model::{CommandLine, Definition, Hook, Probe};

use crate::fault::{Fault, steps};
use crate::tree::Step;
use crate::words::{ForShell, command_line, for_shell};

const WAY_OUT: &str = "for a shell write `sh -c '...'`";

/// A warning for each command line of a definition that holds what only a shell obeys. Whether a hook or a check was
/// written as a line, or with words of its own (`args`), is for the caller to see: a definition keeps the words alone.
pub(crate) fn shell_warnings(definition: &Definition) -> Vec<Fault> {
    let command = definition.command.as_deref().filter(|_| definition.args.is_none());
    let command = command.and_then(|command| command_line(command, None));
    let command = command.as_ref().and_then(|line| warning(steps("command"), line));
    let check = match definition.health_check.as_ref().map(|health| &health.probe) {
        Some(Probe::Exec(line)) => warning(steps("health_check.command"), line),
        _ => None,
    };
    let hooks = hooks(definition).into_iter().flat_map(|(key, hooks)| {
        hooks.iter().flatten().enumerate().filter_map(move |(index, hook)| {
            let place = [Step::Key(key.to_owned()), Step::Index(index), Step::Key("command".to_owned())];
            warning(place.into(), &without_main_pid(&hook.command))
        })
    });
    command.into_iter().chain(hooks).chain(check).collect()
}

/// The one variable that is put into the arguments of a hook.
fn without_main_pid(line: &CommandLine) -> CommandLine {
    let other = |arg: &&String| !matches!(arg.as_str(), "$MAINPID" | "${MAINPID}");
    CommandLine { program: line.program.clone(), args: line.args.iter().filter(other).cloned().collect() }
}

fn warning(path: Vec<Step>, line: &CommandLine) -> Option<Fault> {
    let message = match for_shell(line)? {
        ForShell::Operator(word) => {
            format!("no shell runs: `{word}` is handed to the program as an argument")
        }
        ForShell::Word(word) => format!("`{word}` is a word of the shell and no program, and no shell runs"),
        ForShell::Variable(word) => {
            format!("no variable is expanded: `{word}` is handed to the program as it stands")
        }
    };
    Some(Fault { path, on_key: false, message, hint: Some(WAY_OUT.to_owned()) })
}

fn hooks(definition: &Definition) -> [(&'static str, &Option<Vec<Hook>>); 5] {
    [
        ("exec_start_pre", &definition.exec_start_pre),
        ("exec_start_post", &definition.exec_start_post),
        ("exec_reload", &definition.exec_reload),
        ("exec_stop", &definition.exec_stop),
        ("exec_stop_post", &definition.exec_stop_post),
    ]
}
