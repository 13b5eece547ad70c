//! Words of a command that look like options of `create`: they are handed to the program, and that is said.
//!
//! What differs in spelling alone is refused elsewhere. Here is what may well be the program's own, so that it costs a
//! note and not the work.

use std::ffi::OsString;

/// What others call it.
const OTHER_NAMES: [(&str, &str); 18] = [
    ("autorestart", "restart"),
    ("auto-restart", "restart"),
    ("autostop", "restart"),
    ("chdir", "working-dir"),
    ("cwd", "working-dir"),
    ("dir", "working-dir"),
    ("directory", "working-dir"),
    ("workdir", "working-dir"),
    ("env-file", "environment-file"),
    ("environment", "env"),
    ("depends-on", "requires"),
    ("gid", "group"),
    ("uid", "user"),
    ("interpreter", ""),
    ("max-memory-restart", "memory-max"),
    ("memory", "memory-max"),
    ("name", ""),
    ("restart-delay", "restart-sec"),
];

/// Short words are options of many programs: `--port`, `--pty`.
const LONG: usize = 6;
/// The beginning of an option up to a dash says nothing when it is shorter: `--no`, `--io`.
const STEM: usize = 3;

/// What is said of the words of a command, the first of which is the program.
pub(super) fn notes(command: &[OsString], options: &[&str]) -> Vec<String> {
    let Some((program, words)) = command.split_first() else { return Vec::new() };
    let program = program.to_string_lossy();
    // A whole command line in one word; what stands behind its first blank is nobody's business here.
    let program = program.split_whitespace().next().unwrap_or_default();
    let note = |(index, word): (usize, &OsString)| {
        let word = word.to_str()?;
        let next = words.get(index + 1).and_then(|next| next.to_str());
        let (shown, meant) = of_create(word, options).or_else(|| of_all(word, next))?;
        Some(format!(
            "note: {shown} is handed to {program}; {meant} To hand it on without this note, put -- before the command"
        ))
    };
    words.iter().enumerate().filter_map(note).collect()
}

/// A word that may have been meant for `create`: without its value, which may be a secret, and what it may mean.
fn of_create<'a>(word: &'a str, options: &[&str]) -> Option<(&'a str, String)> {
    let long = word.strip_prefix("--").filter(|long| !long.is_empty())?;
    let name = long.split('=').next().unwrap_or(long);
    let shown = &word[..2 + name.len()];
    match meant(name, options)? {
        "" => Some((shown, "create takes the name and the program as plain words.".to_owned())),
        option => Some((shown, format!("did you mean --{option}?"))),
    }
}

/// The option that a word may stand for; empty = what is no option here.
fn meant<'a>(name: &str, options: &[&'a str]) -> Option<&'a str> {
    if let Some((_, option)) = OTHER_NAMES.into_iter().find(|(other, _)| *other == name) {
        return match option {
            "" => Some(""),
            option => options.iter().copied().find(|known| *known == option),
        };
    }
    let near = options.iter().filter(|known| known.len() >= LONG && name.len() >= LONG);
    let near = near.map(|known| (distance(name, known), *known)).filter(|(distance, _)| *distance <= 2);
    if let Some((_, option)) = near.min_by_key(|(distance, _)| *distance) {
        return Some(option);
    }
    let stem = |short: &str, long: &str| {
        short.len() >= STEM && long.strip_prefix(short).is_some_and(|rest| rest.starts_with('-'))
    };
    options.iter().copied().find(|known| stem(name, known) || (known.len() >= LONG && stem(known, name)))
}

