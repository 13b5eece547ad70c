//! `create NAME COMMAND [ARGS…]` with options anywhere.
//!
//! After COMMAND a word belongs to the command, unless it is one of create's own long options (with its value, or
//! written `--option=value`). So `bash -c whoami --user nobody` gives `-c whoami` to bash and `--user nobody` to
//! create. The first `--` ends create's options and is dropped; everything after it belongs to the command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command};
use model::{Definition, ProcessName};

use super::definition::{DefinitionArgs, program};
use super::stray;

/// `create`
#[derive(Debug, Args)]
#[command(
    override_usage = "pm-cli create [OPTIONS] NAME COMMAND [ARGS]... [OPTIONS]",
    after_help = AFTER_HELP
)]
pub(crate) struct CreateArgs {
    /// Name of the process: letters, digits and _.@-, up to 128
    #[arg(value_name = "NAME", value_parser = ProcessName::new)]
    pub(crate) name: ProcessName,
    /// The command and its arguments; no shell runs. A command without arguments is split as a shell splits words
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) line: Vec<String>,
    /// Only check it, as the daemon would; create nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) options: DefinitionArgs,
    /// What is to be said of words that look like options and are handed to the program.
    #[arg(skip)]
    pub(crate) notes: Vec<String>,
}

const AFTER_HELP: &str = "\
Options may also stand after the command. There a word belongs to the command unless it is one of create's own options \
above, written in full: short options, global options (-o and the like) and unknown ones go to the command, with a note where \
one looks like a slip. `--` ends the options; all that follows belongs to the command.

Examples:
  pm-cli create test sleep 10 --auto-start
  pm-cli create whoami bash -c 'whoami' --user nobody --stdout /tmp/whoami.log --auto-start
  pm-cli create lister -- ls --color --user";

impl CreateArgs {
    /// The definition that was typed. Relative paths mean the caller's directory, since the daemon has another one.
    pub(crate) fn definition(self, cwd: &Path) -> Definition {
        let Self { mut line, options, .. } = self;
        let mut command = line.remove(0);
        // One word with spaces in it is a whole command line, which the daemon splits.
        if !line.is_empty() || !command.contains(char::is_whitespace) {
            command = program(cwd, command);
        }
        let options = options.definition(cwd);
        Definition {
            command: Some(command),
            args: (!line.is_empty()).then_some(line),
            auto_start: Some(options.auto_start.unwrap_or(false)),
            ..options
        }
    }
}

/// The command line in its new order, and what is to be said of the words that stayed.
type Reordered = (Vec<OsString>, Vec<String>);

/// The command line with create's own options moved in front of `--` and the command; `None` = nothing to move.
/// `line` is the number of words at the end of it that clap took for the command.
///
/// # Errors
/// A word that is nearly one of these options. To hand it to the command would be a surprise that shows late.
pub(crate) fn reorder(argv: &[OsString], line: usize) -> Result<Option<Reordered>, String> {
    let (front, words) = argv.split_at(argv.len() - line);
    if front.last().is_some_and(|word| word == "--") {
        return Ok(None);
    }
    let Split { own, command, notes } = split(words)?;
    let moved = front.iter().cloned().chain(own).chain([OsString::from("--")]).chain(command);
    Ok(Some((moved.collect(), notes)))
}

/// Without what people leave out, add or write in another way: `--autostart`, `--Auto_Start`, `--after-s`.
fn bare(option: &str) -> String {
    let letters: String =
        option.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    letters.strip_suffix('s').map_or(letters.clone(), str::to_owned)
}

/// The option that a word is, but for its spelling. Short ones are words of many programs' own.
fn near_miss<'a>(word: &str, options: &'a BTreeMap<String, bool>) -> Option<&'a str> {
    let meant = bare(word);
    let near = |option: &&String| option.len() > 5 && bare(option) == meant;
    options.keys().find(near).map(String::as_str)
}

/// The words behind the name.
struct Split {
    own: Vec<OsString>,
    command: Vec<OsString>,
    notes: Vec<String>,
}

