//! The command line: what was typed, as plain data.

pub(crate) mod create;
mod definition;
mod ending;
mod health;
mod hooks;
pub(crate) mod keys;
mod limits;
mod list;
mod local;
pub(crate) mod look;
pub(crate) mod migrate;
mod needs;
mod quick;
mod read;
mod start;
mod stray;
pub(crate) mod update;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use model::Signal;

use crate::units;
use create::CreateArgs;
pub(crate) use list::{ListArgs, Sort, StateArg};
pub(crate) use local::{ContextAddArgs, ContextVerb, DaemonVerb, Shell, TokenVerb};
use migrate::{ExportArgs, ImportArgs, ValidateArgs};
pub(crate) use read::{parse, verb_typed};
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
may be named, @GROUP names all members of a group, @all every process, and a pattern such as 'web-*' what it fits.

Everybody on the daemon's machine may look: list, status, describe, why, wait, events, stats, top, graph. Members of the \
group dd-procmgrd also read logs and definitions, start, stop and reload; root and the daemon's own user do everything.

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not active, 4 no such process, 5 daemon unreachable.";

const ENABLE_HELP: &str = "\
The daemon itself is started at boot by systemd: sudo systemctl enable --now dd-procmgrd (as a user: systemctl --user \
enable --now dd-procmgrd, and loginctl enable-linger). pm-cli doctor says whether it is.";

const EDIT_HELP: &str = "\
The editor is VISUAL, else EDITOR, else the first of editor, nano and vi that is there. Saving applies the text at once, \
which restarts the process where a key asks for a new run; an empty text removes the override. The later of these wins, key \
by key: packages, processes.yaml, processes.d, this override, and what create, update, enable and disable set.";

const TOKEN_HELP: &str = "\
Who presents the token over TCP may do everything that the daemon's own user may: define processes, and run anything as any \
user. Don't hand it on for looking: list, status, describe, why, events and metrics need no token. A colleague who shall \
also read logs and operate joins the group dd-procmgrd on the daemon's machine, or gets a certificate with the role \
operator or viewer (docs: SECURITY_MODEL). It is renewed whenever the daemon starts, and by rotate.";

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
    /// TCP address of the daemon, host:port; several with commas [env: PM_HOST; its token: PM_TOKEN_FILE]
    #[arg(long, global = true, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) host: Vec<String>,
    /// Saved address, see `pm-cli context`; several with commas [env: PM_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["socket", "host"])]
    pub(crate) context: Vec<String>,
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
    /// For humans, with more columns, and nothing is cut
    Wide,
    /// For programs; stable
    Json,
    /// The same as YAML
    Yaml,
    /// Only names, one a line
    Name,
    /// Only for `logs`: the bytes as they were printed
    Cat,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show processes: all of them, or those that are named
    List(Box<ListArgs>),
    /// Show everything about processes
    Describe(Names),
    /// Explain why processes are in the state they are in, and what comes next
    Why(Names),
    /// Show what happened to processes, and with --follow what happens
    Events(look::EventsArgs),
    /// Show what processes use: memory, CPU, descriptors, storage
    Stats(look::StatsArgs),
    /// Show all processes on the whole screen, as they are now; with keys to restart, stop and read logs
    Top(look::TopArgs),
    /// Wait until processes are up, have ended, or are down
    Wait(look::WaitArgs),
    /// Show what needs what
    Graph(look::GraphArgs),
    /// Say which processes are up; exit code 0 when one is, else 3
    IsActive(AskArgs),
    /// Say which processes are started with the daemon; exit code 0 when one is, else 1
    IsEnabled(AskArgs),
    /// Show what processes printed
    Logs(Box<LogsArgs>),
    /// Make the daemon open every log file anew, after somebody has moved them away
    ReopenLogs,
    /// Start processes; returns when they are up
    Start(ActArgs),
    /// Stop processes; returns when nothing of them is alive
    Stop(ActArgs),
    /// Replace the runs of processes by new ones; returns when those are up
    Restart(ActArgs),
    /// Make processes read their own configuration again: exec_reload, else SIGHUP, by which a program ends that doesn't
    /// know it
    Reload(ActArgs),
    /// Send a signal to processes
    Kill(KillArgs),
    /// Forget failures: what waits is tried at once, what was given up is stopped
    Reset(Names),
    /// Start processes whenever the daemon starts
    #[command(after_help = ENABLE_HELP)]
    Enable(EnableArgs),
    /// Don't start processes when the daemon starts
    Disable(DisableArgs),
    /// Define a process that survives restarts of the daemon, and start it with --auto-start
    Create(Box<CreateArgs>),
    /// Change some keys of a process
    Update(Box<UpdateArgs>),
    /// Edit the override of a process in your editor; it is checked before it is saved
    #[command(after_help = EDIT_HELP)]
    Edit(OneName),
    /// Show everything that defines processes, and where it stands
    Cat(Names),
    /// Stop processes and remove their definitions
    Delete(DeleteArgs),
    /// Show what reload-config would do
    Plan,
    /// Read the configuration again and apply what changed
    ReloadConfig(ReloadConfigArgs),
    /// Show the daemon in detail
    #[command(subcommand)]
    Daemon(DaemonVerb),
    /// Show, find or renew the token that callers over TCP present
    #[command(subcommand, after_help = TOKEN_HELP)]
    Token(TokenVerb),
    /// Save where daemons are, and switch between them
    #[command(subcommand)]
    Context(ContextVerb),
    /// Print what makes a shell complete verbs, options and names
    Completion {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Show the versions of this program and of the daemon
    Version,
    /// What shells ask when somebody presses TAB
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The line up to the cursor
        #[arg(value_name = "LINE", allow_hyphen_values = true)]
        line: OsString,
    },
    /// Show the daemon itself, or processes at a glance: state, usage, tree, last lines
    Status(look::StatusArgs),
    /// Turn the files of supervisord, systemd, foreman, PM2 or process-compose into processes.yaml
    Import(ImportArgs),
    /// Print what is in force as a processes.yaml
    Export(ExportArgs),
    /// Check definitions without a daemon: files, or those that a daemon started here would read
    Validate(ValidateArgs),
    /// Print the JSON schema of processes.yaml, for editors
    Schema,
    /// Look at this machine and this daemon: what is wrong, what it means, what mends it; exit code 1 when something is
    Doctor,
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

