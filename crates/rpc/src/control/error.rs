//! Why a request was not carried out, and the way out.

use model::Refusal;

/// A request that was not carried out, or went wrong. `message` is the sentence a user reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// What kind, which decides the status code and the exit code.
    pub kind: ErrorKind,
    /// The thing and what is wrong with it.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The process that it is about; empty = none, or the request says it.
    pub subject: String,
}

/// Kinds of errors; each has one gRPC code and one ErrorInfo reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such process.
    NotFound,
    /// A process of that name exists.
    AlreadyExists,
    /// The request itself is wrong.
    Invalid {
        /// Which fields, and why.
        violations: Vec<Violation>,
    },
    /// The process's state or definition doesn't allow it.
    FailedPrecondition,
    /// Others can't do without it.
    Required {
        /// Who.
        by: Vec<String>,
    },
    /// The start was tried and failed.
    StartFailed,
    /// The caller's token is not the daemon's.
    Unauthenticated,
    /// The caller's role doesn't allow it.
    PermissionDenied,
    /// The daemon is shutting down.
    Unavailable,
    /// A queue is full; trying again later helps.
    Busy,
    /// The time that there was for the call is over.
    DeadlineExceeded,
    /// The request has more than may be sent.
    TooLarge,
    /// A fault of the daemon.
    Internal,
}

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, for example `definition.after`.
    pub field: String,
    /// What is wrong with it.
    pub text: String,
}

impl ControlError {
    /// An error without a hint.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, subject: String::new() }
    }

    /// The same with the way out.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, about this process, unless it says another one.
    #[must_use]
    pub fn about(self, subject: &str) -> Self {
        let subject = if self.subject.is_empty() { subject.to_owned() } else { self.subject };
        Self { subject, ..self }
    }

    /// One wrong field.
    #[must_use]
    pub fn invalid(field: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let violations = vec![Violation { field: field.to_owned(), text: text.clone() }];
        Self::new(ErrorKind::Invalid { violations }, text)
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::new(ErrorKind::NotFound, message),
            Refusal::AlreadyExists(name) => Self::new(ErrorKind::AlreadyExists, message)
                .with_hint(format!(
                    "pick another name; or change it (pm-cli update {name}), or remove it first (pm-cli delete {name})"
                )),
            Refusal::Invalid(..) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint("correct the definition, then: pm-cli reload-config"),
            Refusal::StartFailed(_, failure) if !failure.hint.is_empty() => {
                Self::new(ErrorKind::StartFailed, message).with_hint(failure.hint)
            }
            // Either it printed something before it ended, or it never ran for want of something else: `why` tells both.
            Refusal::StartFailed(name, _) | Refusal::NotStarted(name, _) => {
                Self::new(ErrorKind::StartFailed, message).with_hint(format!("see why: pm-cli why {name}"))
            }
            Refusal::NotRunning(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("start it first: pm-cli start {name}")),
            Refusal::ReloadFailed(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("see what it printed: pm-cli logs {name}")),
            Refusal::BeingRemoved(name) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("once it is gone, define it again: pm-cli create {name} …")),
            Refusal::Superseded(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("see what it does now: pm-cli describe {name}")),
            Refusal::ShuttingDown => Self::new(ErrorKind::Unavailable, message),
            Refusal::Busy => Self::new(ErrorKind::Busy, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{ProcessName, SpawnFailure, SpawnStage, State};

    use super::*;

    #[test]
    fn every_refusal_has_a_kind_and_those_with_a_way_out_name_it() {
        let name = || ProcessName::new("web").unwrap();
        let failure = |hint: &str| SpawnFailure {
            stage: SpawnStage::Exec,
            errno: 2,
            subject: "/usr/bin/wbe".into(),
            message: "No such file or directory".into(),
            hint: hint.into(),
        };
        let failed = ErrorKind::FailedPrecondition;
        for (refusal, kind, hint) in [
            (Refusal::NotFound(name()), ErrorKind::NotFound, None),
            (Refusal::AlreadyExists(name()), ErrorKind::AlreadyExists, Some("pm-cli delete web")),
            (Refusal::Invalid(name(), "x".into()), failed.clone(), Some("pm-cli reload-config")),
            (Refusal::StartFailed(name(), failure("check it")), ErrorKind::StartFailed, Some("check it")),
            (Refusal::StartFailed(name(), failure("")), ErrorKind::StartFailed, Some("pm-cli why web")),
            (Refusal::NotStarted(name(), "x".into()), ErrorKind::StartFailed, Some("pm-cli why web")),
            (Refusal::BeingRemoved(name()), failed.clone(), Some("pm-cli create web")),
            (Refusal::NotRunning(name(), State::Stopped), failed.clone(), Some("pm-cli start web")),
            (Refusal::ReloadFailed(name(), "x".into()), failed.clone(), Some("pm-cli logs web")),
            (Refusal::Superseded(name(), "stop"), failed, Some("pm-cli describe web")),
            (Refusal::ShuttingDown, ErrorKind::Unavailable, None),
            (Refusal::Busy, ErrorKind::Busy, None),
        ] {
            let message = refusal.to_string();
            let error = ControlError::from(refusal);
            assert_eq!((&error.kind, &error.message), (&kind, &message));
            match hint {
                Some(part) => assert!(error.hint.as_ref().unwrap().contains(part), "{error:?}"),
                None => assert_eq!(error.hint, None),
            }
        }
    }
}
