//! The command line: what was typed, as plain data.

pub(crate) mod create;
mod definition;
mod ending;
mod health;
mod hooks;
mod limits;
mod needs;
mod start;
pub(crate) mod update;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use model::Signal;

use crate::units;
use create::CreateArgs;
use update::UpdateArgs;

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
Wherever a process is named, its name, its id, or a unique prefix of its id (4 or more digits) will do. Where several \
may be named, @GROUP names all members of a group, and @all every process.

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not active, 4 no such process, 5 daemon unreachable.";

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
    /// Only for `logs`: the bytes as they were printed
    Cat,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show all processes
    List,
    /// Show everything about processes
    Describe(Names),
    /// Explain why processes are in the state they are in, and what comes next
    Why(Names),
    /// Say which processes are up; exit code 0 when one is, else 3
    IsActive(AskArgs),
    /// Say which processes are started with the daemon; exit code 0 when one is, else 1
    IsEnabled(AskArgs),
    /// Show what processes printed
    Logs(Box<LogsArgs>),
    /// Make the daemon open every log file anew, after somebody has moved them away
    ReopenLogs,
    /// Start processes; returns when they are up
    Start(Names),
    /// Stop processes; returns when nothing of them is alive
    Stop(Names),
    /// Replace the runs of processes by new ones; returns when those are up
    Restart(Names),
    /// Make processes read their own configuration again; their runs stay
    Reload(Names),
    /// Send a signal to processes
    Kill(KillArgs),
    /// Forget the failures of processes, so that they are tried again
    Reset(Names),
    /// Start processes whenever the daemon starts
    Enable(SwitchArgs),
    /// Don't start processes when the daemon starts
    Disable(SwitchArgs),
    /// Define a process that survives restarts of the daemon, and start it with --auto-start
    Create(Box<CreateArgs>),
    /// Change some keys of a process
    Update(Box<UpdateArgs>),
    /// Edit the override of a process in your editor; it is checked before it is saved
    Edit(OneName),
    /// Show everything that defines processes, and where it stands
    Cat(Names),
    /// Stop processes and remove their definitions
    Delete(Names),
    /// Show what reload-config would do
    Plan,
    /// Read the configuration again and apply what changed
    ReloadConfig(ReloadConfigArgs),
    /// Show the daemon itself
    Status,
}

/// One or more processes.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Names, ids, unique id prefixes, @GROUP or @all
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Most verbs take groups, so that somebody may try it with the others.
fn one_name(text: &str) -> Result<String, String> {
    if text.starts_with('@') {
        return Err("this works on one process at a time, not on a group".to_owned());
    }
    Ok(text.to_owned())
}

/// One process.
#[derive(Debug, Args)]
pub(crate) struct OneName {
    /// Name, id or unique id prefix
    #[arg(value_name = "NAME", value_parser = one_name)]
    pub(crate) name: String,
}

/// `is-active`, `is-enabled`
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Say nothing, only set the exit code
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `kill`
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Which signal: a name such as HUP or SIGHUP, or a number
    #[arg(long, short, value_name = "SIGNAL", default_value = "TERM")]
    pub(crate) signal: Signal,
    /// To everything that the processes started, not to their main processes alone
    #[arg(long)]
    pub(crate) all: bool,
}

/// `enable`, `disable`
#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Also start or stop them now
    #[arg(long)]
    pub(crate) now: bool,
}

/// `reload-config`
#[derive(Debug, Args)]
pub(crate) struct ReloadConfigArgs {
    /// Only show what would change, as `plan` does
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `logs`
#[derive(Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Go on with each new line
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last lines of each process come first: a number, or all [default: 20, with --since all]
    #[arg(long, short = 'n', value_parser = lines, value_name = "N")]
    pub(crate) lines: Option<u32>,
    /// Only lines that were printed then or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only lines that were printed then or earlier
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// One stream only
    #[arg(long, value_enum, value_name = "STREAM")]
    pub(crate) stream: Option<StreamArg>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub(crate) grep: Option<String>,
    /// Only what the run with this number printed
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) run: Option<u64>,
    /// Go on behind this cursor, as `-o json` shows it
    #[arg(long, value_name = "CURSOR", conflicts_with = "lines")]
    pub(crate) after: Option<String>,
    /// Show the time of each line, in the local time zone
    #[arg(long, short)]
    pub(crate) time: bool,
    /// No names in front of the lines of several processes
    #[arg(long)]
    pub(crate) no_prefix: bool,
}

