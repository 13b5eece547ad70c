//! `%(name)s` in values, and the patterns of file names.

use std::path::Path;

use crate::import::files::Files;

/// What a value may refer to.
pub(super) struct Variables<'a> {
    files: &'a dyn Files,
    here: String,
    own: Vec<(&'static str, String)>,
    /// Variables of the environment that are not known stay, between [`MARKS`].
    keep_unknown: bool,
}

/// Around the name of a variable that stays; neither is in a file of text.
pub(super) const MARKS: [char; 2] = ['\u{1}', '\u{2}'];

/// A value with everything in its place.
pub(super) struct Expanded {
    pub(super) text: String,
    /// Variables of the environment that were put in.
    pub(super) from_env: Vec<String>,
}

impl<'a> Variables<'a> {
    /// Outside of programs.
    pub(super) fn outside(files: &'a dyn Files, here: &Path) -> Self {
        Self { files, here: here.display().to_string(), own: Vec::new(), keep_unknown: false }
    }

    /// The same, where variables of the environment that are not known stay.
    pub(super) fn keeping_unknown(&self) -> Variables<'_> {
        Variables { files: self.files, here: self.here.clone(), own: self.own.clone(), keep_unknown: true }
    }

    /// Within a program.
    pub(super) fn with(mut self, own: Vec<(&'static str, String)>) -> Self {
        self.own = own;
        self
    }

    fn get(&self, name: &str) -> Option<String> {
        match name {
            "here" => Some(self.here.clone()),
            "host_node_name" => Some(self.files.host_name()),
            _ => self.own.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone()),
        }
    }
}

/// Python's `%` with a mapping: `%(name)s`, `%(process_num)02d`, `%%`. The error says what can't be had.
pub(super) fn expand(text: &str, variables: &Variables<'_>) -> Result<Expanded, String> {
    let mut done = Expanded { text: String::new(), from_env: Vec::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        done.text.push_str(before);
        if let Some(more) = after.strip_prefix('%') {
            done.text.push('%');
            rest = more;
            continue;
        }
        let spec = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let Some((name, tail)) = spec else {
            return Err("a `%` stands alone".to_owned());
        };
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let Some(kind @ ('s' | 'd')) = tail[digits..].chars().next() else {
            return Err(format!("`%({name})` has no `s` or `d` behind it"));
        };
        let value = match name.strip_prefix("ENV_") {
            Some(variable) => match variables.files.variable(variable) {
                Some(value) => {
                    done.from_env.push(variable.to_owned());
                    value
                }
                None if variables.keep_unknown && is_name(variable) => {
                    format!("{}{variable}{}", MARKS[0], MARKS[1])
                }
                None => {
                    return Err(format!(
                        "the variable {variable} of supervisord's environment is not known here"
                    ));
                }
            },
            None => variables.get(name).ok_or_else(|| format!("`%({name}){kind}` is not known"))?,
        };
        let width = tail[..digits].parse::<usize>().unwrap_or(0).min(64);
        let padded = match tail.starts_with('0') {
            true => format!("{value:0>width$}"),
            false => format!("{value:>width$}"),
        };
        done.text.push_str(&padded);
        rest = &tail[digits + 1..];
    }
    done.text.push_str(rest);
    Ok(done)
}

/// Whether a shell takes it for the name of a variable.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(word) && text.starts_with(|c: char| !c.is_ascii_digit())
}

/// Whether a name fits a pattern with `*` and `?`.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A word as a shell reads it, with the variables that stayed; `None` = it can't be written for one.
pub(super) fn for_shell(word: &str, names: &mut Vec<String>) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once(MARKS[0]) {
        let (name, after) = after.split_once(MARKS[1])?;
        if !before.is_empty() {
            text.push_str(&shlex::try_quote(before).ok()?);
        }
        text.push_str(&format!("\"${{{name}}}\""));
        names.push(name.to_owned());
        rest = after;
    }
    if !rest.is_empty() || text.is_empty() {
        text.push_str(&shlex::try_quote(rest).ok()?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::RealFiles;

    #[test]
    fn values_are_put_in() {
        let variable = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let files = RealFiles { variable: &variable };
        let variables =
            Variables::outside(&files, Path::new("/etc/s")).with(vec![("process_num", "7".to_owned())]);
        let done = |text: &str| expand(text, &variables).map(|done| done.text);
        assert_eq!(done("%(here)s/x-%(process_num)02d-%%").as_deref(), Ok("/etc/s/x-07-%"));
        assert_eq!(done("%(ENV_HOME)s").as_deref(), Ok("/home/me"));
        for bad in ["100%", "%(nope)s", "%(ENV_NOPE)s", "%(here)", "%(here)x"] {
            assert!(done(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "web.conf", true),
            ("*.conf", "web.conf.bak", false),
            ("w?b*", "web", true),
            ("*a*b", "xaybzb", true),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
