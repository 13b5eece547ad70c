//! Values made of text: lines, paths, accounts, lists and the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{ExitMatcher, InheritEnv, ProcessName};
use serde_yaml::{Mapping, Value};

use super::{Kind, TEXT, each, no_nul, replaced_as_a_whole, scalar, scalars};
use crate::fault::Faults;
use crate::parse::MAX_KEY_BYTES;
use crate::tree::{Node, Step, Yaml, quoted};

/// One line for humans.
pub(crate) struct Line;

impl Kind for Line {
    type Value = String;
    const WORDS: &'static str = "one line of text";

    fn read(node: &Node, faults: &mut Faults) -> Option<String> {
        // A block (`>`) ends in a line end that nobody means.
        scalar(node, TEXT, faults).map(|text| text.trim_end().to_owned())
    }

    fn check(value: &String, faults: &mut Faults) {
        if value.chars().any(char::is_control) {
            faults.value(
                "expected one line without control characters",
                "use `>` to fold several lines into one",
            );
        }
    }

    fn write(value: &String) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `command`
pub(crate) struct Command;

impl Kind for Command {
    type Value = String;
    const WORDS: &'static str = "a path or name, or a whole command line when `args` is absent";

    fn read(node: &Node, faults: &mut Faults) -> Option<String> {
        if let Yaml::List(_) = node.value {
            faults.value(
                "expected a text, found a list",
                "write the program here and the rest below `args:`, or all of it as one text",
            );
            return None;
        }
        scalar(node, "a command", faults).map(str::to_owned)
    }

    fn check(value: &String, faults: &mut Faults) {
        no_nul(value, faults);
        if value.trim().is_empty() {
            faults.value("the command is empty", "name a program");
        }
    }

    fn write(value: &String) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// A list of words.
pub(crate) struct Args;

impl Kind for Args {
    type Value = Vec<String>;
    const WORDS: &'static str = "a list of texts";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        Some(scalars(node, faults)?.into_iter().map(str::to_owned).collect())
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        each(value, faults, |text, faults| no_nul(text, faults));
    }

    fn write(value: &Vec<String>) -> Value {
        value.iter().map(String::as_str).collect()
    }

    replaced_as_a_whole!();
}

/// A user or group, by name or number.
pub(crate) struct Account;

fn check_account(value: &str, faults: &mut Faults) {
    let hint = match value.split_once(':') {
        Some((user, group)) => format!("write `user: {user}` and `group: {group}`"),
        None => "write a name or a number".to_owned(),
    };
    if value.is_empty()
        || value.starts_with('-')
        || value.contains([':', '/'])
        || value.contains(char::is_whitespace)
    {
        faults.value(format!("{} is neither a name nor a number", quoted(value)), hint);
    }
    no_nul(value, faults);
}

impl Kind for Account {
    type Value = String;
    const WORDS: &'static str = "a name or a number";

    fn read(node: &Node, faults: &mut Faults) -> Option<String> {
        scalar(node, "a name or a number", faults).map(str::to_owned)
    }

    fn check(value: &String, faults: &mut Faults) {
        check_account(value, faults);
    }

    fn write(value: &String) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// Several groups.
pub(crate) struct Accounts;

impl Kind for Accounts {
    type Value = Vec<String>;
    const WORDS: &'static str = "a list of names or numbers";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        Args::read(node, faults)
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        each(value, faults, |account, faults| check_account(account, faults));
    }

    fn write(value: &Vec<String>) -> Value {
        Args::write(value)
    }

    replaced_as_a_whole!();
}

/// `working_dir`
pub(crate) struct AbsolutePath;

/// A path that is handed to the system. The daemon's own directory means nothing to whoever wrote it.
pub(super) fn check_path(path: &Path, faults: &mut Faults) {
    let text = path.to_string_lossy();
    if !path.is_absolute() {
        let hint = match text.strip_prefix('~') {
            Some(_) => "`~` is not expanded; write the whole path from `/`",
            None => "write the whole path from `/`",
        };
        faults.value(format!("{} is not an absolute path", quoted(&text)), hint);
    }
    no_nul(&text, faults);
}

impl Kind for AbsolutePath {
    type Value = PathBuf;
    const WORDS: &'static str = "an absolute path";

    fn read(node: &Node, faults: &mut Faults) -> Option<PathBuf> {
        scalar(node, "an absolute path", faults).map(PathBuf::from)
    }

    fn check(value: &PathBuf, faults: &mut Faults) {
        check_path(value, faults);
    }

    fn write(value: &PathBuf) -> Value {
        value.to_string_lossy().into_owned().into()
    }

