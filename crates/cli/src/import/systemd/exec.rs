//! `ExecStart=` and its kin.

use model::{Definition, Hook, ProcessType};

use super::specifier::Specifiers;
use super::unit::Assignment;
use super::words::{Part, Word, split, variables};
use crate::import::command::{hook, set_words};
use crate::import::draft::Import;

/// A command line of a unit.
pub(super) struct Line<'a> {
    pub(super) from: &'a Assignment,
    words: Vec<String>,
    ignore_failure: bool,
}

/// Reads the lines of one key; several commands may stand in one, with `;` between them.
pub(super) fn lines<'a>(
    from: &'a Assignment,
    specifiers: &Specifiers<'_>,
    into: &mut Import,
) -> Vec<Line<'a>> {
    let Some(all) = split(&from.value) else {
        into.lost(
            &from.at,
            &from.written(),
            "it can't be split into words: a quote is not closed",
            "close it",
        );
        return Vec::new();
    };
    let mut lines = Vec::new();
    for words in all.split(|word| word == ";").filter(|words| !words.is_empty()) {
        match line(from, words, specifiers, into) {
            Ok(line) => lines.push(line),
            Err(why) => into.lost(&from.at, &from.written(), why, "write the value out"),
        }
    }
    lines
}

fn line<'a>(
    from: &'a Assignment,
    words: &[String],
    specifiers: &Specifiers<'_>,
    into: &mut Import,
) -> Result<Line<'a>, String> {
    let mut ignore_failure = false;
    let (mut literal, mut own_name) = (false, false);
    let signs = words[0].find(|c| !"-@:+!|".contains(c)).unwrap_or(words[0].len());
    for sign in words[0][..signs].chars() {
        match sign {
            '-' => ignore_failure = true,
            ':' => literal = true,
            '@' => own_name = true,
            '|' => into.lost(&from.at, &from.written(), "`|`: no login shell is put around a command", ""),
            _ => into.lost(
                &from.at,
                &from.written(),
                format!("`{sign}`: everything runs as the process's user"),
                "define what needs more rights as a process of its own, `type: oneshot`, and `requires` it",
            ),
        }
    }
    let program = specifiers.expand(&words[0][signs..])?;
    let mut rest = words[1..].iter();
    if own_name {
        let name = rest.next().map(String::as_str).unwrap_or_default();
        into.lost(
            &from.at,
            &from.written(),
            format!("`@`: the program sees its own path as its name, not {name:?}"),
            "",
        );
    }
    let rest: Result<Vec<String>, String> = rest.map(|word| specifiers.expand(word)).collect();
    let mut parsed: Vec<Word> = vec![Word { parts: vec![Part::Text(program)] }];
    parsed.extend(rest?.iter().map(|word| match literal {
        true => Word { parts: vec![Part::Text(word.clone())] },
        false => variables(word),
    }));
    Ok(Line { from, words: with_shell(&parsed), ignore_failure })
}

/// No variable is expanded by the daemon, so that a shell does it. `$MAINPID` alone is known to it.
fn with_shell(words: &[Word]) -> Vec<String> {
    let main_pid = |word: &Word| match word.parts.as_slice() {
        [Part::Whole(name) | Part::Split(name)] if name == "MAINPID" => Some("$MAINPID".to_owned()),
        _ => word.plain(),
    };
    if let Some(plain) = words.iter().map(main_pid).collect::<Option<Vec<String>>>() {
        return plain;
    }
    let text: Vec<String> = words.iter().map(Word::for_shell).collect();
    vec!["sh".to_owned(), "-c".to_owned(), format!("exec {}", text.join(" "))]
}

impl Line<'_> {
    fn hook(&self) -> Option<Hook> {
        hook(&self.words, self.ignore_failure)
    }
}

/// Where the lines of a key go.
pub(super) fn set(definition: &mut Definition, key: &str, lines: &[Line<'_>]) {
    let hooks: Vec<Hook> = lines.iter().filter_map(Line::hook).collect();
    if hooks.is_empty() {
        return;
    }
    let list = match key {
        "ExecCondition" | "ExecStartPre" => &mut definition.exec_start_pre,
        "ExecStartPost" => &mut definition.exec_start_post,
        "ExecReload" => &mut definition.exec_reload,
        "ExecStop" => &mut definition.exec_stop,
        _ => &mut definition.exec_stop_post,
    };
    list.get_or_insert_default().extend(hooks);
}

/// The program itself. Of several lines, which a oneshot may have, all but the last run before it.
pub(super) fn start(definition: &mut Definition, lines: &[Line<'_>], into: &mut Import) {
    let Some((last, before)) = lines.split_last() else { return };
    let kind = definition.kind.unwrap_or_default();
    if kind == ProcessType::Oneshot && !before.is_empty() {
        let why = "all but the last ExecStart= run before it, as `exec_start_pre`";
        into.changed(&last.from.at, &last.from.written(), why, "");
        set(definition, "ExecStartPre", before);
    } else if let Some(first) = before.first() {
        into.lost(&first.from.at, &first.from.written(), "only a oneshot has several commands", "");
    }
    if last.ignore_failure {
        let instead = "list the statuses in `success_exit_status`";
        into.lost(
            &last.from.at,
            &last.from.written(),
            "`-`: a failure of the program itself is one",
            instead,
        );
    }
    set_words(definition, &last.words);
}