/// `start`, `stop`, `restart`, `reload`
#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Return once the daemon has accepted it, not when it is done
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `delete`
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Also what others require, which then can't be started any more
    #[arg(long)]
    pub(crate) force: bool,
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

/// `enable`
#[derive(Debug, Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Also start them now
    #[arg(long)]
    pub(crate) now: bool,
}

/// `disable`
#[derive(Debug, Args)]
pub(crate) struct DisableArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Also stop them now
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
    /// Only what one run printed: its number, as `describe` and `why` show it, last for the newest, or -1 for the one before
    #[arg(long, value_name = "NUMBER", value_parser = run_choice, allow_hyphen_values = true)]
    pub(crate) run: Option<RunChoice>,
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
TIME is 10s, 5m, 2h, -1h30m or '2h ago' (before now), 2026-11-21, '2026-11-21 10:00[:00]' or 10:00 in the local time \
zone, today, yesterday, now, RFC 3339, or @SECONDS since the epoch.

Lines of several processes are shown in the order of their times. Lines of which the time, run or stream is not known \
(files that have no index) are left out where --since, --until, --run or --stream asks for it; a note says so.";

/// Which run of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunChoice {
    /// That with this number.
    Number(u64),
    /// So many before the newest.
    Back(u64),
}

/// `--run`
fn run_choice(text: &str) -> Result<RunChoice, String> {
    let fault =
        || "write the number of a run (1 is the first), last, or -1 for the one before the last".to_owned();
    match text {
        "last" | "current" | "latest" => Ok(RunChoice::Back(0)),
        _ => match text.strip_prefix('-') {
            Some(back) => back.parse().ok().filter(|back| *back > 0).map(RunChoice::Back),
            None => text.parse().ok().filter(|number| *number > 0).map(RunChoice::Number),
        }
        .ok_or_else(fault),
    }
}

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

