//! [`ControlError`] on the wire and back: a status code, google.rpc.ErrorInfo, and what the code asks for beside it:
//! BadRequest, PreconditionFailure, RetryInfo.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{ControlError, ErrorKind, Violation};

/// ErrorInfo.domain.
pub(crate) const DOMAIN: &str = "ddprocmgr";
/// What RetryInfo says: whatever is full is empty again within milliseconds, except for streams that somebody keeps open.
const RETRY: Duration = Duration::from_millis(250);
/// Key of the hint in ErrorInfo.metadata.
pub(crate) const HINT: &str = "hint";
/// Key of the names of those that require a process, with commas.
const REQUIRED_BY: &str = "required_by";

// Errors travel in HTTP/2 trailers, and clients refuse header lists beyond 16 KiB. The message travels twice
// (percent-encoded and inside the base64 details), so these bounds keep the worst case below that.
const MAX_MESSAGE: usize = 1_500;
const MAX_HINT: usize = 1_000;
const MAX_VIOLATIONS: usize = 8;
const MAX_VIOLATION: usize = 300;

impl ErrorKind {
    fn code_and_reason(&self) -> (Code, &'static str) {
        match self {
            Self::NotFound => (Code::NotFound, "PROCESS_NOT_FOUND"),
            Self::AlreadyExists => (Code::AlreadyExists, "PROCESS_ALREADY_EXISTS"),
            Self::Invalid { .. } => (Code::InvalidArgument, "INVALID_REQUEST"),
            Self::FailedPrecondition => (Code::FailedPrecondition, "FAILED_PRECONDITION"),
            Self::Required { .. } => (Code::FailedPrecondition, "PROCESS_REQUIRED"),
            Self::StartFailed => (Code::FailedPrecondition, "START_FAILED"),
            Self::Unauthenticated => (Code::Unauthenticated, "BAD_TOKEN"),
            Self::PermissionDenied => (Code::PermissionDenied, "ROLE_TOO_LOW"),
            Self::Unavailable => (Code::Unavailable, "SHUTTING_DOWN"),
            Self::Busy => (Code::ResourceExhausted, "BUSY"),
            Self::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            Self::TooLarge => (Code::OutOfRange, "TOO_LARGE"),
            Self::Internal => (Code::Internal, "INTERNAL"),
        }
    }

    /// The ErrorInfo reason, also the result in the audit record.
    pub(crate) fn reason(&self) -> &'static str {
        self.code_and_reason().1
    }
}

impl From<ControlError> for Status {
    fn from(error: ControlError) -> Self {
        let (code, reason) = error.kind.code_and_reason();
        let mut details = ErrorDetails::new();
        let hint = error.hint.map(|h| (HINT.to_owned(), cut(h, MAX_HINT)));
        let by = match &error.kind {
            ErrorKind::Required { by } => Some((REQUIRED_BY.to_owned(), cut(by.join(","), MAX_HINT))),
            _ => None,
        };
        details.set_error_info(reason, DOMAIN, hint.into_iter().chain(by).collect::<HashMap<_, _>>());
        match code {
            Code::FailedPrecondition => {
                let (subject, why) = (error.subject, cut(error.message.clone(), MAX_VIOLATION));
                details.add_precondition_failure_violation(reason, cut(subject, MAX_VIOLATION), why);
            }
            Code::ResourceExhausted => drop(details.set_retry_info(Some(RETRY))),
            _ => {}
        }
        if let ErrorKind::Invalid { violations } = error.kind {
            for Violation { field, text } in violations.into_iter().take(MAX_VIOLATIONS) {
                details.add_bad_request_violation(cut(field, MAX_VIOLATION), cut(text, MAX_VIOLATION));
            }
        }
        Status::with_error_details(code, cut(error.message, MAX_MESSAGE), details)
    }
}

/// The text, cut on a character boundary when it is longer than `max` bytes.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let room = max - '…'.len_utf8();
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last();
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_carry_reason_hint_and_violations() {
        let status = Status::from(ControlError::invalid("name", "too long").with_hint("shorten it"));
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "too long"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_REQUEST", "ddprocmgr"));
        assert_eq!(info.metadata["hint"], "shorten it");
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, "name");
    }

    #[test]
    fn what_is_not_possible_now_says_of_which_process_and_what_is_full_says_when_to_come_again() {
        let error = ControlError::new(ErrorKind::FailedPrecondition, "web is not running").about("web");
        let status = Status::from(error.about("other"));
        let failure = status.get_details_precondition_failure().unwrap();
        let [violation] = &*failure.violations else { panic!("{failure:?}") };
        assert_eq!(
            (violation.r#type.as_str(), violation.subject.as_str(), violation.description.as_str()),
            ("FAILED_PRECONDITION", "web", "web is not running")
        );
        assert!(status.get_details_retry_info().is_none());
        let busy = Status::from(ControlError::new(ErrorKind::Busy, "full"));
        assert_eq!(busy.get_details_retry_info().unwrap().retry_delay, Some(RETRY));
        assert!(busy.get_details_precondition_failure().is_none());
    }

    #[test]
    fn who_requires_a_process_is_told() {
        let by = vec!["api".to_owned(), "web".to_owned()];
        let error = ControlError::new(ErrorKind::Required { by }, "db was not deleted").with_hint("force");
        let status = Status::from(error);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (Code::FailedPrecondition, "PROCESS_REQUIRED"));
        assert_eq!(
            (info.metadata["required_by"].as_str(), info.metadata["hint"].as_str()),
            ("api,web", "force")
        );
    }

    #[test]
    fn the_documentation_names_every_reason() {
        let text = include_str!("../../../docs/API.md");
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Invalid { violations: vec![] },
            ErrorKind::FailedPrecondition,
            ErrorKind::Required { by: vec![] },
            ErrorKind::StartFailed,
            ErrorKind::Unauthenticated,
            ErrorKind::PermissionDenied,
            ErrorKind::Unavailable,
            ErrorKind::Busy,
            ErrorKind::DeadlineExceeded,
            ErrorKind::TooLarge,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            // The code as the documentation writes it: NOT_FOUND for NotFound.
            let (code, reason) = kind.code_and_reason();
            let code: String = format!("{code:?}")
                .char_indices()
                .flat_map(|(i, c)| [(i > 0 && c.is_uppercase()).then_some('_'), Some(c.to_ascii_uppercase())])
                .flatten()
                .collect();
            assert!(text.contains(&format!("| `{reason}` | {code} |")), "{reason} {code}");
        }
    }

    #[test]
    fn the_longest_error_fits_into_16_kib_of_trailers() {
        let long = "é".repeat(10_000);
        let violations = vec![Violation { field: long.clone(), text: long.clone() }; 100];
        let required = ErrorKind::Required { by: vec!["a".repeat(128); 10_000] };
        for kind in
            [ErrorKind::Invalid { violations }, ErrorKind::FailedPrecondition, required, ErrorKind::Busy]
        {
            let error = ControlError::new(kind, long.clone()).with_hint(long.clone()).about(&long);
            let status = Status::from(error);
            let message = status.message().len() * 3;
            let details = status.details().len() * 4 / 3;
            assert!(message + details < 16 * 1024 - 512, "{message} + {details}");
        }
    }

    #[test]
    fn cuts_on_a_character_boundary() {
        assert_eq!(cut("abc".into(), 3), "abc");
        assert_eq!(cut("ééé".into(), 5), "é…");
    }
}
