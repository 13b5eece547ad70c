//! Which values are secrets, and what is shown in their place.
//!
//! **The rule.** A key is cut into words at every character that is neither a letter nor a digit and wherever a
//! lower-case letter is followed by an upper-case one; case, digits at a word's end and a plural `S` don't count.
//! The key is secret when one of its words ends in `PASSWORD`, `PASSWD`, `PASSPHRASE`, `SECRET`, `TOKEN`, `KEY`,
//! `CREDENTIAL`, `PRIVATE` or `DSN`, or is `PASS` or (beside other words) `PWD`. So `API_KEY`, `apiKey`, `PGPASSWORD`,
//! `AWS_SECRET_ACCESS_KEY`, `TOKEN2` are secret; `KEYBOARD`, `TOKENIZER_PATH`, `PWD` and `MONITOR` are not.
//!
//! The value of any other key is shown, except for the password in a URL (`scheme://user:password@host`).

use std::borrow::Cow;

/// What is shown instead of a secret.
pub const MASK: &str = "***";

const ENDINGS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE", "DSN"];

/// Whether the value of this key is a secret; the rule stands at the head of this module.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let words = words(key);
    words.iter().any(|word| {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let single = bare.strip_suffix('S').unwrap_or(bare);
        ENDINGS.iter().any(|end| bare.ends_with(end) || single.ends_with(end))
            || bare == "PASS"
            || (bare == "PWD" && words.len() > 1)
    })
}

fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_lower = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && previous_lower) {
            words.push(String::new());
        }
        previous_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_uppercase());
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

/// The value as it may be shown: all of it masked for a secret key, only the password for a URL that holds one.
#[must_use]
pub fn mask_value<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    if is_secret_key(key) && !value.is_empty() {
        return Cow::Borrowed(MASK);
    }
    let passwords = passwords(value);
    if passwords.is_empty() {
        return Cow::Borrowed(value);
    }
    let (mut shown, mut from) = (String::new(), 0);
    for (start, end) in passwords {
        shown.push_str(&value[from..start]);
        shown.push_str(MASK);
        from = end;
    }
    shown.push_str(&value[from..]);
    Cow::Owned(shown)
}

/// Byte ranges of the passwords in URLs, in order. Everything from the colon to the last `@` of the word counts, so
/// that a password with an unescaped `/` is not shown; `host:8080/a@b` is told from it by the digits.
fn passwords(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let start = from + at + 3;
        let word = &text[start..];
        let end = word
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
            .map_or(text.len(), |n| start + n);
        let word = &text[start..end];
        if let (Some(colon), Some(sign)) = (word.find(':'), word.rfind('@')) {
            let port = |s: &str| s.find('/').is_some_and(|n| s[..n].bytes().all(|b| b.is_ascii_digit()));
            if colon < sign && !port(&word[colon + 1..sign]) {
                found.push((start + colon + 1, start + sign));
            }
        }
        from = end;
    }
    found
}

/// A line of YAML in which the values of secret keys and the passwords of URLs are stars. It keeps its length in
/// characters, so that columns stay true. Works on the text alone, because the line may not be YAML at all.
pub(crate) fn mask_line(line: &str) -> Cow<'_, str> {
    let mut ranges = passwords(line);
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut from = 0;
    while let Some(sign) = line[from..].find([':', '=']) {
        let sign = from + sign;
        let before = line[..sign].trim_end().trim_end_matches(['"', '\'']);
        let word = before.rfind(|c| !is_word(c)).map_or(before, |i| &before[i..]);
        from = sign + 1;
        if is_secret_key(word) {
            let value = &line[from..];
            let start = from + (value.len() - value.trim_start().len());
            ranges.push((start, line.trim_end().len().max(start)));
            break;
        }
    }
    if ranges.is_empty() {
        return Cow::Borrowed(line);
    }
    // The ranges are in order but for the last one, which reaches to the line's end.
    let tail = ranges.last().filter(|(_, end)| *end >= line.trim_end().len()).copied();
    let mut ranges = ranges.into_iter().peekable();
    let mut hidden = move |at: usize| {
        while ranges.next_if(|(_, end)| *end <= at).is_some() {}
        ranges.peek().is_some_and(|(start, _)| *start <= at)
            || tail.is_some_and(|(start, end)| (start..end).contains(&at))
    };
    Cow::Owned(line.char_indices().map(|(at, c)| if hidden(at) { '*' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for secret in [
            "PASSWORD",
            "DB_PASSWD",
            "PGPASSWORD",
            "SECRET",
            "CLIENT_SECRETS",
            "GITHUB_TOKEN",
            "TOKEN2",
            "API_KEY",
            "apiKey",
            "api-key",
            "KEY",
            "KEYS",
            "AWS_ACCESS_KEY_ID",
            "CREDENTIALS",
            "SSH_PRIVATE",
            "SENTRY_DSN",
            "SMTP_PASS",
            "DB_PWD",
        ] {
            assert!(is_secret_key(secret), "{secret}");
        }
        for open in
            ["KEYBOARD", "PWD", "TOKENIZER_PATH", "MONITOR", "PATH", "PORT", "BYPASS", "", "_", "SECRETARY"]
        {
            assert!(!is_secret_key(open), "{open}");
        }
    }

    #[test]
    fn values() {
        for (key, value, shown) in [
            ("API_KEY", "abc", "***"),
            ("API_KEY", "", ""),
            ("DATABASE_URL", "postgresql://localhost/myapp", "postgresql://localhost/myapp"),
            ("DATABASE_URL", "postgres://u:p@h:5432/db", "postgres://u:***@h:5432/db"),
            ("URL", "postgres://u:p/w@h/db", "postgres://u:***@h/db"),
            ("URL", "http://h:8080/a@b", "http://h:8080/a@b"),
            ("URLS", "amqp://a:b@c, amqp://d:e@f", "amqp://a:***@c, amqp://d:***@f"),
            ("PORT", "8000", "8000"),
        ] {
            assert_eq!(mask_value(key, value), shown, "{key}={value}");
        }
    }

    #[test]
    fn lines_keep_their_length() {
        for (line, shown) in [
            ("    API_KEY: hunter2", "    API_KEY: *******"),
            ("  - TOKEN=hunter2", "  - TOKEN=*******"),
            ("  env: {PORT: 1, \"TOKEN\": \"x\"}", "  env: {PORT: 1, \"TOKEN\": ****"),
            ("  url: pg://u:ä@h", "  url: pg://u:*@h"),
            ("  command: sleep 1", "  command: sleep 1"),
            ("KEY:", "KEY:"),
        ] {
            assert_eq!(mask_line(line), shown);
        }
    }
}
