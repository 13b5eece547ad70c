//! What a process needs of others, beyond the order of `after` and `before`.

use std::fmt;

use crate::ProcessName;

/// How far another process has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Its program was executed.
    Started,
    /// It is up as its type says.
    Ready,
    /// Its health check passed.
    Healthy,
    /// It ended successfully.
    Completed,
}

impl Readiness {
    /// Every degree.
    pub const ALL: [Self; 4] = [Self::Started, Self::Ready, Self::Healthy, Self::Completed];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
        }
    }
}

/// One entry of `requires`, `wants` or `binds_to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Whom it needs.
    pub name: ProcessName,
    /// How far that has to be; `None` = healthy where it has a health check, else ready.
    pub until: Option<Readiness>,
}

/// As written in a definition: `db`, or `db: healthy`.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            None => write!(f, "{}", self.name),
            Some(until) => write!(f, "{}: {}", self.name, until.as_str()),
        }
    }
}

/// Why another process is not as far as it has to be, and won't be without help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing of that name is defined.
    NotDefined,
    /// Its definition is broken.
    Invalid,
    /// It is down, and nobody wants it up.
    Stopped,
    /// It ended by itself, successfully, but it has to be up.
    Ended,
    /// It failed, and its policy asks for no restart.
    Failed,
    /// It failed and will be restarted.
    Restarting,
    /// Its health check fails.
    Unhealthy,
}

/// `is not defined`, `is stopped`, ...
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDefined => "is not defined",
            Self::Invalid => "has a broken definition",
            Self::Stopped => "is stopped",
            Self::Ended => "has ended",
            Self::Failed => "has failed",
            Self::Restarting => "failed and waits for its restart",
            Self::Unhealthy => "is unhealthy",
        })
    }
}

/// Whom a process needs, and whom it can't stand. Each one of the first three also comes first, and goes last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencySpec {
    /// Started with it; it waits for them, and it is stopped when one of them is stopped on purpose.
    pub requires: Vec<Dependency>,
    /// Started with it; it waits for them as long as they are on their way.
    pub wants: Vec<Dependency>,
    /// As `requires`; it is also stopped when one of them goes down by itself, and started again when that is back.
    pub binds_to: Vec<Dependency>,
    /// Never up together: starting one stops the other.
    pub conflicts: Vec<ProcessName>,
}

impl DependencySpec {
    /// Everything it needs, of any strength.
    pub fn all(&self) -> impl Iterator<Item = &Dependency> {
        self.requires.iter().chain(&self.wants).chain(&self.binds_to)
    }

    /// Whether it can't be started without this one.
    #[must_use]
    pub fn cannot_do_without(&self, name: &ProcessName) -> bool {
        self.requires.iter().chain(&self.binds_to).any(|on| on.name == *name)
    }
}
