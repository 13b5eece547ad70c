//! Why a call did not work, in kinds that a program can act on.

use std::io;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::Violation;
use crate::fault::{DOMAIN, HINT};

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no daemon at {target}: {why}")]
    Unreachable {
        /// Where.
        target: String,
        /// Why.
        why: Unreachable,
    },
    /// The daemon said no.
    #[error(transparent)]
    Rejected(Rejection),
    /// The answer took longer than the caller wanted to wait. What was accepted goes on.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The connection broke, or the other end doesn't speak this API.
    #[error("the connection broke: {0}")]
    Lost(String),
}

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// There is no socket: the daemon is not running, or it runs elsewhere.
    #[error("there is no socket")]
    Missing,
    /// There is something, but nobody listens on it: the daemon is gone.
    #[error("connection refused")]
    Refused,
    /// The caller may not go there.
    #[error("permission denied")]
    Denied,
    /// Something accepted the connection, or swallowed it, and did not answer.
    #[error("no answer")]
    TimedOut,
    /// There is somebody, but no encrypted connection: why, and what to do.
    #[error("no connection with TLS: {0}")]
    Tls(String),
    /// Something else.
    #[error("{0}")]
    Other(io::Error),
}

impl From<io::Error> for Unreachable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other(error),
        }
    }
}

/// The daemon said no, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The kind.
    pub code: Code,
    /// ErrorInfo.reason, for example PROCESS_NOT_FOUND.
    pub reason: String,
    /// The thing and what is wrong with it.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// Wrong fields of the request.
    pub violations: Vec<Violation>,
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
        let Some(mut info) = info else {
            // Not from the service: made by the transport on this side, or by something that is no dd-procmgrd.
            return match status.code() {
                Code::Unknown | Code::Unavailable | Code::Internal | Code::Cancelled => {
                    Self::Lost(root_cause(&status))
                }
                code => Self::Rejected(Rejection {
                    code,
                    reason: String::new(),
                    message: status.message().to_owned(),
                    hint: (code == Code::Unimplemented)
                        .then(|| "the daemon is older than this pm-cli, or it is another program".to_owned()),
                    violations: Vec::new(),
                }),
            };
        };
        let fields = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        Self::Rejected(Rejection {
            code: status.code(),
            reason: info.reason,
            message: status.message().to_owned(),
            hint: info.metadata.remove(HINT),
            violations: fields
                .into_iter()
                .map(|v| Violation { field: v.field, text: v.description })
                .collect(),
        })
    }
}

/// The innermost error: "transport error" alone helps nobody.
fn root_cause(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    let text = if std::ptr::addr_eq(error, status) { status.message().to_owned() } else { error.to_string() };
    // Said by the daemon after the handshake, which in TLS 1.3 is over for the client before the server has looked.
    match text.strip_prefix("received fatal alert: ") {
        Some("CertificateRequired") => {
            "the daemon wants a certificate from its clients; give one, with its key".to_owned()
        }
        Some(alert) => format!("the daemon refused this side's certificate ({alert})"),
        None => text,
    }
}
