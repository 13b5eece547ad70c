//! What a command line that is being typed wants at its end.

use clap::{Arg, Command};

use crate::args::{Global, keys};

/// Where candidates come from that the program does not know by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Names,
    NamesAndGroups,
    Groups,
    Contexts,
    /// Addresses of saved contexts.
    Hosts,
    /// Accounts of this machine.
    Users,
    Files,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// One of these, each with a few words about it.
    Words(Vec<(String, String)>),
    From(Source),
    Nothing,
}

/// The place where the cursor is.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) want: Want,
    /// What of it is there already.
    pub(super) typed: String,
    /// What stands before it in the same word: `--state=`, `running,`.
    pub(super) prefix: String,
    /// The options that say which daemon is meant.
    pub(super) options: Global,
}

/// Reads the line up to the cursor, the program's name first.
pub(super) fn read(mut command: Command, line: &str) -> Slot {
    command.build();
    let mut words = split(line);
    let current = words.pop().unwrap_or_default();
    let mut options = Global::default();
    let mut at = &command;
    let (mut place, mut behind_dashes) = (0, false);
    let mut words = words.into_iter().skip(1).peekable();
    // The option whose value the cursor is at.
    let mut open: Option<&Arg> = None;
    while let Some(word) = words.next() {
        if word == "--" && !behind_dashes {
            behind_dashes = true;
        } else if let Some(arg) = option(at, &word).filter(|_| !behind_dashes) {
            let value = match word.split_once('=') {
                Some((_, value)) => Some(value.to_owned()),
                None if !takes_value(arg) => None,
                None => match words.next() {
                    Some(value) => Some(value),
                    None => {
                        open = Some(arg);
                        None
                    }
                },
            };
            match (arg.get_long(), value) {
                (Some("socket"), value) => options.socket = value,
                (Some("host"), Some(value)) => options.host.push(value),
                (Some("context"), Some(value)) => options.context.push(value),
                _ => {}
            }
        } else if !word.starts_with('-') || behind_dashes {
            match at.find_subcommand(&word).filter(|_| !behind_dashes && place == 0) {
                Some(verb) => at = verb,
                None => place += 1,
            }
        }
    }
    let slot = |want, typed: &str, prefix: &str| Slot {
        want,
        typed: typed.to_owned(),
        prefix: prefix.to_owned(),
        options: options.clone(),
    };
    if let Some(arg) = open {
        return value_of(arg, &current, "", slot);
    }
    if current.starts_with('-') && !behind_dashes {
        if let Some((name, value)) = current.split_once('=') {
            return match option(at, name) {
                Some(arg) => value_of(arg, value, &format!("{name}="), slot),
                None => slot(Want::Nothing, &current, ""),
            };
        }
        return slot(Want::Words(long_options(at)), &current, "");
    }
    if at.has_subcommands() && place > 0 {
        return slot(Want::Nothing, &current, "");
    }
    if at.has_subcommands() {
        let verbs = at.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
        let about = |verb: &Command| verb.get_about().map_or(String::new(), ToString::to_string);
        return slot(Want::Words(verbs.map(|v| (v.get_name().to_owned(), about(v))).collect()), &current, "");
    }
    let last = at.get_positionals().last();
    match at.get_positionals().nth(place).or(last.filter(|arg| several(arg))) {
        Some(arg) => value_of(arg, &current, "", slot),
        None => slot(Want::Nothing, &current, ""),
    }
}

fn several(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
        || matches!(arg.get_action(), clap::ArgAction::Append)
}

fn takes_value(arg: &Arg) -> bool {
    // An optional value is written behind `=`.
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|range| range.min_values() > 0)
}

/// The option that a word is, with or without its value.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    let long = name.strip_prefix("--");
    let short =
        name.strip_prefix('-').filter(|name| name.chars().count() == 1).and_then(|s| s.chars().next());
    command.get_arguments().find(|arg| {
        long.is_some_and(|long| arg.get_long() == Some(long)) || (short.is_some() && arg.get_short() == short)
    })
}

fn long_options(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let about = |arg: &Arg| arg.get_help().map_or(String::new(), ToString::to_string);
    shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), about(arg)))).collect()
}

/// The place of a value, of which the part behind the last comma counts where several can be given.
fn value_of(arg: &Arg, typed: &str, prefix: &str, slot: impl Fn(Want, &str, &str) -> Slot) -> Slot {
    let listed = arg.get_value_delimiter() == Some(',');
    let (before, typed) = match typed.rsplit_once(',').filter(|_| listed) {
        Some((before, rest)) => (format!("{prefix}{before},"), rest),
        None => (prefix.to_owned(), typed),
    };
    let possible: Vec<(String, String)> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| {
            (value.get_name().to_owned(), value.get_help().map_or(String::new(), ToString::to_string))
        })
        .collect();
    // Words that mean a whole command line are completed as file names, the only guess there is.
    let name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    let want = match (arg.get_long(), name) {
        _ if !possible.is_empty() => Want::Words(possible),
        (Some("context"), _) | (None, "CONTEXT") => Want::From(Source::Contexts),
        (None, "NAME") if several(arg) => Want::From(Source::NamesAndGroups),
        (None, "NAME") => Want::From(Source::Names),
        (Some("after" | "before" | "requires" | "wants" | "binds-to" | "conflicts"), _) => {
            Want::From(Source::Names)
        }
        (Some("host"), _) => Want::From(Source::Hosts),
        (Some("user"), _) => Want::From(Source::Users),
        (Some("unset"), _) => Want::Words(bare(keys::options())),
        (Some("kind"), _) => Want::Words(bare(model::EventKind::NAMES)),
        (_, "GROUP") => Want::From(Source::Groups),
        (_, "FILE" | "PATH" | "DIR" | "COMMAND") => Want::From(Source::Files),
        (Some("signal"), _) => Want::Words(signals()),
        _ => Want::Nothing,
    };
    slot(want, typed, &before)
}