/// The whole command line, for completion and for the manual.
pub(crate) fn command() -> clap::Command {
    Parsed::command()
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
        let names =
            |option: &str| [" ", "`", "["].iter().any(|end| text.contains(&format!("`--{option}{end}")));
        for verb in Parsed::command()
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
        {
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

    pub(super) const ACCEPTED: [&str; 75] = [
        "pm-cli list",
        "pm-cli --output json list",
        "pm-cli list -o json --no-color --timeout 5s",
        "pm-cli list web @x y* -w --state running,failed --group web --failed --unhealthy --sort uptime -q",
        "pm-cli list -o yaml --watch",
        "pm-cli list --watch=0.5 -o name a",
        "pm-cli list --host a:1,b:2 --host c:3",
        "pm-cli list --context a,b",
        "pm-cli start a --no-wait",
        "pm-cli daemon status",
        "pm-cli token show",
        "pm-cli token path",
        "pm-cli token rotate",
        "pm-cli context list",
        "pm-cli context show",
        "pm-cli context show a",
        "pm-cli context add a --socket /x",
        "pm-cli context add a --host h:1 --token-file t --tls-ca c --tls-cert d --tls-key e --tls-server-name f",
        "pm-cli context use a",
        "pm-cli context use --none",
        "pm-cli context remove a",
        "pm-cli completion bash",
        "pm-cli version",
        "pm-cli list --socket /x",
        "pm-cli start a",
        "pm-cli stop a b c",
        "pm-cli restart a",
        "pm-cli describe a b",
        "pm-cli delete a b",
        "pm-cli logs a -f -n 5 --stream stderr",
        "pm-cli logs -n5 a",
        "pm-cli logs a b @web -n all --since -1h30m --until now --grep -x --run 3 -t --no-prefix -o cat",
        "pm-cli logs a --run last --follow",
        "pm-cli logs a --run -1 -n 3",
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
        "pm-cli status a @web",
        "pm-cli events",
        "pm-cli events a @web -f -n all --kind exited,health --kind ready",
        "pm-cli events --since-seq 5eed:17 -o json",
        "pm-cli stats a b --once",
        "pm-cli stats --watch a",
        "pm-cli stats --watch=0.5",
        "pm-cli top",
        "pm-cli top @web -d 5 --sort memory",
        "pm-cli wait a b --for stopped --timeout 5s",
        "pm-cli graph",
        "pm-cli graph a --format dot --reverse",
        "pm-cli create a b",
        "pm-cli import a.service b.conf --format auto --output-file x.yaml",
        "pm-cli import Procfile -o json",
        "pm-cli export",
        "pm-cli export a @web --output-file x.yaml",
        "pm-cli validate",
        "pm-cli validate a.yaml - -o json",
        "pm-cli schema",
        "pm-cli doctor -o json",
    ];

    pub(super) const REFUSED: [&str; 50] = [
        "pm-cli",
        "pm-cli lits",
        "pm-cli start",
        "pm-cli logs",
        "pm-cli logs a -n -1",
        "pm-cli logs a -n some",
        "pm-cli logs a --run 0",
        "pm-cli logs a --run -0",
        "pm-cli logs a --run first",
        "pm-cli logs a -n 5 --after 1:-",
        "pm-cli list -o cat",
        "pm-cli reopen-logs a",
        "pm-cli list --output toml",
        "pm-cli status -o name",
        "pm-cli list --state runing",
        "pm-cli list --sort size",
        "pm-cli list --watch=0",
        "pm-cli list --context a --host b:1",
        "pm-cli daemon",
        "pm-cli token",
        "pm-cli context use",
        "pm-cli context use a --none",
        "pm-cli context add a --tls-cert x",
        "pm-cli completion tcsh",
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
        "pm-cli events -n 5 --since-seq 3",
        "pm-cli events --since-seq -1",
        "pm-cli stats --watch --once",
        "pm-cli stats --watch=0",
        "pm-cli wait",
        "pm-cli wait a --for happy",
        "pm-cli graph --format svg",
        "pm-cli plan a",
        "pm-cli import",
        "pm-cli import x --format upstart",
        "pm-cli schema x",
        "pm-cli doctor web",
        "pm-cli doctor -o name",
    ];

    #[test]
    fn what_is_accepted() {
        for line in ACCEPTED {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_refused() {
        for line in REFUSED {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
