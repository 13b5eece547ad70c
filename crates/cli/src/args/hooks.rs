//! Commands that run around it, on the command line.

use std::path::Path;

use clap::Args;
use model::{Definition, Hook, Signal};

use super::definition::{command_line, located, some};

/// `--exec-…`. Each may be given several times.
#[derive(Debug, Args)]
#[command(next_help_heading = "Commands around it (each may be given several times; no shell runs)")]
pub(crate) struct HookArgs {
    /// Run this before its start; `-` before a command: its failure is ignored
    #[arg(long, value_name = "COMMAND", value_parser = hook, allow_hyphen_values = true)]
    exec_start_pre: Vec<Hook>,
    /// Run this once it is up
    #[arg(long, value_name = "COMMAND", value_parser = hook, allow_hyphen_values = true)]
    exec_start_post: Vec<Hook>,
    /// Run this on `pm-cli reload`
    #[arg(long, value_name = "COMMAND", value_parser = hook, allow_hyphen_values = true)]
    exec_reload: Vec<Hook>,
    /// Signal that makes it reload, where there is no --exec-reload [default: HUP]
    #[arg(long, value_name = "SIGNAL")]
    reload_signal: Option<Signal>,
    /// Run this before the signal that asks it to end
    #[arg(long, value_name = "COMMAND", value_parser = hook, allow_hyphen_values = true)]
    exec_stop: Vec<Hook>,
    /// Run this once nothing is left of it
    #[arg(long, value_name = "COMMAND", value_parser = hook, allow_hyphen_values = true)]
    exec_stop_post: Vec<Hook>,
}

fn hook(text: &str) -> Result<Hook, String> {
    let (ignore_failure, line) = text.strip_prefix('-').map_or((false, text), |line| (true, line));
    Ok(Hook { command: command_line(line)?, timeout: None, ignore_failure })
}

impl HookArgs {
    pub(super) fn write(self, cwd: &Path, definition: &mut Definition) {
        let hooks = |hooks: Vec<Hook>| {
            let hooks = hooks.into_iter().map(|hook| Hook { command: located(cwd, hook.command), ..hook });
            some(hooks.collect())
        };
        definition.exec_start_pre = hooks(self.exec_start_pre);
        definition.exec_start_post = hooks(self.exec_start_post);
        definition.exec_reload = hooks(self.exec_reload);
        definition.reload_signal = self.reload_signal;
        definition.exec_stop = hooks(self.exec_stop);
        definition.exec_stop_post = hooks(self.exec_stop_post);
    }
}
