//! What is wrong with a file of keys or certificates, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a file. Its text names the file, the reason and the way out, and never shows what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// The way out.
    pub hint: String,
}

impl Problem {
    pub(crate) fn new(path: &Path, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into(), hint: hint.into() }
    }
}

/// `/etc/x/cert.pem: it expired on 2026-01-01; renew it`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path.display(), self.reason, self.hint)
    }
}

impl std::error::Error for Problem {}
