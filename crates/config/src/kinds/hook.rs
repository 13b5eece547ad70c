//! Commands that run around a process.

use model::{CommandLine, Hook};
use serde_yaml::{Mapping, Value};

use super::fields::{Field, Fields};
use super::{
    Args, Command, Flag, Kind, Seconds, each, no_nul, one_or_each, one_or_list, replaced_as_a_whole, scalar,
};
use crate::fault::Faults;
use crate::tree::{Map, Node, Yaml, quoted};
use crate::words::{UNSPLITTABLE, command_line, spelled};

/// `exec_start_pre` and the others
pub(crate) struct Hooks;

/// The keys of a hook that is a mapping.
pub(crate) const FIELDS: [Field; 4] = [
    Field {
        name: "command",
        also: &["cmd", "exec", "run", "program", "shell"],
        kind: Command::WORDS,
        default: "required",
        doc: "What to execute. Without `args` it is split as the `command` of a process is; no shell runs.",
    },
    Field {
        name: "args",
        also: &["arguments", "argv"],
        kind: Args::WORDS,
        default: "none",
        doc: "Arguments.",
    },
    Field {
        name: "timeout",
        also: &["timeout_sec", "timeout_seconds"],
        kind: Seconds::WORDS,
        default: "`start_timeout` for the hooks of a start and of a reload, `stop_timeout` for those of a stop",
        doc: "Time until it is killed, with all that it started; that counts as a failure.",
    },
    Field {
        name: "ignore_failure",
        also: &["ignore_errors", "ignore", "may_fail", "optional"],
        kind: Flag::WORDS,
        default: "`false`",
        doc: "Its failure is noted and changes nothing.",
    },
];

/// A command line from the values of `command` and `args`.
pub(super) fn read_command(fields: &Fields<'_>, faults: &mut Faults) -> Option<CommandLine> {
    let args = fields.read::<Args>("args", faults);
    let command = fields.read::<Command>("command", faults)?;
    if args.is_none() && fields.has("args") {
        return None;
    }
    faults.at("command", |faults| words(&command, args, faults))
}

fn words(command: &str, args: Option<Vec<String>>, faults: &mut Faults) -> Option<CommandLine> {
    // An empty command is for `check_command` to complain about.
    if command.trim().is_empty() {
        return Some(CommandLine::default());
    }
    let line = command_line(command, args);
    if line.is_none() {
        let hint = "close the quote, or write the program and its words apart: `{command: ..., args: [...]}`";
        faults.value(UNSPLITTABLE, hint);
    }
    line
}

/// Says what is wrong with a command line.
pub(super) fn check_command(line: &CommandLine, faults: &mut Faults) {
    faults.at("command", |faults| {
        let program = line.program.as_str();
        no_nul(program, faults);
        if program.trim().is_empty() {
            faults.value("the command is empty", "name a program");
        } else if program.starts_with('-') {
            let hint = "to ignore its failure write one `-` before the line, or `ignore_failure: true`";
            faults.value(format!("{} can't be a program: it begins with `-`", quoted(program)), hint);
        } else if let Some((signs, _)) = program.split_once('/').filter(|(signs, _)| {
            !signs.is_empty() && signs.chars().all(|c| matches!(c, '@' | '+' | '!' | ':' | '|' | '-'))
        }) {
            // systemd's other signs; the program would be looked for in a directory of that name.
            let message = format!("{} before a command is not supported, only `-` is", quoted(signs));
            faults.value(message, "remove it");
        }
    });
    faults.at("args", |faults| each(&line.args, faults, |text, faults| no_nul(text, faults)));
}

/// The keys `command` and `args` of a line.
pub(super) fn write_command(line: &CommandLine, map: &mut Mapping) {
    let (command, args) = spelled(line);
    map.insert("command".into(), command.into());
    if let Some(args) = args {
        map.insert("args".into(), args.iter().map(String::as_str).collect());
    }
}

fn read_hook(node: &Node, faults: &mut Faults) -> Option<Hook> {
    match &node.value {
        Yaml::Map(map) => read_map(map, faults),
        Yaml::List(_) => {
            let hint = "write each command as one text, or as `{command: ..., args: [...]}`";
            faults.value("expected a command, found a list", hint);
            None
        }
        _ => {
            let text = scalar(node, "a command", faults)?;
            let (line, ignore_failure) = match text.trim_start().strip_prefix('-') {
                Some(line) => (line.trim_start(), true),
                None => (text, false),
            };
            Some(Hook { command: words(line, None, faults)?, timeout: None, ignore_failure })
        }
    }
}

fn read_map(map: &Map, faults: &mut Faults) -> Option<Hook> {
    let before = faults.count();
    let fields = Fields::new(map, &FIELDS, "a hook", faults);
    if !fields.has("command") {
        faults.value("a hook needs a `command`", "add `command: /path/of/the/program`");
    }
    let hook = Hook {
        command: read_command(&fields, faults).unwrap_or_default(),
        timeout: fields.read::<Seconds>("timeout", faults),
        ignore_failure: fields.read::<Flag>("ignore_failure", faults).unwrap_or_default(),
    };
    (faults.count() == before).then_some(hook)
}

impl Kind for Hooks {
    type Value = Vec<Hook>;
    const WORDS: &'static str = "a [hook](#hooks), or a list of hooks";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        one_or_each(node, "a command", faults, read_hook)
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        each(value, faults, |hook, faults| {
            check_command(&hook.command, faults);
            if let Some(timeout) = &hook.timeout {
                faults.at("timeout", |faults| {
                    Seconds::check(timeout, faults);
                    if timeout.is_zero() {
                        faults.value(
                            "a command that has no time at all can't do anything",
                            "write a time such as 30, or remove the key",
                        );
                    }
                });
            }
        });
    }

    fn write(value: &Self::Value) -> Value {
        one_or_list(value.iter().map(write_hook).collect())
    }

    replaced_as_a_whole!();
}

fn write_hook(hook: &Hook) -> Value {
    let mut map = Mapping::new();
    write_command(&hook.command, &mut map);
    // A program that begins with `-` would be read as another one.
    let text = map.get("command").and_then(Value::as_str).filter(|text| !text.starts_with('-'));
    if let (1, None, Some(text)) = (map.len(), hook.timeout, text) {
        let sign = if hook.ignore_failure { "-" } else { "" };
        return format!("{sign}{text}").into();
    }
    if let Some(timeout) = &hook.timeout {
        map.insert("timeout".into(), Seconds::write(timeout));
    }
    if hook.ignore_failure {
        map.insert("ignore_failure".into(), true.into());
    }
    Value::Mapping(map)
}
