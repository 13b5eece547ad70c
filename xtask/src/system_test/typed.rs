//! Commands typed at a shell of a login, one after the other, with what each of them has to print.

use anyhow::{Context as _, Result, bail, ensure};

use super::bed::Bed;

/// Seconds that a command gets which follows a log for ever.
const FOLLOWED: u32 = 3;

/// How a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it stands.
    Verbatim,
    /// As it stands, and ended after a while.
    Followed,
    /// It is not in the text, which does not work without it.
    Added,
}

/// A command, and texts that it has to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) how: How,
    pub(crate) command: String,
    pub(crate) prints: Vec<String>,
}

impl Typed {
    /// One that is typed as it stands.
    pub(crate) fn verbatim(command: &str) -> Self {
        Self { how: How::Verbatim, command: command.to_owned(), prints: Vec::new() }
    }
}

/// The commands of a section `[name]`. The form is explained at the top of the file with the guide's commands.
pub(crate) fn section(text: &str, name: &str) -> Result<Vec<Typed>> {
    let title = format!("[{name}]");
    let lines = text.lines().skip_while(|line| **line != *title).skip(1);
    let mut all: Vec<Typed> = Vec::new();
    for line in lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.trim().is_empty()) {
        let (sign, rest) = line.split_once(' ').with_context(|| format!("no sign before `{line}`"))?;
        let how = match sign {
            "$" => How::Verbatim,
            "f" => How::Followed,
            "+" | "-" => {
                ensure!(rest.contains(" # "), "no reason behind `{line}`");
                if sign == "-" {
                    continue;
                }
                How::Added
            }
            "=" => {
                let last = all.last_mut().with_context(|| format!("nothing prints `{rest}`"))?;
                last.prints.push(rest.to_owned());
                continue;
            }
            _ => bail!("`{sign}` is no sign: {line}"),
        };
        all.push(Typed { how, command: rest.to_owned(), prints: Vec::new() });
    }
    ensure!(!all.is_empty(), "there is no section [{name}], or nothing in it");
    Ok(all)
}

/// Types them in one login of the user, in a directory. The first that fails, or does not print what it should, ends it.
pub(crate) fn type_all(bed: &Bed, user: &str, dir: &str, commands: &[Typed]) -> Result<()> {
    let done = bed.login(user, &script(dir, commands))?;
    let mut parts = done.stdout.split(MARK);
    parts.next();
    for typed in commands {
        let printed = parts.next().unwrap_or_default();
        let (printed, is_good) = match printed.split_once(GOOD) {
            Some((printed, _)) => (printed, true),
            None => (printed, false),
        };
        let wanted = typed.prints.iter().find(|text| !printed.contains(text.as_str()));
        ensure!(
            is_good && wanted.is_none(),
            "{user} types: {}\nand sees:\n{printed}{}{}",
            typed.command,
            if is_good { "" } else { done.stderr.trim_end() },
            wanted.map(|text| format!("\nwhich does not say: {text}")).unwrap_or_default()
        );
    }
    Ok(())
}

/// Before each command, and after each that succeeded. Nothing prints these.
const MARK: &str = "\u{1}typed\n";
const GOOD: &str = "\u{1}good\n";

/// In one interactive shell: `source ~/.bashrc` means something in it, and a variable that is set stays set.
fn script(dir: &str, commands: &[Typed]) -> String {
    let mut script = format!("cd {dir} || exit 1\n");
    for typed in commands {
        let command = &typed.command;
        script += "printf '\\1typed\\n'\n";
        script += &match typed.how {
            // 124: timeout had to end it. Its output comes through a pipe, and is there all the same.
            How::Followed => format!("timeout {FOLLOWED} {command}\n[ $? = 124 ] || exit 1\n"),
            How::Verbatim | How::Added => format!("{command}\n[ $? = 0 ] || exit 1\n"),
        };
        script += "printf '\\1good\\n'\n";
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_its_commands_and_what_they_print() {
        let text = "# text\n[a]\n$ one\n= 1\n= 2\nf two -f\n+ ln -s a b # needed\n- three # not here\n\n[b]\n$ four\n";
        let all = section(text, "a").unwrap();
        let how: Vec<_> = all.iter().map(|typed| (typed.how, typed.command.as_str())).collect();
        assert_eq!(
            how,
            [(How::Verbatim, "one"), (How::Followed, "two -f"), (How::Added, "ln -s a b # needed")]
        );
        assert_eq!(all[0].prints, ["1", "2"]);
        assert_eq!(section(text, "b").unwrap(), [Typed::verbatim("four")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("[b]\n", "no section"),
            ("[a]\n", "nothing in it"),
            ("[a]\n+ ln\n", "no reason"),
            ("[a]\n= 1\n", "nothing prints"),
            ("[a]\n? ls\n", "no sign"),
        ] {
            let error = section(text, "a").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
