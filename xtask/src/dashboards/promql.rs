//! The selectors of a PromQL expression: well enough for the expressions of this repository, which Prometheus itself
//! parses in `cargo xtask dashboards`.

/// A metric in a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The text between its braces.
    pub(crate) matchers: &'a str,
    /// The text between the brackets that follow.
    pub(crate) range: Option<&'a str>,
    /// The functions and aggregations that it stands in, the innermost last.
    pub(crate) inside: Vec<&'a str>,
}

/// Names that a metric may begin with. Recorded series have a colon in their name and are none of these.
const PREFIXES: [&str; 3] = ["ddprocmgr_", "process_", "grpc_server_"];

/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn is_metric(word: &str) -> bool {
    word == "up" || PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && !word.contains(':')
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The selectors, in the order in which they stand.
pub(crate) fn selectors(expr: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = expr;
    let mut word = "";
    while let Some(c) = rest.chars().next() {
        if is_name(c) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (word, rest) = rest.split_at(end);
            if is_metric(word) && !open.last().is_some_and(|outer| LISTS.contains(outer)) {
                let (matchers, after) = enclosed(rest, '{', '}').unwrap_or(("", rest));
                let range = enclosed(after, '[', ']').map(|(range, _)| range);
                found.push(Selector { name: word, matchers, range, inside: open.clone() });
            }
            continue;
        }
        let length = match c {
            '{' => enclosed(rest, '{', '}').map_or(1, |(inner, _)| inner.len() + 2),
            '"' => enclosed(rest, '"', '"').map_or(1, |(inner, _)| inner.len() + 2),
            '(' => {
                open.push(word);
                1
            }
            ')' => {
                open.pop();
                1
            }
            _ => c.len_utf8(),
        };
        if !c.is_whitespace() {
            word = "";
        }
        rest = &rest[length..];
    }
    found
}

/// What stands between the two at the beginning of a text, and what follows.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    text.strip_prefix(open)?.split_once(close)
}
