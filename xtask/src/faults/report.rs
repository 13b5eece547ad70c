//! What one fault has to say at its end.

use std::fmt;

/// It held: under which load, what was tried, what was measured.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<String>);

impl Report {
    /// Begins with the load.
    pub(crate) fn load(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// One more finding.
    pub(crate) fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(text.into());
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Something that it needs isn't here. No success: it is listed apart.
#[derive(Debug)]
pub(crate) struct NotRun(pub(crate) String);

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotRun {}

/// # Errors
/// [`NotRun`] for everybody but root.
pub(crate) fn needs_root(what_for: &str) -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(NotRun(format!("needs root to {what_for}")).into())
}
