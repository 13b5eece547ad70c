//! Command lines: words, and lines that were meant for a shell.

use model::{CommandLine, Definition, Hook};

/// Sets `command`, and `args` where the words can't be written as one text.
pub(super) fn set_words(definition: &mut Definition, words: &[String]) {
    let Some((program, rest)) = words.split_first() else { return };
    let joined = shlex::try_join(words.iter().map(String::as_str)).ok();
    // Quotes within quotes are for machines.
    let nested = words.iter().any(|word| word.contains(['\'', '"', '\\']));
    let text = joined.filter(|text| !nested && shlex::split(text).is_some_and(|again| again == words));
    match text {
        _ if rest.is_empty() && !program.contains(char::is_whitespace) => {
            definition.command = Some(program.clone());
        }
        Some(text) if !rest.is_empty() => definition.command = Some(text),
        _ => {
            definition.command = Some(program.clone());
            definition.args = Some(rest.to_vec());
        }
    }
}

/// Splits a line as Python's shlex does: quotes and backslashes, no comments. `None` = a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => done.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    done.extend(word);
    Some(done)
}

/// A hook of these words.
pub(super) fn hook(words: &[String], ignore_failure: bool) -> Option<Hook> {
    let (program, args) = words.split_first()?;
    let command = CommandLine { program: program.clone(), args: args.to_vec() };
    Some(Hook { command, timeout: None, ignore_failure })
}

/// What only a shell understands; quotes and backslashes are understood here, too.
const FOR_SHELL: &[char] =
    &['$', '&', '|', ';', '<', '>', '(', ')', '`', '*', '?', '[', ']', '{', '}', '~', '#', '!', '\n'];
/// Words that a shell executes itself.
const BUILTIN: [&str; 16] = [
    "cd", "export", "source", ".", "exec", "if", "while", "for", "case", "until", "set", "ulimit", "umask",
    "trap", "eval", "unset",
];

/// The words of a line that the other supervisor hands to a shell: without one where it isn't needed, since a shell in
/// between gets the signals. `shell` is what to execute, with its options.
pub(super) fn of_shell_line(line: &str, shell: &[&str]) -> Vec<String> {
    let line = line.trim();
    let words = shlex::split(line).unwrap_or_default();
    let first = words.first().map(String::as_str).unwrap_or_default();
    let plain =
        !words.is_empty() && !line.contains(FOR_SHELL) && !first.contains('=') && !BUILTIN.contains(&first);
    if plain {
        return words;
    }
    let one_command = !line.contains(['&', '|', ';', '(', '{', '\n', '`'])
        && !first.contains('=')
        && !first.starts_with('!')
        && !BUILTIN.contains(&first);
    let script = if one_command && !first.is_empty() { format!("exec {line}") } else { line.to_owned() };
    shell.iter().map(|word| (*word).to_owned()).chain([script]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_runs_only_where_it_is_needed() {
        for (line, words) in [
            ("node server.js --port 80", &["node", "server.js", "--port", "80"][..]),
            ("echo 'two words'", &["echo", "two words"]),
            ("node server.js --port $PORT", &["sh", "-c", "exec node server.js --port $PORT"]),
            ("cd app && ./run", &["sh", "-c", "cd app && ./run"]),
            ("RAILS_ENV=x bundle exec puma", &["sh", "-c", "RAILS_ENV=x bundle exec puma"]),
            ("it's", &["sh", "-c", "it's"]),
            ("", &["sh", "-c", ""]),
        ] {
            assert_eq!(of_shell_line(line, &["sh", "-c"]), words, "{line}");
        }
    }

    #[test]
    fn lines_are_split_as_python_does_it() {
        let line = r#"a 'b c' "d\"\n" e\ f #g ''"#;
        assert_eq!(words(line).unwrap(), ["a", "b c", "d\"\\n", "e f", "#g", ""]);
        assert_eq!(words("a 'b"), None);
        assert_eq!(words(" "), Some(vec![]));
    }

    #[test]
    fn words_become_one_text_where_that_is_possible() {
        let set = |words: &[&str]| {
            let mut definition = Definition::default();
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            set_words(&mut definition, &words);
            (definition.command.unwrap_or_default(), definition.args)
        };
        assert_eq!(set(&["a", "b c", "#d"]), ("a 'b c' '#d'".to_owned(), None));
        assert_eq!(set(&["/a b"]), ("/a b".to_owned(), Some(vec![])));
        assert_eq!(set(&["a", "x\0"]), ("a".to_owned(), Some(vec!["x\0".to_owned()])));
        assert_eq!(set(&[]), (String::new(), None));
    }
}
