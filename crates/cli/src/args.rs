//! The command line: what was typed, as plain data.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::create_args::{self, CreateArgs};
use crate::units;

/// Controls dd-procmgrd, the process manager.
#[derive(Debug, Parser)]
#[command(name = "pm-cli", version, after_help = AFTER_HELP)]
pub(crate) struct Parsed {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER_HELP: &str = "\
Wherever a process is named, its name, its id, or a unique prefix of its id (4 or more digits) will do.

Exit codes: 0 done, 1 refused or failed, 2 usage, 4 no such process, 5 daemon unreachable.";

/// Options of every verb.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How to show the outcome
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
    /// Unix socket of the daemon [env: PM_SOCKET]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "host")]
    pub(crate) socket: Option<String>,
    /// TCP address of the daemon, host:port [env: PM_HOST; its token: PM_TOKEN_FILE]
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) host: Option<String>,
    /// Longest wait for an answer, for example 30s; what the daemon accepted goes on
    #[arg(long, global = true, value_name = "TIME", value_parser = units::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// No colors [env: NO_COLOR]
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// How to show the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For humans
    #[default]
    Table,
    /// For programs; stable
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show all processes
    List,
    /// Define a process that survives restarts of the daemon, and start it with --auto-start
    Create(Box<CreateArgs>),
    /// Start processes; returns when they run
    Start(Names),
    /// Stop processes; returns when nothing of them is alive
    Stop(Names),
    /// Replace the runs of processes by new ones; returns when those run
    Restart(Names),
    /// Show everything about processes
    Describe(Names),
    /// Stop processes and remove their definitions
    Delete(Names),
    /// Show what a process printed
    Logs(LogsArgs),
    /// Read the configuration again and apply what changed
    ReloadConfig,
    /// Show the daemon itself
    Status,
}

/// One or more processes.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Names, ids or unique id prefixes
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// `logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name, id or unique id prefix
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Go on with each new line
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Start with this many of the last lines
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub(crate) lines: u32,
    /// One stream only
    #[arg(long, value_enum, value_name = "STREAM")]
    pub(crate) stream: Option<StreamArg>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StreamArg {
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

/// Reads the command line. `create` is read twice: once to see where the command begins, and again with its own
/// options moved in front of that.
pub(crate) fn parse(argv: &[OsString]) -> Result<Parsed, clap::Error> {
    let first = Parsed::try_parse_from(argv)?;
    let Verb::Create(create) = &first.verb else { return Ok(first) };
    match create_args::reorder(argv, create.line.len()) {
        Some(argv) => Parsed::try_parse_from(argv),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(line: &str) -> Result<Parsed, clap::Error> {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&argv)
    }

    #[test]
    fn the_table_of_options_is_consistent() {
        Parsed::command().debug_assert();
    }

    #[test]
    fn the_documentation_names_every_verb_and_option() {
        let text = include_str!("../../../docs/CLI.md");
        for verb in Parsed::command().get_subcommands().filter(|verb| verb.get_name() != "help") {
            assert!(text.contains(&format!("| `{}", verb.get_name())), "{}", verb.get_name());
            for option in verb.get_arguments().filter_map(clap::Arg::get_long) {
                let short = verb.get_arguments().find(|arg| arg.get_long() == Some(option));
                let short = short.and_then(clap::Arg::get_short).map(|c| format!("`-{c}`"));
                let named =
                    text.contains(&format!("`--{option}")) || short.is_some_and(|s| text.contains(&s));
                assert!(named, "{} --{option}", verb.get_name());
            }
        }
        for option in Parsed::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(text.contains(&format!("`--{option}")), "--{option}");
        }
    }

    #[test]
    fn what_is_accepted() {
        for line in [
            "pm-cli list",
            "pm-cli --output json list",
            "pm-cli list -o json --no-color --timeout 5s",
            "pm-cli list --socket /x",
            "pm-cli start a",
            "pm-cli stop a b c",
            "pm-cli restart a",
            "pm-cli describe a b",
            "pm-cli delete a b",
            "pm-cli logs a -f -n 5 --stream stderr",
            "pm-cli logs -n5 a",
            "pm-cli reload-config",
            "pm-cli status",
            "pm-cli create a b",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "pm-cli",
            "pm-cli lits",
            "pm-cli start",
            "pm-cli logs",
            "pm-cli logs a b",
            "pm-cli logs a -n -1",
            "pm-cli list --output yaml",
            "pm-cli list --socket /x --host y:1",
            "pm-cli list --timeout -1",
            "pm-cli create",
            "pm-cli create a",
            "pm-cli create a/b sleep",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
