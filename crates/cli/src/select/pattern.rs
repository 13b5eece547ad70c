//! Patterns of names, as a shell has them: `*`, `?`, `[a-z]`, `[!a-z]`.

/// Whether the whole name fits. Takes at most the product of both lengths, whatever the pattern.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where the last star stood and how much of the name it has taken: a mismatch behind it gives it one more.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        let one = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('[') => class(&pattern[p..], name[n]),
            Some('?') => Some(1),
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (one, star) {
            (Some(width), _) => {
                p += width;
                n += 1;
            }
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The characters that a class takes of the pattern, when `c` is in it. One that is never closed is no class.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    // A bracket that comes first is a member.
    let end = (start + 1..pattern.len()).find(|i| pattern[*i] == ']')?;
    let (mut i, mut found) = (start, false);
    while i < end {
        if i + 2 < end && pattern[i + 1] == '-' {
            found |= (pattern[i]..=pattern[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= pattern[i] == c;
            i += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for (pattern, name) in [
            ("*", "web"),
            ("web*", "web"),
            ("w*b", "web"),
            ("*-*-*", "a-b-c"),
            ("w?b", "web"),
            ("web-[0-9]", "web-7"),
            ("web-[!0-9]", "web-x"),
            ("[]x]", "]"),
            ("*a*b", "xaxbxb"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_does_not() {
        for (pattern, name) in [
            ("web", "webs"),
            ("?", ""),
            ("w?", "w"),
            ("web-[0-9]", "web-x"),
            ("web-[!0-9]", "web-7"),
            ("[a", "a"),
            ("*x", "web"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!fits(&pattern, &"a".repeat(128)));
    }
}