const LOGS_HELP: &str = "\
TIME is 2026-11-21, '2026-11-21 10:00[:00]' or 10:00 in the local time zone, RFC 3339, today, yesterday, now, -1h30m, \
'2h ago', or @SECONDS since the epoch.

Lines of several processes are shown in the order of their times. Lines of which the time, run or stream is not known \
(files that have no index) are left out where --since, --until, --run or --stream asks for it; a note says so.";

/// `-n`
fn lines(text: &str) -> Result<u32, String> {
    if text == "all" {
        return Ok(u32::MAX);
    }
    text.parse().map_err(|_| "write a number of lines, or all".to_owned())
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
    if first.global.output == Output::Cat && !matches!(first.verb, Verb::Logs(_)) {
        let error = "`--output cat` is for `logs` only; the others have table and json";
        return Err(Parsed::command().error(clap::error::ErrorKind::ArgumentConflict, error));
    }
    let Verb::Create(create) = &first.verb else { return Ok(first) };
    match create::reorder(argv, create.line.len()) {
        Some(argv) => Parsed::try_parse_from(argv),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
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
        // With its value, or without.
        let names = |option: &str| [" ", "`"].iter().any(|end| text.contains(&format!("`--{option}{end}")));
        for verb in Parsed::command().get_subcommands().filter(|verb| verb.get_name() != "help") {
            let row = [" ", "`"].iter().any(|end| text.contains(&format!("\n| `{}{end}", verb.get_name())));
            assert!(row, "{}", verb.get_name());
            for option in verb.get_arguments().filter_map(clap::Arg::get_long) {
                let short = verb.get_arguments().find(|arg| arg.get_long() == Some(option));
                let short = short.and_then(clap::Arg::get_short);
                let short = short.is_some_and(|c| text.contains(&format!("`-{c}`")));
                assert!(names(option) || short, "{} --{option}", verb.get_name());
            }
        }
        for option in Parsed::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(names(option), "--{option}");
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
            "pm-cli logs a b @web -n all --since -1h30m --until now --grep -x --run 3 -t --no-prefix -o cat",
            "pm-cli logs a --after 1:-",
            "pm-cli reopen-logs",
            "pm-cli reload-config",
            "pm-cli reload-config --dry-run",
            "pm-cli plan -o json",
            "pm-cli reload a @web",
            "pm-cli kill a -s HUP --all",
            "pm-cli kill a",
            "pm-cli kill -s 10 a b",
            "pm-cli kill --signal sigusr1 @all",
            "pm-cli reset a",
            "pm-cli enable a --now",
            "pm-cli disable --now a b",
            "pm-cli is-enabled a b",
            "pm-cli is-active -q a",
            "pm-cli cat a b",
            "pm-cli edit a",
            "pm-cli update a --env A=1",
            "pm-cli why a b",
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
            "pm-cli logs a -n -1",
            "pm-cli logs a -n some",
            "pm-cli logs a --run 0",
            "pm-cli logs a -n 5 --after 1:-",
            "pm-cli list -o cat",
            "pm-cli reopen-logs a",
            "pm-cli list --output yaml",
            "pm-cli list --socket /x --host y:1",
            "pm-cli list --timeout -1",
            "pm-cli create",
            "pm-cli create a",
            "pm-cli create a/b sleep",
            "pm-cli kill a -s TREM",
            "pm-cli kill",
            "pm-cli edit",
            "pm-cli edit a b",
            "pm-cli edit @a",
            "pm-cli update @a --pty",
            "pm-cli update",
            "pm-cli why",
            "pm-cli plan a",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