fn bare(words: impl IntoIterator<Item = impl Into<String>>) -> Vec<(String, String)> {
    words.into_iter().map(|word| (word.into(), String::new())).collect()
}

fn signals() -> Vec<(String, String)> {
    let names = (1..=31).filter_map(model::Signal::from_number);
    names.map(|signal| (signal.to_string().trim_start_matches("SIG").to_owned(), String::new())).collect()
}

/// Words as a shell sees them, the last one open: empty behind a blank. Expansions are not made.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.push(word.unwrap_or_default());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    fn want(line: &str) -> (Want, String, String) {
        let Slot { want, typed, prefix, .. } = read(args::command(), line);
        (want, typed, prefix)
    }

    fn words(line: &str) -> Vec<String> {
        match want(line) {
            (Want::Words(words), typed, prefix) => {
                let fits = words.into_iter().filter(|(word, _)| word.starts_with(&typed));
                fits.map(|(word, _)| format!("{prefix}{word}")).collect()
            }
            (other, ..) => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn verbs_options_and_values() {
        assert_eq!(words("pm-cli des"), ["describe"]);
        assert!(words("pm-cli ").contains(&"list".to_owned()));
        assert!(!words("pm-cli __").iter().any(|word| word == "__complete"), "it is for shells");
        assert_eq!(words("pm-cli context re"), ["remove"]);
        assert_eq!(words("pm-cli list --un"), ["--unhealthy"]);
        assert_eq!(words("pm-cli list --out"), ["--output"]);
        assert_eq!(words("pm-cli -o js"), ["json"]);
        assert_eq!(words("pm-cli list --state runn"), ["running"]);
        assert_eq!(words("pm-cli list --state=failed,runn"), ["--state=failed,running"]);
        assert_eq!(words("pm-cli --socket /x completion z"), ["zsh"]);
        assert_eq!(words("pm-cli kill web -s HU"), ["HUP"]);
    }

    #[test]
    fn names_groups_contexts_and_files() {
        use Source::{Contexts, Files, Groups, Names, NamesAndGroups};
        for (line, source, typed, prefix) in [
            ("pm-cli start ", NamesAndGroups, "", ""),
            ("pm-cli start web @w", NamesAndGroups, "@w", ""),
            ("pm-cli start --no-wait 'we", NamesAndGroups, "we", ""),
            ("pm-cli start -- -x", NamesAndGroups, "-x", ""),
            ("pm-cli status w", NamesAndGroups, "w", ""),
            ("pm-cli edit w", Names, "w", ""),
            ("pm-cli list --group a,b", Groups, "b", "a,"),
            ("pm-cli --context p", Contexts, "p", ""),
            ("pm-cli context use p", Contexts, "p", ""),
            ("pm-cli context add x --tls-ca /e", Files, "/e", ""),
            ("pm-cli --socket=/r", Files, "/r", "--socket="),
            ("pm-cli create x /usr/b", Files, "/usr/b", ""),
            ("pm-cli update web --after d", Names, "d", ""),
        ] {
            assert_eq!(want(line), (Want::From(source), typed.into(), prefix.into()), "{line}");
        }
    }

    #[test]
    fn nonsense_wants_nothing_and_hurts_nobody() {
        for line in [
            "",
            " ",
            "pm-cli nope x",
            "pm-cli plan x",
            "pm-cli list --nope=",
            "pm-cli list --timeout ",
            "pm-cli '",
        ] {
            let _any = want(line);
        }
        assert_eq!(want("pm-cli plan x").0, Want::Nothing);
        assert_eq!(want("pm-cli list --timeout ").0, Want::Nothing);
    }

    #[test]
    fn the_daemon_that_is_named_is_the_one_to_ask() {
        let slot = read(args::command(), "pm-cli --host a:1 start --context=x --socket /s w");
        let Global { socket, host, context, .. } = slot.options;
        assert_eq!(
            (socket.as_deref(), host, context),
            (Some("/s"), vec!["a:1".to_owned()], vec!["x".to_owned()])
        );
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(split("a  'b c' \"d\\\" e\" f\\ g"), ["a", "b c", "d\" e", "f g"]);
        assert_eq!(split("a "), ["a", ""]);
        assert_eq!(split("a 'b"), ["a", "b"]);
        assert_eq!(split(""), [""]);
    }
}
