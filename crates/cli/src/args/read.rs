//! From what was typed to what it means, and what is said where clap alone would not help.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use super::{Output, Parsed, Verb, create, quick};

/// Why this verb has no such output.
fn misfit(output: Output, verb: &Verb) -> Option<&'static str> {
    const NO_NAMES: &str =
        "`--output name` is for verbs that show processes; this one has table, wide, json and yaml";
    match (output, verb) {
        (Output::Cat, Verb::Logs(_)) => None,
        (Output::Cat, _) => {
            Some("`--output cat` is for `logs` only; the others have table, wide, json, yaml and name")
        }
        (Output::Name, Verb::Logs(_)) => {
            Some("`--output name` is for verbs that show processes; `logs` has table, json, yaml and cat")
        }
        (
            Output::Name,
            Verb::ReopenLogs
            | Verb::Daemon(_)
            | Verb::Token(_)
            | Verb::Doctor
            | Verb::Version
            | Verb::Completion { .. },
        ) => Some(NO_NAMES),
        (Output::Name, Verb::Import(_) | Verb::Export(_) | Verb::Schema) => {
            Some("`--output name` is for verbs that show processes; this one writes a file: leave it out")
        }
        (Output::Name, Verb::Validate(_)) => {
            Some("`--output name` is for verbs that show processes; `validate` has table, json and yaml")
        }
        (Output::Name, Verb::Status(args)) if args.names.is_empty() => Some(NO_NAMES),
        _ => None,
    }
}

/// An error in the words of the verb that was typed: with its usage, and not that of the whole program.
fn refusal(argv: &[OsString], kind: ErrorKind, text: impl std::fmt::Display) -> clap::Error {
    let mut command = Parsed::command();
    command.build();
    let verb = verb_of(argv, &command);
    match verb.as_deref().and_then(|verb| command.find_subcommand_mut(verb)) {
        Some(verb) => verb.error(kind, text),
        None => command.error(kind, text),
    }
}

/// The verb that was typed: the first word that is one. Good enough for words about an error.
fn verb_of(argv: &[OsString], command: &clap::Command) -> Option<String> {
    let mut words = argv.iter().skip(1).filter_map(|word| word.to_str());
    let known = |word: &&str| command.get_subcommands().any(|verb| verb.get_name() == *word);
    words.find(known).map(str::to_owned)
}

/// The same, for the errors of a session.
pub(crate) fn verb_typed(argv: &[OsString]) -> Option<String> {
    verb_of(argv, &Parsed::command())
}

/// What clap can't know of its own errors.
fn explained(argv: &[OsString], mut error: clap::Error) -> clap::Error {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.join(" "),
        _ => String::new(),
    };
    let tip = match error.kind() {
        ErrorKind::MissingRequiredArgument if invalid.contains("<NAME>...") => "for every process: @all",
        ErrorKind::MissingRequiredArgument if invalid.contains("<SHELL>") => "a shell is bash, zsh or fish",
        ErrorKind::UnknownArgument if invalid == "--all" && verb_typed(argv).is_some() => {
            "every process is named @all"
        }
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.to_owned().into()]));
    error
}

/// Reads the command line. `create` is read twice: once to see where the command begins, and again with its own
/// options moved in front of that.
pub(crate) fn parse(argv: &[OsString]) -> Result<Parsed, clap::Error> {
    let first = match quick::parse(argv) {
        Some(parsed) => parsed,
        None => Parsed::try_parse_from(argv).map_err(|error| explained(argv, error))?,
    };
    if let Some(error) = misfit(first.global.output, &first.verb) {
        return Err(refusal(argv, ErrorKind::ArgumentConflict, error));
    }
    let Verb::Create(create) = &first.verb else { return Ok(first) };
    let refused = |kind, text: String| Err(refusal(argv, kind, text));
    let parsed = match create::reorder(argv, create.line.len()) {
        Ok(Some((argv, notes))) => {
            let mut parsed = Parsed::try_parse_from(argv)?;
            if let Verb::Create(create) = &mut parsed.verb {
                create.notes = notes;
            }
            parsed
        }
        Ok(None) => first,
        Err(text) => return refused(ErrorKind::UnknownArgument, text),
    };
    match &parsed.verb {
        Verb::Create(create) if create.options.check_change().is_some() => refused(
            ErrorKind::MissingRequiredArgument,
            "a health check needs to know what is asked: give --health-http, --health-tcp, --health-exec or --health-grpc"
                .to_owned(),
        ),
        _ => Ok(parsed),
    }
}
