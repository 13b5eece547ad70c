//! A new token for callers over TCP.

use std::path::PathBuf;

use tonic::Status;

use super::Service;
use super::audit::Act;
use crate::auth::{Caller, Method};
use crate::{ControlError, ErrorKind};

impl Service {
    /// Exchanges the token; the file that holds it stays the same one. Standing log streams and calls go on: a token is
    /// looked at when a call comes in.
    pub(super) async fn new_token(&self, caller: Caller) -> Result<PathBuf, Status> {
        let Some(keeper) = self.policy.token.clone() else {
            let error = ControlError::new(ErrorKind::FailedPrecondition, "this daemon has no token for TCP");
            return Err(error.with_hint("callers over TCP are viewers, or have a certificate").into());
        };
        let path = keeper.path();
        let at = path.clone();
        let operation = async move {
            let failed = |why: String| {
                ControlError::new(ErrorKind::Internal, format!("writing the token {}: {why}", at.display()))
                    .with_hint("the old one is still valid; check that the daemon's user may write there")
            };
            match tokio::task::spawn_blocking(move || keeper.rotate()).await {
                Ok(written) => written.map_err(|e| failed(e.to_string())),
                Err(fault) => Err(failed(fault.to_string())),
            }
        };
        self.operate(caller, Act::new(Method::RotateToken, ""), Box::pin(operation)).await?;
        Ok(path)
    }
}