    replaced_as_a_whole!();
}

/// `env`
pub(crate) struct Env;

fn check_name(name: &str, faults: &mut Faults) {
    if name.is_empty() || name.contains(['=', '\0']) || name.len() > MAX_KEY_BYTES {
        faults.key(
            format!("{} can't be a variable's name", quoted(name)),
            format!("a name has 1 to {MAX_KEY_BYTES} bytes and holds no `=`"),
        );
    }
}

impl Kind for Env {
    type Value = BTreeMap<String, String>;
    const WORDS: &'static str = "a mapping of names to texts";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        let Some(map) = node.map() else {
            let hint = match node.value {
                Yaml::List(_) => "write `NAME: value` instead of `- NAME=value`",
                _ => "write one `NAME: value` to a line below `env:`",
            };
            faults.value(format!("expected a mapping, found {}", node.value), hint);
            return None;
        };
        // What can't be read is left out, so that the checks see the rest.
        let variables = map.entries.iter().filter_map(|entry| {
            faults.below(Step::Key(entry.key.clone()), |faults| {
                let text = scalar(&entry.value, TEXT, faults)?;
                Some((entry.key.clone(), text.to_owned()))
            })
        });
        Some(variables.collect())
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        for (name, text) in value {
            faults.below(Step::Key(name.clone()), |faults| {
                check_name(name, faults);
                no_nul(text, faults);
            });
        }
    }

    fn write(value: &Self::Value) -> Value {
        let pairs = value.iter().map(|(name, text)| (name.as_str().into(), text.as_str().into()));
        Value::Mapping(pairs.collect::<Mapping>())
    }

    /// Variable by variable: an override of one doesn't repeat the others.
    fn overlay(earlier: &mut Self::Value, later: &Self::Value) {
        earlier.extend(later.iter().map(|(name, text)| (name.clone(), text.clone())));
    }
}

/// `inherit_env`
pub(crate) struct Inherit;

impl Kind for Inherit {
    type Value = InheritEnv;
    const WORDS: &'static str = "`true`, `false`, or a list of names";

    fn read(node: &Node, faults: &mut Faults) -> Option<InheritEnv> {
        match &node.value {
            Yaml::Bool(true, _) => Some(InheritEnv::All),
            Yaml::Bool(false, _) => Some(InheritEnv::None),
            Yaml::List(_) => Args::read(node, faults).map(InheritEnv::Names),
            other => {
                let hint = "write true for all of them, or a list of names: [PATH, LANG]";
                faults.value(format!("expected true, false or a list of names, found {other}"), hint);
                None
            }
        }
    }

    fn check(value: &InheritEnv, faults: &mut Faults) {
        if let InheritEnv::Names(names) = value {
            each(names, faults, |name, faults| check_name(name, faults));
        }
    }

    fn write(value: &InheritEnv) -> Value {
        match value {
            InheritEnv::None => Value::Bool(false),
            InheritEnv::All => Value::Bool(true),
            InheritEnv::Names(names) => Args::write(names),
        }
    }

    replaced_as_a_whole!();
}

/// `umask`
pub(crate) struct Umask;

const UMASKS: &str = "write octal digits with a leading zero, such as 0027, from 0000 to 0777";

impl Kind for Umask {
    type Value = u32;
    const WORDS: &'static str = "octal digits: `0027`";

    fn read(node: &Node, faults: &mut Faults) -> Option<u32> {
        let text = scalar(node, "octal digits", faults)?;
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let value = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
        // 27 may mean 0o27 or 0o33; a leading zero or quotes tell.
        if matches!(node.value, Yaml::Number(_)) && !text.starts_with('0') {
            let message = format!("{} is ambiguous: octal or decimal?", quoted(text));
            let hint = match value {
                Some(_) => format!("write 0{digits} if octal is meant"),
                None => UMASKS.to_owned(),
            };
            faults.value(message, hint);
            return None;
        }
        if value.is_none() {
            faults.value(format!("{} is not octal", quoted(text)), UMASKS);
        }
        value
    }

    fn check(value: &u32, faults: &mut Faults) {
        if *value > 0o777 {
            faults.value(format!("{value:04o} is more than 0777"), UMASKS);
        }
    }

    fn write(value: &u32) -> Value {
        format!("{value:04o}").into()
    }

    replaced_as_a_whole!();
}

/// Names of processes.
pub(crate) struct Names;

impl Kind for Names {
    type Value = Vec<ProcessName>;
    const WORDS: &'static str = "a list of process names";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<ProcessName>> {
        let texts = scalars(node, faults)?;
        let names: Vec<Option<ProcessName>> =
            each(&texts, faults, |text, faults| match ProcessName::new(text) {
                Ok(name) => Some(name),
                Err(error) => {
                    faults.value(error.to_string(), "write the name of a process");
                    None
                }
            });
        names.into_iter().collect()
    }

    fn write(value: &Vec<ProcessName>) -> Value {
        value.iter().map(ProcessName::as_str).collect()
    }

    replaced_as_a_whole!();
}

/// Exit codes and signals.
pub(crate) struct Exits;

impl Kind for Exits {
    type Value = Vec<ExitMatcher>;
    const WORDS: &'static str = "a list of exit codes (0 to 255) and signals (`SIGTERM`)";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<ExitMatcher>> {
        let texts = scalars(node, faults)?;
        let matchers: Vec<Option<ExitMatcher>> = each(&texts, faults, |text, faults| match text.parse() {
            Ok(matcher) => Some(matcher),
            Err(_) => {
                faults.value(
                    format!("{} is neither an exit code nor a signal", quoted(text)),
                    "write a number from 0 to 255 or a name such as SIGTERM",
                );
                None
            }
        });
        matchers.into_iter().collect()
    }

    fn write(value: &Vec<ExitMatcher>) -> Value {
        value
            .iter()
            .map(|matcher| match matcher {
                ExitMatcher::Code(code) => Value::from(*code),
                ExitMatcher::Signal(signal) => Value::from(signal.to_string()),
            })
            .collect()
    }

    replaced_as_a_whole!();
}
