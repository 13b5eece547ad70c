//! The daemon's command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Keeps processes running, logs what they print, and serves their metrics.
///
/// Runs in the foreground until it gets SIGTERM or SIGINT, then stops its processes in reverse order. SIGHUP
/// reloads the definitions and reopens the log files, SIGUSR1 only reopens the log files. As PID 1 of a container it
/// also takes SIGQUIT for a stop, and passes SIGHUP on to critical processes.
#[derive(Debug, Parser)]
#[command(name = "dd-procmgrd", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File with the process definitions; it must be there and readable [default: PM_CONFIG_PATH, else
    /// /etc/dd-procmgrd/processes.yaml for root and ~/.config/dd-procmgrd/processes.yaml for a user]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Check the definitions, print every problem, and exit: 0 when all are good, 1 otherwise
    #[arg(long)]
    pub(crate) check: bool,

    /// Show the children's lines on standard output; auto = when it is a terminal, and as PID 1
    #[arg(long, value_enum, default_value_t = Console::Auto, value_name = "WHEN")]
    pub(crate) console: Console,
}

const AFTER_HELP: &str = "\
Environment:
  PM_CONFIG_PATH      file with the process definitions; without it the daemon
                      starts all the same
  PM_BIND_ADDRESS     gRPC over TCP [127.0.0.1:50051], empty or \"off\" for none
  PM_TLS_CERT, PM_TLS_KEY
                      PEM files: gRPC over TCP speaks TLS only
  PM_TLS_CLIENT_CA    PEM file: clients may present certificates of this
                      authority; needed for an address that other hosts can
                      reach, where they have to
  METRICS_ENABLED     true or false [true]
  METRICS_BIND_ADDRESS
                      address of the metrics server [127.0.0.1]
  METRICS_PORT        port of the metrics server [9090]
  METRICS_WEB_CONFIG  YAML file: TLS, basic authentication and bearer token of
                      the metrics server
  PM_JOURNAL_SOCKET   the journal's socket [/run/systemd/journal/socket],
                      \"off\" for none
  RUST_LOG            the daemon's own log: error, warn, info, debug, or per
                      crate as in supervisor=debug [info]
  STATE_DIRECTORY, LOGS_DIRECTORY, RUNTIME_DIRECTORY, CONFIGURATION_DIRECTORY
                      set by systemd; they win over the built-in directories

Exit status:
  0   stopped as asked, or --check found nothing
  1   a failure while running, or --check found a problem
  2   wrong usage
  64  it can't start with these settings; the message says which and why
  70  a defect in the daemon itself
  and when a process with `critical: true` ended for good, that process's exit
  code, or 128 + its signal; the first one decides, whatever signal comes later";

/// When to show the children's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Console {
    /// When standard output is a terminal, and as PID 1.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        for line in AFTER_HELP.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn the_manual_names_every_option_and_variable() {
        let page = include_str!("../../../packaging/man/dd-procmgrd.8").replace("\\-", "-");
        for option in Args::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("\\fB--{option}\\fR")), "--{option}");
        }
        let variable =
            |word: &&str| word.len() > 4 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let mut words = AFTER_HELP.split([' ', ',', '\n']).filter(variable).peekable();
        assert!(words.peek().is_some());
        for variable in words.filter(|word| *word != "SIGHUP") {
            assert!(page.contains(&format!("\\fB{variable}\\fR")), "{variable}");
        }
    }
}
