//! "did you mean": the known word that is closest to a misspelt one.

/// Edit distance in which two swapped neighbors count as one edit (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(ca != cb)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

/// Without case and separators, so that `AutoStart` and `auto-start` are `auto_start`.
fn normal(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether two words differ in nothing but case and separators.
pub(crate) fn same(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

/// The meaning of the closest of `(spelling, meaning)`, when it is close: one edit in three characters.
pub(crate) fn closest<'a>(
    word: &str,
    known: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<&'a str> {
    // A word of kilobytes is no misspelling, and the comparison is quadratic.
    if word.chars().count() > 64 {
        return None;
    }
    let word = normal(word);
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|(spelling, meaning)| (distance(&word, &normal(spelling)), meaning))
        .filter(|(distance, _)| *distance <= allowed && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, meaning)| meaning)
}

/// `a, b or c`, each in backticks.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [("", "", 0), ("a", "", 1), ("restrat", "restart", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
            assert_eq!(distance(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn close_words_only() {
        let known = [("restart", "restart"), ("environment", "env"), ("env", "env"), ("user", "user")];
        assert_eq!(closest("restrat", known), Some("restart"));
        assert_eq!(closest("enviroment", known), Some("env"));
        assert_eq!(closest("Re-Start", known), Some("restart"));
        assert_eq!(closest("zzz", known), None);
        assert_eq!(closest("x", known), None);
        assert_eq!(closest(&"restart".repeat(100), known), None);
    }

    #[test]
    fn words_in_a_row() {
        assert_eq!(one_of(&["a"]), "`a`");
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