/// Tells create's own options from the words of the command, the first of which is the command itself.
fn split(words: &[OsString]) -> Result<Split, String> {
    let options = own_options();
    let (mut own, mut command) = (Vec::new(), Vec::new());
    let mut words = words.iter().cloned();
    command.extend(words.next());
    let mut rest = Vec::new();
    while let Some(word) = words.next() {
        let long = word.to_str().and_then(|text| text.strip_prefix("--"));
        match long {
            Some("") => rest.extend(words.by_ref()),
            Some(long) => {
                let (name, joined) = long.split_once('=').map_or((long, false), |(name, _)| (name, true));
                match options.get(name) {
                    Some(takes_value) => {
                        own.push(word.clone());
                        if *takes_value && !joined {
                            own.extend(words.next());
                        }
                    }
                    None => match near_miss(name, &options) {
                        Some(option) => {
                            return Err(format!(
                                "--{name} is no option of create; did you mean --{option}?\n\nIf it belongs to the \
                                 command, put -- in front of that: pm-cli create NAME -- COMMAND --{name}"
                            ));
                        }
                        None => command.push(word),
                    },
                }
            }
            None => command.push(word),
        }
    }
    let names: Vec<&str> = options.keys().map(String::as_str).collect();
    let notes = stray::notes(&command, &names);
    command.extend(rest);
    Ok(Split { own, command, notes })
}

/// create's long options, and whether the word after each is its value.
fn own_options() -> BTreeMap<String, bool> {
    // The value of a flag can only be joined to it: `--pty=false`.
    let takes_next = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    DefinitionArgs::augment_args(Command::new("create"))
        .get_arguments()
        .filter_map(|arg| Some((arg.get_long()?.to_owned(), takes_next(arg))))
        .chain([("dry-run".to_owned(), false)])
        .collect()
}

#[cfg(test)]
mod tests {
    use model::Output;

    use super::*;
    use crate::args::{Verb, parse};

    fn create(words: &[&str]) -> Result<CreateArgs, clap::Error> {
        let argv: Vec<OsString> =
            ["pm-cli", "create"].iter().chain(words).map(|word| OsString::from(*word)).collect();
        match parse(&argv)?.verb {
            Verb::Create(create) => Ok(*create),
            other => panic!("{other:?}"),
        }
    }

    fn line(words: &[&str]) -> Vec<String> {
        create(words).unwrap().line
    }

    #[test]
    fn the_lines_of_the_installation_guide() {
        let args = create(&["test", "sleep", "10", "--auto-start"]).unwrap();
        assert_eq!((args.line, args.options.auto_start), (vec!["sleep".into(), "10".to_owned()], Some(true)));

        let words =
            "test-cap bash -c whoami --user nobody --stdout /tmp/test-cap.log --auto-start".split(' ');
        let args = create(&words.collect::<Vec<_>>()).unwrap();
        assert_eq!(args.line, ["bash", "-c", "whoami"]);
        assert_eq!(args.options.user.as_deref(), Some("nobody"));
        assert_eq!(args.options.stdout, Some(Output::File("/tmp/test-cap.log".into())));
        assert_eq!(args.options.auto_start, Some(true));

        let words = "myapp /usr/bin/python app.py --user www-data --auto-start".split(' ');
        let args = create(&words.collect::<Vec<_>>()).unwrap();
        assert_eq!(args.line, ["/usr/bin/python", "app.py"]);
        assert_eq!((args.options.user.as_deref(), args.options.auto_start), (Some("www-data"), Some(true)));
    }

    #[test]
    fn options_stand_anywhere() {
        for words in [
            &["--user", "u", "--auto-start", "x", "ls", "-l"][..],
            &["x", "--user", "u", "--auto-start", "ls", "-l"],
            &["x", "--user", "u", "ls", "--auto-start", "-l"],
            &["x", "ls", "-l", "--auto-start", "--user=u"],
        ] {
            let args = create(words).unwrap();
            assert_eq!(args.line, ["ls", "-l"], "{words:?}");
            assert_eq!(
                (args.options.user.as_deref(), args.options.auto_start),
                (Some("u"), Some(true)),
                "{words:?}"
            );
        }
    }

    #[test]
    fn what_belongs_to_the_command() {
        assert_eq!(line(&["x", "--", "ls", "--color", "--user"]), ["ls", "--color", "--user"]);
        assert_eq!(line(&["x", "ls", "--", "--user", "u"]), ["ls", "--user", "u"]);
        assert_eq!(
            line(&["x", "--", "npm", "start", "--", "--port", "80"]),
            ["npm", "start", "--", "--port", "80"]
        );
        assert_eq!(
            line(&["x", "srv", "--port", "80", "-u", "--host", "h"]),
            ["srv", "--port", "80", "-u", "--host", "h"]
        );
        assert_eq!(line(&["x", "srv", "--help", "-h", "-V"]), ["srv", "--help", "-h", "-V"]);
        assert_eq!(line(&["x", "srv", "-o", "json", ""]), ["srv", "-o", "json", ""]);
        // Not the name of an option, only its beginning.
        assert_eq!(line(&["x", "srv", "--use", "u"]), ["srv", "--use", "u"]);
    }

