//! The short way through the command line: only the verb that is asked for is described to the parser.
//!
//! All verbs with all their options are a third of what a `pm-cli list` computes, and touch 200 pages. This way knows the
//! common verbs, and only says yes: whatever it does not take (other verbs, `--help`, mistakes) goes the long way, so
//! that every text is made there.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use super::{ActArgs, AskArgs, DisableArgs, EnableArgs, Global, KillArgs, Names, Parsed, Verb, look};

/// The command line, if this way knows it.
pub(super) fn parse(argv: &[OsString]) -> Option<Parsed> {
    // Where the word is a value instead, the verb is another one, and that is unknown to a parser that knows only this.
    argv.iter().skip(1).filter_map(|word| word.to_str()).find_map(|word| match word {
        "list" => Some(only(argv, "list", |args| Verb::List(Box::new(args)))),
        "status" => Some(only(argv, "status", Verb::Status)),
        "describe" => Some(only::<Names>(argv, "describe", Verb::Describe)),
        "why" => Some(only::<Names>(argv, "why", Verb::Why)),
        "logs" => Some(only(argv, "logs", |args| Verb::Logs(Box::new(args)))),
        "events" => Some(only(argv, "events", Verb::Events)),
        "stats" => Some(only(argv, "stats", Verb::Stats)),
        "wait" => Some(only::<look::WaitArgs>(argv, "wait", Verb::Wait)),
        "start" => Some(only::<ActArgs>(argv, "start", Verb::Start)),
        "stop" => Some(only(argv, "stop", Verb::Stop)),
        "restart" => Some(only(argv, "restart", Verb::Restart)),
        "reload" => Some(only(argv, "reload", Verb::Reload)),
        "kill" => Some(only::<KillArgs>(argv, "kill", Verb::Kill)),
        "enable" => Some(only::<EnableArgs>(argv, "enable", Verb::Enable)),
        "disable" => Some(only::<DisableArgs>(argv, "disable", Verb::Disable)),
        "is-active" => Some(only::<AskArgs>(argv, "is-active", Verb::IsActive)),
        "is-enabled" => Some(only(argv, "is-enabled", Verb::IsEnabled)),
        _ => None,
    })?
}

/// Reads it as if there were only this verb.
fn only<A: Args>(argv: &[OsString], name: &'static str, verb: fn(A) -> Verb) -> Option<Parsed> {
    let mut command =
        Global::augment_args(Command::new("pm-cli")).subcommand(A::augment_args(Command::new(name)));
    let matches: Option<ArgMatches> = command.try_get_matches_from_mut(argv).ok();
    // It is gone in some milliseconds, and taking it apart takes as long as putting it together.
    std::mem::forget(command);
    let matches = matches?;
    let (_, own) = matches.subcommand()?;
    Some(Parsed {
        global: Global::from_arg_matches(&matches).ok()?,
        verb: verb(A::from_arg_matches(own).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// The long way is what is right.
    #[test]
    fn both_ways_say_the_same() {
        let lines = super::super::tests::ACCEPTED.into_iter().chain(super::super::tests::REFUSED);
        let tricky = [
            "pm-cli --context list status",
            "pm-cli --context list list",
            "pm-cli --socket list daemon status",
            "pm-cli create list list list",
            "pm-cli delete list",
            "pm-cli help list",
            "pm-cli list --help",
            "pm-cli list --version",
            "pm-cli --version list",
            "pm-cli list list list",
            "pm-cli logs -- list",
            "pm-cli -- list",
            "pm-cli lis list",
            "pm-cli -ojson --timeout=5s list --timeout 6s",
            "pm-cli list --socket /x --socket /y",
            "pm-cli list --socket /x --context y",
            "pm-cli --host a:1 list --host b:2",
            "pm-cli start",
            "pm-cli start @all --no-wait -o name",
            "pm-cli kill web -s",
            "pm-cli wait web --timeout x",
        ];
        let mut known = 0;
        for line in lines.chain(tricky) {
            let argv = words(line);
            let Some(short) = parse(&argv) else { continue };
            known += 1;
            let long = Parsed::try_parse_from(&argv).expect(line);
            assert_eq!(format!("{short:?}"), format!("{long:?}"), "{line}");
        }
        assert!(known > 40, "{known}");
    }

    #[test]
    fn the_commonest_go_the_short_way() {
        for line in ["pm-cli list", "pm-cli --socket /x list", "pm-cli status", "pm-cli restart web -o json"]
        {
            assert!(parse(&words(line)).is_some(), "{line}");
        }
    }

    #[test]
    fn what_has_a_text_of_its_own_goes_the_long_way() {
        for line in ["pm-cli", "pm-cli list --help", "pm-cli list --nope", "pm-cli lits", "pm-cli help list"]
        {
            assert!(parse(&words(line)).is_none(), "{line}");
        }
    }
}
