//! `update NAME`: the options of `create`, of which only the given ones change something.

use std::path::Path;

use clap::Args;
use model::Definition;

use super::definition::{DefinitionArgs, program};
use super::health::HealthChange;
use super::one_name;

/// `update`
#[derive(Debug, Args)]
#[command(override_usage = "pm-cli update [OPTIONS] NAME [-- COMMAND [ARGS]...]", after_help = AFTER_HELP)]
pub(crate) struct UpdateArgs {
    /// Name, id or unique id prefix
    #[arg(value_name = "NAME", value_parser = one_name)]
    pub(crate) name: String,
    /// Another command with all of its arguments; taken word by word
    #[arg(last = true, value_name = "COMMAND")]
    line: Vec<String>,
    /// Take back what was set before, so that the files decide again: an option (memory-max), a key as in processes.yaml
    /// (resource_limits.memory_max), env.NAME, or all; several with commas
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub(crate) unset: Vec<String>,
    /// Only show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Return once the change is stored, not when the process is up with it
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    options: DefinitionArgs,
}

const AFTER_HELP: &str = "\
Only what is given changes; a process that runs is restarted where a key asks for that, which --dry-run shows. A list \
(--after, --exec-start-pre, ...) and another health check replace what was there; \
--health-interval and its like change the check that is there.

Examples:
  pm-cli update web --env WORKERS=8 --restart always --dry-run
  pm-cli update web --pty=false --unset env.DEBUG,stdout,memory-max
  pm-cli update web -- /usr/bin/web --port 81";

impl UpdateArgs {
    /// What is to be changed of the health check that it has.
    pub(crate) fn check_change(&self) -> Option<HealthChange> {
        self.options.check_change()
    }

    /// The keys that were given.
    pub(crate) fn definition(self, cwd: &Path) -> Definition {
        let mut definition = self.options.definition(cwd);
        let mut words = self.line.into_iter();
        if let Some(command) = words.next() {
            definition.command = Some(program(cwd, command));
            // Present even when it is empty: the arguments of the earlier command don't belong to this one.
            definition.args = Some(words.collect());
        }
        definition
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::{Verb, parse};

    fn update(line: &str) -> Result<UpdateArgs, clap::Error> {
        let argv: Vec<OsString> =
            ["pm-cli", "update"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
        match parse(&argv)?.verb {
            Verb::Update(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_given() {
        let args =
            update("web --env A=1 --restart always --unset env,stdout --unset user --dry-run").unwrap();
        assert_eq!((args.name.as_str(), args.dry_run), ("web", true));
        assert_eq!(args.unset, ["env", "stdout", "user"]);
        let definition = args.definition(Path::new("/"));
        assert_eq!(definition.auto_start, None);
        assert_eq!(definition.command, None);
        assert_eq!(definition.env, Some([("A".to_owned(), "1".to_owned())].into()));
    }

    #[test]
    fn a_new_command_brings_its_own_arguments() {
        let definition = update("web -- ./web --port 81").unwrap().definition(Path::new("/srv"));
        assert_eq!(definition.command.as_deref(), Some("/srv/web"));
        assert_eq!(definition.args, Some(vec!["--port".to_owned(), "81".to_owned()]));
        let definition = update("web -- web").unwrap().definition(Path::new("/srv"));
        assert_eq!((definition.command.as_deref(), definition.args), (Some("web"), Some(vec![])));
    }

    #[test]
    fn what_is_refused() {
        for line in ["--dry-run", "web ls", "web --restart sometimes"] {
            assert_eq!(update(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
