//! `%n` and the like, for the system's manager.

use crate::import::files::Files;

/// What a unit's specifiers mean.
pub(super) struct Specifiers<'a> {
    pub(super) files: &'a dyn Files,
    /// Without `.service`.
    pub(super) stem: &'a str,
    pub(super) directory: String,
    pub(super) fragment: String,
}

impl Specifiers<'_> {
    /// Puts them in. The error names the one that means something that only the machine knows.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut done = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                done.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => done.push('%'),
                Some(letter) => match self.value(letter) {
                    Some(value) => done.push_str(&value),
                    None => return Err(format!("what %{letter} stands for is not known here")),
                },
                None => done.push('%'),
            }
        }
        Ok(done)
    }

    fn value(&self, letter: char) -> Option<String> {
        let (prefix, instance) = self.stem.split_once('@').unwrap_or((self.stem, ""));
        let last = prefix.rsplit('-').next().unwrap_or(prefix);
        Some(match letter {
            'n' => format!("{}.service", self.stem),
            'N' => self.stem.to_owned(),
            'p' => prefix.to_owned(),
            'P' => unescape(prefix),
            'i' => instance.to_owned(),
            'I' => unescape(instance),
            'j' => last.to_owned(),
            'J' => unescape(last),
            'f' => {
                let path = unescape(if instance.is_empty() { prefix } else { instance });
                format!("/{}", path.trim_start_matches('/'))
            }
            't' => "/run".to_owned(),
            'S' => "/var/lib".to_owned(),
            'C' => "/var/cache".to_owned(),
            'L' => "/var/log".to_owned(),
            'E' => "/etc".to_owned(),
            'T' => "/tmp".to_owned(),
            'V' => "/var/tmp".to_owned(),
            // Those of whoever runs the manager, not of `User=`.
            'h' => "/root".to_owned(),
            'u' | 'g' => "root".to_owned(),
            'U' | 'G' => "0".to_owned(),
            's' => "/bin/sh".to_owned(),
            'H' => self.files.host_name(),
            'l' => self.files.host_name().split('.').next().unwrap_or_default().to_owned(),
            'y' => self.fragment.clone(),
            'Y' => self.directory.clone(),
            _ => return None,
        })
    }
}

/// `a-b\x2dc` is `a/b-c`.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let code = rest.strip_prefix("\\x").and_then(|tail| tail.get(..2));
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
            continue;
        }
        let mut buffer = [0; 4];
        bytes.extend_from_slice(if c == '-' { b"/" } else { c.encode_utf8(&mut buffer).as_bytes() });
        rest = &rest[c.len_utf8()..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::RealFiles;

    #[test]
    fn names_and_directories() {
        let files = RealFiles { variable: &|_| None };
        let unit = Specifiers {
            files: &files,
            stem: "a-b@x-y\\x2dz",
            directory: "/d".into(),
            fragment: "/d/f".into(),
        };
        for (text, value) in [
            ("%n", "a-b@x-y\\x2dz.service"),
            ("%p %i %I", "a-b x-y\\x2dz x/y-z"),
            ("%j|%f", "b|/x/y-z"),
            ("%S/%p 100%%", "/var/lib/a-b 100%"),
            ("%Y", "/d"),
        ] {
            assert_eq!(unit.expand(text).as_deref(), Ok(value), "{text}");
        }
        assert!(unit.expand("%m").unwrap_err().contains("%m"));
    }
}
