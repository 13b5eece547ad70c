//! How systemd splits lines into words, and the variables in them (systemd.service(5), "Command lines").

/// A word with its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// `${NAME}`: put in as it is.
    Whole(String),
    /// `$NAME` as a word of its own: split into words.
    Split(String),
}

impl Word {
    /// The text of a word without variables.
    pub(super) fn plain(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
            .collect()
    }

    /// As a shell has to see it.
    pub(super) fn for_shell(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => quoted(text),
            Part::Whole(name) => format!("\"${{{name}}}\""),
            Part::Split(name) => format!("${name}"),
        };
        self.parts.iter().map(part).collect()
    }
}

/// A text that a shell takes as it is.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Words with quotes and C escapes; `None` = a quote is not closed.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => {
                let word = word.get_or_insert_default();
                escape(&mut chars, word)?;
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) -> Option<()> {
    let simple = match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        c @ ('\\' | '"' | '\'') => c,
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            let code = u8::from_str_radix(&digits, 16).ok().filter(u8::is_ascii)?;
            char::from(code)
        }
        // systemd refuses what it doesn't know; regular expressions in units are meant as they stand.
        c => {
            word.push('\\');
            c
        }
    };
    word.push(simple);
    Some(())
}

/// The variables of a word. `$$` is a dollar.
pub(super) fn variables(word: &str) -> Word {
    let name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(whole) = word.strip_prefix('$').filter(|rest| name(rest)) {
        return Word { parts: vec![Part::Split(whole.to_owned())] };
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(more) = after.strip_prefix('$') {
            text.push('$');
            rest = more;
            continue;
        }
        match after.strip_prefix('{').and_then(|inner| inner.split_once('}')).filter(|(inner, _)| name(inner))
        {
            Some((variable, more)) => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Whole(variable.to_owned()));
                rest = more;
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text));
    }
    Word { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_escapes() {
        let line = r#"/bin/x "a b" 'c"d' e\x20f g\sh "" \d+"#;
        assert_eq!(split(line).unwrap(), ["/bin/x", "a b", "c\"d", "e f", "g h", "", "\\d+"]);
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a\\"), None);
    }

    #[test]
    fn variables_and_dollars() {
        assert_eq!(variables("a$$b").plain().as_deref(), Some("a$b"));
        assert_eq!(variables("$1").plain().as_deref(), Some("$1"));
        assert_eq!(variables("").plain().as_deref(), Some(""));
        assert_eq!(variables("$OPTS").for_shell(), "$OPTS");
        assert_eq!(variables("--port=${PORT} x").for_shell(), "--port=\"${PORT}\"' x'");
        assert_eq!(variables("it's").for_shell(), r"'it'\''s'");
    }
}
