//! Commands that run around a process, and command lines as such.

use model::{CommandLine, Hook};

use super::check::Check;
use crate::convert::duration;
use crate::v1;

pub(super) fn hooks(list: Vec<Hook>) -> v1::HookList {
    let values = list.into_iter().map(|hook| v1::Hook {
        command: Some(command(hook.command)),
        timeout: hook.timeout.map(duration),
        ignore_failure: hook.ignore_failure,
    });
    v1::HookList { values: values.collect() }
}

pub(super) fn command(command: CommandLine) -> v1::CommandLine {
    v1::CommandLine { program: command.program, args: command.args }
}

impl Check {
    pub(super) fn hooks(&mut self, field: &str, list: Option<v1::HookList>) -> Option<Vec<Hook>> {
        Some(self.items(field, list?.values, |check, field, hook| {
            // Both are read before either is missed, so that every fault of an item is told.
            let command = check.command(&format!("{field}.command"), hook.command);
            let timeout = check.duration(&format!("{field}.timeout"), hook.timeout);
            Some(Hook { command: command?, timeout, ignore_failure: hook.ignore_failure })
        }))
    }

    pub(super) fn command(&mut self, field: &str, line: Option<v1::CommandLine>) -> Option<CommandLine> {
        let line = line.unwrap_or_default();
        if line.program.is_empty() {
            self.fault(&format!("{field}.program"), "the program is missing");
            return None;
        }
        Some(CommandLine { program: line.program, args: line.args })
    }
}
