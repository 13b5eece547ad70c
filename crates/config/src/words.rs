//! Command lines: how a text becomes a program and its arguments, how these become a text again, and what in it only
//! a shell would obey.

use model::{CommandLine, is_shell_word};

/// Why [`command_line`] gave nothing, unless the text is empty.
pub(crate) const UNSPLITTABLE: &str =
    "this command can't be split into words: a quote is not closed, or there is no program";

/// Program and arguments. A command without `args` is split when it has blanks; with `args` it is taken literally.
pub(crate) fn command_line(command: &str, args: Option<Vec<String>>) -> Option<CommandLine> {
    match args {
        Some(args) => Some(CommandLine { program: command.to_owned(), args }),
        None if !command.contains(char::is_whitespace) => {
            Some(CommandLine { program: command.to_owned(), args: Vec::new() })
        }
        None => {
            let mut words = shlex::split(command)?.into_iter();
            let program = words.next().filter(|program| !program.is_empty())?;
            Some(CommandLine { program, args: words.collect() })
        }
    }
}

/// The values of `command` and `args` that [`command_line`] takes for this line: one text where that is possible.
pub(crate) fn spelled(line: &CommandLine) -> (String, Option<&[String]>) {
    let words = std::iter::once(&line.program).chain(&line.args).map(String::as_str);
    let text = match line.args.is_empty() {
        true => Some(line.program.clone()),
        false => shlex::try_join(words).ok(),
    };
    match text.filter(|text| command_line(text, None).as_ref() == Some(line)) {
        Some(text) => (text, None),
        None => (line.program.clone(), Some(&line.args)),
    }
}

/// A word that only a shell would obey.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ForShell<'a> {
    /// `&&`, `>` and the like.
    Operator(&'a str),
    /// `$NAME`
    Variable(&'a str),
    /// `while` and the like, as the program.
    Word(&'a str),
}

/// The first word of a line that is for a shell. To be asked of lines that were split by us: in words that somebody
/// wrote one by one it is meant.
pub(crate) fn for_shell(line: &CommandLine) -> Option<ForShell<'_>> {
    const OPERATORS: [&str; 12] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>"];
    // `a; b`: a word that ends in a semicolon, with another one behind it.
    let joined = std::iter::once(&line.program).chain(&line.args).rev().skip(1);
    let joined = joined.filter(|word| word.len() > 1 && word.ends_with(';'));
    if let Some(word) = joined.filter(|word| !word.contains([' ', '\n', '\\', '"', '\''])).last() {
        return Some(ForShell::Operator(word));
    }
    let mut words = std::iter::once(&line.program).chain(&line.args).map(String::as_str);
    let found = words.find_map(|word| match word {
        word if OPERATORS.contains(&word) => Some(ForShell::Operator(word)),
        word if is_variable(word) => Some(ForShell::Variable(word)),
        _ => None,
    });
    let word = || is_shell_word(&line.program).then_some(ForShell::Word(&line.program));
    found.or_else(word)
}

/// `$NAME` or `${NAME}` and nothing else, as systemd's and docker's command lines have them (`kill -HUP $MAINPID`).
/// A word with more in it may be a script for whatever runs it.
fn is_variable(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('$') else { return false };
    let name = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
    let letter = |c: char| c.is_ascii_uppercase() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()) && name.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> CommandLine {
        let (program, args) = words.split_first().unwrap();
        CommandLine { program: (*program).to_owned(), args: args.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn what_is_spelled_is_read_back() {
        for (words, text) in [
            (vec!["/bin/true"], Some("/bin/true")),
            (vec!["kill", "-TERM", "1"], Some("kill -TERM 1")),
            (vec!["sh", "-c", "a && b"], Some("sh -c 'a && b'")),
            (vec!["it's"], Some("it's")),
            (vec!["it's", "x"], Some("\"it's\" x")),
            (vec!["a b"], None),
            (vec!["", "x"], None),
            (vec!["a", "x\0"], None),
            (vec!["a", "#b", ""], Some("a '#b' ''")),
            (vec!["a", "x\ny"], Some("a 'x\ny'")),
        ] {
            let line = line(&words);
            let (command, args) = spelled(&line);
            assert_eq!(args.is_none().then_some(command.as_str()), text, "{words:?}");
            assert_eq!(command_line(&command, args.map(<[_]>::to_vec)), Some(line), "{words:?}");
        }
    }

    #[test]
    fn what_only_a_shell_obeys() {
        for (words, found) in [
            (vec!["cd", "/tmp", "&&", "ls"], Some(ForShell::Operator("&&"))),
            (vec!["kill", "-HUP", "$MAINPID"], Some(ForShell::Variable("$MAINPID"))),
            (vec!["x", "${A_1}", "|"], Some(ForShell::Variable("${A_1}"))),
            (vec!["while", "read", "x"], Some(ForShell::Word("while"))),
            (vec!["echo", "hi;", "ls"], Some(ForShell::Operator("hi;"))),
            (vec!["mysql", "-e", "select 1;", "db"], None),
            (vec!["mysql", "-e", "quit;"], None),
            (vec!["sh", "-c", "echo $HOME"], None),
            (vec!["awk", "$1"], None),
            (vec!["x", "$", "${}", "$a"], None),
        ] {
            assert_eq!(for_shell(&line(&words)), found, "{words:?}");
        }
    }
}