    #[test]
    fn what_is_nearly_an_option_is_asked_about() {
        for (word, meant) in [
            ("--autostart", "--auto-start"),
            ("--auto_start=true", "--auto-start"),
            ("--working-dirs", "--working-dir"),
            ("--member-Of=x", "--member-of"),
        ] {
            let error = create(&["x", "srv", word]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{word}");
            assert!(error.to_string().contains(&format!("did you mean {meant}?")), "{error}");
            assert_eq!(line(&["x", "--", "srv", word]), ["srv", word]);
            assert_eq!(line(&["x", "srv", "--", word]), ["srv", word]);
        }
        // What is farther off may be the program's own, and is said.
        let args = create(&["x", "srv", "--memory-mx", "5M", "--port", "80"]).unwrap();
        assert_eq!(args.line, ["srv", "--memory-mx", "5M", "--port", "80"]);
        assert!(
            args.notes.len() == 1 && args.notes[0].contains("did you mean --memory-max?"),
            "{:?}",
            args.notes
        );
        assert!(create(&["x", "--", "srv", "--memory-mx"]).unwrap().notes.is_empty());
        assert!(create(&["x", "srv", "--", "--memory-mx"]).unwrap().notes.is_empty());
        // What many programs have.
        assert_eq!(
            line(&["x", "srv", "--users", "--afters", "--type_"]),
            ["srv", "--users", "--afters", "--type_"]
        );
    }

    #[test]
    fn a_flag_takes_no_word_of_the_command() {
        let args = create(&["x", "ls", "--pty", "false", "--critical=false", "-l"]).unwrap();
        assert_eq!(args.line, ["ls", "false", "-l"]);
        let d = args.definition(Path::new("/"));
        assert_eq!((d.pty, d.critical), (Some(true), Some(false)));
    }

    #[test]
    fn values_that_begin_with_a_hyphen() {
        let args = create(&["x", "ls", "--exec-start-pre", "-mkdir -p /x", "-l"]).unwrap();
        assert_eq!(args.line, ["ls", "-l"]);
        assert!(args.definition(Path::new("/")).exec_start_pre.unwrap()[0].ignore_failure);
    }

    #[test]
    fn several_of_one_kind() {
        let args = create(&["--env", "A=1", "x", "ls", "--env", "B=2=3", "--env=A=4"]).unwrap();
        let env = args.definition(Path::new("/")).env.unwrap();
        assert_eq!(env, [("A".to_owned(), "4".to_owned()), ("B".to_owned(), "2=3".to_owned())].into());
    }

    #[test]
    fn what_is_refused() {
        for words in [
            &["x", "ls", "--user"][..],
            &["x", "ls", "--env", "novalue"],
            &["x", "ls", "--restart", "sometimes"],
            &["x", "ls", "--restart-sec", "-1"],
            &["x", "ls", "--kill-signal", "TREM"],
            &["x", "ls", "--after", "a/b"],
            &["x", "ls", "--auto-start=yes"],
            &["x", "ls", "--health-interval", "1s"],
            &["x", "ls", "--member-of"],
            &["x", "--"],
        ] {
            assert_eq!(create(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn relative_paths_mean_the_callers_directory() {
        let cwd = Path::new("/home/me");
        let args = create(&["x", "./run.sh", "a/b", "--stdout", "out.log", "--working-dir", "."]).unwrap();
        let d = args.definition(cwd);
        assert_eq!(d.command.as_deref(), Some("/home/me/run.sh"));
        assert_eq!(d.args, Some(vec!["a/b".to_owned()]), "arguments are left alone");
        assert_eq!(d.stdout, Some(Output::File("/home/me/out.log".into())));
        assert_eq!(d.working_dir, Some("/home/me".into()));
        assert_eq!(d.auto_start, Some(false));
        let d = create(&["x", "sleep 10"]).unwrap().definition(cwd);
        assert_eq!(
            (d.command.as_deref(), d.args),
            (Some("sleep 10"), None),
            "left whole for the daemon to split"
        );
    }
}
