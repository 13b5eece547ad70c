//! Identities: what a process is called, its stable id, and the numbers of its runs.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// PROCESS_NAME: `[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}`. Cheap to clone.
///
/// Safe as a file name, a metric label value, a journald field value and a cgroup name: it can hold neither
/// `/` nor a control character, nor start with a dot or a dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessName(Arc<str>);

/// Why a text is not a [`ProcessName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No character at all.
    Empty,
    /// More than 128 bytes.
    TooLong(usize),
    /// Its first character is not a letter or a digit.
    BadStart(char),
    /// A character that a name can't hold.
    BadChar(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a process name can't be empty"),
            Self::TooLong(n) => {
                write!(f, "a process name has at most {} characters, this one has {n}", ProcessName::MAX)
            }
            Self::BadStart(c) => write!(f, "a process name starts with a letter or a digit, not with {c:?}"),
            Self::BadChar(c) => write!(f, "a process name holds letters, digits and `_.@-`, not {c:?}"),
        }
    }
}

impl std::error::Error for NameError {}

impl ProcessName {
    /// Longest name in bytes.
    pub const MAX: usize = 128;

    /// Checks and wraps a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if text.chars().count() > Self::MAX {
            return Err(NameError::TooLong(text.chars().count()));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::BadStart(first));
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '@' | '-')) {
            Some(c) => Err(NameError::BadChar(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ProcessName {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        Self::new(s)
    }
}

impl Borrow<str> for ProcessName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ProcessName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// PROCESS_ID: 48 bits shown as 12 lower-case hex digits; the same for the same name on the same host for ever.
///
/// How it is derived from host and name is the composition root's business; here it is only a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(u64);

/// A text that is not 12 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdError;

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a process id has 12 lower-case hex digits")
    }
}

impl std::error::Error for IdError {}

impl ProcessId {
    /// Takes the upper 48 bits of a digest.
    #[must_use]
    pub fn from_digest(digest: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = digest;
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The 48 bits as a number, which is never above [`ProcessId::MAX`].
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The id of this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// The greatest number of an id.
    pub const MAX: u64 = (1 << 48) - 1;
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl FromStr for ProcessId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let hex = s.len() == 12 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !hex {
            return Err(IdError);
        }
        u64::from_str_radix(s, 16).map(Self).map_err(|_| IdError)
    }
}

/// One spawned incarnation, unique within the daemon's life. Every asynchronous result carries it, so that a
/// result of an earlier run can be told from one of the current run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// PROCESS_RUN: 1 for a process's first run, then 2, 3, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNumber(pub u64);

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// PROCESS_INVOCATION_ID: 128 random bits of one run, shown as 32 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InvocationId(pub u128);

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Number of an event in the daemon's life: 1, 2, … without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_names() {
        for ok in ["a", "web", "web-1", "A.b_c@d-9", &"x".repeat(128)] {
            assert_eq!(ProcessName::new(ok).unwrap().as_str(), ok);
        }
    }

    #[test]
    fn names_that_are_not() {
        assert_eq!(ProcessName::new(""), Err(NameError::Empty));
        assert_eq!(ProcessName::new("../x"), Err(NameError::BadStart('.')));
        assert_eq!(ProcessName::new("-x"), Err(NameError::BadStart('-')));
        assert_eq!(ProcessName::new("a/b"), Err(NameError::BadChar('/')));
        assert_eq!(ProcessName::new("a\nb"), Err(NameError::BadChar('\n')));
        assert_eq!(ProcessName::new("ä"), Err(NameError::BadStart('ä')));
        assert_eq!(ProcessName::new(&"x".repeat(200)), Err(NameError::TooLong(200)));
    }

    #[test]
    fn ids_round_trip() {
        let id = ProcessId::from_digest([0, 1, 2, 0xab, 0xcd, 0xef]);
        assert_eq!(id.to_string(), "000102abcdef");
        assert_eq!("000102abcdef".parse(), Ok(id));
        for bad in ["000102ABCDEF", "00102abcdef", "000102abcdeg", ""] {
            assert_eq!(bad.parse::<ProcessId>(), Err(IdError));
        }
    }
}
