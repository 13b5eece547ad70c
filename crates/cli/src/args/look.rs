//! The options of the verbs that watch: `status`, `events`, `stats`, `top`, `wait`, `graph`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Names;
use crate::units;

/// Processes, or all of them.
#[derive(Debug, Default, Args)]
pub(crate) struct AnyNames {
    /// Names, ids, unique id prefixes, @GROUP or @all; without any it is about all of them
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// `status`
#[derive(Debug, Default, Args)]
pub(crate) struct StatusArgs {
    /// Names, ids, unique id prefixes, @GROUP or @all; without any it is about the daemon itself
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// `events`
#[derive(Debug, Args)]
#[command(after_help = EVENTS_HELP)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) names: AnyNames,
    /// Go on with each new event
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last events come first: a number, or all [default: 20]
    #[arg(long, short = 'n', value_parser = super::lines, value_name = "N")]
    pub(crate) lines: Option<u32>,
    /// Only events that happened then or later, of those that the daemon still knows
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "since_seq")]
    pub(crate) since: Option<String>,
    /// Only events of these kinds, for example exited,health
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Go on behind this event: its number, or better EPOCH:NUMBER, as `-o json` shows them
    #[arg(long, value_name = "SEQ", value_parser = place, conflicts_with = "lines")]
    pub(crate) since_seq: Option<Place>,
}

const EVENTS_HELP: &str = "\
TIME is 10s, 5m, 2h or -1h30m (before now), 10:00, '2026-11-21 10:00', today, yesterday, RFC 3339, or @SECONDS.

The daemon keeps its last events, some thousands; all of them are in the journal: journalctl -u dd-procmgrd EVENT=exited.

Numbers begin anew when the daemon is started. With its EPOCH a number can't be taken for that of another daemon: then \
everything that is known is shown, and a note says that something may be missing.";

/// Where to go on in the order of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The life of the daemon that it belongs to; empty = whichever.
    pub(crate) epoch: String,
    pub(crate) sequence: u64,
}

fn place(text: &str) -> Result<Place, String> {
    let (epoch, number) = text.rsplit_once(':').unwrap_or(("", text));
    let sequence = number.parse().map_err(|_| "write the number of an event, or EPOCH:NUMBER".to_owned())?;
    Ok(Place { epoch: epoch.to_owned(), sequence })
}

/// `stats`
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) names: AnyNames,
    /// Show them again and again, every 2 seconds or as often as said
    #[arg(long, value_name = "SEC", value_parser = period, num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    pub(crate) watch: Option<Duration>,
    /// Look once instead of twice: faster, and without CPU %
    #[arg(long, conflicts_with = "watch")]
    pub(crate) once: bool,
}

fn period(text: &str) -> Result<Duration, String> {
    let period = units::parse_duration(text)?;
    if period < Duration::from_millis(100) {
        return Err("it is at least 100ms".to_owned());
    }
    Ok(period)
}

/// `top`
#[derive(Debug, Args)]
#[command(after_help = TOP_HELP)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) names: AnyNames,
    /// How often to look
    #[arg(long, short, value_name = "SEC", value_parser = period, default_value = "2")]
    pub(crate) delay: Duration,
    /// What to sort by at first
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t)]
    pub(crate) sort: SortArg,
}

const TOP_HELP: &str = "\
Keys: c, m, n, u, R sort by CPU, memory, name, uptime, restarts (again: the other way round); r restart, s stop, t start \
(each asks first); l logs, enter details, / filter, ? help, q quit; the cursor keys, page up and down, home and end (or j, \
k, g, G) move.";

/// What `top` is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortArg {
    /// CPU time per second
    #[default]
    Cpu,
    /// Memory of the whole run
    Memory,
    /// Name
    Name,
    /// How long it has been up
    Uptime,
    /// Automatic restarts
    Restarts,
}

/// `wait`
#[derive(Debug, Args)]
#[command(after_help = WAIT_HELP)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) names: Names,
    /// What to wait for
    #[arg(long = "for", value_enum, value_name = "CONDITION", default_value_t)]
    pub(crate) condition: ConditionArg,
}

const WAIT_HELP: &str = "\
Exit codes: 0 all of them got there, 1 one of them can't get there by itself or did not within --timeout, 4 no such \
process. Without --timeout it waits as long as it takes.";

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConditionArg {
    /// It is up as its type says, and healthy where it has a health check
    #[default]
    Ready,
    /// Its health check says so; refused where it has none
    Healthy,
    /// Its run ended, however
    Exited,
    /// Nothing of it is alive, and nothing will start it by itself
    Stopped,
}

/// `graph`
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) names: AnyNames,
    /// How to show it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: GraphFormat,
    /// Show who needs them, instead of what they need
    #[arg(long)]
    pub(crate) reverse: bool,
}

/// How `graph` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For humans
    #[default]
    Tree,
    /// For graphviz: pm-cli graph --format dot | dot -Tsvg >graph.svg
    Dot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_order_of_events() {
        let expected = |epoch: &str, sequence| Ok(Place { epoch: epoch.to_owned(), sequence });
        assert_eq!(place("17"), expected("", 17));
        assert_eq!(place("a:b-1:0"), expected("a:b-1", 0));
        for text in ["", "x", "-1", "1:", ":", "e:x", "1.5"] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_are_not_too_short() {
        assert_eq!(period("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "99ms", "x", ""] {
            assert!(period(text).is_err(), "{text}");
        }
    }
}