/// An option of every verb behind the command.
fn of_all<'a>(word: &'a str, next: Option<&str>) -> Option<(&'a str, String)> {
    const FORMATS: [&str; 6] = ["table", "wide", "json", "yaml", "name", "cat"];
    let (option, value) = match word.split_once('=') {
        Some((option, value)) => (option, Some(value)),
        None => match word.strip_prefix("-o").filter(|value| FORMATS.contains(value)) {
            Some(value) => ("-o", Some(value)),
            None => (word, next),
        },
    };
    let ours = match option {
        "-o" | "--output" => value.is_some_and(|value| FORMATS.contains(&value)),
        // With a value it is what many servers call their workers.
        "-w" => next.is_none(),
        "--socket" | "--context" | "--no-color" => true,
        _ => false,
    };
    let text = format!("for pm-cli itself write {option} before the command.");
    ours.then_some((&word[..option.len()], text))
}

/// Edits between two words; two swapped neighbors are two.
fn distance(a: &str, b: &str) -> usize {
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(64).enumerate() {
        let mut corner = above[0];
        above[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (corner + usize::from(x != y)).min(above[j] + 1).min(above[j + 1] + 1);
            corner = std::mem::replace(&mut above[j + 1], best);
        }
    }
    // What was left out can only differ.
    above[b.len()] + a.len().saturating_sub(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [&str; 14] = [
        "auto-start",
        "env",
        "environment-file",
        "group",
        "memory-high",
        "memory-max",
        "pty",
        "requires",
        "restart",
        "restart-sec",
        "user",
        "working-dir",
        "health-http",
        "type",
    ];

    fn said(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        notes(&words, &OPTIONS)
    }

    #[test]
    fn what_is_nearly_ours_is_said_with_what_was_meant() {
        for (line, option, meant) in [
            ("sleep 1 --memory-mx 5M", "--memory-mx", "--memory-max"),
            ("sleep 1 --memroy-max=5M", "--memroy-max", "--memory-max"),
            ("sleep 1 --memory 5M", "--memory", "--memory-max"),
            ("sleep 1 --environment TOKEN=hunter2", "--environment", "--env"),
            ("sleep 1 --environment=TOKEN=hunter2", "--environment", "--env"),
            ("sleep 1 --cwd /tmp", "--cwd", "--working-dir"),
            ("sleep 1 --dir /tmp", "--dir", "--working-dir"),
            ("sleep 1 --autorestart", "--autorestart", "--restart"),
            ("sleep 1 --health x", "--health", "--health-http"),
            ("sleep 1 --restart-seconds 3", "--restart-seconds", "--restart"),
            ("sleep 1 --require db", "--require", "--requires"),
        ] {
            let expected = format!(
                "note: {option} is handed to sleep; did you mean {meant}? To hand it on without this note, put -- before the \
                 command"
            );
            assert_eq!(said(line), [expected], "{line}");
        }
        assert!(said("sleep --name x")[0].contains("as plain words"), "{:?}", said("sleep --name x"));
    }

    #[test]
    fn options_of_every_verb_belong_before_the_command() {
        for line in
            ["sleep 5 -o yaml", "sleep 5 -oyaml", "sleep 5 --output json", "sleep 5 --output=json", "ls -w"]
        {
            let said = said(line);
            assert!(said.len() == 1 && said[0].contains("for pm-cli itself write -"), "{line}: {said:?}");
        }
        assert!(!said("x --socket=/run/secret")[0].contains("secret"));
    }

    #[test]
    fn what_programs_have_of_their_own_is_passed_on_without_a_word() {
        for line in [
            "python app.py --port 80",
            "gunicorn -w 4 app",
            "gcc -o prog prog.c",
            "curl --user-agent x --output file",
            "srv --users --afters --type_ --no --io --host h --timeout 5 --verbose --config=x",
            "chrome --user-data-dir=/x --group-by y",
            "sleep",
            "x -- - ---",
        ] {
            assert_eq!(said(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn hostile_words_are_harmless() {
        let long = format!("x --{}", "memory-max".repeat(20_000));
        assert_eq!(said(&long).len(), 0);
        assert_eq!(said("x --ä-ö=ü --\u{1b}[31m").len(), 0);
    }
}
