//! A new token for callers over TCP.

use std::path::PathBuf;

use model::Refusal;

use super::Service;
use crate::token::NotRotated;
use crate::{ControlError, ErrorKind};

impl Service {
    /// Exchanges the token; the file that holds it stays the same one. Standing log streams and calls go on: a token is
    /// looked at when a call comes in.
    pub(super) async fn new_token(&self) -> Result<PathBuf, ControlError> {
        let Some(keeper) = self.policy.token.clone() else {
            let error = ControlError::new(ErrorKind::FailedPrecondition, "this daemon has no token for TCP");
            return Err(error.with_hint("callers over TCP are viewers, or have a certificate"));
        };
        let path = keeper.path();
        let failed = |why: String| {
            ControlError::new(ErrorKind::Internal, format!("writing the token {}: {why}", path.display()))
                .with_hint("the old one is still valid; check that the daemon's user may write there")
        };
        match tokio::task::spawn_blocking(move || keeper.rotate()).await {
            Ok(Ok(())) => Ok(path),
            Ok(Err(NotRotated::Ended)) => Err(Refusal::ShuttingDown.into()),
            Ok(Err(NotRotated::Io(error))) => Err(failed(error.to_string())),
            Err(fault) => Err(failed(fault.to_string())),
        }
    }
}
