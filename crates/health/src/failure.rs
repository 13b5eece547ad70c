//! Why a check failed, in words for a person.

use std::io;

/// Longest text of a stranger in a message, in characters.
const LONGEST_QUOTE: usize = 120;

/// A check that found nothing healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One sentence without a full stop that names the address.
    pub(crate) message: String,
    /// Whether the time ran out, so that the check held its place until then.
    pub(crate) silent: bool,
}

impl Failure {
    /// There was an answer, or an error, before the time was up.
    pub(crate) fn said(message: impl Into<String>) -> Self {
        Self { message: message.into(), silent: false }
    }

    /// The time ran out.
    pub(crate) fn silent(message: impl Into<String>) -> Self {
        Self { message: message.into(), silent: true }
    }
}

/// A text that the other side chose: one line, bounded, without control characters, since it ends up on terminals.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text.trim().chars().take(LONGEST_QUOTE).collect();
    if quoted.len() < text.trim().len() {
        quoted.push('…');
    }
    quoted.replace(|c: char| c.is_control(), " ")
}

/// The system's words for an error, without its number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_one_bounded_line() {
        assert_eq!(quote("  not\r\nready\x1b[31m\u{9b}7m "), "not  ready [31m 7m");
        assert_eq!(quote(&"é".repeat(1000)), format!("{}…", "é".repeat(120)));
        assert_eq!(quote(&"x".repeat(120)), "x".repeat(120));
        assert_eq!(quote(""), "");
    }

    #[test]
    fn the_number_of_an_error_is_left_out() {
        assert_eq!(words(&io::Error::from_raw_os_error(113)), "No route to host");
        assert_eq!(words(&io::Error::other("odd")), "odd");
    }
}
