//! What a run executes, and which key of the definition says so.

use model::CommandLine;

use crate::machine::Role;
use crate::stdio::RunInfo;

/// Characters of a helper's command that a failure repeats: enough to tell it from its neighbors.
const SHOWN: usize = 120;

/// The program of the definition, or that of a helper.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) program: &'a str,
    pub(super) args: &'a [String],
    /// The key that a helper's command stands below; `None` = it is the definition's own.
    pub(super) helper: Option<&'static str>,
}

impl<'a> Task<'a> {
    pub(super) fn of(info: &'a RunInfo) -> Self {
        let exec = &info.spec.exec;
        let Some(helper) = &info.helper else {
            return Self { program: &exec.program, args: &exec.args, helper: None };
        };
        let CommandLine { program, args } = &helper.command;
        let key = match helper.role {
            Role::Hook(kind) => kind.as_str(),
            Role::HealthCheck => "health_check",
        };
        Self { program, args, helper: Some(key) }
    }

    /// Where to look for a mistake in it: `exec_start_pre: /opt/migrate --up`. On one line, cut.
    pub(super) fn place(&self) -> Option<String> {
        let key = self.helper?;
        let command = CommandLine { program: self.program.into(), args: self.args.to_vec() }.to_string();
        let mut shown: String =
            command.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if command.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Some(format!("{key}: {shown}"))
    }
}
